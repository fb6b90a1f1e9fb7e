//! From no state to the next deploy, under Terraform and OpenTofu, on every backend that can be had
//! for real: what softstop says of a lock is what the backend says.

use std::fs;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::project::thing;
use crate::support::proxy::Proxy;
use crate::support::{Answer, Bitbucket, Kind, Program, Project, Softstop, Step, each, until};

/// Tells which one it is that fails.
struct Row(Program, Kind);

impl Drop for Row {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("it fails for {:?} on {:?}", self.0, self.1);
        }
    }
}

/// Does this for every program on every backend that is meant.
fn each_row(is_meant: impl Fn(Kind) -> bool, test: impl Fn(Program, Kind) + Sync) {
    let kinds = Kind::ALL.into_iter().filter(|kind| is_meant(*kind));
    let rows: Vec<(Program, Kind)> = kinds
        .flat_map(|kind| Program::ALL.map(|program| (program, kind)))
        .collect();
    each(&rows, |(program, kind)| {
        let _row = Row(program, kind);
        test(program, kind);
    });
}

fn any(_: Kind) -> bool {
    true
}

fn dies_with_its_holder(kind: Kind) -> bool {
    !kind.outlives_its_holder()
}

/// A project that was initialised once. On GCS and Kubernetes that makes an empty state, and without
/// one there is no lock but in the instant before.
fn initialised(program: Program, kind: Kind) -> Project {
    let project = Project::of(program, kind, &thing("a", ""));
    project.run_terraform(&["init", "-input=false"]);
    project
}

/// A project whose lock a step holds that is over by Bitbucket's word.
fn orphaned(program: Program, kind: Kind) -> (Project, Bitbucket) {
    let (project, bitbucket) = (initialised(program, kind), Bitbucket::start());
    let step = Step::of_a_new_pipeline();
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    project.be_orphaned(&step);
    assert!(project.store.lock_id().is_some());
    (project, bitbucket)
}

/// In a fresh clone, but where the state lies beside the configuration.
fn where_the_state_is(project: &Project, softstop: Softstop) -> Softstop {
    match project.store.kind {
        Kind::Local => softstop.env("WORKING_DIR", &project.directory),
        _ => softstop,
    }
}

/// Asks for the status, which must be what the backend says, and returns what was told.
#[track_caller]
fn status(project: &Project, bitbucket: &Bitbucket) -> Value {
    let told = where_the_state_is(project, Softstop::status(project))
        .asking(bitbucket)
        .env("SOFTSTOP_WORKSPACE", project.store.workspace)
        .arguments(["--json"])
        .finish();
    told.expect_code(0);
    let mut records: Value = serde_json::from_str(&told.stdout).unwrap();
    let record = records[0].take();
    let state = match project.store.lock() {
        Some(_) => "held",
        None => "free",
    };
    assert_eq!(record["state"], state, "{told}");
    if let Some(id) = project.store.lock_id() {
        assert_eq!(record["lock"]["ID"], id, "{told}");
    }
    record
}

/// What AFTER_SCRIPT notes down.
fn noting(project: &Project, softstop: Softstop) -> Softstop {
    let told = project.scratch().join("told");
    softstop.env(
        "AFTER_SCRIPT",
        format!("echo -n $SOFTSTOP_LOCK >{}", told.display()),
    )
}

fn noted(project: &Project) -> String {
    fs::read_to_string(project.scratch().join("told")).unwrap()
}

#[test]
fn what_was_never_deployed_is_free_and_asking_makes_nothing_that_init_does_not() {
    each_row(any, |program, kind| {
        let project = Project::of(program, kind, &thing("a", ""));
        let release = where_the_state_is(&project, Softstop::release(&project)).finish();
        // Nothing tells that it is here where a state will lie.
        let unknown = match kind {
            Kind::Local => Some("softstop cannot know where the state is"),
            Kind::Postgres => Some("the database has no table of states"),
            _ => None,
        };
        if let Some(words) = unknown {
            release.expect_code(4).expect_said(words);
        } else {
            release.expect_code(0).expect_said("✔ Locks: 1 free.");
            assert_eq!(status(&project, &Bitbucket::start())["release"], "nothing");
        }
        let initialised = initialised(program, kind);
        let is_made = project.store.state().is_some();
        assert_eq!(is_made, initialised.store.state().is_some());
    });
}

#[test]
fn what_is_stopped_gives_its_lock_back() {
    each_row(any, |program, kind| {
        let project = Project::slow_of(program, kind);
        let finished = noting(&project, Softstop::deploy(&project))
            .in_step(&Step::of_a_new_pipeline())
            .env("GRACE_PERIOD", "60s")
            .start()
            .interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
        finished.expect_code(143).expect_said("; the lock is free");
        assert_eq!(noted(&project), "free", "{finished}");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(project.store.resources(), ["a"]);
        assert_eq!(status(&project, &Bitbucket::start())["release"], "nothing");
    });
}

