//! A state that a holder could not store, and a release finds.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::proxy::{Fault, Passing};
use crate::support::{Finished, Project, Softstop, Step, each};
use crate::unsaved_state::{a_and_b, begun, begun_with_encryption};

/// A deploy of `step` that could not store its state, and whose lock is there all the same.
fn left_by(step: &Step, project: Project) -> Project {
    let http = project.store.http.as_ref().unwrap();
    http.refuse_posts(100);
    project.write("main.tf", &project.with_gates(&a_and_b()));
    project.gate("b.gate").open();
    let who = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&who);
    http.watch(move |method, body| {
        if method == "LOCK" && body.contains("OperationTypeApply") {
            let lock: Value = serde_json::from_str(body).unwrap();
            lock["Who"]
                .as_str()
                .unwrap()
                .clone_into(&mut seen.lock().unwrap());
        }
    });
    let finished = Softstop::deploy(&project)
        .env("TERRAFORM_BIN", project.program.command())
        .in_step(step)
        .finish();
    finished.expect_said("It is not stored now");
    http.refuse_posts(0);
    project.be_locked_by(&who.lock().unwrap());
    project
}

/// A clone of a later step, with the artifacts that README recommends.
fn clone_with_artifacts(project: &Project) -> PathBuf {
    let clone = project.clone_files();
    for name in [
        "errored.tfstate",
        "errored.tfstate.softstop.json",
        "encryption.tofu",
    ] {
        // Not every state is encrypted.
        let _ = fs::copy(project.directory.join(name), clone.join(name));
    }
    clone
}

fn release_in(project: &Project, directory: &Path, step: &Step) -> Finished {
    Softstop::in_directory(directory, project.scratch())
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
        .env("TERRAFORM_BIN", project.program.command())
        .arguments(["release"])
        .in_step(&step.sibling())
        .finish()
}

fn listed(project: &Project) -> String {
    let list = project.terraform(&["state", "list"]).output().unwrap();
    String::from_utf8(list.stdout).unwrap()
}

#[test]
fn a_release_stores_what_the_released_holder_has_left_and_does_so_once() {
    each(&[begun, begun_with_encryption], |begun| {
        let step = Step::of_a_new_pipeline();
        let project = left_by(&step, begun());
        let clone = clone_with_artifacts(&project);
        let finished = release_in(&project, &clone, &step);
        finished
            .expect_code(0)
            .expect_said("It is stored before that lock is released")
            .expect_said("errored.tfstate.stored is no longer needed, and holds secrets")
            .expect_said("It was released");
        assert_eq!(
            listed(&project),
            "slow_thing.a\nslow_thing.b\n",
            "{finished}"
        );
        project.run_terraform(&["state", "rm", "slow_thing.b"]);
        project.be_orphaned(&step);
        let again = release_in(&project, &clone, &step);
        again.expect_code(0).expect_said("It was released");
        assert!(!again.stderr.contains("errored"), "{again}");
        assert_eq!(listed(&project), "slow_thing.a\n", "{again}");
    });
}

#[test]
fn a_release_leaves_alone_what_another_holder_has_left() {
    let step = Step::of_a_new_pipeline();
    let project = left_by(&step, begun());
    project.be_orphaned(&step);
    let clone = clone_with_artifacts(&project);
    let finished = release_in(&project, &clone, &step);
    finished
        .expect_code(0)
        .expect_said("It was released")
        .expect_said("errored.tfstate holds a state that a deploy could not store, and secrets");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert!(clone.join("errored.tfstate").exists());
}

/// Releases a lock as another release does.
fn unlock(server: SocketAddr, lock: &str) {
    let mut stream = TcpStream::connect(server).unwrap();
    let length = lock.len();
    let request = format!(
        "UNLOCK /state HTTP/1.1\r\nHost: other\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{lock}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_release_that_another_one_has_forestalled_has_released_nothing() {
    let step = Step::of_a_new_pipeline();
    let project = left_by(&step, begun());
    let clone = clone_with_artifacts(&project);
    let proxy = project.store.proxy.as_ref().unwrap();
    // What gives back the lock of the look that finds nobody's.
    proxy.fail("UNLOCK /state", Fault::LoseAnswer, 1);
    let (server, lock) = (proxy.target, project.store.lock().unwrap());
    let mut asked = 0;
    proxy.watch(move |passing| {
        if matches!(passing, Passing::Question(question) if question.starts_with(b"LOCK ")) {
            asked += 1;
            // Two looks have judged it, and the third one is to make sure before the state is stored.
            if asked == 3 {
                unlock(server, &lock);
            }
        }
    });
    let finished = release_in(&project, &clone, &step);
    finished
        .expect_code(4)
        .expect_said("has not confirmed that it has given back the lock");
    assert!(!finished.stderr.contains("It was released"), "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert!(clone.join("errored.tfstate").exists());
}
