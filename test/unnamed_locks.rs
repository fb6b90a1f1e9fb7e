//! Locks of which the backend keeps too little to tell who holds them, and looks that meet themselves.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::project::thing;
use crate::support::proxy::{Fault, Proxy};
use crate::support::{Kind, Program, Project, Softstop, each};

/// How a client asks for a lock of the table.
const PUT_ITEM: &str = "DynamoDB_20120810.PutItem";
/// How it gives one back.
const DELETE_ITEM: &str = "DynamoDB_20120810.DeleteItem";
/// What a person or a broken client may have left of a lock's info.
const LEFT: [Option<&str>; 3] = [None, Some(""), Some(r#"{"ID":"0b1c2d3e-"#)];

#[test]
fn an_item_that_names_nobody_is_held_by_somebody_and_left_alone() {
    each(&[Kind::S3DynamoDb, Kind::S3Both], |kind| {
        for info in LEFT {
            let project = Project::new(kind, &thing("a", ""));
            project.store.set_item(info);
            let item = format!("the item with the LockID {} in ", project.store.lock_path());
            for (softstop, code) in [
                (Softstop::status(&project), 0),
                (Softstop::release(&project), 3),
            ] {
                let finished = softstop.finish();
                finished
                    .expect_code(code)
                    .expect_said("does not say who holds it")
                    .expect_said(&item)
                    .expect_said(&format!("the DynamoDB table {}.", project.store.name));
            }
            let json = Softstop::status(&project).arguments(["--json"]).finish();
            let told: Value = serde_json::from_str(&json.stdout).unwrap();
            let by_hand = told[0]["by_hand"].as_str().unwrap();
            assert!(
                by_hand.starts_with("delete the ") && by_hand.contains(&item),
                "{json}"
            );
            let release = Softstop::release(&project).finish();
            assert!(project.store.has_item(), "{release}");
        }
    });
}

#[test]
fn a_lock_file_that_names_nobody_is_held_by_somebody_and_left_alone() {
    for left in LEFT.into_iter().flatten() {
        let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
        project.store.set_lockfile_text(left);
        let release = Softstop::release(&project).finish();
        let object = format!(
            "over, delete the object {}.tflock in the bucket {}.",
            project.store.key(),
            project.store.name
        );
        release
            .expect_code(3)
            .expect_said("does not say who holds it")
            .expect_said(&object);
        assert_eq!(project.store.lockfile().as_deref(), Some(left), "{release}");
    }
}

/// Expects that a status for machines says that somebody holds the lock, and that a deploy begins nothing.
fn expect_held(project: &Project) {
    let status = Softstop::status(project).arguments(["--json"]).finish();
    status.expect_code(0);
    let records: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(records[0]["state"], "held", "{status}");
    assert!(records[0]["lock"].is_null(), "{status}");
    let deploy = Softstop::deploy(project)
        .env("LOCK_TIMEOUT", "0s")
        .env("AFTER_SCRIPT", "echo \"lock=$SOFTSTOP_LOCK\"")
        .finish();
    deploy.expect_code(3);
    assert!(!deploy.stdout.contains("lock=free"), "{deploy}");
    assert!(project.store.resources().is_empty(), "{deploy}");
}

#[test]
fn a_deploy_does_not_begin_where_a_lock_names_nobody_and_machines_are_told_that_it_is_held() {
    each(&[Kind::S3DynamoDb, Kind::S3Lockfile], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        match kind {
            Kind::S3Lockfile => project.store.set_lockfile_text(""),
            _ => project.store.set_item(None),
        }
        expect_held(&project);
    });
}

#[test]
fn an_item_that_only_tells_the_content_of_a_state_is_no_lock() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    project
        .store
        .set_digest(Some("d41d8cd98f00b204e9800998ecf8427e"));
    let release = Softstop::release(&project).finish();
    release.expect_code(0).expect_said("1 free");
}

#[test]
fn a_look_that_meets_its_own_lock_gives_it_back_and_looks_again() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail(PUT_ITEM, Fault::LoseAnswer, 1);
    let status = Softstop::status(&project).finish();
    status.expect_code(0).expect_said("The lock is free.");
    assert!(is_asked_for_the_lock(proxy), "{status}");
    assert!(!project.store.has_item(), "{status}");
}

