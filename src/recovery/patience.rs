//! Waits for a lock that cannot be released yet.

use std::time::Duration;

use humantime::format_duration;
use tokio::time::Instant;
use tracing::info;

use super::finding::{Finding, Recovery};
use super::pace::BETWEEN_LOOKS;
use super::recover::{ONCE, recover_from, settled};
use crate::lock::{LockInfo, Verdict};
use crate::tools::{Host, Locked, Look, ToolError};

/// The least time between a judgement and the next look, however long these take.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// How long to say nothing while a lock is waited for.
const SILENCE: Duration = Duration::from_secs(30);

/// Until when to wait for a lock, and for whose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    /// Where it is waited, for people, where several places may be looked after.
    pub(crate) place: Option<&'a str>,
    pub(crate) until: Instant,
    /// Whether a holder of whom nobody can tell whether it is alive is waited for too.
    pub(crate) also_in_doubt: bool,
}

/// Recovers the lock that `look` has shown, and waits for the one that cannot be released, until
/// somebody asks to stop.
pub(crate) async fn recover_with_patience(
    host: &impl Host,
    lock: &impl Locked,
    look: Look,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
    patience: Patience<'_>,
) -> Result<Recovery, ToolError> {
    let mut looked_at = Instant::now();
    let mut speak_at = looked_at;
    let mut look = settled(lock, look, &ONCE).await?;
    loop {
        let recovery = recover_from(lock, look, judge).await?;
        if !patience.waits_for(&recovery) || !patience.lasts(host) {
            return Ok(recovery);
        }
        let now = Instant::now();
        if now >= speak_at {
            let left = Duration::from_secs((patience.until - now).as_secs());
            let left = format_duration(left);
            let place = patience
                .place
                .map_or_else(String::new, |place| format!("{place}: "));
            info!("{place}{recovery}\n  Waiting for it, for up to {left}.");
            speak_at = now + SILENCE;
        }
        look = loop {
            let next = looked_at + BETWEEN_LOOKS;
            let next = next
                .max(Instant::now() + SHORTEST_PAUSE)
                .min(patience.until);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                _ = host.next_interrupt() => {}
            }
            looked_at = Instant::now();
            match lock.look().await {
                Err(error) if error.may_pass() && patience.lasts(host) => {
                    info!("While the lock is waited for: {}", error.sentence());
                }
                answer => break answer?,
            }
        };
    }
}

impl Patience<'_> {
    fn lasts(&self, host: &impl Host) -> bool {
        Instant::now() < self.until && host.interrupt().is_none()
    }

    fn waits_for(&self, recovery: &Recovery) -> bool {
        match recovery {
            Recovery::Untouched(Finding::Alive(..)) => true,
            Recovery::Untouched(Finding::Doubtful(..)) => self.also_in_doubt,
            _ => false,
        }
    }
}
