//! Look, judge, look again, release, look again.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::lock::{Doubt, LockInfo, Others, Run, Verdict, judge};
use crate::supervisor::{Neighbours, Supervisor, neighbours};
use crate::tools::{DeployLock, DeployTool, Look};

/// How long a lock that dies with its process may outlive it: a database has to notice first.
const LINGER: Duration = Duration::from_secs(2);
/// How long to wait between two looks at such a lock.
const LINGER_STEP: Duration = Duration::from_millis(100);

/// What became of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    /// Nobody holds it.
    Free,
    /// This run had left it behind, and it was released.
    Released(String),
    /// It is held, by somebody else or by nobody knows whom.
    Held(Option<String>),
    /// It could not be asked about.
    Unknown,
    /// There is none to look after.
    None,
}

impl LockState {
    /// The word for it in SOFTSTOP_LOCK. What is not known to be free counts as held.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Free | Self::None => "free",
            Self::Released(_) => "released",
            Self::Held(_) | Self::Unknown => "held",
        }
    }

    /// The ID of the lock that this is about.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Released(id) => Some(id),
            Self::Held(id) => id.as_deref(),
            Self::Free | Self::Unknown | Self::None => None,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        matches!(self, Self::Free | Self::Released(_) | Self::None)
    }
}

impl fmt::Display for LockState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Free => "the lock is free",
            Self::Released(_) => "its lock was released",
            Self::Held(_) => "the lock is held",
            Self::Unknown => "the lock could not be asked about",
            Self::None => "there is no lock to look after",
        })
    }
}

/// What is known of a run that is over.
pub(crate) struct Finished<'a> {
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    /// What the look before the run has shown.
    pub(crate) look_before: Option<&'a Look>,
    pub(crate) tree_gone: bool,
    pub(crate) tool_was_killed: bool,
    /// The operations for which it can hold a lock.
    pub(crate) operations: &'a [&'a str],
}

/// Releases the lock that this run has left behind, if it has.
pub(crate) async fn free_own_lock<T: DeployTool>(
    supervisor: &Supervisor,
    tool: &T,
    lock: &T::Lock,
    finished: &Finished<'_>,
) -> anyhow::Result<LockState> {
    let look = if lock.dies_with_its_process() {
        look_until_free(supervisor, lock).await?
    } else {
        lock.look(supervisor).await?
    };
    let holder = match look {
        Look::Held(holder) if !lock.dies_with_its_process() => holder,
        Look::HeldBySomebody => {
            warn!("The lock is held, and {}.", Doubt::UnknownHolder);
            return Ok(LockState::Held(None));
        }
        look => return Ok(somebody_elses(look)),
    };
    info!("After the run there is still a lock: {holder}.");
    let signature = tool.signature();
    let version = tool.version(supervisor).await?;
    let neighbours =
        neighbours(&tool.programs()).context("the processes of this machine are hidden")?;
    let run = Run {
        who: &signature,
        version: &version,
        started: finished.started,
        ended: finished.ended,
        lock_before: finished.look_before.and_then(id_of),
        processes_gone: finished.tree_gone,
        tool_was_killed: finished.tool_was_killed,
        operations: finished.operations,
        others: match neighbours {
            Neighbours::NonePossible => Others::Impossible,
            Neighbours::NoneHere => Others::NotHere,
            Neighbours::Some => Others::Running,
            Neighbours::Hidden => Others::Hidden,
        },
    };
    match judge(&holder, &run) {
        Verdict::Refuse(doubt) => {
            refuse(lock, &holder, doubt);
            Ok(LockState::Held(Some(holder.id)))
        }
        Verdict::Release => release(supervisor, lock, holder).await,
    }
}

/// Releases a lock that was judged, and believes nothing but a look that it is gone.
async fn release<L: DeployLock>(
    supervisor: &Supervisor,
    lock: &L,
    holder: LockInfo,
) -> anyhow::Result<LockState> {
    // Gathering the evidence took time, in which the lock may have changed hands.
    let again = lock.look(supervisor).await?;
    if again != Look::Held(holder.clone()) {
        info!("It has gone by itself in the meantime.");
        return Ok(somebody_elses(again));
    }
    let answer = lock.release(supervisor, &holder).await;
    let after = lock.look(supervisor).await?;
    if matches!(&after, Look::Held(still) if still.id == holder.id) {
        let reason = answer
            .err()
            .map_or_else(String::new, |error| format!(" {error}."));
        warn!(
            "The lock {} was to be released, but is still there.{reason} When the backend can be \
             asked again, release it by hand: {}",
            holder.id,
            lock.release_by_hand(&holder)
        );
        return Ok(LockState::Held(Some(holder.id)));
    }
    if answer.is_err() && !matches!(after, Look::Free) {
        return Ok(somebody_elses(after));
    }
    info!("It was this run's own, and every process of the run is gone: released.");
    Ok(LockState::Released(holder.id))
}

/// What a look says of a lock that is surely not this run's.
fn somebody_elses(look: Look) -> LockState {
    match look {
        Look::Free => LockState::Free,
        Look::NeverLocked => LockState::None,
        Look::Held(holder) => {
            info!("Somebody else has the lock by now, and keeps it: {holder}.");
            LockState::Held(Some(holder.id))
        }
        Look::HeldBySomebody => LockState::Held(None),
    }
}

async fn look_until_free<L: DeployLock>(supervisor: &Supervisor, lock: &L) -> anyhow::Result<Look> {
    let deadline = Instant::now() + LINGER;
    loop {
        let look = lock.look(supervisor).await?;
        if matches!(look, Look::Free | Look::NeverLocked) || Instant::now() >= deadline {
            return Ok(look);
        }
        tokio::time::sleep(LINGER_STEP).await;
    }
}

fn refuse<L: DeployLock>(lock: &L, holder: &LockInfo, doubt: Doubt) {
    warn!(
        "The lock {} is left alone: {doubt}. If you are sure that its holder is over, release it \
         by hand: {}",
        holder.id,
        lock.release_by_hand(holder)
    );
}

fn id_of(look: &Look) -> Option<&str> {
    match look {
        Look::Held(lock) => Some(&lock.id),
        _ => None,
    }
}
