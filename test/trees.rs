//! Terraform deep in a tree of processes, and what else lives in that tree.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};

use crate::support::run::marked;
use crate::support::{Kind, Program, Project, Softstop, each};

#[test]
fn terraform_is_interrupted_wherever_it_is_in_the_tree() {
    let commands: [&[&str]; 6] = [
        &[
            "sh",
            "-c",
            "terraform init && terraform apply -auto-approve; true",
        ],
        &[
            "bash",
            "-c",
            "terraform init; terraform apply -auto-approve & wait",
        ],
        &[
            "setsid",
            "--wait",
            "sh",
            "-c",
            "terraform init; terraform apply -auto-approve",
        ],
        &["make", "--silent", "deploy"],
        &["./deploy.sh"],
        &[
            "sh",
            "-c",
            "terraform init; sh -c 'sh -c \"terraform apply -auto-approve | cat\" | cat'",
        ],
    ];
    each(&commands, |command| {
        let project = Project::slow(Kind::HttpStrict);
        project.write(
            "Makefile",
            "deploy:\n\tterraform init\n\tterraform apply -auto-approve\n",
        );
        fs::copy(
            project.script(
                "deploy.sh",
                "set -e\nterraform init\nterraform apply -auto-approve\n",
            ),
            project.directory.join("deploy.sh"),
        )
        .unwrap();
        let run = Softstop::deploy(&project)
            .arguments(["--"])
            .arguments(command)
            .start();
        let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
        finished.expect_code(143);
        assert!(!finished.stderr.contains("Two interrupts"), "{finished}");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(project.store.resources(), ["a"], "{finished}");
    });
}

/// What is forked for a plugin shares Terraform's memory until it becomes the plugin, and a SIGINT
/// to it is Terraform's second one. A shell, whose forks can be held there, stands for Terraform.
#[test]
fn what_terraform_has_only_forked_is_not_interrupted_beside_it() {
    let project = Project::new(Kind::HttpStrict, "");
    let terraform = project.scratch().join("terraform");
    fs::copy("/bin/bash", &terraform).unwrap();
    let script = format!(
        "trap 'echo Terraform is interrupted' INT; (trap 'echo its fork is' INT; {}); true",
        project.wait_at("fork")
    );
    let mut run = Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .arguments(["--".as_ref(), terraform.as_os_str()])
        .arguments(["-c", &script])
        .start();
    let gate = project.gate("fork.gate");
    gate.wait_until_reached();
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("SIGINT to process");
    gate.open();
    let finished = run.finish();
    finished.expect_code(143);
    assert_eq!(finished.stdout, "Terraform is interrupted\n", "{finished}");
}

#[test]
fn a_tee_behind_terraform_gets_every_line_and_no_lock_is_left() {
    each(
        &[Kind::HttpStrict, Kind::S3Lockfile, Kind::Postgres],
        |kind| {
            let project = Project::slow(kind);
            let run = Softstop::deploy(&project)
                .script("terraform init; terraform apply -auto-approve | tee log")
                .start();
            let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGINT);
            finished.expect_code(130);
            let log = fs::read_to_string(project.directory.join("log")).unwrap();
            assert!(log.contains("Creation complete"), "{log}");
            assert_eq!(project.store.lock(), None, "{finished}");
            assert_eq!(project.store.resources(), ["a"], "{finished}");
        },
    );
}

