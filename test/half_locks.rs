//! A lock on `s3` that is a lock file and an item of DynamoDB can be left as one half of itself.

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Softstop, Step};

/// Kills a deploy while it asks for this, and releases what is left in the `final:` step.
fn recover_from_death_at(request: &str) -> (Project, Finished) {
    let project = Project::new(Kind::S3Both, &thing("a", ""));
    let step = Step::of_a_new_pipeline();
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold(request);
    let run = Softstop::deploy(&project).in_step(&step).start();
    run.kill_all_while_held(proxy);
    assert!(project.store.lock().is_some(), "one half is left");
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .finish();
    (project, finished)
}

#[test]
fn a_lock_of_which_only_one_half_was_taken_is_told_as_released() {
    let (project, finished) = recover_from_death_at("PutItem");
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_lock_of_which_only_one_half_was_given_back_is_told_as_released() {
    let (project, finished) = recover_from_death_at("DeleteItem");
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
}
