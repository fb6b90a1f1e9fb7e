//! A state that Terraform could not store.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Softstop, each};

/// A project whose resource `a` exists, with serial 1.
fn begun() -> Project {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.run_terraform(&["init", "-input=false"]);
    project.run_terraform(&["apply", "-auto-approve"]);
    assert_eq!(serial_of(&project.store.state().unwrap()), 1);
    project
}

fn serial_of(state: &str) -> u64 {
    let state: Value = serde_json::from_str(state).unwrap();
    state["serial"].as_u64().unwrap()
}

/// Deploys these resources, with the backend refusing to store them, and does this before softstop
/// has its turn. A Terraform that somebody has interrupted tries to store the state again and again.
fn deploy_in_vain(
    project: &Project,
    resources: &str,
    is_interrupted: bool,
    meanwhile: impl FnOnce(),
) -> Finished {
    let http = project.store.http.as_ref().unwrap();
    http.refuse_posts(100);
    project.write("main.tf", &project.with_gates(resources));
    let run = Softstop::deploy(project)
        .script(&format!(
            "terraform init -input=false; terraform apply -auto-approve || status=$?
             {}; exit $status",
            project.wait_at("after")
        ))
        .start();
    if is_interrupted {
        project.gate("b.gate").wait_until_reached();
        kill(run.wait_for_process("terraform"), Signal::SIGINT).unwrap();
        run.wait_for_stdout("Stopping operation...");
    }
    project.gate("b.gate").open();
    project.gate("after.gate").wait_until_reached();
    http.refuse_posts(0);
    meanwhile();
    project.gate("after.gate").open();
    run.finish()
}

/// A resource that is made at a gate, beside `a`.
fn a_and_b() -> String {
    thing("a", "") + &thing("b", "create_gate = \"GATES/b.gate\"")
}

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
        .expect_said("It is not stored now, because terraform state push failed")
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

#[test]
fn a_state_never_takes_the_place_of_what_somebody_else_has_stored_since() {
    each(&[false, true], |is_interrupted| {
        let project = begun();
        let rival = || project.start_rival().finish();
        let finished = deploy_in_vain(&project, &a_and_b(), is_interrupted, rival);
        finished
            .expect_said("It is not stored now, because something that is stored")
            .expect_said(
                "only the stored one has slow_thing.rival; only this one has slow_thing.a,",
            )
            .expect_said("Do not push it.");
        assert!(
            !finished.stderr.contains("=default terraform state push"),
            "{finished}"
        );
        assert_eq!(project.store.resources(), ["rival"], "{finished}");
        assert!(project.directory.join("errored.tfstate").exists());
    });
}

#[test]
fn a_state_that_many_tries_have_not_stored_is_stored_where_it_lacks_nothing() {
    let project = begun();
    let finished = deploy_in_vain(&project, &a_and_b(), true, || {});
    finished.expect_said("The state is stored now");
    assert_eq!(project.store.resources(), ["a", "b"], "{finished}");
    let left = fs::read_to_string(project.directory.join("errored.tfstate")).unwrap();
    let said = "Terraform refuses it where another one was stored after the first";
    assert_eq!(serial_of(&left), 2, "{said}");
}

#[test]
fn a_state_that_has_destroyed_something_is_stored_where_it_surely_follows_the_stored_one() {
    each(&[false, true], |is_interrupted| {
        let project = begun();
        let b = thing("b", "create_gate = \"GATES/b.gate\"");
        let finished = deploy_in_vain(&project, &b, is_interrupted, || {});
        if is_interrupted {
            finished.expect_said(
                "only the stored one has slow_thing.a; only this one has slow_thing.b",
            );
            assert_eq!(project.store.resources(), ["a"], "{finished}");
        } else {
            finished.expect_said("The state is stored now");
            assert_eq!(project.store.resources(), ["b"], "{finished}");
        }
    });
}

#[test]
fn the_command_that_stores_a_state_does_not_set_back_what_is_stored_by_then() {
    let project = begun();
    project.write("main.tf", &project.with_gates(&a_and_b()));
    project.gate("b.gate").open();
    let http = project.store.http.as_ref().unwrap();
    http.refuse_posts(100);
    let finished = Softstop::deploy(&project).finish();
    http.refuse_posts(0);
    let (_, command) = finished.stderr.split_once("stored meanwhile: ").unwrap();
    let command = command.lines().next().unwrap();
    project.start_rival().finish();
    let mut by_hand = Command::new("sh");
    by_hand
        .args(["-c", command])
        .current_dir(&project.directory)
        .env("TF_CLI_CONFIG_FILE", project.cli_config());
    assert!(!by_hand.status().unwrap().success(), "{finished}");
    assert_eq!(project.store.resources(), ["rival"]);
}

#[test]
fn where_the_states_cannot_be_compared_a_person_is_told_to_do_it() {
    let project = begun();
    let lock = || {
        project.be_locked_by("anna@macbook");
    };
    let finished = deploy_in_vain(&project, &a_and_b(), true, lock);
    finished.expect_said("terraform state pull | diff - errored.tfstate");
    assert!(
        !finished.stderr.contains("=default terraform state push"),
        "{finished}"
    );
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}
