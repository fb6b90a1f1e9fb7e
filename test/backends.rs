//! The backend is found however it is configured, and one that cannot be asked stops nobody.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::project::thing;
use crate::support::run::expect_release;
use crate::support::{Kind, Program, Project, Softstop, each};

#[test]
fn settings_of_the_backend_come_from_files_and_pairs() {
    each(
        &[Kind::HttpStrict, Kind::S3Lockfile, Kind::Postgres],
        |kind| {
            let project = Project::slow(kind);
            let block = project.store.block();
            let settings: Vec<&str> = block.lines().collect();
            let (pair, file) = (settings[1], &settings[2..settings.len() - 1]);
            project.write(
                "backend.tf",
                &format!(
                    "terraform {{\n  backend \"{}\" {{}}\n}}\n",
                    project.store.backend()
                ),
            );
            project.write("settings.hcl", &file.join("\n"));
            let (name, value) = pair.split_once(" = ").unwrap();
            let pair = format!("{name}={}", value.trim_matches('"'));
            let softstop = Softstop::deploy(&project)
                .env("BACKEND_CONFIG_COUNT", "2")
                .env("BACKEND_CONFIG_0", "settings.hcl")
                .env("BACKEND_CONFIG_1", pair);
            if kind.outlives_its_holder() {
                expect_release(&project, softstop);
            } else {
                project.gate("a.gate").open();
                softstop.finish().expect_code(0);
            }
        },
    );
}

#[test]
fn a_backend_in_json_and_in_an_override_file_is_found() {
    let project = Project::slow(Kind::HttpStrict);
    let block = project.store.block();
    project.write("backend.tf", "terraform {\n  backend \"local\" {}\n}\n");
    project.write("backend_override.tf", &format!("terraform {{\n{block}}}\n"));
    expect_release(&project, Softstop::deploy(&project));
}

#[test]
fn a_command_that_initialises_another_backend_is_followed() {
    let project = Project::slow(Kind::S3Lockfile);
    let block = project.store.block();
    project.write(
        "real.hcl",
        &block
            .lines()
            .skip(1)
            .filter(|line| *line != "}")
            .collect::<Vec<_>>()
            .join("\n"),
    );
    project.write("backend.tf", "terraform {\n  backend \"s3\" {}\n}\n");
    let softstop = Softstop::deploy(&project)
        .script("terraform init -backend-config=real.hcl; exec terraform apply -auto-approve");
    expect_release(&project, softstop);
}

#[test]
fn a_configuration_without_a_backend_block_is_warned_about_and_deployed() {
    let project = Project::new(Kind::Local, "resource \"terraform_data\" \"a\" {}\n");
    fs::remove_file(project.directory.join("backend.tf")).unwrap();
    let finished = Softstop::deploy(&project).finish();
    finished.expect_code(0).expect_said("has no backend block");
    assert_eq!(project.store.resources(), ["a"]);
}

#[test]
fn a_backend_without_locking_is_warned_about() {
    let project = Project::new(Kind::S3Lockfile, "");
    let block = project
        .store
        .block()
        .replace("use_lockfile = true", "use_lockfile = false");
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let finished = Softstop::deploy(&project).finish();
    finished
        .expect_code(0)
        .expect_said("set up without locking");
}

#[test]
fn a_backend_that_softstop_does_not_know_is_left_alone_and_deployed() {
    let project = Project::new(Kind::Local, "");
    project.write("backend.tf", "terraform {\n  backend \"inmem\" {}\n}\n");
    let finished = Softstop::deploy(&project).finish();
    finished
        .expect_code(0)
        .expect_said("does not know how locks of the backend \"inmem\"");
}

#[test]
fn a_backend_that_cannot_be_reached_is_told_and_nothing_is_lost() {
    each(
        &[Kind::HttpStrict, Kind::S3Lockfile, Kind::Postgres],
        |kind| {
            let project = Project::new(kind, &thing("a", ""));
            let address = project.store.proxy.as_ref().unwrap().address.to_string();
            let block = project.store.block().replace(&address, "127.0.0.1:9");
            project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
            let finished = Softstop::deploy(&project).finish();
            finished
                .expect_code(1)
                .expect_said("The lock cannot be looked after yet")
                .expect_said("connect")
                .expect_said("refused");
            // Nobody has said that it is free.
            Softstop::status(&project).finish().expect_code(4);
        },
    );
}

