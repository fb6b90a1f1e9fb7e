//! Credentials that expire while a deploy runs: what it could not store is named, kept, and stored later.

use std::fs;

use crate::credentials::{OVER, by_role, without_keys};
use crate::support::proxy::Proxy;
use crate::support::{Kind, Project, Softstop, Step, aws};

const OF_STS: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>\
    Token expired: current date/time 1626271164 must be before the expiration date/time1626191469\
    </Message></Error></ErrorResponse>";
const OF_S3: &str =
    "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";

fn refusal(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// No new session is begun any more.
fn by_sts(question: &[u8]) -> Option<String> {
    question.starts_with(b"POST ").then(|| refusal(OF_STS))
}

/// Nothing is done any more.
fn by_s3(question: &[u8]) -> Option<String> {
    (!question.is_empty()).then(|| refusal(OF_S3))
}

/// No state is written any more, while the lock is given back.
fn of_states(question: &[u8]) -> Option<String> {
    let question = String::from_utf8_lossy(question);
    let is_write = question.starts_with("PUT ") && !question.contains(".tflock");
    is_write.then(|| refusal(OF_S3))
}

fn nothing(_: &[u8]) -> Option<String> {
    None
}

#[test]
fn a_push_that_is_refused_for_expired_credentials_is_called_so() {
    let project = Project::slow(Kind::S3Lockfile);
    let run = Softstop::deploy(&project).start();
    project.gate("a.gate").wait_until_reached();
    project.store.proxy.as_ref().unwrap().object(of_states);
    project.gate("a.gate").open();
    let finished = run.finish();
    finished
        .expect_code(1)
        .expect_said(
            "WARNING: It is not stored now, because the credentials for the backend have expired, so \
             terraform state push failed. Give it fresh ones",
        )
        .expect_said("terraform state push errored.tfstate");
    assert!(project.directory.join("errored.tfstate").exists());
    assert_eq!(project.store.lock(), None, "{finished}");
    assert!(project.store.resources().is_empty(), "{finished}");
}

#[test]
fn what_a_session_that_is_over_could_not_store_is_stored_by_a_release_with_a_fresh_one() {
    let project = Project::slow(Kind::S3Lockfile);
    without_keys(&project);
    let (step, sts) = (Step::of_a_new_pipeline(), Proxy::to(aws::address()));
    let backend = project.store.proxy.as_ref().unwrap();
    let run = by_role(Softstop::deploy(&project), &project, sts.address)
        .in_step(&step)
        .start();
    project.gate("a.gate").wait_until_reached();
    sts.object(by_sts);
    backend.object(by_s3);
    project.gate("a.gate").open();
    let finished = run.finish();
    finished
        .expect_code(1)
        .expect_said(&format!(
            "Whether the lock is free is not known: the credentials for the backend have expired since \
             {OVER}, so terraform "
        ))
        .expect_said("It is not stored now, because the lock could not be asked about.")
        .expect_said("it is the only record of what was created, and holds secrets");
    assert!(!finished.stderr.contains("gave no answer"), "{finished}");
    assert!(project.store.lock().is_some(), "{finished}");

    // The keys of the deploy are still over when the first release comes.
    let release = || {
        let release = Softstop::in_directory(&project.directory, project.scratch())
            .env("TF_CLI_CONFIG_FILE", project.cli_config())
            .arguments(["release"])
            .in_step(&step.sibling());
        by_role(release, &project, sts.address).finish()
    };
    release().expect_code(4).expect_said(&format!(
        "the credentials for the backend have expired since {OVER}, so terraform "
    ));
    sts.object(nothing);
    backend.object(nothing);
    let finished = release();
    finished
        .expect_code(0)
        .expect_said("It is stored before that lock is released")
        .expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
    let left = fs::read_dir(&project.directory).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.contains(&"errored.tfstate".into()), "{names:?}");
}
