//! Runs a command to its end, and ends everything that it has started.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use tracing::info;

use super::children::{Child, Death};
use super::lines::Audience;
use super::memory::Kills;
use super::process::Programs;
use super::running::Running;
use super::signals::Interrupt;
use super::state::Supervisor;

/// How a command and everything it started ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// Nothing where the command cannot even be killed.
    pub(crate) status: Option<ExitStatus>,
    /// The signal that asked softstop to stop before the command had ended.
    pub(crate) interrupt: Option<Interrupt>,
    /// Whether a tool was surely killed: softstop had to, or the command was one and was.
    pub(crate) tool_was_killed: bool,
    /// Whether no process of the command is left.
    pub(crate) tree_gone: bool,
    /// Whether the kernel has killed somebody here meanwhile for lack of memory.
    pub(crate) lacked_memory: bool,
}

impl Supervisor {
    /// Runs the deploy to its end, and ends everything that it started.
    ///
    /// When softstop is asked to stop, `tools` are stopped the way they want, and what has not
    /// stopped when the reserve of the grace period begins is killed. What the deploy prints is heard
    /// by the `audience`.
    pub(crate) async fn run_deploy(
        &self,
        command: Command,
        tools: &Programs,
        audience: Option<&Audience>,
    ) -> io::Result<Ending> {
        let kills = Kills::watch();
        let mut running =
            Running::new(self.spawn_passing_output(command, tools.words(), audience)?);
        tokio::select! {
            biased;
            () = running.end() => {}
            interrupt = self.next_interrupt() => announce(interrupt, self.grace_period),
        }
        let interrupt = self.interrupt().filter(|_| running.death.is_none());
        let tree = self.end_tree(&mut running, tools).await;
        self.output_drained().await;
        let death = running.into_death(tree.is_gone).await;
        let was_killed =
            |death: &Death| death.status.signal().is_some() && tools.contain(&death.name);
        Ok(Ending {
            tool_was_killed: tree.tool_was_killed || death.as_ref().is_some_and(was_killed),
            status: death.map(|death| death.status),
            interrupt,
            tree_gone: tree.is_gone,
            lacked_memory: kills.is_some_and(|kills| kills.is_any()),
        })
    }

    /// Runs a command that is not to be interrupted: it has until the end of the grace period.
    pub(crate) async fn run_cleanup(&self, command: Command) -> io::Result<ExitStatus> {
        let mut running = Running::new(self.spawn_passing_output(command, "", None)?);
        tokio::select! {
            biased;
            () = running.end() => {}
            () = self.grace_ends() => {}
        }
        let is_gone = self.kill_tree().await;
        self.output_drained().await;
        let death = running.into_death(is_gone).await;
        death
            .map(|death| death.status)
            .ok_or_else(|| io::Error::other("it cannot be killed"))
    }

    fn spawn_passing_output(
        &self,
        mut command: Command,
        words: &'static str,
        audience: Option<&Audience>,
    ) -> io::Result<Child> {
        let (source, end) = io::pipe()?;
        let mut sources = vec![(&self.stdout, source)];
        let other_end = if self.stdout.is(&self.stderr) {
            // Only one pipe for both keeps their order.
            end.try_clone()?
        } else {
            let (source, end) = io::pipe()?;
            sources.push((&self.stderr, source));
            end
        };
        command.stdout(end).stderr(other_end);
        let child = self.children.spawn(&mut command)?;
        // It has ends of its own, and a pipe is at its end when nobody is left who could write.
        drop(command);
        for (outlet, source) in sources {
            if let Err(error) = outlet.drain(source.into(), words, audience.cloned()) {
                // It leads a group of its own, and is not reaped yet.
                let _ = killpg(child.pid, Signal::SIGKILL);
                return Err(error);
            }
        }
        Ok(child)
    }

    /// Returns when the grace period is over for an after-script.
    async fn grace_ends(&self) {
        self.next_interrupt().await;
        self.wait_for_no_reader();
        if let Some(budget) = self.budget() {
            tokio::time::sleep_until(budget.last_work_ends()).await;
        }
    }
}

fn announce(interrupt: Interrupt, grace_period: Duration) {
    info!(
        "{} received: stopping the deploy, for {} at the most.",
        interrupt.signal.as_str(),
        humantime::format_duration(grace_period)
    );
}
