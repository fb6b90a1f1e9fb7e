//! How much processor time softstop takes while it stops a deploy beside many processes of others.

use std::os::unix::process::CommandExt;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::measure::{family, milliseconds, processor_time, silent};
use crate::support::{Kind, Project, Softstop, until};

const STRANGERS: usize = 5_000;
/// How long Terraform takes to stop.
const STOPS_IN: Duration = Duration::from_secs(3);

pub(crate) fn table() {
    println!("## Stopping beside {STRANGERS} processes of others\n");
    println!(
        "Processor time of softstop and its guard in the {} s in which Terraform stores what is in \
         flight, in one run.\n",
        STOPS_IN.as_secs()
    );
    println!("| Beside | processor time |\n|---|---|");
    for strangers in [0, STRANGERS] {
        let used = with_strangers(strangers, stop);
        println!("| {strangers} | {:.0} ms |", milliseconds(used));
    }
}

/// Does this beside so many processes that do nothing.
fn with_strangers(count: usize, work: impl FnOnce() -> Duration) -> Duration {
    let ready = tempfile::tempdir().unwrap();
    let ready = ready.path().join("ready");
    let program = format!(
        "import os, signal\nfor i in range({count}):\n    if os.fork() == 0:\n        \
         signal.pause()\nopen('{}', 'w').close()\nsignal.pause()",
        ready.display()
    );
    let mut parent = silent("python3", &["-c", &program])
        .process_group(0)
        .spawn()
        .unwrap();
    until("all are there", || ready.exists());
    let used = work();
    killpg(Pid::from_raw(parent.id().cast_signed()), Signal::SIGKILL).unwrap();
    parent.wait().unwrap();
    used
}

fn stop() -> Duration {
    let project = Project::slow(Kind::HttpLax);
    let run = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let softstop = family(run.pid().as_raw().cast_unsigned());
    let used = || {
        softstop
            .iter()
            .map(|pid| processor_time(*pid))
            .sum::<Duration>()
    };
    let before = used();
    kill(run.pid(), Signal::SIGTERM).unwrap();
    thread::sleep(STOPS_IN);
    let used = used().saturating_sub(before);
    gate.open();
    run.finish().expect_code(143);
    used
}
