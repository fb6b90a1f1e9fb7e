//! A deploy never outlives softstop.

use nix::sys::signal::{Signal, kill};

use crate::support::{Kind, Project, Softstop, until};

#[test]
fn a_deploy_dies_with_its_supervisor() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).start();
    project.gate("a.gate").wait_until_reached();
    kill(run.supervisor(), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    finished
        .expect_code(137)
        .expect_said("softstop was killed, and so the deploy was killed too");
}

#[test]
fn a_deploy_whose_guard_is_killed_stops_gracefully() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    kill(run.pid(), Signal::SIGKILL).unwrap();
    run.wait_for_stdout("Stopping operation...");
    gate.open();
    until("the supervisor ends", || run.processes().is_empty());
    assert_eq!(project.store.lock(), None);
    assert_eq!(project.store.resources(), ["a"]);
    assert_eq!(run.finish().signal, Some(Signal::SIGKILL as i32));
}

#[test]
fn a_ctrl_c_in_a_terminal_counts_once() {
    // A terminal signals the whole group, the guard and whatever shares it.
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    for pid in run.processes().into_iter().chain([run.pid()]) {
        let same_group = nix::unistd::getpgid(Some(pid)) == nix::unistd::getpgid(Some(run.pid()));
        if same_group {
            kill(pid, Signal::SIGINT).unwrap();
        }
    }
    run.wait_for_stdout("Stopping operation...");
    gate.open();
    let finished = run.finish();
    finished.expect_code(130);
    assert!(!finished.stderr.contains("Already stopping"), "{finished}");
}
