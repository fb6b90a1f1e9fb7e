//! What is said where the machine gives too little: files, room for them, memory.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::journal_of_deploys;
use crate::support::project::thing;
use crate::support::{CodeInsights, Container, Kind, Project, Softstop, Step, until};

/// As many files as softstop asks for, and not one more.
const FEWEST: &str = "--nofile=64:64";

/// Lets a process that runs open no further file.
fn allow_no_more_files(pid: Pid) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args([format!("--pid={pid}"), "--nofile=3:3".to_owned()]);
    assert!(prlimit.status().unwrap().success());
}

const ANOTHER_USER: [&str; 4] = [
    "setpriv",
    "--reuid=54321",
    "--regid=54321",
    "--clear-groups",
];

/// Lets a process of another user start a thread only where that user has fewer than so many.
fn allow_threads(pid: Pid, most: usize) {
    let [setpriv, options @ ..] = ANOTHER_USER;
    let mut prlimit = Command::new(setpriv);
    prlimit.args(options).arg("prlimit");
    prlimit.args([format!("--pid={pid}"), format!("--nproc={most}:")]);
    assert!(prlimit.status().unwrap().success());
}

#[test]
fn where_too_few_files_may_be_open_nothing_is_run_and_the_remedy_is_told() {
    let project = Project::new(Kind::Local, "");
    for files in ["6", "8", "16", "63"] {
        let limit = format!("--nofile={files}:{files}");
        let finished = Softstop::deploy_by(&project, &["prlimit", &limit])
            .script("echo never")
            .finish();
        finished.expect_code(1).expect_said(&format!(
            "✖ Nothing was run: only {files} files may be open here at once, and softstop needs 64. \
             Raise the limit: `ulimit -n 1024`"
        ));
        assert_eq!(finished.stdout, "", "{finished}");
    }
}

#[test]
fn as_many_files_as_are_asked_for_are_enough() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let finished = Softstop::deploy_by(&project, &["prlimit", FEWEST]).finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded.");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn a_stop_without_a_file_left_is_said_and_finishes_what_is_being_made() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    allow_no_more_files(run.supervisor());
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("Stopping operation...");
    gate.open();
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("The processes of the deploy cannot be seen: Too many open files")
        .expect_said("raise the limit: `ulimit -n 1024`")
        .expect_said("the lock could not be asked about");
    assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_command_that_does_not_stop_is_killed_without_a_file_left() {
    let project = Project::new(Kind::Local, "");
    let script = format!("trap '' INT TERM; {}; sleep 600", project.wait_at("deploy"));
    let mut run = Softstop::deploy(&project)
        .env("GRACE_PERIOD", "2s")
        .script(&script)
        .start();
    project.gate("deploy.gate").wait_until_reached();
    allow_no_more_files(run.supervisor());
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("out of time: killing the command.");
}

#[test]
fn where_the_kernel_gives_no_watches_that_is_said_once_and_a_terraform_that_lives_on_is_seen() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let none = format!("echo 0 > /proc/sys/user/{limit}; exec \"$@\"");
        let starter = [
            "unshare",
            "--user",
            "--map-root-user",
            "sh",
            "-ec",
            &none,
            "sh",
        ];
        let finished = Softstop::deploy_by(&project, &starter).finish();
        finished
            .expect_code(0)
            .expect_said("so a tool that runs for less than a second may be missed");
        let said = finished.stderr.matches("gives no more watches").count();
        assert_eq!(said, 1, "{finished}");
    }
}

#[test]
fn a_full_directory_for_temporary_files_is_named_and_no_lock_is_said_to_be_free() {
    let project = Project::slow(Kind::S3Lockfile);
    let full = project.scratch().join("full");
    fs::create_dir(&full).unwrap();
    let fill = format!(
        "mount -t tmpfs -o size=4k full {full}; head -c 4096 /dev/zero > {full}/all; exec \"$@\"",
        full = full.display()
    );
    let starter = ["sh", "-ec", &fill, "sh"];
    let holder = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let lock = project.store.lock_id();
    let deploy = Softstop::deploy_by(&project, &starter)
        .in_step(&Step::of_a_new_pipeline())
        .env("TMPDIR", &full)
        .script("id -un");
    let finished = deploy.finish();
    finished
        .expect_code(0)
        .expect_said(
            "no /etc/passwd of its own can be written in the directory for temporary files",
        )
        .expect_said("No space left on device (os error 28). Point TMPDIR at");
    let finished = Softstop::release_by(&project, "elsewhere", &starter)
        .env("TMPDIR", &full)
        .finish();
    finished
        .expect_code(4)
        .expect_said("no directory for temporary files: No space left on device")
        .expect_said("Point TMPDIR at");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
    gate.open();
    holder.finish().expect_code(0);
}

