//! A look at the lock of an `http` backend, which has no way to ask but to take it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::{Kind, Project, Softstop, Step, each};

/// The methods of all requests of one `status`, which ends with `code` and says `words`.
fn methods_of_status(project: &Project, code: i32, words: &str) -> Vec<String> {
    let (sender, methods) = mpsc::channel();
    let http = project.store.http.as_ref().unwrap();
    http.watch(move |method, _| sender.send(method.to_owned()).unwrap_or_default());
    let finished = Softstop::status(project).finish();
    finished.expect_code(code).expect_said(words);
    assert!(
        code == 0 || !finished.stderr.contains("The lock is free"),
        "{finished}"
    );
    methods.try_iter().collect()
}

#[test]
fn a_server_that_tells_the_lock_to_whoever_reads_it_is_not_asked_for_it() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.store.http.as_ref().unwrap().tell_lock();
    project.be_locked_by("root@laptop");
    assert_eq!(
        methods_of_status(&project, 0, "held by root@laptop"),
        ["GET"]
    );
}

#[test]
fn a_state_at_the_address_of_the_lock_says_nothing_of_the_lock() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    assert_eq!(
        methods_of_status(&project, 0, "The lock is free"),
        ["GET", "LOCK", "UNLOCK"]
    );
}

#[test]
fn a_server_that_answers_with_the_question_keeps_its_lock() {
    let project = Project::new(Kind::HttpLax, &thing("a", ""));
    project.store.http.as_ref().unwrap().echo();
    let lock = project.be_locked_by("root@laptop");
    let methods = methods_of_status(&project, 0, "does not say who holds it");
    assert_eq!(methods, ["GET", "LOCK"]);
    assert_eq!(project.store.lock_id(), lock);
}

#[test]
fn a_look_that_has_not_seen_its_lock_given_back_says_so_and_never_asks_for_it_twice() {
    each(&[Kind::HttpStrict, Kind::HttpLax], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        project
            .store
            .http
            .as_ref()
            .unwrap()
            .lose_answer_to("UNLOCK");
        let words = "has not confirmed that it has given back the lock";
        let methods = methods_of_status(&project, 4, words);
        assert_eq!(methods, ["GET", "LOCK", "UNLOCK"]);
    });
}

