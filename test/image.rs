//! The images that the Dockerfile makes, at work as Bitbucket starts them.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::support::container::run;
use crate::support::project::thing;
use crate::support::{Container, Finished, Kind, Program, Project, Step, until};

pub(crate) const BINARY: &str = "softstop-test/binary";
pub(crate) const PIPE: &str = "softstop-test/pipe";
/// The pipe without Terraform, and the one with OpenTofu in its place.
pub(crate) const BARE: &str = "softstop-test/bare";
pub(crate) const OPENTOFU: &str = "softstop-test/opentofu";
/// The program for ARM, and an emulator of it for this machine.
pub(crate) const ARM: &str = "softstop-test/arm";

/// Runs a shell in the pipe's image.
pub(crate) fn shell(script: &str) -> String {
    shell_in(PIPE, script)
}

pub(crate) fn shell_in(image: &str, script: &str) -> String {
    run(&[
        "--network",
        "none",
        "--entrypoint",
        "/bin/sh",
        image,
        "-ec",
        script,
    ])
}

#[test]
fn the_pipe_with_opentofu_deploys_by_it() {
    let project = Project::of(Program::OpenTofu, Kind::HttpStrict, &thing("a", ""));
    let finished = Container::pipe(&project, &Step::of_a_new_pipeline())
        .image(OPENTOFU)
        .finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert!(
        finished.stdout.contains("OpenTofu has been successfully"),
        "{finished}"
    );
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn the_program_for_arm_starts_and_reads_a_pipelines_file() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/s3:/clone:ro");
    let emulated = |arguments: &[&str]| {
        let start = [
            "--network",
            "none",
            "--volume",
            examples,
            "--workdir",
            "/clone",
            ARM,
            "/usr/local/bin/softstop",
        ];
        run(&[&start[..], arguments].concat())
    };
    assert_eq!(
        emulated(&["--version"]),
        concat!("softstop ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(emulated(&["check", "--json"]), "[]\n");
}

#[test]
fn a_deploy_with_lists_as_bitbucket_passes_them_finishes() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let block = project.store.block();
    let settings: Vec<String> = block
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, value)| format!("{}={}", name.trim(), value.trim_matches('"')))
        .collect();
    project.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    let step = Step::of_a_new_pipeline();
    let mut pipe = Container::pipe(&project, &step)
        .env(
            "AFTER_SCRIPT",
            "echo \"after: $SOFTSTOP_OUTCOME $SOFTSTOP_LOCK\"",
        )
        .env("BACKEND_CONFIG_COUNT", settings.len());
    for (index, setting) in settings.iter().enumerate() {
        pipe = pipe.env(&format!("BACKEND_CONFIG_{index}"), setting);
    }
    let finished = pipe.finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert!(
        finished.stdout.contains("after: succeeded free"),
        "{finished}"
    );
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

/// Has the deploy stopped by this signal, or by `docker stop`, while a resource is being made, and
/// expects that it ends by itself, in time.
fn expect_gentle_end(signal: Option<Signal>, code: i32) {
    let project = Project::slow(Kind::HttpStrict);
    let container = Container::pipe(&project, &Step::of_a_new_pipeline()).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert!(project.store.lock().is_some(), "the deploy holds the lock");
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| signal.map_or_else(|| container.stop(), |signal| container.send(signal)));
        container.wait_for_stdout("Stopping operation...");
        gate.open();
        container.wait();
    });
    let lasted = began.elapsed();
    let state = container.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}");
    let finished = container.finish();
    assert!(lasted < Duration::from_secs(10), "{lasted:?}\n{finished}");
    assert_eq!(state, format!("{code} false"), "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn docker_stop_in_the_middle_of_a_deploy_leaves_no_lock_and_needs_no_kill() {
    expect_gentle_end(None, 143);
}

#[test]
fn a_hang_up_and_an_interrupt_leave_no_lock_either() {
    expect_gentle_end(Some(Signal::SIGHUP), 129);
    expect_gentle_end(Some(Signal::SIGINT), 130);
}

#[test]
fn the_lock_of_a_pipe_that_was_killed_is_freed_by_the_final_step_of_the_pipeline() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let mut container = Container::pipe(&project, &step).start();
    project.gate("a.gate").wait_until_reached();
    container.kill();
    container.finish().expect_code(137);
    let holder = project.store.lock_who().unwrap();
    assert!(holder.starts_with(&step.stamp()), "{holder}");
    let release = || {
        Container::later_pipe(&project, &step.sibling())
            .env("MODE", "release")
            .finish()
    };
    let finished = release();
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
    release().expect_code(0);
}

