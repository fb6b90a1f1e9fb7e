//! SIGTERM, SIGINT and SIGHUP at every moment of a deploy, on every backend.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Run, Softstop, Step, each, until};

const SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Does this on every backend, with every signal, side by side.
fn everywhere(kinds: &[Kind], test: impl Fn(Kind, Signal) + Sync) {
    for signal in SIGNALS {
        each(kinds, |kind| test(kind, signal));
    }
}

/// The remote backends and the local one.
const KINDS: [Kind; 6] = [
    Kind::HttpStrict,
    Kind::HttpLax,
    Kind::S3Lockfile,
    Kind::S3DynamoDb,
    Kind::Postgres,
    Kind::Local,
];

/// Nothing is left of an interrupted deploy, and the next one finishes.
fn expect_clean_stop(project: &Project, finished: &Finished, signal: Signal, resources: &[&str]) {
    finished.expect_code(128 + signal as i32);
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), resources, "{finished}");
}

fn stop(mut run: Run, signal: Signal, then: impl FnOnce()) -> Finished {
    run.signal(signal);
    run.wait_for_stderr("received: stopping the deploy");
    then();
    run.finish()
}

#[test]
fn an_interrupt_during_init_leaves_nothing_and_starts_no_apply() {
    everywhere(&KINDS, |kind, signal| {
        let project = Project::new(kind, &thing("a", ""));
        let lock_file = project.directory.join(".terraform.lock.hcl");
        mkfifo(&lock_file, Mode::S_IRWXU).unwrap();
        let run = Softstop::deploy(&project).start();
        let mut writer = None;
        until("init reads the dependency lock file", || {
            let mut options = OpenOptions::new();
            writer = options
                .write(true)
                .custom_flags(O_NONBLOCK)
                .open(&lock_file)
                .ok();
            writer.is_some()
        });
        let finished = stop(run, signal, || drop(writer));
        expect_clean_stop(&project, &finished, signal, &[]);
    });
}

#[test]
fn an_interrupt_before_the_deploy_takes_no_lock_any_more_to_ask_about_it() {
    // What is asked before a look takes the lock, and how it is taken.
    let rows = [
        (Kind::HttpStrict, "GET /state", "LOCK /state"),
        (Kind::S3DynamoDb, "GetItem", "PutItem"),
        (Kind::S3Both, "GetItem", "PutItem"),
    ];
    each(&rows, |(kind, asked, taken)| {
        let project = Project::new(kind, &thing("a", ""));
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(asked);
        let mut run = Softstop::deploy(&project).start();
        proxy.wait_until_held();
        run.signal(Signal::SIGTERM);
        run.wait_until_heard();
        proxy.let_go();
        let finished = run.finish();
        finished
            .expect_code(143)
            .expect_said("Stopped by SIGTERM before the deploy began");
        let said = proxy.said();
        let is_taken = |said: &Vec<u8>| String::from_utf8_lossy(said).contains(taken);
        assert!(!said.iter().any(is_taken), "{kind:?} {finished}");
        assert_eq!(project.store.lock(), None, "{kind:?} {finished}");
    });
}

/// A deploy that was stopped while its look could not give its lock back.
fn stopped_in_its_look(project: &Project) -> Run {
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold("DeleteItem");
    let mut run = Softstop::deploy(project)
        .in_step(&Step::of_a_new_pipeline())
        .start();
    proxy.wait_until_held();
    run.signal(Signal::SIGTERM);
    proxy.wait_until_given_up();
    run
}

#[test]
fn what_a_look_has_taken_that_was_killed_is_taken_back() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    let run = stopped_in_its_look(&project);
    project.store.proxy.as_ref().unwrap().let_go();
    let finished = run.finish();
    finished.expect_code(143);
    assert!(!finished.stderr.contains("by hand"), "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn what_a_look_has_taken_and_cannot_give_back_is_told_of() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    let finished = stopped_in_its_look(&project).finish();
    finished
        .expect_code(143)
        .expect_said("ended before it could give it back");
}

