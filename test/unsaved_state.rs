//! A state that Terraform could not store.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::opentofu::ENCRYPTED;
use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::{Finished, Kind, Program, Project, Softstop, each, until};

/// A project whose resource `a` exists, with serial 1.
pub(super) fn begun() -> Project {
    begun_by(Program::Terraform)
}

fn begun_by(program: Program) -> Project {
    begin(Project::of(program, Kind::HttpStrict, &thing("a", "")))
}

pub(super) fn begun_with_encryption() -> Project {
    let project = Project::of(Program::OpenTofu, Kind::HttpStrict, &thing("a", ""));
    project.write("encryption.tofu", ENCRYPTED);
    begin(project)
}

fn begin(project: Project) -> Project {
    project.run_terraform(&["init", "-input=false"]);
    project.run_terraform(&["apply", "-auto-approve"]);
    let from_init = u64::from(project.store.kind.has_a_state_from_init());
    assert_eq!(serial_of(&project.store.state().unwrap()), 1 + from_init);
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
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail(&project.store.state_write(), Fault::Forbid, u32::MAX);
    project.write("main.tf", &project.with_gates(resources));
    let run = Softstop::deploy(project)
        .script(&format!(
            "{program} init -input=false; {program} apply -auto-approve || status=$?
             {}; exit $status",
            project.wait_at("after"),
            program = project.program.command(),
        ))
        .start();
    if is_interrupted {
        project.gate("b.gate").wait_until_reached();
        kill(run.wait_for_process("terraform"), Signal::SIGINT).unwrap();
        run.wait_for_stdout("Stopping operation...");
    }
    project.gate("b.gate").open();
    project.gate("after.gate").wait_until_reached();
    proxy.recover();
    meanwhile();
    project.gate("after.gate").open();
    run.finish()
}

