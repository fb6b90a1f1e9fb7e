//! Who holds the lock, since when, is the holder alive, and what would `release` do.

use std::time::Instant;

use serde_json::Value;

use crate::support::project::thing;
use crate::support::{Answer, Bitbucket, Kind, Program, Project, Softstop, Step, each, lock_of};

const KINDS: [Kind; 3] = [Kind::HttpStrict, Kind::S3Lockfile, Kind::S3DynamoDb];

fn json(stdout: &str) -> Value {
    let mut records: Value = serde_json::from_str(stdout).unwrap();
    records[0].take()
}

#[test]
fn a_lock_of_a_finished_build_is_told_and_left() {
    let rows = Program::ALL.map(|program| KINDS.map(|kind| (program, kind)));
    each(rows.as_flattened(), |(program, kind)| {
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let project = Project::of(program, kind, &thing("a", ""));
        project.be_orphaned(&step);
        let lock = project.store.lock_id();
        let told = Softstop::status(&project).asking(&bitbucket).finish();
        told.expect_code(0)
            .expect_said("held by build 42 of acme/infra on d5c1f0a2b3c4")
            .expect_said("since 2026-11-22T21:56:25Z")
            .expect_said(&step.link())
            .expect_said("Its holder is over: Bitbucket says that its step is COMPLETED (STOPPED)")
            .expect_said("`softstop release` would release it.");
        let told = Softstop::status(&project)
            .asking(&bitbucket)
            .arguments(["--json"])
            .finish();
        told.expect_code(0);
        let record = json(&told.stdout);
        assert_eq!(record["state"], "held", "{record}");
        assert_eq!(record["alive"], false);
        assert_eq!(record["release"], "release");
        assert_eq!(record["lock"]["ID"].as_str(), lock.as_deref());
        assert_eq!(record["build"]["number"], 42);
        assert_eq!(record["build"]["link"], step.link());
        assert_eq!(project.store.lock_id(), lock, "{told}");
    });
}

#[test]
fn a_running_build_a_person_and_nobody_are_told_apart() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::InProgress]);
    let project = Project::new(Kind::HttpLax, &thing("a", ""));
    let ask = || {
        let softstop = Softstop::status(&project).asking(&bitbucket);
        let told = softstop.arguments(["--json"]).finish();
        told.expect_code(0);
        json(&told.stdout)
    };
    let record = ask();
    assert_eq!(
        (&record["state"], &record["release"]),
        (&"free".into(), &"nothing".into())
    );
    assert!(record["lock"].is_null() && record["build"].is_null());

    project.be_locked_by(&format!("{}@vm", step.stamp()));
    let record = ask();
    assert_eq!(
        (&record["alive"], &record["release"]),
        (&true.into(), &"wait".into())
    );

    project.be_locked_by("anna@macbook");
    let record = ask();
    assert!(record["alive"].is_null(), "{record}");
    assert_eq!(record["release"], "refuse");
    assert!(
        record["by_hand"].as_str().unwrap().starts_with("curl"),
        "{record}"
    );
}

#[test]
fn what_the_final_step_would_release_is_told_there() {
    let step = Step::of_a_new_pipeline();
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.be_locked_by(&format!("{}@vm", step.stamp()));
    let told = Softstop::status(&project).in_step(&step.sibling()).finish();
    told.expect_code(0)
        .expect_said("the pipeline has moved on")
        .expect_said("`softstop release` would release it.");
    assert!(project.store.lock().is_some());
}

#[test]
fn a_running_terraform_is_alive_where_the_lock_dies_with_it() {
    let kinds = [Kind::Postgres, Kind::Local];
    let rows = Program::ALL.map(|program| kinds.map(|kind| (program, kind)));
    each(rows.as_flattened(), |(program, kind)| {
        let project = Project::of(program, kind, &thing("a", ""));
        let rival = project.start_rival();
        let told = Softstop::status(&project)
            .arguments(["--json", "--working-dir"])
            .arguments([&project.directory])
            .finish();
        told.expect_code(0);
        let record = json(&told.stdout);
        assert_eq!(
            (&record["state"], &record["alive"]),
            (&"held".into(), &true.into())
        );
        rival.finish();
    });
}

#[test]
fn bitbucket_that_cannot_be_asked_leaves_the_holder_unknown_and_the_exit_code_is_4() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Status(401)]);
    let project = Project::orphaned(Kind::HttpLax, &step);
    let told = Softstop::status(&project)
        .asking(&bitbucket)
        .arguments(["--json"])
        .finish();
    told.expect_code(4);
    let record = json(&told.stdout);
    assert!(record["alive"].is_null(), "{record}");
    assert_eq!(record["release"], "refuse");
}

#[test]
fn a_backend_that_cannot_be_asked_is_unknown_and_the_exit_code_is_4() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let address = project.store.proxy.as_ref().unwrap().address.to_string();
    let block = project.store.block().replace(&address, "127.0.0.1:9");
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let told = Softstop::status(&project).arguments(["--json"]).finish();
    told.expect_code(4)
        .expect_said("✖ Not every lock could be asked about");
    assert_eq!(json(&told.stdout)["state"], "unknown");
}

#[test]
fn an_s3_endpoint_that_refuses_or_hangs_costs_ten_seconds_and_no_more() {
    each(&["127.0.0.1:9", ""], |refusing| {
        let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
        let proxy = project.store.proxy.as_ref().unwrap();
        let mut block = project.store.block().replace("max_retries = 3\n", "");
        if refusing.is_empty() {
            proxy.hold(&project.store.look_request());
        } else {
            block = block.replace(&proxy.address.to_string(), refusing);
        }
        project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
        let began = Instant::now();
        let told = Softstop::status(&project).finish();
        told.expect_code(4)
            .expect_said("terraform said nothing within 10.");
        // However busy the machine, a second question is not waited for as long.
        assert!(began.elapsed().as_secs() < 18, "{told}");
        proxy.let_go();
    });
}

#[test]
fn what_a_lock_says_stays_in_its_line_and_brings_no_control_characters() {
    let mut lock = lock_of("root@laptop\n\u{1b}[32m✔ Locks: 1 released.\u{1b}[0m\r");
    lock["ID"] = "11111111-2222-3333-4444-555555555555\n\u{1b}[2K".into();
    lock["Info"] = "\u{1b}]0;title\u{7}".into();
    lock["Path"] = "a\u{85}b\nc".into();
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.store.set_lock(&lock);
    let status = || Softstop::status(&project);
    let rows = [
        (status(), 0),
        (status().arguments(["--json"]), 0),
        (Softstop::release(&project), 3),
        (Softstop::deploy(&project).env("LOCK_TIMEOUT", "0s"), 3),
    ];
    for (softstop, code) in rows {
        let finished = softstop.finish();
        finished.expect_code(code);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains("root@laptop"), "{finished}");
        let strays = |letter: char| letter.is_control() && letter != '\n';
        assert!(!said.contains(strays), "{finished}");
        assert!(!said.contains("\n✔ Locks: 1 released"), "{finished}");
    }
    assert!(project.store.lock().is_some());
}
