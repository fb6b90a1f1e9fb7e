//! A holder that lives on is seen, whatever else speaks for a release.

use std::os::unix::net::UnixListener;

use crate::support::project::thing;
use crate::support::{Answer, Bitbucket, Container, Kind, Program, Project, Softstop, Step, each};

/// The name that the kernel keeps for the slow provider.
const PROVIDER: &str = "terraform-provi";

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
        .expect_said("processes of that deploy are still running here");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}

#[test]
fn a_deploy_that_outlives_its_step_on_the_same_host_keeps_its_lock() {
    let rows = [
        (Program::Terraform, Kind::HttpLax),
        (Program::OpenTofu, Kind::S3DynamoDb),
    ];
    each(&rows, |(program, kind)| {
        let project = Project::slow_of(program, kind);
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
        // Its mark is seen from elsewhere too, as from a machine that runs it in a container.
        expect_seen(&project, "elsewhere", &step.sibling(), &bitbucket);
        gate.open();
        run.finish().expect_code(0);
    });
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
    let _run = run.kill_all_but(&[PROVIDER]);
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
        .env("SOFTSTOP_DEBUG", "true")
        .start();
    // One of them holds the lock and cannot give it back; the other one has judged it by now.
    run.wait_for_stderr("So wait for it, because a look of softstop's own holds it");
    proxy.let_go();
    let finished = run.finish();
    finished
        .expect_code(0)
        .expect_said("Its holder is alive")
        .expect_said("1 free, 1 held by somebody alive");
    assert_eq!(project.store.lock(), None, "{finished}");
}

/// Starts a release by this program on the host of the deploy, and expects that it cannot tell.
#[track_caller]
fn expect_doubt(project: &Project, host: &str, starter: &[&str], asker: &Step, words: &str) {
    let lock = project.store.lock_id();
    assert!(lock.is_some());
    let finished = Softstop::release_by(project, host, starter)
        .in_step(asker)
        .finish();
    finished.expect_code(3).expect_said(words);
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}

#[test]
fn a_terraform_that_has_lost_its_mark_may_be_the_holder() {
    let project = Project::slow(Kind::HttpLax);
    let step = Step::of_a_new_pipeline();
    let deploy = Softstop::deploy(&project).in_step(&step).script(
        "terraform init -input=false
         env --unset=SOFTSTOP_STAMP --unset=BITBUCKET_STEP_UUID \
         terraform apply -auto-approve >/dev/null 2>&1",
    );
    let host = deploy.host().to_owned();
    let run = deploy.start();
    project.gate("a.gate").wait_until_reached();
    let run = run.kill_all_but(&["terraform", PROVIDER]);
    let host_of_it = format!("--uts=/proc/{}/ns/uts", run.wait_for_process("terraform"));
    expect_doubt(
        &project,
        &host,
        &["nsenter", &host_of_it],
        &step.sibling(),
        "a deploy is running on its host that does not say, or does not show, whose it is",
    );
}

#[test]
fn a_proc_that_hides_processes_hides_the_holder() {
    let project = Project::slow(Kind::HttpLax);
    let step = Step::of_a_new_pipeline();
    let deploy = Softstop::deploy(&project).in_step(&step);
    let host = deploy.host().to_owned();
    let run = deploy.start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let hiding = "mount -t proc -o hidepid=2 proc /proc; exec \"$@\"";
    expect_doubt(
        &project,
        &host,
        &["/bin/sh", "-ec", hiding, "sh"],
        &step.sibling(),
        "the processes of its host are hidden: /proc is mounted with hidepid",
    );
    gate.open();
    run.finish().expect_code(0);
}

#[test]
fn the_first_process_of_a_container_sees_what_was_started_before_it() {
    let project = Project::slow(Kind::HttpLax);
    let script = format!(
        "softstop deploy >/dev/null 2>&1 &
         until [ -e {}/a.reached ]; do sleep 0.01; done
         exec softstop release",
        project.scratch().display()
    );
    let finished = Container::with_script(&project, &script)
        .in_step(&Step::of_a_new_pipeline())
        .finish();
    finished
        .expect_code(0)
        .expect_said("processes of that deploy are still running here");
    assert!(project.store.lock().is_some(), "{finished}");
}

#[test]
fn a_docker_daemon_that_may_not_be_asked_leaves_the_question_open() {
    use std::os::unix::fs::PermissionsExt;
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let lock = project.store.lock_id();
    let release = Softstop::release_by(
        &project,
        "elsewhere",
        &[
            "setpriv",
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
        ],
    );
    project.give_to("54321:54321");
    let socket = project.scratch().join("docker.sock");
    let _closed = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    let finished = release
        .in_step(&step.sibling())
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .finish();
    finished
        .expect_code(4)
        .expect_said("so nobody can tell whether its container runs");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}
