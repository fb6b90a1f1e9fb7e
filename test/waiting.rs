//! A deploy heals what a dead holder has left, and waits for a living one.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::project::thing;
use crate::support::{Answer, Bitbucket, Kind, Project, Softstop, Step, each};

#[test]
fn the_next_deploy_releases_what_a_killed_one_has_left_and_finishes() {
    each(&Kind::LASTING, |kind| {
        let project = Project::slow(kind);
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_at(&project.gate("a.gate"));
        project.gate("a.gate").open();
        let finished = Softstop::deploy(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .finish();
        finished
            .expect_code(0)
            .expect_said("It was released: Bitbucket says that its step is COMPLETED (STOPPED)");
        assert_eq!(project.store.resources(), ["a"]);
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn a_step_that_runs_again_releases_what_its_earlier_run_has_left() {
    each(&Kind::LASTING, |kind| {
        let project = Project::slow(kind);
        let step = Step::of_a_new_pipeline();
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_at(&project.gate("a.gate"));
        project.gate("a.gate").open();
        let again = step.run_again();
        let finished = Softstop::deploy(&project).in_step(&again).finish();
        finished
            .expect_code(0)
            .expect_said("an earlier run of this very step took it");
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn a_deploy_of_another_step_does_not_judge_by_its_pipeline_alone() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let lock = project.store.lock_id();
    let finished = Softstop::deploy(&project).in_step(&step.sibling()).finish();
    finished
        .expect_code(3)
        .expect_said("✖ Nothing was deployed.");
    assert_eq!(project.store.lock_id(), lock);
}

#[test]
fn a_living_holder_is_waited_for_and_then_the_deploy_runs() {
    each(&Kind::ALL, |kind| {
        let project = Project::slow(kind);
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::InProgress]);
        let first = Softstop::deploy(&project).in_step(&step).start();
        project.gate("a.gate").wait_until_reached();
        let second = Softstop::deploy(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .env("LOCK_TIMEOUT", "60s")
            .start();
        second.wait_for_stderr("Its holder is alive");
        second.wait_for_stderr("Waiting for it, for up to 5");
        project.gate("a.gate").open();
        first.finish().expect_code(0);
        second.finish().expect_code(0);
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn a_living_holder_is_waited_for_no_longer_than_lock_timeout_with_a_line_every_30_s() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::InProgress]);
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let began = Instant::now();
    let finished = Softstop::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .env("LOCK_TIMEOUT", "32s")
        .script("touch ran")
        .finish();
    finished
        .expect_code(3)
        .expect_said("WARNING: Lock ")
        .expect_said("✖ Nothing was deployed. The lock is held, and stays held.");
    let lines = finished.stderr.matches("Waiting for it, for up to").count();
    assert_eq!(lines, 2, "{finished}");
    assert_eq!(
        finished.stderr.matches(&step.link()).count(),
        3,
        "{finished}"
    );
    assert!((32..40).contains(&began.elapsed().as_secs()), "{finished}");
    assert!(bitbucket.requests() <= 13, "answers are kept for a while");
    assert!(!project.directory.join("ran").exists());
}

#[test]
fn an_interrupt_while_softstop_waits_for_a_lock_ends_the_run_at_once() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.be_locked_by("anna@macbook");
    let mut run = Softstop::deploy(&project)
        .env("LOCK_TIMEOUT", "10m")
        .script("touch ran")
        .start();
    run.wait_for_stderr("release it by hand:\n  curl");
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("before the deploy began");
    assert!(finished.stopped_in.unwrap().as_secs() < 3, "{finished}");
    assert!(!project.directory.join("ran").exists());
}

#[test]
fn a_release_waits_for_a_living_holder_and_then_says_so_without_failing() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::InProgress]);
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let finished = Softstop::release(&project)
        .asking(&bitbucket)
        .env("LOCK_TIMEOUT", "1s")
        .finish();
    finished
        .expect_code(0)
        .expect_said("Waiting for it, for up to")
        .expect_said("✔ Locks: 1 held by somebody alive.");
}

#[test]
fn that_the_step_of_the_holder_is_over_is_noticed_soon() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(
        &bitbucket,
        [Answer::InProgress, Answer::Completed("STOPPED")],
    );
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let began = Instant::now();
    let finished = Softstop::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .env("JOURNAL", "false")
        .env("LOCK_TIMEOUT", "60s")
        .script("touch ran")
        .finish();
    finished.expect_code(0).expect_said("It was released");
    assert_eq!(
        bitbucket.requests(),
        3,
        "{finished}\nThe last one is for the log."
    );
    // However busy the machine, it is not as late as where an answer counts for long.
    assert!(began.elapsed().as_secs() < 15, "{finished}");
}

#[test]
fn bitbucket_is_left_alone_for_as_long_as_it_says_while_a_living_holder_is_waited_for() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    let answers = [
        Answer::InProgress,
        Answer::RetryAfter(6),
        Answer::Completed("STOPPED"),
    ];
    step.is_answered(&bitbucket, answers);
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let began = Instant::now();
    let finished = Softstop::release(&project)
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .env("JOURNAL", "false")
        .env("LOCK_TIMEOUT", "60s")
        .finish();
    finished
        .expect_code(0)
        .expect_said("Its holder is alive")
        .expect_said("It was released");
    assert_eq!(
        bitbucket.requests(),
        4,
        "{finished}\nThe last one is for the log."
    );
    assert!(began.elapsed().as_secs() >= 8, "{finished}");
}

#[test]
fn the_look_of_another_run_fails_no_deploy() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold("OperationTypeApply");
    let run = Softstop::deploy(&project).env("LOCK_TIMEOUT", "0s").start();
    proxy.wait_until_held();
    project.be_locked_by("a look");
    proxy.let_go();
    run.wait_for_stdout("Acquiring state lock.");
    project.store.remove_lock();
    run.finish().expect_code(0);
    assert_eq!(project.store.resources(), ["a"]);
}
