//! Daemons that answer, and daemons that do not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::mutation::{at_least, mutated};

const ID: &str = "4f1c3a9be0d2";

/// A daemon that answers one question, and tells what it was asked.
fn answer(stream: impl Read + Write, status: &str, body: &str) -> String {
    let mut stream = BufReader::new(stream);
    let mut question = String::new();
    stream.read_line(&mut question).unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
    let stream = stream.get_mut();
    stream.write_all((head + body).as_bytes()).unwrap();
    question.trim_end().to_owned()
}

struct Fake {
    daemon: Daemon,
    question: JoinHandle<String>,
    _directory: TempDir,
}

fn on_a_socket(status: &'static str, body: &'static str) -> Fake {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    Fake {
        daemon: Daemon::Socket(path),
        question: thread::spawn(move || answer(listener.accept().unwrap().0, status, body)),
        _directory: directory,
    }
}

fn container(state: &str) -> String {
    format!(r#"{{"Id":"{ID}","Name":"/deploy","State":{state},"Image":"sha256:1"}}"#)
}

fn environment(variables: &[(&str, &str)]) -> Daemon {
    Daemon::from_environment(|name| {
        variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

fn reason(container: Container) -> String {
    match container {
        Container::Unknown(reason) => reason,
        other => panic!("{other:?} is known"),
    }
}

#[tokio::test]
async fn a_container_that_runs_is_seen_over_a_socket() {
    let fake = on_a_socket("200 OK", r#"{"State":{"Status":"running","Running":true}}"#);
    assert_eq!(fake.daemon.look_for(ID).await, Container::Running);
    assert_eq!(
        fake.question.join().unwrap(),
        "GET /containers/4f1c3a9be0d2/json HTTP/1.1"
    );
}

#[tokio::test]
async fn a_container_that_runs_is_seen_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    let question = thread::spawn(move || {
        let body = container(r#"{"Running":true}"#);
        answer(listener.accept().unwrap().0, "200 OK", &body)
    });
    let daemon = environment(&[("DOCKER_HOST", &host)]);
    assert_eq!(daemon.look_for(ID).await, Container::Running);
    assert_eq!(
        question.join().unwrap(),
        "GET /containers/4f1c3a9be0d2/json HTTP/1.1"
    );
}

#[tokio::test]
async fn a_container_that_the_daemon_does_not_know_does_not_run_there() {
    let fake = on_a_socket(
        "404 Not Found",
        r#"{"message":"No such container: 4f1c3a9be0d2"}"#,
    );
    assert_eq!(fake.daemon.look_for(ID).await, Container::NotRunning);
}

#[tokio::test]
async fn a_daemon_that_fails_or_refuses_says_nothing_of_the_container() {
    for status in [
        "500 Internal Server Error",
        "403 Forbidden",
        "404 Not Found",
        "301 Moved",
    ] {
        let fake = on_a_socket(status, "{}");
        let reason = reason(fake.daemon.look_for(ID).await);
        assert!(reason.contains(&status[..3]), "{reason}");
    }
}

#[tokio::test]
async fn a_socket_without_a_daemon_is_no_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docker.sock");
    fs::write(&path, "").unwrap();
    let container = Daemon::listening_at(&path).look_for(ID).await;
    assert_eq!(container, Container::NoDaemon);
}

#[tokio::test]
async fn a_daemon_that_keeps_silent_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docker.sock");
    let _never_accepts = UnixListener::bind(&path).unwrap();
    let daemon = Daemon::Socket(path);
    let container = daemon.look_within(Duration::from_millis(20), ID).await;
    assert!(reason(container).contains("in time"));
}

#[tokio::test]
async fn no_name_leads_to_another_question() {
    let daemon = Daemon::Socket("/nonexistent".into());
    for name in ["", ".", "..", "a/b", "a?b", "a#b", "a b", "ä", "-a", "%2e"] {
        let reason = reason(daemon.look_for(name).await);
        assert!(reason.contains("is no name"), "{name}: {reason}");
    }
}

#[tokio::test]
async fn without_a_daemon_there_is_nobody_to_ask() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = Daemon::listening_at(&directory.path().join("docker.sock"));
    assert_eq!(daemon.look_for(ID).await, Container::NoDaemon);
}

#[test]
fn what_docker_says_of_a_container_is_read() {
    for (state, expected) in [
        (
            r#"{"Status":"running","Running":true,"Paused":false,"Restarting":false,"Dead":false,"Pid":3736}"#,
            Container::Running,
        ),
        (
            r#"{"Status":"paused","Running":true,"Paused":true,"Restarting":false,"Dead":false,"Pid":3736}"#,
            Container::Running,
        ),
        (
            r#"{"Status":"exited","Running":false,"Paused":false,"Restarting":false,"Dead":false,"Pid":0,"ExitCode":137}"#,
            Container::NotRunning,
        ),
        (r#"{"Running":false,"Restarting":true}"#, Container::Running),
        (r#"{"Paused":true}"#, Container::Running),
    ] {
        let answer = serde_json::from_str(&container(state)).unwrap();
        assert_eq!(read(&answer), expected, "{state}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_dockers_says_nothing_of_the_container() {
    for body in ["", "<html>", "[]", "{}", r#"{"State":{"Running":"no"}}"#] {
        let fake = on_a_socket("200 OK", body);
        let reason = reason(fake.daemon.look_for(ID).await);
        assert!(reason.contains("does not say"), "{body}: {reason}");
    }
}

proptest! {
    #![proptest_config(at_least(256))]

    #[test]
    fn only_a_daemon_that_says_so_makes_a_container_be_over(
        body in mutated(&[
            r#"{"Id":"4f1c3a9be0d2","State":{"Status":"exited","Running":false,"Paused":false,"Restarting":false,"Dead":false,"Pid":0,"ExitCode":137},"Image":"sha256:1"}"#,
            r#"{"Id":"4f1c3a9be0d2","State":{"Status":"running","Running":true,"Paused":false,"Restarting":false,"Dead":false,"Pid":3736}}"#,
            r#"{"message":"No such container: 4f1c3a9be0d2"}"#,
        ]),
    ) {
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        if read(&answer) == Container::NotRunning {
            let state = |name: &str| answer.pointer(&format!("/State/{name}")).cloned();
            prop_assert_eq!(state("Running"), Some(Value::Bool(false)));
            prop_assert!(![state("Paused"), state("Restarting")].contains(&Some(Value::Bool(true))));
        }
    }
}

#[test]
fn the_daemon_is_the_one_that_the_environment_names() {
    assert_eq!(
        environment(&[("DOCKER_HOST", "unix:///run/user/1/docker.sock")]),
        Daemon::Socket("/run/user/1/docker.sock".into())
    );
    for (host, address) in [
        ("tcp://localhost:2375", "http://localhost:2375"),
        ("tcp://10.0.0.1", "http://10.0.0.1:2375"),
        ("tcp://10.0.0.1:80/", "http://10.0.0.1:80"),
        ("tcp://[::1]:2376/proxy", "http://[::1]:2376/proxy"),
    ] {
        assert_eq!(
            environment(&[("DOCKER_HOST", host), ("DOCKER_TLS_VERIFY", "")]),
            Daemon::Tcp(address.to_owned())
        );
    }
    let default = Daemon::listening_at(Path::new(SOCKET));
    assert_eq!(environment(&[]), default);
    assert_eq!(environment(&[("DOCKER_HOST", "")]), default);
}

#[test]
fn a_daemon_that_cannot_be_asked_is_one_of_which_nothing_is_known() {
    for variables in [
        &[("DOCKER_HOST", "ssh://docker@host")][..],
        &[("DOCKER_HOST", "tcp://h:2376"), ("DOCKER_TLS_VERIFY", "1")],
        &[("DOCKER_HOST", "tcp://")],
        &[("DOCKER_HOST", "localhost:2375")],
    ] {
        let daemon = environment(variables);
        assert!(matches!(daemon, Daemon::Foreign(_)), "{daemon:?}");
    }
}
