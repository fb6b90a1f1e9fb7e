//! What is told of what a deploy has left.

use std::cell::RefCell;

use super::*;
use crate::tools::progress::{Fate, Resource};

#[tokio::test(start_paused = true)]
async fn what_was_made_elsewhere_by_a_program_without_blocks_is_imported_there() {
    let mut world = World::showing(Look::Free);
    world.ending(Ok(killed()));
    world.hears(vec![Resource::created("x.made", Fate::Complete, Some("1"))]);
    let backend = FakeBackend::showing(&world.moments, Look::Free);
    let elsewhere = FakePlace {
        name: "elsewhere",
        imports: false,
        ..FakePlace::with(&world.moments, &[&backend])
    };
    world.place.imports = false;
    world.place.others.push(FakeTool(Rc::new(elsewhere)));
    world.host.seen = vec![seen("apply", "elsewhere")];
    let imports = RefCell::new(String::new());
    let report = |_: &Conclusion, remains: &Remains| {
        imports.replace(remains.imports.clone());
    };
    world.deploy_telling(ASKER, &report).await;
    assert_eq!(imports.take(), "fake import in elsewhere x.made 1\n");
}
