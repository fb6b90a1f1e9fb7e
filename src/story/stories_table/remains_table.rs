//! What is told of what a deploy has left.

use std::cell::RefCell;

use super::journals_table::left_by;
use super::*;
use crate::journal::Stand;
use crate::tools::progress::{Action, Fate, Resource};

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
    let imports = RefCell::new(None);
    let report = |_: &Conclusion, remains: &Remains<'_>| {
        imports.replace(remains.imports().map(Iterator::collect::<String>));
    };
    world.deploy_telling(ASKER, &report).await;
    assert_eq!(
        imports.take().as_deref(),
        Some("fake import in elsewhere x.made 1\n")
    );
}

/// The imports that an earlier deploy has written lie beside the report.
#[tokio::test(start_paused = true)]
async fn a_refusal_leaves_no_imports_that_were_another_ones_where_it_has_looked_what_is_missing() {
    let made = || Resource::created("fake.made", Fate::Complete, Some("1"));
    let begun = || Resource::created("fake.begun", Fate::InFlight, None);
    for (resource, has_locks, written) in [
        (made(), true, Some("fake import in here fake.made 1")),
        (begun(), true, Some("")),
        // Whether it goes on nobody knows, so nothing was weighed.
        (made(), false, None),
    ] {
        let mut world = World::with_records(Look::Free, &[left_by(vec![resource])]);
        world.deploy.on_unfinished = OnUnfinished::Stop;
        if !has_locks {
            world.place.backends.clear();
        }
        let imports = RefCell::new(None);
        let report = |_: &Conclusion, remains: &Remains<'_>| {
            imports.replace(remains.imports().map(Iterator::collect::<String>));
        };
        let conclusion = world.deploy_telling(ASKER, &report).await;
        assert_eq!(conclusion.exit, Exit::Unfinished, "{written:?}");
        assert_eq!(imports.take().as_deref(), written);
    }
}

/// In `terraform apply && ./test; terraform destroy`, where that fails.
#[tokio::test(start_paused = true)]
async fn what_was_made_and_destroyed_again_is_nothing_that_the_state_lacks() {
    let made = || Resource::created("x.made", Fate::Complete, Some("1"));
    let gone = Resource {
        action: Action::Replace,
        old_id: Some("1".into()),
        ..made()
    };
    for (told, in_state, named, imports) in [
        (gone, &[][..], 0, ""),
        (made(), &[("x.made", "1")], 1, ""),
        (made(), &[], 1, "fake import in here x.made 1\n"),
    ] {
        let mut world = World::showing(Look::Free);
        world.ending(Ok(ended(256)));
        world.hears(vec![told.clone()]);
        world.has_stored(in_state);
        world.place.imports = false;
        let remained = RefCell::new(None);
        let report = |_: &Conclusion, remains: &Remains<'_>| {
            remained.replace(Some((
                remains.left().count(),
                remains.imports().map(Iterator::collect::<String>),
            )));
        };
        world.deploy_telling(ASKER, &report).await;
        let imports = Some(imports.to_owned());
        assert_eq!(remained.take(), Some((named, imports)), "{told:?}");
    }
}

/// In `apply | tee log`, of which nobody learns the exit code.
#[tokio::test(start_paused = true)]
async fn a_success_is_believed_only_where_a_run_has_said_that_it_has_stored_what_it_made() {
    let own = Owner::parse(ASKER).unwrap().build();
    for (is_unended, in_state, is_plain, stand) in [
        (false, &[][..], true, Stand::Settled),
        (true, &[("x.made", "1")], true, Stand::Settled),
        (true, &[], false, Stand::Unfinished),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ended(0)));
        world.hears(vec![Resource::created("x.made", Fate::Complete, Some("1"))]);
        world.place.told.lock().unwrap().is_unended = is_unended;
        world.has_stored(in_state);
        let remained = RefCell::new(None);
        let report = |_: &Conclusion, remains: &Remains<'_>| {
            remained.replace(Some(remains.is_plain));
        };
        let conclusion = world.deploy_telling(ASKER, &report).await;
        assert_eq!(conclusion.outcome, Outcome::Succeeded);
        assert_eq!(remained.take(), Some(is_plain), "{is_unended} {in_state:?}");
        let kept = world.kept(own).map(|(stand, _)| stand);
        assert_eq!(kept, Some(stand), "{is_unended} {in_state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_end_is_reported_once_as_it_is_told() {
    let told = async |mut world: World| {
        let reported = RefCell::new(Vec::new());
        let report = |conclusion: &Conclusion, _: &Remains<'_>| {
            reported.borrow_mut().push(conclusion.clone());
        };
        let conclusion = world.deploy_telling(ASKER, &report).await;
        assert_eq!(
            reported.take().as_slice(),
            std::slice::from_ref(&conclusion)
        );
        (conclusion.exit, world.moments.was_interrupted())
    };
    for look in [Look::Free, held(&earlier_run()), held(PERSON)] {
        let mut moment = 1;
        while told(World::interrupted_at(Some(moment), look.clone()))
            .await
            .1
        {
            moment += 1;
        }
        assert!(moment > 1, "{look:?}");
    }
    let held = told(World::showing(held(PERSON))).await;
    assert_eq!(held.0, Exit::Locked);
    let world = World::showing(Look::Free);
    world.backend.then([Err(not_given_back())]);
    assert_eq!(told(world).await.0, Exit::Unanswered);
}
