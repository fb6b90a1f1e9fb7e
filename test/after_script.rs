//! AFTER_SCRIPT runs after every deploy, knows how it ended, and keeps nobody waiting.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Softstop};

/// Writes what it was told into a file of the project.
const TELL: &str =
    "echo \"$SOFTSTOP_OUTCOME $SOFTSTOP_EXIT_CODE $SOFTSTOP_LOCK $SOFTSTOP_LOCK_ID\" >> told";

fn told(project: &Project) -> String {
    fs::read_to_string(project.directory.join("told")).unwrap()
}

#[test]
fn it_runs_once_and_knows_that_the_deploy_succeeded() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    Softstop::deploy(&project)
        .env("AFTER_SCRIPT", TELL)
        .finish()
        .expect_code(0);
    assert_eq!(told(&project), "succeeded 0 free \n");
}

#[test]
fn it_knows_that_the_deploy_failed() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let softstop = Softstop::deploy(&project).env("AFTER_SCRIPT", TELL);
    softstop.script("exit 9").finish().expect_code(9);
    assert_eq!(told(&project), "failed 9 unknown \n");
}

#[test]
fn it_knows_that_the_deploy_was_interrupted() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project).env("AFTER_SCRIPT", TELL).start();
    project.gate("a.gate").wait_until_reached();
    run.signal(Signal::SIGINT);
    run.wait_for_stdout("Stopping operation...");
    project.gate("a.gate").open();
    run.finish().expect_code(130);
    assert_eq!(told(&project), "interrupted 130 free \n");
}

#[test]
fn it_knows_that_the_deploy_was_killed_and_which_lock_was_released() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).env("AFTER_SCRIPT", TELL).start();
    project.gate("a.gate").wait_until_reached();
    let lock = project.store.lock_id().unwrap();
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    run.finish().expect_code(137);
    assert_eq!(told(&project), format!("killed 137 released {lock}\n"));
}

#[test]
fn it_knows_that_somebody_holds_the_lock() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let script = project.wait_at("begun") + "; terraform init; terraform apply -auto-approve";
    let run = Softstop::deploy(&project)
        .env("AFTER_SCRIPT", TELL)
        .script(&script)
        .start();
    project.gate("begun.gate").wait_until_reached();
    let rival = project.start_rival();
    let lock = project.store.lock_id().unwrap();
    project.gate("begun.gate").open();
    run.finish().expect_code(1);
    assert_eq!(told(&project), format!("failed 1 held {lock}\n"));
    rival.finish();
}

#[test]
fn its_own_failure_is_told_and_changes_no_exit_code() {
    let project = Project::new(Kind::Local, "");
    let after = |script: &str| -> Finished {
        let softstop = Softstop::deploy(&project).env("AFTER_SCRIPT", "exit 3");
        softstop.script(script).finish()
    };
    after("true")
        .expect_code(0)
        .expect_said("AFTER_SCRIPT failed");
    after("exit 5")
        .expect_code(5)
        .expect_said("AFTER_SCRIPT failed");
}

#[test]
fn one_that_hangs_is_killed_within_the_grace_period_with_all_it_started() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project)
        .env("GRACE_PERIOD", "5s")
        .env(
            "AFTER_SCRIPT",
            "trap '' TERM INT; sleep 600 & touch hanging; sleep 600",
        )
        .start();
    project.gate("a.gate").wait_until_reached();
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished.expect_code(143).expect_said("AFTER_SCRIPT failed");
    assert!(project.directory.join("hanging").exists(), "{finished}");
    assert!(
        finished.stopped_in.unwrap() < Duration::from_secs(6),
        "{finished}"
    );
    assert_eq!(project.store.lock(), None);
}

#[test]
fn a_signal_while_it_runs_starts_the_grace_period_and_lets_it_finish() {
    let project = Project::new(Kind::Local, "");
    let gate = project.gate("after.gate");
    let path = project.scratch().display();
    let script = format!(
        "touch {path}/after.reached; until [ -e {path}/after.gate ]; do sleep 0.01; done; {TELL}"
    );
    let mut run = Softstop::deploy(&project)
        .script("exit 4")
        .env("AFTER_SCRIPT", script)
        .start();
    gate.wait_until_reached();
    run.signal(Signal::SIGTERM);
    gate.open();
    run.finish().expect_code(4);
    assert_eq!(told(&project), "failed 4 unknown \n");
}

#[test]
fn it_gets_its_time_although_the_lock_server_hangs() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project)
        .env("GRACE_PERIOD", "5s")
        .env("AFTER_SCRIPT", TELL)
        .start();
    project.gate("a.gate").wait_until_reached();
    project.store.proxy.as_ref().unwrap().hold("LOCK /state");
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished.expect_code(143);
    assert!(
        finished.stopped_in.unwrap() < Duration::from_secs(6),
        "{finished}"
    );
    assert_eq!(told(&project), "interrupted 143 unknown \n");
}
