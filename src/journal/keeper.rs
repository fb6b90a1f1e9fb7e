//! Keeps the journal while a deploy runs.
//!
//! The deploy never waits for it, and nothing that goes wrong with it changes the deploy.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::form::{Key, key};
use super::record::Record;
use super::store::Store;
use crate::bitbucket::InsightsError;

/// How many writes may follow one another at once: what a killed deploy has said last is worth most.
const AT_ONCE: u32 = 60;
/// How much time each of them has to itself in the long run: it takes up to two requests, and
/// Bitbucket's API allows 1,000 in an hour.
const FOR_EACH: Duration = Duration::from_secs(10);
/// How long a write may take, and for how long nobody is asked where it takes longer or fails.
const SLOW: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often is looked at most at what was heard: who looks has to wait for who listens.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// How long is kept quiet at most where it was asked for.
const LONGEST_QUIET: Duration = Duration::from_secs(3_600);
/// How long is waited before the last record is tried again.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Where a journal can be written.
pub(crate) trait Journal {
    async fn write(&self, record: &Record) -> Result<(), InsightsError>;
}

impl Journal for Store {
    async fn write(&self, record: &Record) -> Result<(), InsightsError> {
        self.write(record).await
    }
}

/// Writes what a deploy does.
pub(crate) struct Keeper<J, S> {
    journal: J,
    /// The present record, where there is one already.
    source: S,
    /// Is told whenever something was heard.
    heard: Arc<Notify>,
    /// When each resource was first seen begun.
    begun: RefCell<HashMap<Key, Timestamp>>,
    is_there: Cell<bool>,
    has_written: Cell<bool>,
    is_in_trouble: Cell<bool>,
}

/// When may be written again.
struct Pace {
    pause: Duration,
    /// Until when all time is given to writes that were made.
    given: Instant,
    next: Instant,
}

impl<J: Journal, S: Fn() -> Option<Record>> Keeper<J, S> {
    pub(crate) fn new(journal: J, source: S, heard: Arc<Notify>) -> Self {
        Self {
            journal,
            source,
            heard,
            begun: RefCell::default(),
            is_there: Cell::new(true),
            has_written: Cell::default(),
            is_in_trouble: Cell::default(),
        }
    }

    /// Writes what is heard. It never ends, and may be dropped at any time.
    pub(crate) async fn keep(&self) {
        let mut pace = Pace::new();
        while self.is_there.get() {
            self.heard.notified().await;
            self.write_present(&mut pace).await;
        }
        future::pending::<()>().await;
    }

    /// Writes the last record, as far as that can be done within `limit`, and tells whether it was.
    pub(crate) async fn finish(&self, mut record: Record, limit: Duration) -> bool {
        if !self.is_there.get() {
            return false;
        }
        self.note(&mut record);
        let end = Instant::now() + limit;
        let write = async {
            let mut pause = LAST_PAUSE;
            while let Err(error) = self.write(&record).await {
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
    async fn write_present(&self, pace: &mut Pace) {
        while self.is_there.get() {
            let Some(record) = self.present() else {
                return;
            };
            if Instant::now() < pace.next {
                tokio::select! {
                    () = sleep_until(pace.next) => {}
                    // Somebody has to see when a resource is begun.
                    () = self.next_look() => {}
                }
                continue;
            }
            let began = Instant::now();
            let done = self.write(&record).await;
            pace.go_on(began.elapsed(), &done);
            if done.is_ok() {
                return;
            }
        }
    }

    async fn next_look(&self) {
        sleep(BETWEEN_LOOKS).await;
        self.heard.notified().await;
    }

    async fn write(&self, record: &Record) -> Result<(), InsightsError> {
        let done = self.journal.write(record).await;
        let was_in_trouble = self.is_in_trouble.replace(done.is_err());
        if let Err(error) = &done {
            if !was_in_trouble {
                debug!("The journal could not be written: {error}.");
            }
            // What was not there from the beginning does not come into being while a step runs.
            let is_there = *error != InsightsError::NotThere || self.has_written.get();
            self.is_there.set(is_there);
        }
        self.has_written.set(self.has_written.get() || done.is_ok());
        done
    }

    fn present(&self) -> Option<Record> {
        // Whatever was heard until now is in it.
        let _ = self.heard.notified().now_or_never();
        let mut record = (self.source)()?;
        self.note(&mut record);
        Some(record)
    }

    /// Notes which resources are begun, and since when.
    fn note(&self, record: &mut Record) {
        let now = Timestamp::now();
        let mut begun = self.begun.borrow_mut();
        let entries = record.entries.iter_mut();
        for entry in entries.filter(|entry| entry.resource.is_begun()) {
            let since = begun.entry(key(entry)).or_insert(now);
            entry.begun.get_or_insert(*since);
        }
    }
}

impl Pace {
    fn new() -> Self {
        Self {
            pause: Duration::ZERO,
            given: Instant::now(),
            next: Instant::now(),
        }
    }

    /// Takes note of what became of a write. Whoever takes long is asked too often.
    fn go_on(&mut self, took: Duration, done: &Result<(), InsightsError>) {
        let now = Instant::now();
        let is_slow = took > self.pause.max(SLOW) || done.is_err();
        self.pause = match self.pause / 2 {
            _ if is_slow => (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
            half if half < FIRST_PAUSE => Duration::ZERO,
            half => half,
        };
        self.given = self.given.max(now) + FOR_EACH;
        let in_advance = self.given.checked_sub(FOR_EACH * AT_ONCE).unwrap_or(now);
        let quiet = done.as_ref().err().map(quiet).unwrap_or_default();
        self.next = in_advance.max(now + self.pause.max(quiet));
    }
}

/// How long we were asked to keep quiet.
fn quiet(error: &InsightsError) -> Duration {
    match error {
        InsightsError::TooManyRequests { wait: Some(wait) } => (*wait).min(LONGEST_QUIET),
        _ => Duration::ZERO,
    }
}