#[test]
fn what_was_killed_is_freed_by_the_final_step_and_the_next_deploy_finishes() {
    each_row(any, |program, kind| {
        let project = Project::slow_of(program, kind);
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let run = Softstop::deploy(&project).in_step(&step).start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let held = where_the_state_is(&project, Softstop::status(&project)).finish();
        held.expect_code(0).expect_said("✔ Locks: 1 of 1 held.");
        run.kill_all();
        let told = status(&project, &bitbucket);
        let finished = where_the_state_is(&project, Softstop::release(&project))
            .in_step(&step.sibling())
            .finish();
        assert_eq!(project.store.lock(), None, "{finished}");
        if kind.outlives_its_holder() {
            assert_eq!(told["release"], "release", "{told}");
            assert_eq!(told["build"]["link"], step.link(), "{told}");
            finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        } else {
            finished.expect_code(0).expect_said("✔ Locks: 1 free.");
        }
        gate.open();
        let finished = noting(&project, Softstop::deploy(&project))
            .in_step(&Step::of_a_new_pipeline())
            .finish();
        finished.expect_code(0);
        assert_eq!(noted(&project), "free", "{finished}");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn what_bitbucket_says_is_over_is_released_from_elsewhere() {
    each_row(Kind::outlives_its_holder, |program, kind| {
        let (project, bitbucket) = orphaned(program, kind);
        let finished = Softstop::release(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .finish();
        finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn a_deploy_frees_what_is_over_and_goes_on() {
    each_row(Kind::outlives_its_holder, |program, kind| {
        let (project, bitbucket) = orphaned(program, kind);
        let finished = Softstop::deploy(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .finish();
        finished.expect_code(0).expect_said("It was released");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn a_persons_lock_is_left_by_every_command_and_goes_by_the_one_that_is_printed() {
    each_row(Kind::outlives_its_holder, |program, kind| {
        let project = initialised(program, kind);
        let lock = project.be_locked_by("anna@macbook");
        assert!(lock.is_some());
        let bitbucket = Bitbucket::start();
        let told = status(&project, &bitbucket);
        assert_eq!(told["release"], "refuse", "{told}");
        let deploy = Softstop::deploy(&project).script("touch ran");
        for softstop in [deploy, Softstop::release(&project)] {
            let finished = softstop.asking(&bitbucket).finish();
            finished.expect_code(3).expect_said("held by anna@macbook");
            assert_eq!(project.store.lock_id(), lock, "{finished}");
        }
        assert!(!project.directory.join("ran").exists());
        project.run_by_hand(told["by_hand"].as_str().unwrap());
        assert_eq!(project.store.lock(), None, "{told}");
    });
}

#[test]
fn a_rivals_lock_is_held_until_it_finishes() {
    each_row(dies_with_its_holder, |program, kind| {
        let project = Project::of(program, kind, &thing("a", ""));
        let bitbucket = Bitbucket::start();
        let rival = project.start_rival();
        assert_eq!(status(&project, &bitbucket)["alive"], true);
        let release = where_the_state_is(&project, Softstop::release(&project));
        release
            .finish()
            .expect_code(0)
            .expect_said("Its holder is alive");
        rival.finish();
        assert_eq!(status(&project, &bitbucket)["state"], "free");
    });
}

#[test]
fn a_holder_that_comes_while_another_one_is_judged_keeps_its_lock() {
    each_row(Kind::outlives_its_holder, |program, kind| {
        let (project, bitbucket) = orphaned(program, kind);
        let next = Step::of_a_new_pipeline();
        next.is_answered(&bitbucket, [Answer::InProgress]);
        let proxy = Proxy::to(bitbucket.address);
        proxy.hold("GET");
        let run = Softstop::release(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .env("BITBUCKET_API_URL", format!("http://{}", proxy.address))
            .start();
        proxy.wait_until_held();
        let lock = project.be_locked_by(&format!("{}@vm", next.stamp()));
        proxy.let_go();
        let finished = run.finish();
        finished
            .expect_code(0)
            .expect_said("is gone or has changed");
        assert!(lock.is_some());
        assert_eq!(project.store.lock_id(), lock, "{finished}");
    });
}

#[test]
fn a_workspaces_lock_is_its_own() {
    each_row(Kind::has_workspaces, |program, kind| {
        let mut project = Project::slow_of(program, kind);
        project.run_terraform(&["init", "-input=false"]);
        project.be_locked_by("anna@macbook");
        let lock_of_default = project.store.lock_id();
        project.store.workspace = "blue";
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let run = Softstop::deploy(&project)
            .in_step(&step)
            .env("SOFTSTOP_WORKSPACE", "blue")
            .start();
        run.kill_all_at(&project.gate("a.gate"));
        if kind.outlives_its_holder() {
            assert!(project.store.lock().is_some());
        } else {
            until("the lock dies too", || project.store.lock().is_none());
        }
        status(&project, &bitbucket);
        let finished = where_the_state_is(&project, Softstop::release(&project))
            .in_step(&step.sibling())
            .env("SOFTSTOP_WORKSPACE", "blue")
            .finish();
        finished.expect_code(0);
        assert_eq!(project.store.lock(), None, "{finished}");
        project.store.workspace = "default";
        assert_eq!(project.store.lock_id(), lock_of_default, "{finished}");
    });
}
