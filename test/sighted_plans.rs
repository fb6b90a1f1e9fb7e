//! A saved plan decides which state it is applied to, and not the directory.

use nix::sys::signal::{Signal, kill};

use crate::opentofu::ENCRYPTED;
use crate::sightings::{SLOW, TOLD, configuration, expect_healed, repository};
use crate::support::project::thing;
use crate::support::{Kind, Program, Project, Softstop, Store, each};

#[test]
fn a_saved_plan_is_of_the_backend_that_it_was_made_for_whoever_names_it() {
    each(
        &[
            "terraform apply plan",
            "TF_CLI_ARGS_apply='-input=false plan' terraform apply",
        ],
        |apply| {
            let project = repository(Kind::S3Lockfile);
            let (prod, store) = configuration(&project, "prod", &thing("a", SLOW));
            let script = format!(
                "cd prod; terraform init; terraform plan -out=plan; rm -r .terraform/terraform.tfstate
                cp ../dev.tf backend.tf; terraform init; {apply}"
            );
            let dev = Store::new(Kind::S3Lockfile, &prod);
            project.write("dev.tf", &format!("terraform {{\n{}}}\n", dev.block()));
            expect_healed(&project, &store, &script);
        },
    );
}

#[test]
fn a_plan_that_cannot_be_read_leaves_unknown_which_state_was_used() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    project.write("plan", "no plan");
    let finished = Softstop::deploy(&project)
        .script("terraform init; terraform apply plan")
        .env("AFTER_SCRIPT", TOLD)
        .finish();
    finished
        .expect_code(1)
        .expect_said("whose backend cannot be read: it is no plan in the clear");
    assert!(finished.stdout.contains("lock=unknown"), "{finished}");
}

/// A project of OpenTofu, and a deploy that applies a plan that it has encrypted.
fn with_encrypted_plan() -> (Project, String) {
    let resources = thing("a", SLOW);
    let project = Project::of(Program::OpenTofu, Kind::S3Lockfile, &resources);
    let plan = "plan {\n method = method.aes_gcm.method\n enforced = true\n }\n state {";
    project.write("encryption.tofu", &ENCRYPTED.replace("state {", plan));
    for arguments in [&["init"][..], &["plan", "-out=plan"]] {
        project.run_terraform(arguments);
    }
    let script = format!("{} apply plan", Program::OpenTofu.command());
    (project, script)
}

#[test]
fn the_own_lock_of_an_encrypted_plan_is_released_where_it_was_taken_after_all() {
    let (project, script) = with_encrypted_plan();
    let run = Softstop::deploy(&project)
        .script(&script)
        .env("AFTER_SCRIPT", TOLD)
        .start();
    project.gate("a.gate").wait_until_reached();
    let id = project.store.lock_id().unwrap();
    kill(run.wait_for_process("tofu"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    assert_eq!(project.store.lock(), None, "{finished}");
    let told = format!("lock=released id={id}\n");
    assert!(finished.stdout.contains(&told), "{finished}");

    // Nobody says that this was the state that a plan was of which leaves no lock.
    let (project, script) = with_encrypted_plan();
    project.gate("a.gate").open();
    let finished = Softstop::deploy(&project)
        .script(&script)
        .env("AFTER_SCRIPT", TOLD)
        .finish();
    finished.expect_code(0);
    assert!(finished.stdout.contains("lock=unknown"), "{finished}");
}