#[test]
fn a_backend_that_hangs_before_the_deploy_keeps_nobody_waiting() {
    each(
        &[Kind::HttpStrict, Kind::S3Lockfile, Kind::Postgres],
        |kind| {
            let project = Project::new(kind, &thing("a", ""));
            let proxy = project.store.proxy.as_ref().unwrap();
            proxy.hold("");
            let mut run = Softstop::deploy(&project)
                .env("GRACE_PERIOD", "60s")
                .start();
            proxy.wait_until_held();
            run.signal(Signal::SIGTERM);
            let finished = run.finish();
            finished
                .expect_code(143)
                .expect_said("before the deploy began");
            assert!(finished.stopped_in.unwrap().as_secs() < 4, "{finished}");
        },
    );
}

#[test]
fn no_secret_of_the_backend_is_ever_said() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let address = project.store.proxy.as_ref().unwrap().address;
    let block = project.store.block().replace(
        &format!("http://{address}/state\"\nunlock"),
        "http://anna:s3cret@127.0.0.1:9/state?token=s3cret\"\nunlock",
    );
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let finished = Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .script("exit 3")
        .finish();
    finished
        .expect_code(3)
        .expect_said("the lock server http://127.0.0.1:9/state");
    assert!(!finished.stderr.contains("s3cret"), "{finished}");
    project.write(
        "backend.tf",
        "terraform {\n  backend \"http\" {\n    password = \"s3cret\n  }\n}\n",
    );
    let finished = Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .script("exit 3")
        .finish();
    finished
        .expect_code(3)
        .expect_said("cannot be understood: line 3");
    assert!(!finished.stderr.contains("s3cret"), "{finished}");
}

#[test]
fn a_command_for_a_person_holds_no_secret() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let address = project.store.proxy.as_ref().unwrap().address;
    let block = project.store.block().replace(
        &format!("http://{address}/state"),
        &format!("http://anna:s3cret@{address}/state?token=s3cret"),
    );
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    project
        .store
        .set_lock(&serde_json::json!({"ID": "x'; reboot", "Who": "anna@macbook"}));
    let finished = Softstop::deploy(&project).script("exit 3").finish();
    finished
        .expect_code(3)
        .expect_said(&format!("http://{address}/state"))
        .expect_said(r#"'{"ID":"x'\''; reboot"}'"#);
    assert!(!finished.stderr.contains("s3cret"), "{finished}");
}

#[test]
fn a_look_at_a_database_without_a_table_makes_none_and_does_not_call_it_free() {
    let project = Project::new(Kind::Postgres, &thing("a", ""));
    for softstop in [Softstop::status(&project), Softstop::release(&project)] {
        let finished = softstop.finish();
        finished
            .expect_code(4)
            .expect_said("the database has no table of states");
        assert_eq!(project.store.schemas(), "public", "{finished}");
    }
    Softstop::deploy(&project).finish().expect_code(0);
    Softstop::release(&project)
        .finish()
        .expect_code(0)
        .expect_said("1 free");
}

#[test]
fn a_look_needs_no_provider_of_the_state() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    project.run_terraform(&["init", "-input=false"]);
    project.run_terraform(&["apply", "-auto-approve", "-input=false"]);
    project.run_terraform(&["workspace", "new", "other"]);
    // The registry of the provider is not there.
    let told = Softstop::status(&project)
        .env("SOFTSTOP_WORKSPACE", "other")
        .env("TF_CLI_CONFIG_FILE", "/dev/null")
        .finish();
    told.expect_code(0).expect_said("The lock is free");
}

#[test]
fn a_state_that_the_table_has_not_heard_of_stops_every_deploy_and_keeps_no_lock() {
    each(&Program::ALL, |program| {
        let project = Project::of(program, Kind::S3DynamoDb, &thing("a", ""));
        Softstop::deploy(&project).finish().expect_code(0);
        project.store.set_digest(Some(&"0".repeat(32)));
        let refused = Softstop::deploy(&project).finish();
        refused.expect_code(1).expect_said("the lock is free");
        assert!(
            refused
                .stderr
                .contains("does not have the expected content"),
            "{refused}"
        );
        project.store.set_digest(None);
        Softstop::deploy(&project).finish().expect_code(0);
    });
}