#[test]
fn a_terraform_that_a_script_starts_after_the_interrupt_is_interrupted_too() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project)
        .script("trap '' TERM; terraform init; terraform apply -auto-approve || terraform apply -auto-approve")
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    finished.expect_code(143);
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn twenty_children_that_ignore_term_are_gone_before_the_lock_is_touched() {
    let project = Project::slow(Kind::HttpStrict);
    let stubborn = "trap '' TERM INT HUP; while :; do sleep 60; done";
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do
           bash -c \"{stubborn}\" &
           setsid bash -c \"{stubborn}\" &
         done
         terraform init; exec terraform apply -auto-approve"
    );
    let softstop = Softstop::deploy(&project).script(&script);
    let mark = softstop.mark();
    let at_looks = Arc::new(Mutex::new(Vec::new()));
    let counts = Arc::clone(&at_looks);
    project
        .store
        .http
        .as_ref()
        .unwrap()
        .watch(move |method, body| {
            if method == "LOCK" && body.contains("softstop-look") {
                counts.lock().unwrap().push(marked(&mark).len());
            }
        });
    let run = softstop.start();
    project.gate("a.gate").wait_until_reached();
    assert!(
        run.processes().len() > 40,
        "twenty shells and their sleeps run"
    );
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None);
    let at_looks = at_looks.lock().unwrap();
    assert!(at_looks.len() >= 4, "{at_looks:?}");
    // The guard and the supervisor.
    assert!(at_looks.iter().all(|count| *count == 2), "{at_looks:?}");
}

#[test]
fn an_orphaned_plugin_is_ended_before_the_lock_is_touched() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).start();
    let finished = run.kill_terraform_at(&project.gate("a.gate"));
    finished
        .expect_code(137)
        .expect_said("every process of the run is gone");
}

#[test]
fn a_process_that_a_successful_command_leaves_behind_is_ended() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::deploy(&project)
        .script("sleep 600 & setsid sleep 600 & true")
        .finish();
    finished.expect_code(0);
}

#[test]
fn a_terraform_that_a_successful_command_leaves_behind_is_stopped_and_its_lock_freed() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile], |kind| {
        let project = Project::slow(kind);
        let gate = project.gate("a.gate");
        let path = project.scratch().display();
        let run = Softstop::deploy(&project)
            .script(&format!(
                "terraform init; terraform apply -auto-approve &
                 until [ -e {path}/a.reached ]; do sleep 0.01; done; true"
            ))
            .start();
        run.wait_for_stdout("Stopping operation...");
        gate.open();
        let finished = run.finish();
        finished.expect_code(0);
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(project.store.resources(), ["a"], "{finished}");
    });
}

#[test]
fn everything_works_as_pid_1_too() {
    let rows = [
        (Program::Terraform, Kind::HttpStrict),
        (Program::Terraform, Kind::S3Lockfile),
        (Program::OpenTofu, Kind::S3DynamoDb),
    ];
    each(&rows, |(program, kind)| {
        let project = Project::slow_of(program, kind);
        let run = Softstop::as_pid_1(&project).start();
        project.gate("a.gate").wait_until_reached();
        let pid_1 = run.supervisor();
        kill(pid_1, Signal::SIGTERM).unwrap();
        run.wait_for_stdout("Stopping operation...");
        project.gate("a.gate").open();
        let finished = run.finish();
        finished.expect_code(143);
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(project.store.resources(), ["a"], "{finished}");
    });
}

#[test]
fn a_terraform_with_a_version_in_its_name_is_known() {
    let project = Project::slow(Kind::HttpStrict);
    let real = Command::new("which")
        .arg("terraform")
        .output()
        .unwrap()
        .stdout;
    let real = fs::canonicalize(String::from_utf8(real).unwrap().trim()).unwrap();
    let versioned = project.scratch().join("terraform_1.11.4");
    fs::copy(real, &versioned).unwrap();
    let run = Softstop::deploy(&project)
        .script(&format!(
            "terraform init; {} apply -auto-approve",
            versioned.display()
        ))
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    finished.expect_code(143);
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn a_process_whose_main_thread_is_dead_is_ended_too() {
    // The system call `exit` ends one thread; the process then looks dead in /proc, and works on.
    let half_dead = "import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(600)).start()
open('half-dead', 'w').close()
ctypes.CDLL(None).syscall(60, 0)";
    let project = Project::new(Kind::Local, "");
    let program = project.scratch().join("half-dead.py");
    fs::write(&program, half_dead).unwrap();
    let script = format!(
        "python3 {} & until [ -e half-dead ]; do sleep 0.01; done",
        program.display()
    );
    Softstop::deploy(&project)
        .script(&script)
        .finish()
        .expect_code(0);
}