#[test]
fn orphans_are_reaped_and_nothing_but_the_first_process_is_left_when_the_lock_is_released() {
    let project = Project::slow(Kind::HttpStrict);
    // As many as an hour of one a second leaves, and two that do not want to end.
    let script = format!(
        "terraform init
         orphan=0
         while [ $orphan -lt 3600 ]; do ( : & ); orphan=$((orphan + 1)); done
         for stubborn in 1 2; do
           setsid sh -c \"trap '' TERM; while :; do sleep 60; done\" &
         done
         {}
         exec terraform apply -auto-approve",
        project.wait_at("burst")
    );
    let container = Container::pipe(&project, &Step::of_a_new_pipeline())
        .env("COMMAND", script)
        .start();
    project.gate("burst.gate").wait_until_reached();
    let processes = container.process_table();
    until("no dead process waits for its parent", || {
        processes
            .read()
            .iter()
            .all(|process| !process.ends_with(" Z"))
    });
    project.gate("burst.gate").open();
    project.gate("a.gate").wait_until_reached();
    assert!(processes.read().len() >= 7, "{:?}", processes.read());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let at_requests = Arc::clone(&seen);
    let table = container.process_table();
    project
        .store
        .http
        .as_ref()
        .unwrap()
        .watch(move |method, _| {
            let mut seen = at_requests.lock().unwrap();
            seen.push((method.to_owned(), table.read()));
        });
    kill(container.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    let finished = container.finish();
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
    let seen = seen.lock().unwrap();
    // After the lock, softstop asks Terraform what is in the state.
    let released = seen.iter().rposition(|(method, _)| method == "UNLOCK");
    let released = released.unwrap_or_else(|| panic!("{seen:?}"));
    for (method, processes) in &seen[..=released] {
        // It waits for the answer, or is still on its way to that.
        let alone = [["(softstop) S"], ["(softstop) R"]];
        assert!(
            alone.iter().any(|one| processes == one),
            "at {method}: {seen:?}"
        );
    }
}

#[test]
fn the_supervisor_takes_no_more_than_six_megabytes() {
    let project = Project::slow(Kind::HttpStrict);
    let container = Container::pipe(&project, &Step::of_a_new_pipeline()).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let softstop = container.wait_for_process("softstop");
    let status = fs::read_to_string(format!("/proc/{softstop}/status")).unwrap();
    // The most that it has taken so far, which includes all that it takes now.
    let resident: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .unwrap()
        .parse()
        .unwrap();
    gate.open();
    container.finish().expect_code(0);
    assert!(resident * 1024 <= 6_000_000, "{resident} kB\n{status}");
}

/// A deploy whose state is a file, by a pipe with these arguments of `docker create`.
fn finish_with(user: &str, arguments: &[&str]) -> Finished {
    let project = Project::new(Kind::Local, &thing("a", ""));
    let finished = Container::pipe(&project, &Step::of_a_new_pipeline())
        .docker_arguments(arguments.iter().copied())
        .user(user)
        .finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    finished
}

pub(crate) const NO_NETWORK: [&str; 2] = ["--network", "none"];
pub(crate) const NO_RIGHTS: [&str; 2] = ["--cap-drop", "ALL"];
pub(crate) const READ_ONLY: [&str; 3] = ["--read-only", "--tmpfs", "/tmp"];

#[test]
fn without_a_network_or_without_any_capability_nothing_is_lost() {
    for user in ["root", "1000"] {
        for arguments in [NO_NETWORK, NO_RIGHTS] {
            let finished = finish_with(user, &arguments);
            assert!(!finished.stderr.contains("WARNING"), "{finished}");
        }
    }
}

#[test]
fn on_a_read_only_file_system_a_user_without_a_name_loses_nothing_and_root_the_signature() {
    let finished = finish_with("1000", &READ_ONLY);
    assert!(!finished.stderr.contains("WARNING"), "{finished}");
    let finished = finish_with("root", &READ_ONLY);
    finished.expect_said("WARNING: Locks will not say that this build holds them: /etc/passwd");
    assert_eq!(finished.stderr.matches("WARNING").count(), 1, "{finished}");
}

#[test]
fn without_a_place_for_temporary_files_the_lock_is_not_looked_after_and_that_is_said() {
    finish_with("1000", &["--read-only"])
        .expect_said("WARNING: Whether the lock is free is not known")
        .expect_said("Point TMPDIR at a writable directory.")
        .expect_said("✔ Deploy succeeded, but the lock could not be asked about.");
}

#[test]
fn a_pipe_that_is_denied_everything_stops_gently_too() {
    let project = Project::slow(Kind::Local);
    let all = [&NO_NETWORK[..], &NO_RIGHTS, &READ_ONLY].concat();
    let container = Container::pipe(&project, &Step::of_a_new_pipeline())
        .docker_arguments(all)
        .user("1000")
        .start();
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
