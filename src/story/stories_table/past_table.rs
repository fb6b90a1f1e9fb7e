//! What a deploy does about what earlier ones have left.

use std::cell::RefCell;

use super::journals_table::{EARLIER, left_by};
use super::*;
use crate::journal::Stand;
use crate::journal::fake::SECRET;
use crate::tools::Job;
use crate::tools::progress::{Action, Fate, Resource};
use crate::tools::recovering::{Change, Planned};
use crate::tools::stored::Stored;

/// What a plan does with what was made, which is all that there is.
fn planned(action: Option<Action>, imported: Option<&str>) -> Planned {
    let change = Change {
        action,
        id: None,
        imported: imported.map(str::to_owned),
    };
    Planned([("fake.made".to_owned(), change)].into())
}

pub(super) fn again() -> Planned {
    planned(Some(Action::Create), None)
}

/// A world in which something was made that the state does not have, with plans of which each does this.
fn world(moment: Option<u32>, plans: &[Planned]) -> World {
    let mut world = World::interrupted_at(moment, Look::Free);
    world.shelf = FakeShelf::that_is(Mood::Well);
    let made = Resource::created("fake.made", Fate::Complete, Some("1"));
    world.shelf.records.replace(vec![left_by(vec![made])]);
    world.host.commits = Ok(vec![COMMIT.to_owned(), EARLIER.to_owned()]);
    world.deploy.runs = Runs::Job(Job::Apply);
    world.deploy.on_unfinished = OnUnfinished::Import;
    world.place.plans = RefCell::new(plans.to_vec());
    world
}

#[tokio::test(start_paused = true)]
async fn a_command_is_not_run_where_something_is_missing() {
    let mut world = world(None, &[]);
    world.deploy.runs = Runs::Command("fake".to_owned(), Vec::new());
    let conclusion = world.deploy().await;
    assert_eq!(conclusion.exit, Exit::Unfinished);
    assert!(!world.has_deployed());
    assert_eq!(
        conclusion.to_string(),
        "Nothing was deployed, because what earlier deploys have made is not in the state (exit \
         code 5)."
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_planned_is_applied_only_where_it_makes_nothing_again() {
    use Action::Replace;
    use OnUnfinished::{Ignore, Import, Report, Stop};
    let imported = || planned(None, Some("1"));
    for (wish, plans, exit) in [
        (Report, vec![again()], Exit::Unfinished),
        (Report, vec![planned(None, None)], Exit::Done),
        (Stop, vec![], Exit::Unfinished),
        (Ignore, vec![], Exit::Done),
        (Import, vec![again(), imported()], Exit::Done),
        (Import, vec![again(), again()], Exit::Unfinished),
        (
            Import,
            vec![again(), planned(Some(Replace), Some("1"))],
            Exit::Unfinished,
        ),
    ] {
        let mut world = world(None, &plans);
        world.deploy.on_unfinished = wish;
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.exit, exit, "{wish:?} {plans:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_imported_that_may_be_of_another_state() {
    let mut world = world(None, &[again()]);
    world.place.shares_its_name = true;
    world.shelf.records.borrow_mut()[0].stand = Stand::Unfinished;
    assert_eq!(world.deploy().await.exit, Exit::Unfinished);
    assert!(world.has_deployed(), "only its plan was made");
}

#[tokio::test(start_paused = true)]
async fn a_program_without_imports_only_reports() {
    let mut world = world(None, &[again()]);
    world.place.imports = false;
    assert_eq!(world.deploy().await.exit, Exit::Unfinished);
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_any_moment_ends_a_deploy_in_steps() {
    let mut moment = 1;
    loop {
        let mut world = world(Some(moment), &[again(), planned(None, Some("1"))]);
        world.leave_a_lock();
        let conclusion = world.deploy().await;
        if !world.moments.was_interrupted() {
            assert!(moment > 8, "{moment}");
            assert_eq!(conclusion.outcome, Outcome::Succeeded);
            break;
        }
        // What comes after all steps changes nothing of how they ended.
        let outcome = conclusion.outcome;
        assert!(
            matches!(outcome, Outcome::Interrupted | Outcome::Succeeded),
            "{moment}: {conclusion}"
        );
        assert_eq!(*world.backend.look.borrow(), Look::Free, "{moment}");
        moment += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_a_hidden_secret_in_its_address_is_imported_where_one_alone_is_written_like_it() {
    use OnUnfinished::{Import, Report};
    let keyed = |key: &str| format!("fake.made[\"{key}\"]");
    let plan = |keys: &[&str], action, imported: Option<&str>| {
        let change = Change {
            action,
            id: None,
            imported: imported.map(str::to_owned),
        };
        Planned(
            keys.iter()
                .map(|key| (keyed(key), change.clone()))
                .collect(),
        )
    };
    let create = |keys: &[&str]| plan(keys, Some(Action::Create), None);
    let imported = || plan(&[SECRET], None, Some("1"));
    for (wish, plans, exit) in [
        (Report, vec![create(&[SECRET])], Exit::Unfinished),
        (Import, vec![create(&[SECRET]), imported()], Exit::Done),
        // Nobody can tell which of them is meant.
        (Import, vec![create(&[SECRET, "***"])], Exit::Unfinished),
        (Import, vec![create(&["other"])], Exit::Done),
    ] {
        let mut world = world(None, &plans);
        let made = Resource::created(&keyed("***"), Fate::Complete, Some("1"));
        world.shelf.records.replace(vec![left_by(vec![made])]);
        world.deploy.on_unfinished = wish;
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.exit, exit, "{wish:?} {plans:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_settles_what_has_a_hidden_secret_in_its_address() {
    let mut world = world(None, &[]);
    let made = Resource::created("fake.made[\"***\"]", Fate::Complete, Some("1"));
    world.shelf.records.replace(vec![left_by(vec![made])]);
    let all = [(format!("fake.made[\"{SECRET}\"]"), vec!["1".to_owned()])];
    world.place.stored.replace(Stored(all.into()));
    world.deploy.on_unfinished = OnUnfinished::Stop;
    assert_eq!(world.deploy().await.exit, Exit::Done);
}
