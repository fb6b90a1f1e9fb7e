//! What is left in the same directory and workspace by a deploy that has used another type of backend.

use std::cell::RefCell;
use std::slice;

use super::journals_table::{here, left_by, names};
use super::past_table::again;
use super::*;
use crate::journal::{PlaceName, Record, Stand};
use crate::tools::Job;
use crate::tools::progress::{Fate, Resource};

fn left_at_another(stand: Stand) -> Record {
    let place = PlaceName {
        backend: "other".to_owned(),
        ..here()
    };
    Record {
        place,
        stand,
        ..left_by(vec![
            Resource::created("fake.made", Fate::Complete, Some("1")),
            Resource::created("fake.begun", Fate::InFlight, None),
        ])
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_makes_nothing_again_that_was_made_with_another_backend_and_settles_nothing_of_it()
{
    use OnUnfinished::{Ignore, Import, Report, Stop};
    use Stand::{Running, Unfinished};
    let job = || Runs::Job(Job::Apply);
    let command = || Runs::Command("fake".to_owned(), Vec::new());
    let missing: &[(&str, &str)] = &[];
    let stored: &[(&str, &str)] = &[("fake.made", "1"), ("fake.begun", "2")];
    for (runs, wish, stand, ids, exit) in [
        (job(), Report, Unfinished, missing, Exit::Unfinished),
        (job(), Import, Unfinished, missing, Exit::Unfinished),
        (job(), Stop, Unfinished, missing, Exit::Unfinished),
        (job(), Ignore, Unfinished, missing, Exit::Done),
        (job(), Report, Unfinished, stored, Exit::Done),
        // It may go on, and the lock of this state says nothing of it.
        (job(), Report, Running, missing, Exit::Done),
        (job(), Stop, Running, missing, Exit::Unfinished),
        // A command may write the backend block itself.
        (command(), Report, Unfinished, missing, Exit::Done),
        (command(), Stop, Unfinished, missing, Exit::Unfinished),
    ] {
        let case = format!("{wish:?} {stand:?} {ids:?}");
        let record = left_at_another(stand);
        let mut world = World::with_records(Look::Free, slice::from_ref(&record));
        world.deploy.runs = runs;
        world.deploy.on_unfinished = wish;
        world.place.plans = RefCell::new(vec![again()]);
        world.has_stored(ids);
        assert_eq!(world.deploy().await.exit, exit, "{case}");
        let records = world.shelf.records.borrow();
        assert!(records.contains(&record), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_settles_what_was_made_with_another_backend_and_nobody_else() {
    for stand in [Stand::Unfinished, Stand::Running] {
        let record = left_at_another(stand);
        let world = World::with_records(Look::Free, slice::from_ref(&record));
        world.has_stored(&[("fake.made", "2")]);
        world.release(&[&world.backend]).await;
        assert_eq!(*world.shelf.records.borrow(), [record], "{stand:?}");
        let (conclusion, world) = world.resolve(&["fake.begun"]).await;
        assert_eq!(conclusion.to_string(), "Journal: 1 resolved, 1 left.");
        let left = names(&["fake.made"]);
        assert_eq!(world.kept(41), Some((Stand::Unfinished, left)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_still_be_made_with_another_backend_nobody_strikes() {
    let record = left_at_another(Stand::Running);
    let world = World::with_records(held(PERSON), slice::from_ref(&record));
    let (conclusion, world) = world.resolve(&["fake.begun"]).await;
    assert_eq!(conclusion.exit, Exit::Unanswered);
    assert_eq!(*world.shelf.records.borrow(), [record]);
}