/// Holds more than a container may have.
const HOG: &str = "head -c 200m /dev/zero | tail -c 150m >hog";

#[test]
fn a_kill_for_lack_of_memory_is_named_and_another_one_is_not() {
    let project = Project::new(Kind::Local, "");
    let kill = format!("set -o pipefail; {HOG}");
    for (script, code, words, is_named) in [
        (
            &*kill,
            137,
            "✖ Deploy was killed for lack of memory (exit code 137); ",
            true,
        ),
        (
            &*format!("{HOG}; exit 5"),
            5,
            "✖ Deploy failed with exit code 5; ",
            true,
        ),
        (&*format!("{HOG}; exit 0"), 0, "✔ Deploy succeeded", false),
        (
            "kill -KILL $$",
            137,
            "✖ Deploy was killed (exit code 137); ",
            false,
        ),
    ] {
        let finished = Container::deploy(&project)
            .docker_arguments(["--memory", "64m"])
            .arguments(["--", "bash", "-c", script])
            .finish();
        finished.expect_code(code).expect_said(words);
        let named = "The kernel killed a process here for lack of memory.";
        assert_eq!(finished.stderr.contains(named), is_named, "{finished}");
    }
}

/// What somebody else has started may use up all threads that a user, or a container, may have.
#[test]
fn a_journal_for_which_no_thread_can_be_had_harms_no_deploy() {
    let project = Project::new(Kind::Local, "");
    project.give_to("54321:54321");
    let (insights, step) = (CodeInsights::start(), Step::of_a_new_pipeline());
    let relay = Relay::start(&insights);
    let script = format!(
        "terraform init; terraform apply -auto-approve; echo 'slow_thing.a: Creating...'
         {}; echo 'slow_thing.b: Creating...'; {}",
        project.wait_at("idle"),
        project.wait_at("short")
    );
    let run = Softstop::deploy_by(&project, &ANOTHER_USER)
        .in_step(&step)
        .env("JOURNAL", format!("http://localhost:{}", relay.port))
        .script(&script)
        .start();
    let is_kept = |name: &str| {
        let kept = journal_of_deploys::kept(&insights, &step);
        kept.iter().any(|text| text.contains(name))
    };
    project.gate("idle.gate").wait_until_reached();
    until("the journal is kept", || is_kept("slow_thing.a"));
    // tokio lets a thread go that has had nothing to do for 10 s, unless it is told otherwise.
    thread::sleep(Duration::from_secs(12));
    relay.hang_up();
    let supervisor = run.supervisor();
    allow_threads(supervisor, 1);
    project.gate("idle.gate").open();
    project.gate("short.gate").wait_until_reached();
    until("the journal is kept by a new connection", || {
        is_kept("slow_thing.b")
    });
    allow_threads(supervisor, 1000);
    project.gate("short.gate").open();
    run.finish().expect_code(0);
}

/// A way to a proxy by the name `localhost`, so that each new connection has to look it up.
struct Relay {
    port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(insights: &CodeInsights) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&connections);
        let proxy = insights.proxy().replace("http://", "");
        thread::spawn(move || {
            for from in listener.incoming() {
                let (from, to) = (from.unwrap(), TcpStream::connect(&proxy).unwrap());
                let copies = [&from, &to].map(|stream| stream.try_clone().unwrap());
                accepted.lock().unwrap().push(from.try_clone().unwrap());
                let [mut back_to, mut back_from] = copies;
                let (mut from, mut to) = (from, to);
                thread::spawn(move || io::copy(&mut from, &mut to));
                thread::spawn(move || io::copy(&mut back_from, &mut back_to));
            }
        });
        Self { port, connections }
    }

    /// Ends every connection there is.
    fn hang_up(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            // The other side may have ended it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