/// A resource that is made at a gate, beside `a`.
pub(super) fn a_and_b() -> String {
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
fn a_state_that_follows_on_the_stored_one_is_stored_whichever_program_has_left_it() {
    each(&Program::ALL, |program| {
        let project = begun_by(program);
        let resources = thing("a", "") + &thing("b", "");
        let finished = deploy_in_vain(&project, &resources, false, || {});
        finished
            .expect_code(1)
            .expect_said("The state is stored now");
        assert_eq!(project.store.resources(), ["a", "b"], "{finished}");
    });
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
    let rows = [
        (Program::Terraform, Kind::HttpStrict, false),
        (Program::Terraform, Kind::HttpStrict, true),
        (Program::OpenTofu, Kind::HttpStrict, false),
        (Program::Terraform, Kind::S3Both, false),
        (Program::Terraform, Kind::Gcs, false),
        (Program::Terraform, Kind::Azurerm, false),
        (Program::OpenTofu, Kind::Kubernetes, false),
        (Program::Terraform, Kind::Postgres, false),
    ];
    each(&rows, |(program, kind, is_interrupted)| {
        let project = begin(Project::of(program, kind, &thing("a", "")));
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
fn a_state_of_a_terraform_that_nobody_heard_never_takes_the_place_of_another_one() {
    let project = begun();
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail(&project.store.state_write(), Fault::Refuse, u32::MAX);
    project.write("main.tf", &project.with_gates(&a_and_b()));
    let run = Softstop::deploy(&project)
        .script(&format!(
            "terraform init -input=false; terraform apply -auto-approve >log 2>&1 || status=$?
             {}; exit $status",
            project.wait_at("after"),
        ))
        .start();
    project.gate("b.gate").wait_until_reached();
    kill(run.wait_for_process("terraform"), Signal::SIGINT).unwrap();
    let log = project.directory.join("log");
    until("terraform stops", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("Stopping operation..."))
    });
    project.gate("b.gate").open();
    project.gate("after.gate").wait_until_reached();
    proxy.recover();
    project.start_rival().finish();
    project.gate("after.gate").open();
    let finished = run.finish();
    finished.expect_said("It is not stored now, because something that is stored");
    assert_eq!(project.store.resources(), ["rival"], "{finished}");
}

#[test]
fn what_somebody_has_removed_meanwhile_does_not_come_back() {
    let project = begun();
    let finished = deploy_in_vain(&project, &a_and_b(), true, || {
        project.run_terraform(&["state", "rm", "slow_thing.a"]);
    });
    finished
        .expect_said("It is not stored now, because something that is stored")
        .expect_said("only this one has slow_thing.a, slow_thing.b")
        .expect_said("Do not push it.")
        .expect_said("and holds secrets");
    assert_eq!(project.store.resources(), [""; 0], "{finished}");
    assert!(project.directory.join("errored.tfstate").exists());
}

/// A project whose resource `a` exists.
fn begun_on(kind: Kind) -> Project {
    let project = Project::new(kind, &thing("a", ""));
    project.run_terraform(&["init", "-input=false"]);
    project.run_terraform(&["apply", "-auto-approve"]);
    project
}

/// Terraform tries several times, and destroys what is stored, so that nothing but the lock shows that
/// nobody else has stored something.
#[test]
fn a_state_is_stored_while_the_lock_of_its_own_run_that_was_killed_is_still_there() {
    const KINDS: [Kind; 4] = [
        Kind::HttpStrict,
        Kind::HttpLax,
        Kind::S3Lockfile,
        Kind::S3DynamoDb,
    ];
    each(&KINDS, |kind| {
        let project = begun_on(kind);
        let b = thing("b", "create_gate = \"GATES/b.gate\"");
        project.write("main.tf", &project.with_gates(&b));
        let run = Softstop::deploy(&project)
            .script(&format!(
                "terraform init -input=false; terraform apply -auto-approve || true; {}; exit 3",
                project.wait_at("after")
            ))
            .start();
        project.gate("b.gate").wait_until_reached();
        run.wait_for_stdout("slow_thing.a: Destruction complete");
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.fail(&project.store.state_write(), Fault::Forbid, u32::MAX);
        proxy.hold(&project.store.unlock_requests()[0]);
        let terraform = run.wait_for_process("terraform");
        kill(terraform, Signal::SIGINT).unwrap();
        run.wait_for_stdout("Stopping operation...");
        project.gate("b.gate").open();
        proxy.wait_until_held();
        assert!(project.directory.join("errored.tfstate").exists());
        kill(terraform, Signal::SIGKILL).unwrap();
        project.gate("after.gate").wait_until_reached();
        proxy.wait_until_given_up();
        proxy.recover();
        project.gate("after.gate").open();
        let finished = run.finish();
        finished
            .expect_code(3)
            .expect_said("It is stored before that lock is released")
            .expect_said("errored.tfstate.stored is no longer needed, and holds secrets")
            .expect_said("It was released");
        assert_eq!(project.store.resources(), ["b"], "{kind:?}: {finished}");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert!(!project.directory.join("errored.tfstate").exists());
    });
}

/// Which of two backends the file is of, no name says: the second one is empty, and would take it.
#[test]
fn a_state_does_not_go_into_the_empty_backend_that_was_used_after_its_own() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let other = Project::new(Kind::HttpStrict, "");
    let block = format!("terraform {{\n{}}}\n", other.store.block());
    project.store.http.as_ref().unwrap().refuse_posts(100);
    let finished = Softstop::deploy(&project)
        .env("OTHER_BLOCK", block)
        .script(
            "terraform init -input=false; terraform apply -auto-approve || true
             echo \"$OTHER_BLOCK\" > backend.tf
             terraform init -input=false -reconfigure; terraform plan; exit 3",
        )
        .finish();
    finished
        .expect_code(3)
        .expect_said("several states were used in this directory")
        .expect_said("terraform state pull | diff - errored.tfstate");
    assert_eq!(other.store.state(), None, "{finished}");
    assert!(project.directory.join("errored.tfstate").exists());
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