#[test]
fn an_interrupt_during_plan_leaves_no_lock() {
    everywhere(&KINDS, |kind, signal| {
        let project = Project::new(kind, &thing("a", "plan_gate = \"GATES/plan.gate\""));
        let run = Softstop::deploy(&project).start();
        let gate = project.gate("plan.gate");
        gate.wait_until_reached();
        assert!(project.store.lock().is_some());
        let finished = stop(run, signal, || gate.open());
        expect_clean_stop(&project, &finished, signal, &[]);
    });
}

#[test]
fn an_interrupt_while_waiting_for_a_lock_leaves_the_lock_to_its_holder() {
    everywhere(&KINDS, |kind, signal| {
        let project = Project::new(kind, &thing("a", ""));
        let run = Softstop::deploy(&project)
            .script(&project.hesitating_deploy())
            .start();
        project.gate("begun.gate").wait_until_reached();
        let rival = project.start_rival();
        let lock = project.store.lock();
        project.gate("begun.gate").open();
        run.wait_for_stdout("Acquiring state lock");
        let finished = stop(run, signal, || {});
        finished.expect_code(128 + signal as i32);
        finished.expect_said("the lock is held");
        assert_eq!(project.store.lock(), lock, "{finished}");
        rival.finish();
        assert_eq!(project.store.resources(), ["rival"]);
    });
}

#[test]
fn an_interrupt_between_two_resources_stores_what_was_made() {
    everywhere(&KINDS, |kind, signal| {
        let first = thing("a", "create_gate = \"GATES/a.gate\"");
        let second = thing(
            "b",
            "depends_on = [slow_thing.a]\n  create_gate = \"GATES/b.gate\"",
        );
        let project = Project::new(kind, &format!("{first}{second}"));
        let mut run = Softstop::deploy(&project).start();
        project.gate("a.gate").wait_until_reached();
        run.signal(signal);
        run.wait_for_stdout("Stopping operation...");
        project.gate("b.gate").open();
        project.gate("a.gate").open();
        let finished = run.finish();
        // Terraform says that it stops an instant before it does, so the second one may be made.
        let made: &[&str] = if project.gate("b.gate").was_reached() {
            &["a", "b"]
        } else {
            &["a"]
        };
        expect_clean_stop(&project, &finished, signal, made);
        Softstop::deploy(&project).finish().expect_code(0);
        assert_eq!(project.store.resources(), ["a", "b"]);
    });
}

#[test]
fn an_interrupt_inside_a_resource_waits_for_it_and_stores_it() {
    everywhere(&KINDS, |kind, signal| {
        let project = Project::slow(kind);
        let run = Softstop::deploy(&project).start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let finished = stop(run, signal, || gate.open());
        expect_clean_stop(&project, &finished, signal, &["a"]);
    });
}

#[test]
fn an_interrupt_during_a_slow_state_write_waits_for_it() {
    let remote: Vec<Kind> = KINDS
        .into_iter()
        .filter(|kind| *kind != Kind::Local)
        .collect();
    everywhere(&remote, |kind, signal| {
        let project = Project::slow(kind);
        let run = Softstop::deploy(&project).start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(&project.store.state_write());
        gate.open();
        proxy.wait_until_held();
        let finished = stop(run, signal, || proxy.let_go());
        expect_clean_stop(&project, &finished, signal, &["a"]);
    });
}

#[test]
fn an_interrupted_release_ends_soon_and_says_so() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold("");
    let mut run = Softstop::release(&project)
        .in_step(&step.sibling())
        .env("GRACE_PERIOD", "2s")
        .start();
    proxy.wait_until_held();
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("✖ Stopped by SIGTERM");
    assert!(
        finished.stopped_in.unwrap() < Duration::from_secs(4),
        "{finished}"
    );
    assert!(project.store.lock().is_some());
}