#[test]
fn the_answer_to_the_unlock_of_a_look_is_waited_for_ten_seconds() {
    let project = Project::new(Kind::HttpLax, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold("UNLOCK ");
    let began = Instant::now();
    let finished = Softstop::status(&project).finish();
    finished
        .expect_code(4)
        .expect_said("has not confirmed that it has given back the lock");
    // However busy the machine, it is not waited for as long as two such answers.
    assert!((10..20).contains(&began.elapsed().as_secs()), "{finished}");
    proxy.let_go();
}

#[test]
fn a_look_that_a_gateway_has_answered_for_leaves_no_lock() {
    each(&[Kind::HttpStrict, Kind::HttpLax], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        for softstop in [
            Softstop::status(&project),
            Softstop::release(&project),
            Softstop::deploy(&project),
        ] {
            let proxy = project.store.proxy.as_ref().unwrap();
            proxy.fail(&project.store.look_request(), Fault::GiveUpOnAnswer, 1);
            let finished = softstop.finish();
            finished.expect_code(0);
            assert_eq!(project.store.lock(), None, "{finished}");
        }
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn nothing_is_deployed_after_a_look_that_has_had_no_answer() {
    each(
        &[Fault::GiveUpOnAnswer, Fault::Refuse, Fault::Cut],
        |fault| {
            let project = Project::new(Kind::HttpLax, &thing("a", ""));
            let proxy = project.store.proxy.as_ref().unwrap();
            proxy.fail(&project.store.look_request(), fault, 2);
            let deploy = Softstop::deploy(&project).script("touch ran").finish();
            deploy
                .expect_code(4)
                .expect_said("✖ Nothing was deployed, because the lock server ")
                .expect_said("of this very question is left there, release it by hand: ");
            assert!(!project.directory.join("ran").exists(), "{deploy}");
        },
    );
}

#[test]
fn a_look_that_is_carried_out_after_the_next_one_leaves_no_lock() {
    each(&[Kind::HttpStrict, Kind::HttpLax], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let proxy = project.store.proxy.as_ref().unwrap();
        let late = Fault::Late {
            worst: "UNLOCK /state",
            also_at_once: false,
        };
        proxy.fail(&project.store.look_request(), late, 1);
        let status = Softstop::status(&project).finish();
        proxy.wait_until_settled();
        status.expect_code(0).expect_said("The lock is free");
        assert_eq!(project.store.lock(), None, "{status}");
    });
}

#[test]
fn a_release_that_a_gateway_has_answered_for_may_be_carried_out_yet() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail("UNLOCK /state", Fault::GiveUpOnAnswer, 1);
    let release = Softstop::release(&project).in_step(&step.run_again());
    let finished = release.finish();
    finished
        .expect_code(4)
        .expect_said("has not confirmed that it has given back the lock")
        .expect_said("it answered with 504 Gateway Timeout");
}

#[test]
fn a_request_that_is_sent_elsewhere_is_no_answer() {
    let project = Project::new(Kind::HttpLax, &thing("a", ""));
    let http = project.store.http.as_ref().unwrap();
    http.redirect(302, "/login?token=s3cret");
    let finished = Softstop::status(&project).finish();
    finished
        .expect_code(4)
        .expect_said("it answered with 302 Found, which leads to http://")
        .expect_said("/login, and says nothing of a lock");
    assert!(!finished.stderr.contains("s3cret"), "{finished}");
}

#[test]
fn a_redirect_that_keeps_the_request_is_followed_with_credentials_to_the_same_host_only() {
    each(&[307_u16, 308], |status| {
        let (from, to) = (
            Project::new(Kind::HttpLax, &thing("a", "")),
            Project::new(Kind::HttpLax, &thing("a", "")),
        );
        let [first, second] = [&from, &to].map(|project| project.store.http.as_ref().unwrap());
        // The way to a server is at an address of this machine that is no loopback.
        let way = to.store.proxy.as_ref().unwrap().address;
        let mut asked = 0;
        for (address, is_told) in [(way, true), (second.address, false)] {
            first.redirect(status, &format!("http://{address}/state"));
            let status = Softstop::status(&from)
                .env("TF_HTTP_USERNAME", "anna")
                .env("TF_HTTP_PASSWORD", "s3cret");
            status
                .finish()
                .expect_code(0)
                .expect_said("The lock is free");
            asked += 3;
            assert_eq!(first.authorized(), vec![true; asked]);
            assert_eq!(second.authorized()[asked - 3..], [is_told; 3], "{address}");
        }
    });
}

#[test]
fn a_refused_connection_is_said_once_and_without_a_lock_to_release() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let address = project.store.proxy.as_ref().unwrap().address.to_string();
    let block = project.store.block().replace(&address, "127.0.0.1:9");
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let deploy = Softstop::deploy(&project).script("terraform init -input=false 2>/dev/null");
    for (softstop, code) in [
        (Softstop::status(&project), 4),
        (Softstop::release(&project), 4),
        (deploy, 1),
    ] {
        let finished = softstop.finish();
        finished.expect_code(code);
        assert_eq!(finished.stderr.matches("could not be asked:").count(), 1);
        assert_eq!(finished.stderr.matches("refused").count(), 1, "{finished}");
        assert!(!finished.stderr.contains("curl"), "{finished}");
    }
}

/// Answers with a lock of 50 MB, and returns how much of it was taken.
fn pour(mut client: TcpStream) -> usize {
    const SIZE: usize = 50 * 1024 * 1024;
    // What was asked is of no interest, and comes at once.
    let mut request = [0; 4096];
    let _ = client.read(&mut request).unwrap();
    let head = format!("HTTP/1.1 423 Locked\r\nContent-Length: {SIZE}\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    let piece = [b'x'; 8 * 1024];
    let pieces = (0..SIZE / piece.len()).take_while(|_| client.write_all(&piece).is_ok());
    pieces.count() * piece.len()
}

#[test]
fn of_an_endless_answer_little_is_read() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let usual = project.store.proxy.as_ref().unwrap().address.to_string();
    let address = listener.local_addr().unwrap().to_string();
    let block = project.store.block().replace(&usual, &address);
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let (sender, taken) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            sender.send(pour(client)).unwrap_or_default();
        }
    });
    let told = Softstop::status(&project).finish();
    told.expect_code(0).expect_said("does not say who holds it");
    for amount in [taken.recv().unwrap(), taken.recv().unwrap()] {
        assert!(amount < 20 * 1024 * 1024, "{amount} bytes: {told}");
    }
}
