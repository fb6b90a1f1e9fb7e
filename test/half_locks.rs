//! A lock on `s3` that is a lock file and an item of a table can be left as one half of itself, or as
//! two halves of two holders.

use std::fs;

use serde_json::Value;

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Step, lock_of};

/// Kills a deploy while it asks for this.
fn killed_at(request: &str, step: &Step) -> Project {
    let project = Project::new(Kind::S3Both, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold(request);
    let run = Softstop::deploy(&project).in_step(step).start();
    run.kill_all_while_held(proxy);
    project
}

/// Releases in the `final:` step of the pipeline of `step`, and expects that nothing is left and that
/// everybody is told so.
fn expect_release(project: &Project, step: &Step) {
    let told = project.scratch().join("told");
    let tell = format!("echo $SOFTSTOP_LOCK >> {}", told.display());
    let finished = Softstop::release(project)
        .in_step(&step.sibling())
        .env("AFTER_SCRIPT", &tell)
        .finish();
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(fs::read_to_string(told).unwrap(), "released\n");
}

#[test]
fn a_lock_of_which_only_the_lock_file_was_taken_is_told_as_released() {
    let step = Step::of_a_new_pipeline();
    let project = killed_at("PutItem", &step);
    assert!(project.store.lockfile().is_some());
    assert_eq!(project.store.table_lock(), None);
    expect_release(&project, &step);
}

#[test]
fn a_lock_of_which_only_the_lock_file_was_given_back_is_told_as_released() {
    let step = Step::of_a_new_pipeline();
    let project = killed_at("DeleteItem", &step);
    assert_eq!(project.store.lockfile(), None);
    assert!(project.store.table_lock().is_some());
    expect_release(&project, &step);
}

#[test]
fn two_halves_of_two_holders_that_are_over_are_both_released() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::S3Both, &step);
    let other = lock_of(&format!("{}@e6d2a1b3c4d5", step.sibling().stamp()));
    project.store.set_lockfile(&other);
    expect_release(&project, &step);
}

#[test]
fn a_half_of_somebody_who_may_be_alive_is_left_when_the_other_half_is_released() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::S3Both, &step);
    let other = lock_of("anna@macbook");
    project.store.set_lockfile(&other);
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .finish();
    finished
        .expect_code(3)
        .expect_said("held by anna@macbook")
        .expect_said("is no build that softstop has signed for");
    let left: Value = serde_json::from_str(&project.store.lockfile().unwrap()).unwrap();
    assert_eq!(left, other, "{finished}");
    assert_eq!(project.store.table_lock(), None, "{finished}");
}
