//! What the caller of softstop is told.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use tempfile::TempDir;

use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::{Kind, Project, Softstop, Step};

fn softstop(directory: &TempDir) -> Softstop {
    Softstop::in_directory(directory.path(), directory.path()).arguments(["deploy"])
}

#[test]
fn every_code_of_the_command_passes_through() {
    let scratch = tempfile::tempdir().unwrap();
    for code in 0..=255 {
        let exit = format!("exit {code}");
        softstop(&scratch)
            .arguments(["--", "sh", "-c", &exit])
            .finish()
            .expect_code(code);
    }
}

#[test]
fn a_command_that_a_signal_ends_gives_128_and_the_signal() {
    let scratch = tempfile::tempdir().unwrap();
    // All that end a process by default, real-time signals included.
    let fatal = (1..=16).chain([24, 25, 26, 27, 29, 30, 31]).chain(34..=64);
    for signal in fatal {
        let end = format!("ulimit -c 0; kill -{signal} $$");
        let finished = softstop(&scratch)
            .arguments(["--", "sh", "-c", &end])
            .finish();
        finished.expect_code(128 + signal);
    }
}

#[test]
fn a_missing_command_is_127_and_one_that_cannot_be_run_is_126() {
    let scratch = tempfile::tempdir().unwrap();
    softstop(&scratch)
        .arguments(["--", "no-such-program"])
        .finish()
        .expect_code(127);
    softstop(&scratch)
        .script("no-such-program")
        .finish()
        .expect_code(127);
    softstop(&scratch)
        .arguments(["--", "/etc/passwd"])
        .finish()
        .expect_code(126);
}

#[test]
fn what_the_caller_ignores_or_blocks_changes_no_exit_code() {
    let scratch = tempfile::tempdir().unwrap();
    let through_env = |option: &str, script: &str| {
        let status = std::process::Command::new("env")
            .args([
                option,
                env!("CARGO_BIN_EXE_softstop"),
                "deploy",
                "--",
                "sh",
                "-c",
                script,
            ])
            .current_dir(scratch.path())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        status.code()
    };
    assert_eq!(through_env("--ignore-signal=CHLD", "exit 7"), Some(7));
    assert_eq!(through_env("--block-signal=CHLD,TERM", "exit 7"), Some(7));
    assert_eq!(
        through_env("--block-signal=TERM", "kill -TERM $$; exit 7"),
        Some(143)
    );
    assert_eq!(
        through_env("--ignore-signal=PIPE", "kill -PIPE $$; exit 7"),
        Some(141)
    );
}

#[test]
fn exit_codes_pass_through_pid_1_too() {
    let project = Project::new(Kind::Local, "");
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137)] {
        let finished = Softstop::as_pid_1(&project).script(script).finish();
        finished.expect_code(code);
    }
}

#[test]
fn the_last_line_tells_how_it_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let last_line = |script: &str| {
        let finished = softstop(&scratch).script(script).finish();
        finished.stderr.lines().last().unwrap().to_owned()
    };
    assert_eq!(last_line("true"), "✔ Deploy succeeded.");
    assert_eq!(
        last_line("exit 3"),
        "✖ Deploy failed with exit code 3; there is no lock to look after."
    );
    assert_eq!(
        last_line("kill -9 $$"),
        "✖ Deploy was killed (exit code 137); there is no lock to look after."
    );
}

#[test]
fn no_trace_is_left_in_the_directory_for_temporary_files() {
    let project = Project::new(Kind::Local, "");
    let temporary = tempfile::tempdir().unwrap();
    Softstop::deploy(&project)
        .env("TMPDIR", temporary.path())
        .script("exit 1")
        .finish()
        .expect_code(1);
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_look_that_somebody_else_kills_is_told_as_killed() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold(&project.store.look_request());
    let run = Softstop::release(&project).start();
    proxy.wait_until_held();
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    proxy.let_go();
    let finished = run.finish();
    finished
        .expect_code(4)
        .expect_said("terraform was killed by signal 9, and not by softstop");
}

#[test]
fn a_release_that_the_backend_refuses_is_summed_up_as_that_and_not_as_a_doubt() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail("UNLOCK ", Fault::Refuse, u32::MAX);
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .finish();
    finished
        .expect_code(3)
        .expect_said("but is still there")
        .expect_said("500 Internal Server Error")
        .expect_said("✖ Locks: 1 could not be released (exit code 3).");
    assert!(project.store.lock().is_some(), "{finished}");
}

/// Terraform empties `.terraform/terraform.tfstate` before it writes it.
#[test]
fn an_init_that_is_killed_while_it_writes_leaves_no_doubt_about_the_lock() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    Softstop::deploy(&project)
        .script("terraform init -input=false; : > .terraform/terraform.tfstate; kill -HUP $$")
        .finish()
        .expect_code(129)
        .expect_said("✖ Deploy was killed (exit code 129); the lock is free.");
}

fn is_empty(directory: &Path) -> bool {
    directory.read_dir().unwrap().next().is_none()
}