/// What a role is told that may make an item of the table and may not delete one.
fn no_deletion(said: &[u8]) -> Option<String> {
    let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}"#;
    let is_meant = String::from_utf8_lossy(said).contains(DELETE_ITEM);
    is_meant.then(|| {
        format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.0\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    })
}

/// The same, for the first time alone.
fn no_first_deletion(said: &[u8]) -> Option<String> {
    static WAS_REFUSED: AtomicBool = AtomicBool::new(false);
    let answer = no_deletion(said)?;
    (!WAS_REFUSED.swap(true, Ordering::Relaxed)).then_some(answer)
}

#[test]
fn a_look_that_cannot_give_its_lock_back_is_no_free_lock_and_lets_no_deploy_begin() {
    type Start = fn(&Project) -> Softstop;
    let starts: [Start; 3] = [Softstop::status, Softstop::release, Softstop::deploy];
    each(&starts, |start| {
        let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
        project.store.proxy.as_ref().unwrap().object(no_deletion);
        let finished = start(&project).finish();
        assert!(project.store.has_item(), "{finished}");
        let id = project.store.lock_id().unwrap();
        finished
            .expect_code(4)
            .expect_said("could not give it back: its ID is ")
            .expect_said(&id)
            .expect_said("release it by hand.");
        for free in ["The lock is free", "1 free"] {
            assert!(!finished.stderr.contains(free), "{finished}");
        }
        assert!(project.store.resources().is_empty(), "{finished}");
    });
}

#[test]
fn a_look_that_could_not_give_its_lock_back_at_once_does_so_later() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.object(no_first_deletion);
    let status = Softstop::status(&project).finish();
    status.expect_code(0).expect_said("The lock is free.");
    assert!(!project.store.has_item(), "{status}");
}

/// It tells a free lock from one that names nobody, so there is none that an answer could be lost to.
#[test]
fn a_look_by_opentofu_at_a_table_takes_no_lock() {
    let project = Project::of(Program::OpenTofu, Kind::S3DynamoDb, &thing("a", ""));
    let status = Softstop::status(&project)
        .env("TERRAFORM_BIN", Program::OpenTofu.command())
        .finish();
    status.expect_code(0).expect_said("The lock is free.");
    let proxy = project.store.proxy.as_ref().unwrap();
    assert!(!is_asked_for_the_lock(proxy), "{status}");
}

fn is_asked_for_the_lock(proxy: &Proxy) -> bool {
    let said = proxy.said();
    let mut said = said.iter().map(|said| String::from_utf8_lossy(said));
    said.any(|said| said.contains(PUT_ITEM))
}

#[test]
fn what_is_kept_of_a_workspace_is_named_where_it_lies() {
    let project = Project::new(Kind::S3Lockfile, "");
    project.run_terraform(&["init", "-input=false"]);
    project.run_terraform(&["workspace", "new", "stage"]);
    let stage = project.store.of_workspace("stage");
    stage.set_lockfile_text("");
    let object = format!(
        "delete the object {}.tflock in the bucket {}.",
        stage.key(),
        stage.name
    );
    let release = Softstop::release(&project)
        .env("SOFTSTOP_WORKSPACE", "stage")
        .finish();
    release.expect_code(3).expect_said(&object);
    assert_eq!(stage.lockfile().as_deref(), Some(""), "{release}");
}

#[test]
fn a_program_that_ends_well_and_says_nothing_has_not_answered() {
    each(
        &[Kind::S3Lockfile, Kind::S3DynamoDb, Kind::Postgres],
        |kind| {
            let project = Project::new(kind, "");
            let silent = project.script("terraform", "exit 0");
            for (softstop, code) in [
                (Softstop::status(&project), 4),
                (Softstop::release(&project), 4),
            ] {
                let finished = softstop.env("TERRAFORM_BIN", &silent).finish();
                finished.expect_code(code).expect_said("It said: nothing.");
                assert!(!finished.stderr.contains("The lock is free"), "{finished}");
            }
            let json = Softstop::status(&project).arguments(["--json"]);
            let json = json.env("TERRAFORM_BIN", &silent).finish();
            let told: Value = serde_json::from_str(&json.stdout).unwrap();
            assert_eq!(told[0]["state"], "unknown", "{json}");
        },
    );
}
