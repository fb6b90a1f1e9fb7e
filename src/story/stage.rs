//! Where a deploy is played: its processes, its output and its time. A test can play it too.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::supervisor::{Ending, Grounds, Lookout, Seen, Supervisor, Tools};
use crate::tools::Host;

/// What a deploy needs besides what its tools need.
pub(crate) trait Stage: Host {
    /// Runs the deploy to its end, ends everything that it started, and notes what its tools were
    /// seen to do. When it is asked to stop, what has not stopped when the `reserve` begins is killed.
    async fn run_deploy(
        &self,
        command: Command,
        tools: &Tools,
        grounds: Grounds,
        reserve: Duration,
        note: impl FnMut(Seen),
    ) -> io::Result<Ending>;

    /// Runs a command that is not to be interrupted: it has until the end of the grace period.
    async fn run_cleanup(&self, command: Command) -> io::Result<ExitStatus>;

    /// Kills everything that was started, and says whether it is gone.
    async fn kill_tree(&self) -> bool;

    /// Whether a tool was heard to say that it was asked to stop, by whomever.
    fn has_heard_of_a_stop(&self) -> bool;

    /// Gives helpers no more than `time` once there is a request to stop.
    fn hurry(&self, time: Duration);

    /// Keeps the last part of the grace period for what comes last: no helper runs in it.
    fn keep_back(&self, time: Duration);
}

impl Stage for Supervisor {
    async fn run_deploy(
        &self,
        command: Command,
        tools: &Tools,
        grounds: Grounds,
        reserve: Duration,
        note: impl FnMut(Seen),
    ) -> io::Result<Ending> {
        let mut lookout = Lookout::new(tools);
        let noticed = lookout.notice(grounds, note);
        let deploy = Supervisor::run_deploy(self, command, tools, reserve);
        tokio::select! {
            biased;
            ending = deploy => ending,
            never = noticed => match never {},
        }
    }

    async fn run_cleanup(&self, command: Command) -> io::Result<ExitStatus> {
        Supervisor::run_cleanup(self, command).await
    }

    async fn kill_tree(&self) -> bool {
        Supervisor::kill_tree(self).await
    }

    fn has_heard_of_a_stop(&self) -> bool {
        Supervisor::has_heard_of_a_stop(self)
    }

    fn hurry(&self, time: Duration) {
        Supervisor::hurry(self, time);
    }

    fn keep_back(&self, time: Duration) {
        Supervisor::keep_back(self, time);
    }
}
