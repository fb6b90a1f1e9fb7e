//! How long softstop waits for output when the deploy is over, and for whom it does not wait.

use tokio::time::Instant;

use super::budget::{Budget, LAST_WORDS};
use super::state::Supervisor;

impl Supervisor {
    /// Waits until all that was said so far has been written, but not for a stuck reader once
    /// softstop was asked to stop.
    ///
    /// What a process may still say that is not below softstop, but was given the deploy's output,
    /// is not waited for.
    pub(crate) async fn flush(&self) {
        let written = async {
            self.stdout.flush().await;
            self.stderr.flush().await;
        };
        tokio::select! {
            biased;
            () = written => {}
            () = self.readers_stuck() => {}
        }
    }

    /// Waits until all that the dead have said is in our hands, so that our own words come after it.
    ///
    /// Somebody else may hold the deploy's output and go on: the lock does not wait for him.
    pub(super) async fn output_drained(&self) {
        self.stdout.take_from_the_dead();
        self.stderr.take_from_the_dead();
        let drained = async {
            self.stdout.drained().await;
            self.stderr.drained().await;
        };
        let enough = async {
            self.next_interrupt().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            biased;
            () = drained => {}
            () = self.no_progress() => {}
            () = self.dead_have_spoken() => {}
            () = enough => {}
        }
    }

    /// Returns when what was in the pipes at first has been read, and what was read has arrived.
    async fn dead_have_spoken(&self) {
        let (stdout, stderr) = (self.stdout.came(), self.stderr.came());
        loop {
            let is_read = self.stdout.is_past(stdout) && self.stderr.is_past(stderr);
            tokio::time::sleep(LAST_WORDS).await;
            if is_read {
                return;
            }
        }
    }

    /// Returns when for a while no byte has come or gone.
    async fn no_progress(&self) {
        let moved = || (self.stdout.moved(), self.stderr.moved());
        loop {
            let before = moved();
            tokio::time::sleep(LAST_WORDS).await;
            if moved() == before {
                return;
            }
        }
    }

    /// Returns when softstop was asked to stop, and nobody reads what it still has to say.
    async fn readers_stuck(&self) {
        self.next_interrupt().await;
        self.wait_for_no_reader();
        let end = self.budget().map(Budget::ends);
        let is_late = tokio::time::sleep_until(end.unwrap_or_else(Instant::now));
        tokio::select! {
            () = self.no_progress() => {}
            () = is_late => tokio::time::sleep(LAST_WORDS).await,
        }
    }

    /// From now on no reader makes a deploy wait.
    pub(super) fn wait_for_no_reader(&self) {
        self.stdout.wait_for_nobody();
        self.stderr.wait_for_nobody();
    }
}
