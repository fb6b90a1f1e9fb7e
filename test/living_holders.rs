//! A holder that lives on is seen, whatever else speaks for a release.

use std::os::unix::net::UnixListener;

use crate::support::project::thing;
use crate::support::{Answer, Bitbucket, Kind, Project, Softstop, Step};

/// Starts a release on the host of the deploy, and expects that it sees somebody there.
#[track_caller]
fn expect_seen(project: &Project, host: &str, asker: &Step, bitbucket: &Bitbucket) {
    let lock = project.store.lock_id();
    assert!(lock.is_some());
    let finished = Softstop::release_on(project, host)
        .in_step(asker)
        .asking(bitbucket)
        .finish();
    finished
        .expect_code(0)
        .expect_said("processes of that deploy are still running on this host");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}

#[test]
fn a_deploy_that_outlives_its_step_on_the_same_host_keeps_its_lock() {
    let project = Project::slow(Kind::HttpLax);
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    let deploy = Softstop::deploy(&project).in_step(&step);
    let host = deploy.host().to_owned();
    let run = deploy.start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    for asker in [step.sibling(), step.run_again(), Step::of_a_new_pipeline()] {
        expect_seen(&project, &host, &asker, &bitbucket);
    }
    gate.open();
    run.finish().expect_code(0);
}

#[test]
fn a_provider_that_outlives_its_terraform_keeps_the_lock() {
    let project = Project::slow(Kind::HttpLax);
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    let deploy = Softstop::deploy(&project).in_step(&step);
    let host = deploy.host().to_owned();
    let run = deploy.start();
    project.gate("a.gate").wait_until_reached();
    let _run = run.kill_all_but("terraform-provi");
    for asker in [step.clone(), step.sibling(), Step::of_a_new_pipeline()] {
        expect_seen(&project, &host, &asker, &bitbucket);
    }
}

#[test]
fn what_bitbucket_says_of_a_sibling_beats_the_order_of_steps() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::InProgress]);
    let project = Project::orphaned(Kind::HttpLax, &step);
    let lock = project.store.lock_id();
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .asking(&bitbucket)
        .finish();
    finished
        .expect_code(0)
        .expect_said("Bitbucket says that its step is IN_PROGRESS");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}

#[test]
fn a_docker_daemon_that_does_not_answer_leaves_the_question_open() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let lock = project.store.lock_id();
    let socket = project.scratch().join("docker.sock");
    let _nobody_accepts = UnixListener::bind(&socket).unwrap();
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .finish();
    finished
        .expect_code(4)
        .expect_said("the Docker daemon gave no answer in time");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}

#[test]
fn two_directories_with_one_state_do_not_release_each_others_looks() {
    let project = Project::new(Kind::HttpLax, &thing("a", ""));
    let step = Step::of_a_new_pipeline();
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold("UNLOCK");
    let run = Softstop::release(&project)
        .in_step(&step)
        .env("WORKING_DIR_COUNT", "2")
        .env("WORKING_DIR_0", ".")
        .env("WORKING_DIR_1", project.clone_files())
        .start();
    // One of them holds the lock and cannot give it back; the other one has said so by now.
    run.wait_for_stderr("Its holder is alive");
    proxy.let_go();
    let finished = run.finish();
    finished
        .expect_code(0)
        .expect_said("1 free, 1 held by somebody alive");
    assert_eq!(project.store.lock(), None, "{finished}");
}
