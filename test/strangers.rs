//! A process outside of the deploy that goes on writing to its output.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Kind, Project, Softstop};

/// A process outside of the deploy that goes on writing to its output.
struct Stranger(Child);

impl Stranger {
    /// Begins where the shell of the deploy has left its number.
    fn begin(project: &Project) -> Self {
        let shell = fs::read_to_string(project.scratch().join("shell")).unwrap();
        let output = File::options()
            .write(true)
            .open(format!("/proc/{}/fd/1", shell.trim()))
            .unwrap();
        let mut stranger = Command::new("sh");
        stranger.args(["-c", "while echo outside; do sleep 0.05; done"]);
        Self(stranger.stdout(output).spawn().unwrap())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stranger_who_goes_on_writing_to_the_deploys_output_costs_no_grace_period() {
    let project = Project::new(Kind::Local, "");
    let script = format!("echo $$ > ../shell; {}", project.wait_at("deploy"));
    let mut run = Softstop::deploy(&project)
        .env("GRACE_PERIOD", "3s")
        .script(&script)
        .start();
    project.gate("deploy.gate").wait_until_reached();
    let _stranger = Stranger::begin(&project);
    run.wait_for_stdout("outside");
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    assert_eq!(finished.code, Some(143), "{}", finished.stderr);
    assert!(finished.stopped_in.unwrap() < Duration::from_secs(3));
}

#[test]
fn a_stranger_who_goes_on_writing_to_the_deploys_output_does_not_hold_up_its_end() {
    let project = Project::new(Kind::Local, "");
    let script = format!(
        "echo $$ > ../shell; {}; seq 5000; echo the last line; exit 7",
        project.wait_at("deploy")
    );
    let run = Softstop::deploy(&project).script(&script).start();
    let gate = project.gate("deploy.gate");
    gate.wait_until_reached();
    let _stranger = Stranger::begin(&project);
    run.wait_for_stdout("outside");
    let opened = Instant::now();
    gate.open();
    let finished = run.finish();
    finished.expect_code(7);
    assert!(finished.stdout.contains("5000\n"), "{finished}");
    assert!(finished.stdout.contains("the last line\n"), "{finished}");
    assert!(opened.elapsed() < Duration::from_secs(3), "{finished}");
}
