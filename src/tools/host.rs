//! What tools, recovery and inquiry need of the outside; a test can play it.

use std::fs::File;
use std::io;
use std::process::Command;
use std::time::Duration;

use crate::identity::{self, Left, Mark, Neighbours};
use crate::supervisor::{Helped, HelperError, Interrupt, Programs, Supervisor};

/// Runs helpers, keeps time, hears who asks to stop, and sees the processes around.
pub(crate) trait Host {
    /// Runs `command` to its end, or kills it when `limit`, or all time that there is, is over.
    async fn run_helper(&self, command: Command, limit: Duration) -> Result<Helped, HelperError>;

    /// Runs a helper whose output may be long: whoever needs it reads it from a file.
    async fn run_helper_that_shows(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Helped<File>, HelperError>;

    /// Runs a helper that makes good what another one has left that was killed: it may need all time that
    /// there is until softstop must have ended.
    async fn run_amends(&self, command: Command, limit: Duration) -> Result<Helped, HelperError>;

    /// Does `work`, unless `limit`, or all time that there is, is over before.
    async fn limited<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T>;

    /// The request to stop, if there was one.
    fn interrupt(&self) -> Option<Interrupt>;

    /// Waits until there is one.
    async fn next_interrupt(&self) -> Interrupt;

    /// Whether there was one before anything was begun, so that nobody needs an answer any more.
    fn is_in_vain(&self) -> bool;

    /// Who else could sign a lock as a deploy with these programs does.
    fn neighbours(&self, programs: &Programs) -> io::Result<Neighbours>;

    /// What is left of the deploy that has this mark, where no mark says that it is of another job.
    fn left_of(&self, programs: &Programs, deploy: Mark, job: &[Mark]) -> io::Result<Left>;
}

impl Host for Supervisor {
    async fn run_helper(&self, command: Command, limit: Duration) -> Result<Helped, HelperError> {
        Supervisor::run_helper(self, command, limit).await
    }

    async fn run_helper_that_shows(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Helped<File>, HelperError> {
        Supervisor::run_helper_that_shows(self, command, limit).await
    }

    async fn run_amends(&self, command: Command, limit: Duration) -> Result<Helped, HelperError> {
        Supervisor::run_amends(self, command, limit).await
    }

    async fn limited<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        Supervisor::limited(self, limit, work).await
    }

    fn interrupt(&self) -> Option<Interrupt> {
        Supervisor::interrupt(self)
    }

    async fn next_interrupt(&self) -> Interrupt {
        Supervisor::next_interrupt(self).await
    }

    fn is_in_vain(&self) -> bool {
        Supervisor::is_in_vain(self)
    }

    fn neighbours(&self, programs: &Programs) -> io::Result<Neighbours> {
        identity::neighbours(self, programs)
    }

    fn left_of(&self, programs: &Programs, deploy: Mark, job: &[Mark]) -> io::Result<Left> {
        identity::left_of(self, programs, deploy, job)
    }
}
