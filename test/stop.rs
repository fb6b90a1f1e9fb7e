//! Which process is asked to stop, how often, and by whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Softstop, prepared, until};

/// Compiles a program of the fixtures.
fn compile(name: &str, program: &Path) {
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/processes");
    let mut compiler = Command::new("gcc");
    compiler.arg("-o").arg(program).arg(source.join(name));
    assert!(compiler.status().unwrap().success(), "{name}");
}

/// A deploy for which `terraform` is this program of the fixtures.
fn deploy_with(project: &Project, source: &str) -> (Softstop, PathBuf) {
    let programs = project.scratch().join("programs");
    let terraform = programs.join("terraform");
    compile(source, &terraform);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let softstop = Softstop::deploy(project)
        .env("DEBUG", "true")
        .env("PATH", path);
    (softstop, terraform)
}

/// Stopped as Terraform wants it: what was in flight is finished and stored, and the lock given back.
fn expect_one_interrupt(project: &Project, finished: &Finished, by_us: usize) {
    finished.expect_code(143);
    let sent = finished.stderr.matches("SIGINT to process").count();
    assert_eq!(sent, by_us, "{finished}");
    for output in [&finished.stdout, &finished.stderr] {
        assert!(!output.contains("Two interrupts"), "{finished}");
    }
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn a_terraform_that_runs_itself_twice_is_interrupted() {
    let project = Project::slow(Kind::HttpStrict);
    let (softstop, terraform) = deploy_with(&project, "twice.c");
    let run = softstop
        .env("TWICE_SELF", &terraform)
        .env("TWICE_TERRAFORM", prepared("SOFTSTOP_TEST_TERRAFORM"))
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    expect_one_interrupt(&project, &finished, 1);
}

#[test]
fn a_terraform_behind_proxies_that_forward_is_interrupted_once() {
    let project = Project::slow(Kind::HttpStrict);
    let (softstop, terraform) = deploy_with(&project, "forwarder.c");
    let manager = terraform.with_file_name("manager");
    fs::copy(&terraform, &manager).unwrap();
    let real = prepared("SOFTSTOP_TEST_TERRAFORM");
    let run = softstop
        .env("FORWARDER_NEXT", format!("{}:{real}", manager.display()))
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    expect_one_interrupt(&project, &finished, 1);
}

#[test]
fn a_terraform_that_runs_another_one_is_interrupted_after_it() {
    let inner = Project::slow(Kind::Local);
    let command = format!(
        "cd {} && terraform init && exec terraform apply -auto-approve",
        inner.directory.display()
    );
    let outer = Project::new(
        Kind::HttpStrict,
        &format!(
            "resource \"terraform_data\" \"inner\" {{\n  provisioner \"local-exec\" {{\n    \
             command = \"{command}\"\n  }}\n}}\n{}{}",
            thing("b", "create_gate = \"GATES/b.gate\""),
            thing("c", "depends_on = [slow_thing.b, terraform_data.inner]"),
        ),
    );
    let mut run = Softstop::deploy(&outer).env("DEBUG", "true").start();
    for gate in [outer.gate("b.gate"), inner.gate("a.gate")] {
        gate.wait_until_reached();
    }
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("(local-exec): Stopping operation...");
    assert!(!run.has_printed("\nStopping operation..."));
    inner.gate("a.gate").open();
    run.wait_for_stdout("\nStopping operation...");
    outer.gate("b.gate").open();
    let finished = run.finish();
    finished.expect_code(143);
    assert_eq!(finished.stderr.matches("SIGINT to process").count(), 2);
    assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
    assert_eq!(inner.store.resources(), ["a"], "{finished}");
    assert_eq!(outer.store.resources(), ["b", "inner"], "{finished}");
    assert_eq!(outer.store.lock(), None, "{finished}");
}

/// As a service manager does it, which signals every process of a service.
#[test]
fn a_terraform_that_was_told_by_somebody_else_is_not_interrupted_by_us() {
    for softstop_first in [true, false] {
        let project = Project::slow(Kind::HttpStrict);
        let run = Softstop::deploy(&project).env("DEBUG", "true").start();
        project.gate("a.gate").wait_until_reached();
        let terraform = run.wait_for_process("terraform");
        let mut told = [run.pid(), run.supervisor(), terraform];
        if !softstop_first {
            told.reverse();
        }
        for pid in told {
            kill(pid, Signal::SIGTERM).unwrap();
        }
        run.wait_for_stderr("received: stopping the deploy");
        run.wait_for_stdout("Stopping operation...");
        project.gate("a.gate").open();
        expect_one_interrupt(&project, &run.finish(), 0);
    }
}

#[test]
fn a_terraform_for_which_a_signal_waits_is_only_continued() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project).env("DEBUG", "true").start();
    project.gate("a.gate").wait_until_reached();
    let terraform = run.wait_for_process("terraform");
    kill(terraform, Signal::SIGSTOP).unwrap();
    until("Terraform has stopped", || {
        let stat = fs::read_to_string(format!("/proc/{terraform}/stat"));
        stat.unwrap().contains(") T ")
    });
    kill(terraform, Signal::SIGTERM).unwrap();
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("Stopping operation...");
    project.gate("a.gate").open();
    expect_one_interrupt(&project, &run.finish(), 0);
}
