//! Deploys in real containers.

use std::thread;

use nix::sys::signal::{Signal, kill};

use crate::support::project::thing;
use crate::support::{Container, Kind, Project, Softstop, Step, each, prepared};

#[test]
fn a_deploy_as_the_first_process_of_a_container_finishes_and_stores_what_was_made() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let finished = Container::deploy(&project).finish();
    finished.expect_code(0).expect_said("Deploy succeeded");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn docker_stop_waits_for_the_resource_that_is_being_made_and_leaves_no_lock() {
    let project = Project::slow(Kind::HttpStrict);
    let container = Container::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert!(project.store.lock().is_some(), "the deploy holds the lock");
    thread::scope(|scope| {
        scope.spawn(|| container.stop());
        container.wait_for_stdout("Stopping operation...");
        gate.open();
    });
    let finished = container.finish();
    finished.expect_code(143);
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_signal_to_softstop_in_a_build_container_ends_the_deploy_and_the_script_goes_on() {
    each(&["root", "1000"], |user| {
        let project = Project::slow(Kind::HttpStrict);
        let container =
            Container::with_script(&project, "softstop \"$@\"; echo \"it ended with $?\"")
                .arguments(["the script", "deploy"])
                .user(user)
                .start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let first = container.exec(&["cat", "/proc/1/comm"]);
        assert_eq!(String::from_utf8(first.stdout).unwrap(), "bash\n");
        let sent = container.exec(&["pkill", "--oldest", "--exact", "softstop"]);
        assert!(sent.status.success(), "{sent:?}");
        container.wait_for_stderr("received: stopping the deploy");
        gate.open();
        let finished = container.finish();
        finished.expect_code(0);
        assert!(
            finished.stdout.contains("it ended with 143"),
            "expected a stop:\n{finished}"
        );
        assert_eq!(project.store.resources(), ["a"], "{finished}");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn a_deploy_whose_shell_keeps_signals_to_itself_says_so_at_its_start() {
    const WARNING: &str = "A stop may not reach this deploy: the first process of this container is a \
        shell (bash), which does not pass signals on. Start it by `exec softstop …`";
    each(
        &[
            ("softstop \"$@\"; true", true),
            ("exec softstop \"$@\"", false),
            ("trap 'kill $!' TERM; softstop \"$@\" & wait", false),
        ],
        |(script, is_told)| {
            let project = Project::new(Kind::Local, "");
            let finished = Container::with_script(&project, script)
                .arguments(["the script", "deploy", "--", "true"])
                .finish();
            finished.expect_code(0);
            assert_eq!(finished.stderr.contains(WARNING), is_told, "{finished}");
            assert_eq!(
                finished.stderr.contains("may not reach"),
                is_told,
                "{finished}"
            );
        },
    );
}

#[test]
fn the_lock_of_a_container_that_was_killed_stays_and_names_the_container() {
    let project = Project::slow(Kind::HttpStrict);
    let mut container = Container::deploy(&project).start();
    project.gate("a.gate").wait_until_reached();
    let host = format!("@{}\"", container.short_id());
    container.kill();
    container.finish().expect_code(137);
    let lock = project.store.lock().unwrap();
    assert!(lock.contains(&host), "expected {host:?} in {lock}");
}

#[test]
fn the_lock_of_a_terraform_that_was_killed_in_a_container_is_released() {
    let project = Project::slow(Kind::HttpStrict);
    let container = Container::deploy(&project).start();
    project.gate("a.gate").wait_until_reached();
    kill(container.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    let finished = container.finish();
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_container_whose_docker_client_was_killed_keeps_its_lock_as_long_as_it_runs() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let mut container = Container::deploy(&project).in_step(&step).start();
    project.gate("a.gate").wait_until_reached();
    let lock = project.store.lock_id();
    container.kill_client();
    // For Bitbucket the step is over, and its pipeline moves on. As in a container, the next step
    // sees no process of another one.
    let release = || {
        let apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
        Softstop::release_by(&project, "elsewhere", &apart)
            .in_step(&step.sibling())
            .env("DOCKER_HOST", prepared("SOFTSTOP_TEST_DOCKER"))
            .env("LOCK_TIMEOUT", "1s")
            .finish()
    };
    let finished = release();
    finished
        .expect_code(0)
        .expect_said("the container that holds it still runs, by the word of Docker")
        .expect_said("Waiting for it, for up to")
        .expect_said("✔ Locks: 1 held by somebody alive.");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
    container.kill();
    container.wait_until_over();
    let finished = release();
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_build_container_that_was_killed_with_softstop_in_it_is_recovered_by_the_final_step() {
    let project = Project::slow(Kind::S3Lockfile);
    let step = Step::of_a_new_pipeline();
    let mut build = Container::with_script(&project, "softstop deploy; echo never")
        .in_step(&step)
        .start();
    project.gate("a.gate").wait_until_reached();
    let signature = format!("{}@{}", step.stamp(), build.short_id());
    build.kill();
    build.finish().expect_code(137);
    assert_eq!(project.store.lock_who(), Some(signature));
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .finish();
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
}
