//! The deploy's output, whatever its reader does.

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};

use crate::journal_of_deploys;
use crate::support::project::thing;
use crate::support::world::{object, world_of};
use crate::support::{CodeInsights, Kind, Program, Project, Run, Softstop, Step, until};

const MIB: usize = 1024 * 1024;

#[test]
fn a_gibibyte_passes_bit_for_bit() {
    let scratch = tempfile::tempdir().unwrap();
    let mut part = vec![0; 32 * MIB];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut part)
        .unwrap();
    fs::write(scratch.path().join("part"), &part).unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let run = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy"])
        .script("for i in 1 2 3 4 5 6 7 8; do cat part part part part; done")
        .start_with_stdout("stdout".into(), writer);
    let mut chunk = vec![0; MIB];
    for offset in (0..1024 * MIB).step_by(MIB) {
        reader.read_exact(&mut chunk).unwrap();
        let begin = offset % part.len();
        assert!(
            chunk == part[begin..begin + MIB],
            "the MiB from byte {offset} on differs"
        );
    }
    run.finish().expect_code(0);
    assert_eq!(reader.read(&mut chunk).unwrap(), 0, "nothing comes on top");
}

#[test]
fn stdout_and_stderr_stay_apart_and_are_not_changed() {
    let scratch = tempfile::tempdir().unwrap();
    let bytes = "\\377\\000\\033[1mno end of line";
    let finished = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy"])
        .script(&format!("printf '{bytes}'; printf 'to stderr' >&2"))
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "\u{fffd}\0\u{1b}[1mno end of line");
    // Our own words come on a line of their own.
    finished.expect_said("\nto stderr\n✔ Deploy succeeded.");
}

#[test]
fn stdout_and_stderr_that_are_one_file_keep_their_order() {
    let scratch = tempfile::tempdir().unwrap();
    let finished = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy"])
        .script("i=0; while [ $i -lt 300 ]; do echo $i; echo $i >&2; i=$((i + 1)); done")
        .env("AFTER_SCRIPT", "echo a; echo b >&2; printf c")
        .start_into_one_file()
        .finish();
    finished.expect_code(0);
    let said = finished.stdout;
    let expected: Vec<String> = (0..300).map(|i| format!("{i}\n{i}\n")).collect();
    let expected = expected.concat();
    assert!(said.contains(&expected), "{said}");
    assert!(said.ends_with("\na\nb\nc\n✔ Deploy succeeded.\n"), "{said}");
}

#[test]
fn a_deploy_is_interrupted_once_also_where_all_that_it_says_goes_into_one_file() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).start_into_one_file();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    finished.expect_code(143).expect_said("the lock is free");
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    let interrupts = finished.stdout.matches("Interrupt received.").count();
    assert_eq!(interrupts, 1, "{finished}");
}

/// A deploy with a gate, whose stdout is the test's own pipe.
fn start_with_pipe(project: &Project, script: &str) -> (Run, PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let run = Softstop::deploy(project)
        .script(script)
        .start_with_stdout("stdout".into(), writer.try_clone().unwrap());
    (run, reader, writer)
}

#[test]
fn a_reader_that_goes_half_way_leaves_no_lock() {
    let project = Project::slow(Kind::HttpStrict);
    let script = "terraform init; exec terraform apply -auto-approve";
    let (mut run, reader, _) = start_with_pipe(&project, script);
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    drop(reader);
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("stopping the deploy");
    gate.open();
    let finished = run.finish();
    finished.expect_code(143);
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn a_deploy_without_any_reader_finishes() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let (run, reader, _) = start_with_pipe(
        &project,
        "terraform init; exec terraform apply -auto-approve",
    );
    drop(reader);
    run.finish().expect_code(0);
    assert_eq!(project.store.resources(), ["a"]);
}

/// Waits until nobody can write into the pipe any more.
fn wait_until_full(writer: &PipeWriter) {
    until("the pipe is full", || {
        let mut ready = [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)];
        poll(&mut ready, PollTimeout::ZERO).unwrap() == 0
    });
}

