//! Where nobody can know which state is meant, nothing is called free, and nothing is made.

use std::fs;

use serde_json::Value;

use super::{TOLD, expect_lock, in_terraform};
use crate::support::project::thing;
use crate::support::{Finished, Kind, Program, Project, Softstop, Step, each};

/// The state of each place, by the status.
#[track_caller]
fn states(status: &Finished) -> Vec<String> {
    let records: Value = serde_json::from_str(&status.stdout).unwrap();
    let records = records.as_array().unwrap().iter();
    records
        .map(|record| record["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_workspace_that_is_misspelt_is_unknown_and_not_made_and_a_new_one_is_deployed() {
    each(&[Kind::S3Lockfile, Kind::S3DynamoDb], |kind| {
        let mut project = Project::slow(kind);
        project.store.workspace = "stage";
        project.run_terraform(&["init", "-input=false"]);
        project.run_terraform(&["workspace", "new", "stage"]);
        let step = Step::of_a_new_pipeline();
        let deploy = |workspace| {
            Softstop::deploy(&project)
                .in_step(&step)
                .env("SOFTSTOP_WORKSPACE", workspace)
                .start()
        };
        let gate = project.gate("a.gate");
        deploy("stage").kill_all_at(&gate);
        let lock = project.store.lock();
        assert!(lock.is_some(), "the deploy uses this lock");

        let ask = |softstop: Softstop, workspace| {
            softstop
                .in_step(&step.sibling())
                .env("SOFTSTOP_WORKSPACE", workspace)
        };
        let status = ask(Softstop::status(&project), "stag");
        let status = status.arguments(["--json"]).finish();
        status.expect_code(4);
        assert_eq!(states(&status), ["unknown"], "{status}");
        let release = ask(Softstop::release(&project), "stag").finish();
        release
            .expect_code(4)
            .expect_said("there is no workspace \"stag\", but there is default, stage.");
        assert_eq!(project.store.lock(), lock, "{release}");
        assert!(!project.store.objects().contains("env:/stag/"));

        let release = ask(Softstop::release(&project), "stage").finish();
        release.expect_code(0).expect_said("1 released");
        assert_eq!(project.store.lock(), None, "{release}");

        gate.open();
        deploy("new").finish().expect_code(0);
        assert_eq!(project.store.of_workspace("new").resources(), ["a"]);
    });
}

/// `init` makes the state of the workspace that it finds, and a look must find the one that is asked about.
#[test]
fn a_look_at_another_workspace_makes_no_default_state() {
    let kinds = [Kind::Gcs, Kind::Azurerm, Kind::Kubernetes];
    let rows = kinds.map(|kind| Program::ALL.map(|one| (one, kind)));
    each(rows.as_flattened(), |(program, kind)| {
        let mut project = Project::of(program, kind, &thing("a", ""));
        project.store.workspace = "blue";
        let tool = program.path();
        // The default command sets the default workspace up.
        let deploy = Softstop::deploy(&project)
            .env("SOFTSTOP_WORKSPACE", "blue")
            .script(&format!(
                "{tool} init -input=false; {tool} apply -auto-approve"
            ))
            .env("AFTER_SCRIPT", TOLD)
            .finish();
        deploy.expect_code(0);
        expect_lock(&deploy, "free id=");
        let status = Softstop::status(&project).env("SOFTSTOP_WORKSPACE", "blue");
        let status = status.arguments(["--json"]).finish();
        assert_eq!(states(&status), ["free"], "{status}");
        assert_eq!(project.store.resources(), ["a"]);
        let default = project.store.of_workspace("default").state();
        assert_eq!(default, None, "{program:?} {kind:?}");
    });
}

#[test]
fn a_directory_without_a_backend_is_unknown_beside_one_whose_lock_is_free() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let local = project.directory.join("local");
        fs::create_dir(&local).unwrap();
        fs::write(local.join("main.tf"), "output \"a\" { value = 1 }\n").unwrap();
        let ask = |mode| {
            Softstop::in_directory(&project.directory, project.scratch())
                .env("WORKING_DIR_COUNT", "2")
                .env("WORKING_DIR_0", ".")
                .env("WORKING_DIR_1", "local")
                .arguments([mode])
        };
        let release = ask("release").finish();
        release
            .expect_code(4)
            .expect_said("1 free, 1 could not be asked about");
        let status = ask("status").arguments(["--json"]).finish();
        status.expect_code(4);
        assert_eq!(states(&status), ["free", "unknown"], "{status}");
    });
}

#[test]
fn a_deploy_to_an_http_backend_without_an_address_is_never_told_that_a_lock_is_free() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.write("backend.tf", &in_terraform("backend \"http\" {}\n"));
    let deploy = || Softstop::deploy(&project).env("AFTER_SCRIPT", TOLD);
    let finished = deploy().finish();
    finished.expect_code(1).expect_said("incomplete");
    expect_lock(&finished, "unknown id=");

    let proxy = project.store.proxy.as_ref().unwrap();
    let address = format!("http://{}/state", proxy.address);
    let finished = deploy().env("TF_HTTP_ADDRESS", address).finish();
    finished
        .expect_code(0)
        .expect_said("set up without locking");
    expect_lock(&finished, "none id=");
    assert_eq!(project.store.resources(), ["a"]);
}
