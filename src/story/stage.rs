//! Where a deploy is played: its processes, its output and its time. A test can play it too.

use std::io;
use std::process::{Command, ExitStatus};

use crate::supervisor::{Audience, Ending, Grounds, Lookout, Phase, Programs, Seen, Supervisor};
use crate::tools::Host;

/// What a deploy needs besides what its tools need.
pub(crate) trait Stage: Host {
    /// Runs the deploy to its end, ends everything that it started, notes what its tools were seen to
    /// do, and lets the `audience` hear what they print.
    async fn run_deploy(
        &self,
        command: Command,
        programs: &Programs,
        grounds: Grounds,
        note: impl FnMut(Seen),
        audience: Option<&Audience>,
    ) -> io::Result<Ending>;

    /// Runs a command that is not to be interrupted: it has until the end of the grace period.
    async fn run_cleanup(&self, command: Command) -> io::Result<ExitStatus>;

    /// Kills everything that was started, and says whether it is gone.
    async fn kill_tree(&self) -> bool;

    /// Whether a tool was heard to say that it was asked to stop, by whomever.
    fn knows_of_a_stop(&self) -> bool;

    /// Says what comes now, which decides how much of the grace period is kept for what comes later.
    fn enter(&self, phase: Phase);
}

impl Stage for Supervisor {
    async fn run_deploy(
        &self,
        command: Command,
        programs: &Programs,
        grounds: Grounds,
        note: impl FnMut(Seen),
        audience: Option<&Audience>,
    ) -> io::Result<Ending> {
        let mut lookout = Lookout::new(programs);
        let noticed = lookout.notice(grounds, note);
        let deploy = Supervisor::run_deploy(self, command, programs, audience);
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

    fn knows_of_a_stop(&self) -> bool {
        Supervisor::knows_of_a_stop(self)
    }

    fn enter(&self, phase: Phase) {
        Supervisor::enter(self, phase);
    }
}