#[test]
fn a_reader_that_stops_reading_leaves_no_lock() {
    let chatty = "resource \"terraform_data\" \"chatty\" {\n  provisioner \"local-exec\" {\n    \
        command = \"yes | head -c 4000000\"\n  }\n}\n";
    let project = Project::new(Kind::HttpStrict, chatty);
    let script = "terraform init; exec terraform apply -auto-approve";
    let (mut run, reader, writer) = start_with_pipe(&project, script);
    wait_until_full(&writer);
    until("terraform holds the lock", || {
        project.store.lock().is_some()
    });
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished.expect_code(143).expect_said("; the lock is free");
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["chatty"], "{finished}");
    assert!(!finished.stderr.contains("out of time"), "{finished}");
    drop(reader);
}

#[test]
fn a_slow_reader_slows_the_deploy_down_and_gets_everything() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let run = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy"])
        .script("yes 0123456789 | head -c 33000000; touch written")
        .start_with_stdout("stdout".into(), writer.try_clone().unwrap());
    wait_until_full(&writer);
    drop(writer);
    assert!(!scratch.path().join("written").exists());
    assert!(kill(run.supervisor(), None).is_ok());
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all.len(), 33_000_000);
    assert!(all.lines().all(|line| line == "0123456789"));
    run.finish().expect_code(0);
}

#[test]
fn a_reader_that_goes_on_when_all_is_over_gets_everything() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let run = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy"])
        .script("yes 0123456789 | head -c 800000")
        .start_with_stdout("stdout".into(), writer);
    run.wait_for_stderr("Deploy succeeded");
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all.len(), 800_000);
    run.finish().expect_code(0);
}

/// Nobody asks softstop to stop, and nobody reads: the kernel may kill a Terraform just then.
#[test]
fn what_a_killed_deploy_has_printed_last_is_known_while_its_reader_sleeps() {
    let project = world_of(Program::Terraform, Kind::HttpStrict, &[object("a", "")]);
    let (insights, step) = (CodeInsights::start(), Step::of_a_new_pipeline());
    let report = project.scratch().join("report.json");
    let (mut reader, writer) = pipe().unwrap();
    let run = journal_of_deploys::deploy(&project, &step, &insights)
        .env("SOFTSTOP_REPORT_FILE", &report)
        .script(
            "terraform init -input=false; terraform apply -input=false -auto-approve
             echo 'slow_object.b: Creating...'
             yes 0123456789 | head -n 71000
             echo 'slow_object.b: Creation complete after 0s [id=i-4711]'; kill -KILL $$",
        )
        .start_with_stdout("stdout".into(), writer);
    until("softstop has said all", || {
        fs::read_to_string(&report).is_ok_and(|report| report.ends_with("}\n"))
    });
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    let finished = run.finish();
    finished.expect_code(137);
    assert!(all.contains("[id=i-4711]"), "{finished}");
    let report = fs::read_to_string(&report).unwrap();
    assert!(report.contains("i-4711"), "{report}\n{finished}");
    let kept = journal_of_deploys::kept(&insights, &step);
    let is_kept = kept.iter().any(|text| text.contains("i-4711"));
    assert!(is_kept, "{kept:?}\n{finished}");
}

#[test]
fn a_stranger_who_holds_the_deploys_output_keeps_nobody_waiting() {
    let scratch = tempfile::tempdir().unwrap();
    let gate = scratch.path().join("gate");
    let script = "echo $$ > shell; until [ -e gate ]; do sleep 0.01; done; exit 7";
    let run = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy"])
        .script(script)
        .start();
    let mut shell = String::new();
    until("the shell runs", || {
        shell = fs::read_to_string(scratch.path().join("shell")).unwrap_or_default();
        shell.ends_with('\n')
    });
    let output = format!("/proc/{}/fd/1", shell.trim());
    let stranger = File::options().write(true).open(output).unwrap();
    fs::write(gate, "").unwrap();
    run.finish().expect_code(7);
    drop(stranger);
}
