//! A process outside of the deploy that holds the deploy's output, and goes on writing to it.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::unistd::Pid;

use super::round::Round;
use super::subject::Subject;
use crate::support::run::{marked, name_of};

/// What it writes.
pub(super) const WORDS: &str = "outside";
/// How long the deploy's shell may take to come.
const TO_APPEAR: Duration = Duration::from_secs(3);

/// Ends with the round at the latest.
pub(super) struct Outsider(Child);

impl Round<'_> {
    /// Comes once the deploy's own shell is there, whose output is the deploy's.
    pub(super) fn begin_outsider(&self, subject: &mut Subject) -> Option<Outsider> {
        let mut output = None;
        let comes = self.plan.has_outsider
            && subject.wait_for(TO_APPEAR, |subject| {
                output = output_of_shell(subject.run().mark());
                output.is_some()
            });
        let child = Command::new("sh")
            .args(["-c", &format!("while echo {WORDS}; do sleep 0.05; done")])
            .stdout(output.filter(|_| comes)?)
            .stderr(Stdio::null())
            .spawn();
        self.truth.note("an outsider holds the output");
        Some(Outsider(child.unwrap()))
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        // It may have ended, because nobody reads any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The pipe into which the first shell of a run writes.
fn output_of_shell(mark: &str) -> Option<File> {
    let is_shell = |pid: &Pid| matches!(&*name_of(*pid), "sh" | "bash" | "dash");
    let shell = marked(mark).into_iter().filter(is_shell).min()?;
    let output = format!("/proc/{shell}/fd/1");
    let is_pipe = fs::read_link(&output).is_ok_and(|output| output.starts_with("pipe:"));
    // A shell that has ended meanwhile has none.
    is_pipe.then(|| File::options().write(true).open(output).ok())?
}
