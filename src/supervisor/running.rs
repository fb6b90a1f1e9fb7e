//! A command between its start and its end.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::budget::BURIAL;
use super::children::{Child, Death};

/// A command between its start and its end.
pub(super) struct Running {
    pub(super) pid: Pid,
    answer: oneshot::Receiver<Death>,
    pub(super) death: Option<Death>,
}

impl Running {
    pub(super) fn new(child: Child) -> Self {
        Self {
            pid: child.pid,
            answer: child.death,
            death: None,
        }
    }

    pub(super) async fn end(&mut self) {
        if self.death.is_none() {
            self.death = (&mut self.answer).await.ok();
        }
    }

    pub(super) fn look(&mut self) {
        if self.death.is_none() {
            self.death = self.answer.try_recv().ok();
        }
    }

    /// Signals it alone. Once it is reaped, its number may be somebody else's.
    pub(super) fn signal(&self, signal: Signal) {
        if self.death.is_none() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Signals it and all that it has started, and that has not left its group.
    pub(super) fn signal_group(&self, signal: Signal) {
        if self.death.is_none() {
            let _ = killpg(self.pid, signal);
        }
    }

    /// How it died, where it has: with a tree that is gone it is dead, and its status is on the way,
    /// and a process that cannot be killed is not waited for a second time.
    pub(super) async fn into_death(mut self, is_gone: bool) -> Option<Death> {
        if is_gone {
            // What is not there in time is not there.
            let _ = tokio::time::timeout(BURIAL, self.end()).await;
        }
        self.look();
        self.death
    }
}
