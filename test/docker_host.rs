//! A DOCKER_HOST that names no daemon, or one that cannot be asked.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use crate::support::{Container, Kind, Project, Step, prepared};

/// How a name server answers, by its response code.
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
/// None: it keeps silent.
const SILENCE: u8 = 255;

/// A name server for containers, which knows no name.
struct NameServer {
    address: String,
    answer: Arc<AtomicU8>,
}

impl NameServer {
    fn start() -> Self {
        let address = prepared("SOFTSTOP_TEST_GATEWAY");
        let socket = UdpSocket::bind((address.as_str(), 53)).unwrap();
        let answer = Arc::new(AtomicU8::new(SILENCE));
        let code = Arc::clone(&answer);
        thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((length, asker)) = socket.recv_from(&mut message) {
                let code = code.load(Ordering::Relaxed);
                if code == SILENCE {
                    continue;
                }
                // The question again, as an answer of this code from one who asks others.
                message[2] |= 0x80;
                message[3] = 0x80 | code;
                let _ = socket.send_to(&message[..length], asker);
            }
        });
        Self { address, answer }
    }
}

#[test]
fn a_docker_host_that_does_not_exist_is_no_daemon_and_one_that_cannot_be_resolved_leaves_it_open() {
    const NOWHERE: &str = "tcp://docker.softstop.invalid:2375";
    let names = NameServer::start();
    for (answer, host, reason) in [
        (NXDOMAIN, NOWHERE, None),
        (
            SERVFAIL,
            NOWHERE,
            Some("docker.softstop.invalid:2375 of DOCKER_HOST could not be resolved"),
        ),
        (
            SILENCE,
            NOWHERE,
            Some("could not be resolved: nobody has answered in time"),
        ),
        (
            SERVFAIL,
            "ssh://docker.softstop.invalid",
            Some("begins with ssh://"),
        ),
        (SERVFAIL, "", None),
    ] {
        names.answer.store(answer, Ordering::Relaxed);
        let step = Step::of_a_new_pipeline();
        let project = Project::orphaned(Kind::HttpStrict, &step);
        let finished = Container::later_pipe(&project, &step.sibling())
            .docker_arguments(["--dns", &names.address])
            .env("MODE", "release")
            .env("DOCKER_HOST", host)
            .finish();
        match reason {
            None => {
                finished.expect_code(0).expect_said("✔ Locks: 1 released.");
            }
            Some(reason) => {
                finished
                    .expect_code(4)
                    .expect_said(reason)
                    .expect_said("a pipe is told so by `DOCKER_HOST: \"\"` among its variables");
                assert!(project.store.lock().is_some(), "{finished}");
            }
        }
    }
}
