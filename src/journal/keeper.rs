//! Keeps the journal while a deploy runs.
//!
//! The deploy never waits for it, and nothing that goes wrong with it changes the deploy.

use std::cell::Cell;
use std::future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::record::Record;
use crate::bitbucket::InsightsError;

/// How many requests may follow one another at once: what a killed deploy has said last is worth most.
const AT_ONCE: u32 = 240;
/// How much time each of them has to itself in the long run. Bitbucket's API allows 1,000 in an hour, of
/// which these are 840 at most: others ask it too.
const FOR_EACH: Duration = Duration::from_secs(6);
/// Where no more than so many are left, a record says that it is behind, because none may follow it at
/// once: some ten places write it, each with one or two.
const LAST: u32 = 24;
/// Where so many are left again, it says that no longer.
const ENOUGH: u32 = 2 * LAST;
/// For how many requests one that fails counts.
const FAILED: u32 = 2;
/// For how many times as long as it took to find that nothing is to be written nobody looks again.
const AFTER_NOTHING: u32 = 9;
/// How long a write may take, and for how long nobody is asked where it takes longer or fails.
const SLOW: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long is kept quiet at most where it was asked for.
const LONGEST_QUIET: Duration = Duration::from_secs(3_600);
/// How long is waited before the last record is tried again.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Where a record is written.
pub(crate) trait Page {
    /// Reads what has to be carried on. Before that is known, nothing is written over it.
    async fn open(&self) -> Result<(), InsightsError>;

    /// Writes what has changed, and tells how many requests that took.
    async fn write(&self, record: Record) -> Result<u32, InsightsError>;
}

/// Writes what a deploy does.
pub(crate) struct Keeper<P, S> {
    page: P,
    /// The present record, where there is one already.
    source: S,
    /// Is told whenever something was heard.
    heard: Arc<Notify>,
    pace: SharedPace,
    is_there: Cell<bool>,
    is_open: Cell<bool>,
    has_answered: Cell<bool>,
    is_in_trouble: Cell<bool>,
    /// Whether the last record was written as behind.
    is_behind: Cell<bool>,
}

/// One pace for all that a run writes, however many places it has: the API counts them together. Whoever
/// has it is the only one who writes.
pub(crate) type SharedPace = Rc<Mutex<Pace>>;

/// When may be written again.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
    /// Until when all time is given to writes that were made.
    given: Instant,
    next: Instant,
}

impl<P: Page, S: Fn() -> Option<Record>> Keeper<P, S> {
    pub(crate) fn new(page: P, source: S, heard: Arc<Notify>, pace: SharedPace) -> Self {
        Self {
            page,
            source,
            heard,
            pace,
            is_there: Cell::new(true),
            is_open: Cell::default(),
            has_answered: Cell::default(),
            is_in_trouble: Cell::default(),
            is_behind: Cell::default(),
        }
    }

    /// Writes what is heard. It never ends, and may be dropped at any time.
    pub(crate) async fn keep(&self) {
        while self.is_there.get() {
            tokio::select! {
                () = self.heard.notified() => {}
                () = self.caught_up() => {}
            }
            self.write_present().await;
        }
        future::pending::<()>().await;
    }

    /// Writes the last record, as far as that can be done within `limit`, and tells whether it was.
    pub(crate) async fn finish(&self, last: impl Fn() -> Record, limit: Duration) -> bool {
        if !self.is_there.get() {
            return false;
        }
        let end = Instant::now() + limit;
        let write = async {
            let mut pause = LAST_PAUSE;
            while let Err(error) = self.write(|| Some(last())).await {
                pause = pause.max(quiet(&error));
                if !error.may_pass() || Instant::now() + pause >= end {
                    return false;
                }
                sleep(pause).await;
                pause *= 2;
            }
            true
        };
        timeout(limit, write).await.unwrap_or(false)
    }

    /// Writes what there is to be written by the time at which that may be done.
    async fn write_present(&self) {
        while self.is_there.get() {
            let mut pace = self.turn().await;
            let began = Instant::now();
            self.is_behind.set(pace.is_short(self.is_behind.get()));
            let done = self.write(|| self.present()).await;
            pace.go_on(began.elapsed(), &done);
            if done.is_ok() {
                return;
            }
        }
    }

