//! A state that Terraform could not store.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop};

#[test]
fn a_state_that_could_not_be_stored_is_stored_once_the_lock_is_free() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.store.http.as_ref().unwrap().refuse_posts(1);
    let finished = Softstop::deploy(&project).finish();
    finished
        .expect_code(1)
        .expect_said("errored.tfstate")
        .expect_said("The state is stored now");
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    Softstop::deploy(&project).finish().expect_code(0);
}

#[test]
fn a_state_that_cannot_be_stored_is_kept_with_the_command_to_store_it() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.store.http.as_ref().unwrap().refuse_posts(100);
    let finished = Softstop::deploy(&project).finish();
    let kept = fs::canonicalize(project.directory.join("errored.tfstate")).unwrap();
    finished
        .expect_code(1)
        .expect_said("It cannot be stored now either")
        .expect_said(&format!("Keep {}", kept.display()))
        .expect_said("terraform state push errored.tfstate");
    project.store.http.as_ref().unwrap().refuse_posts(0);
    project.run_terraform(&["state", "push", "errored.tfstate"]);
    assert_eq!(project.store.resources(), ["a"]);
}

#[test]
fn a_state_of_an_earlier_run_is_left_alone() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.write("errored.tfstate", "of an earlier run");
    let finished = Softstop::deploy(&project)
        .script("terraform init; exit 3")
        .finish();
    finished.expect_code(3);
    assert!(!finished.stderr.contains("errored.tfstate"), "{finished}");
}

#[test]
fn a_state_push_that_hangs_is_killed_in_time_and_leaves_no_lock() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.store.http.as_ref().unwrap().refuse_posts(1);
    let path = project.scratch().display();
    let script = format!(
        "terraform init; terraform apply -auto-approve || status=$?; touch {path}/apply.reached
         until [ -e {path}/apply.gate ]; do sleep 0.01; done; exit $status"
    );
    let mut run = Softstop::deploy(&project)
        .script(&script)
        .env("GRACE_PERIOD", "6s")
        .start();
    let gate = project.gate("apply.gate");
    gate.wait_until_reached();
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold(&project.store.state_write());
    gate.open();
    proxy.wait_until_held();
    assert!(project.store.lock().is_some(), "storing takes the lock");
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished
        .expect_code(1)
        .expect_said("terraform state push")
        .expect_said("its lock was released");
    assert!(finished.stopped_in.unwrap().as_secs() < 7, "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}