    /// Waits until it is our turn.
    async fn turn(&self) -> MutexGuard<'_, Pace> {
        let pace = self.pace.lock().await;
        sleep_until(pace.next).await;
        pace
    }

    /// Writes what there is then, once it is known what has to be carried on.
    async fn write(&self, source: impl Fn() -> Option<Record>) -> Result<u32, InsightsError> {
        let done = self.try_to_write(source).await;
        let was_in_trouble = self.is_in_trouble.replace(done.is_err());
        if let Err(error) = &done {
            if !was_in_trouble {
                debug!("The journal could not be written: {error}.");
            }
            // What was not there from the beginning does not come into being while a step runs.
            let is_there = *error != InsightsError::NotThere || self.has_answered.get();
            self.is_there.set(is_there);
        }
        self.has_answered
            .set(self.has_answered.get() || done.is_ok());
        done
    }

    async fn try_to_write(
        &self,
        source: impl Fn() -> Option<Record>,
    ) -> Result<u32, InsightsError> {
        if !self.is_open.get() {
            self.page.open().await?;
            self.is_open.set(true);
            self.has_answered.set(true);
        }
        match source() {
            Some(record) => self.page.write(record).await,
            None => Ok(0),
        }
    }

    fn present(&self) -> Option<Record> {
        // Whatever was heard until now is in it.
        let _ = self.heard.notified().now_or_never();
        let record = (self.source)()?;
        let is_behind = self.is_behind.get();
        Some(Record {
            is_behind,
            ..record
        })
    }

    /// Waits until a record that was written as behind need not say that any longer.
    async fn caught_up(&self) {
        while self.is_behind.get() {
            let enough = self.pace.lock().await.enough();
            match enough {
                Some(enough) if enough <= Instant::now() => return,
                Some(enough) => sleep_until(enough).await,
                // Who was in trouble is asked where there is news.
                None => break,
            }
        }
        future::pending::<()>().await;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pause: Duration::ZERO,
            given: Instant::now(),
            next: Instant::now(),
        }
    }
}

impl Pace {
    /// Takes note of what became of a write. Whoever takes long is asked too often.
    fn go_on(&mut self, took: Duration, done: &Result<u32, InsightsError>) {
        let now = Instant::now();
        if *done == Ok(0) {
            self.next = self.next.max(now + took * AFTER_NOTHING);
            return;
        }
        let is_slow = took > self.pause.max(SLOW) || done.is_err();
        self.pause = if is_slow {
            (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
        } else {
            self.pause_after_good()
        };
        let requests = *done.as_ref().unwrap_or(&FAILED);
        self.given = self.given.max(now) + FOR_EACH * requests;
        let quiet = done.as_ref().err().map(quiet).unwrap_or_default();
        self.next = self.left_at(0).max(now + self.pause.max(quiet));
    }

    /// The pause after a write that goes well.
    fn pause_after_good(&self) -> Duration {
        let half = self.pause / 2;
        if half < FIRST_PAUSE {
            Duration::ZERO
        } else {
            half
        }
    }

    /// When so many requests may follow one another at once.
    fn left_at(&self, count: u32) -> Instant {
        let rest = FOR_EACH * (AT_ONCE - count);
        let earlier = self.given.checked_sub(rest);
        earlier.unwrap_or_else(Instant::now)
    }

    /// Whether none may follow at once after what is written now, or so few that it `was_short`.
    fn is_short(&self, was_short: bool) -> bool {
        let few = if was_short { ENOUGH } else { LAST };
        self.left_at(few) > Instant::now() || !self.pause_after_good().is_zero()
    }

    /// When there are enough of them again, where time alone brings them.
    fn enough(&self) -> Option<Instant> {
        let is_calm = self.pause_after_good().is_zero();
        is_calm.then(|| self.left_at(ENOUGH).max(self.next))
    }
}

/// How long we were asked to keep quiet.
fn quiet(error: &InsightsError) -> Duration {
    match error {
        InsightsError::TooManyRequests { wait: Some(wait) } => (*wait).min(LONGEST_QUIET),
        _ => Duration::ZERO,
    }
}
