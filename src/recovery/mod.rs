//! Look, judge, look again where the release itself does not, release, look again: what the stories
//! have in common.

pub(crate) mod guarded;
pub(crate) mod pace;

use std::fmt;
use std::time::Duration;

use humantime::format_duration;
use tokio::time::Instant;
use tracing::info;

use crate::lock::{Doubt, Life, LockInfo, Proof, Verdict};
use crate::supervisor::Supervisor;
use crate::tools::{DeployLock, Look, ToolError};
use pace::BETWEEN_LOOKS;

/// How long a look of somebody else, which holds a lock for an instant, may take.
const LINGER: Duration = Duration::from_secs(2);
/// How long to wait between two looks at such a lock.
const LINGER_STEP: Duration = Duration::from_millis(100);
/// How long to wait before each further look at a lock that dies with its holder, where that is gone:
/// a database has to notice first. And where nobody knows whether it is: what passes by itself, a
/// look of somebody else among it, has passed by then, and a Terraform is not started in vain.
const AFTER_THE_HOLDER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
];
const ONCE: [Duration; 1] = [Duration::from_millis(300)];
/// How often a lock may change hands while it is judged.
const ROUNDS: u32 = 5;
/// The least time between a judgement and the next look, however long these take.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// How long to say nothing while a lock is waited for.
const SILENCE: Duration = Duration::from_secs(30);

/// What a look at a lock has shown, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nobody holds it.
    Free,
    /// The backend is set up to take none.
    NeverLocked,
    /// Its holder is over.
    Over(LockInfo, Proof),
    /// Its holder is alive.
    Alive(Option<LockInfo>, Life),
    /// Nobody can tell whether its holder is over.
    Doubtful(Option<LockInfo>, Doubt, ByHand),
}

/// What became of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Its holder was over, and it was released.
    Released(LockInfo, Proof),
    /// It is as it was found.
    Untouched(Finding),
    /// Its holder is over, and yet it could not be released, for this reason.
    Stuck(LockInfo, Proof, String, ByHand),
}

/// The command by which a person releases a lock; empty where nobody knows which lock it is.
type ByHand = String;

/// How long to wait for a lock, and for whose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) time: Duration,
    /// Whether a holder of whom nobody can tell whether it is alive is waited for too.
    pub(crate) also_in_doubt: bool,
}

/// Looks at the lock, and judges its holder.
pub(crate) async fn examine<L: DeployLock>(
    supervisor: &Supervisor,
    lock: &L,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Finding, ToolError> {
    let look = lock.look(supervisor).await?;
    find(lock, settled(look, supervisor, lock, &ONCE).await?, judge).await
}

/// Releases the lock where its holder is over, by the word of `judge`; the one that is looked for has
/// ended just now.
pub(crate) async fn recover<L: DeployLock>(
    supervisor: &Supervisor,
    lock: &L,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Recovery, ToolError> {
    let look = lock.look(supervisor).await?;
    let look = settled(look, supervisor, lock, &AFTER_THE_HOLDER).await?;
    recover_from(look, supervisor, lock, judge).await
}

async fn recover_from<L: DeployLock>(
    mut look: Look,
    supervisor: &Supervisor,
    lock: &L,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Recovery, ToolError> {
    for _ in 0..ROUNDS {
        // Another run's look may hold the lock by now; it is not to be judged, but waited for.
        if matches!(&look, Look::Held(holder) if L::is_of_a_look(holder)) {
            look = settled(look, supervisor, lock, &ONCE).await?;
        }
        let (holder, proof) = match find(lock, look, judge).await? {
            Finding::Over(holder, proof) => (holder, proof),
            finding => return Ok(Recovery::Untouched(finding)),
        };
        // Judging took time, in which the lock may have changed hands; then it is a new one.
        if !lock.release_compares() {
            look = lock.look(supervisor).await?;
            if look != Look::Held(holder.clone()) {
                say_that_it_changed(&holder);
                continue;
            }
        }
        let answer = lock.release(supervisor, &holder).await;
        // What is still to be carried out may free whoever holds the lock by then.
        if let Err(error @ ToolError::NotGivenBack { .. }) = answer {
            return Err(error);
        }
        look = lock.look(supervisor).await?;
        match answer {
            _ if is_held(&look, &holder) => {
                let reason = answer.err().map(|error| format!(" {error}."));
                let by_hand = lock.release_by_hand(&holder);
                return Ok(Recovery::Stuck(
                    holder,
                    proof,
                    reason.unwrap_or_default(),
                    by_hand,
                ));
            }
            // It is gone, and not by us.
            Err(ToolError::NotReleased { .. }) => say_that_it_changed(&holder),
            // The other half is another one's lock, and to be judged.
            Err(ToolError::ReleasedInPart { .. }) if look != Look::Free => {
                say_that_it_changed(&holder);
            }
            Ok(()) | Err(_) => return Ok(Recovery::Released(holder, proof)),
        }
    }
    Ok(Recovery::Untouched(Finding::Alive(
        None,
        Life::ChangesHands,
    )))
}

/// Recovers the lock that `look` has shown, and waits for the one that cannot be released, until
/// somebody asks to stop.
pub(crate) async fn recover_with_patience<L: DeployLock>(
    look: Look,
    supervisor: &Supervisor,
    lock: &L,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
    patience: Patience,
) -> Result<Recovery, ToolError> {
    let began = Instant::now();
    let deadline = began + patience.time;
    let mut speak_at = began;
    let mut looked_at = began;
    let mut look = settled(look, supervisor, lock, &ONCE).await?;
    loop {
        let recovery = recover_from(look, supervisor, lock, judge).await?;
        let is_waited_for = match &recovery {
            Recovery::Untouched(Finding::Alive(..)) => true,
            Recovery::Untouched(Finding::Doubtful(..)) => patience.also_in_doubt,
            _ => false,
        };
        let now = Instant::now();
        if !is_waited_for || now >= deadline || supervisor.interrupt().is_some() {
            return Ok(recovery);
        }
        if now >= speak_at {
            let left = Duration::from_secs((deadline - now).as_secs());
            info!(
                "{recovery} Waiting for it, for up to {}.",
                format_duration(left)
            );
            speak_at = now + SILENCE;
        }
        let next = looked_at + BETWEEN_LOOKS;
        let next = next.max(Instant::now() + SHORTEST_PAUSE).min(deadline);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _ = supervisor.next_interrupt() => {}
        }
        looked_at = Instant::now();
        look = lock.look(supervisor).await?;
    }
}

/// Looks again until what passes by itself has passed: a lock that a look of somebody else holds,
/// or one that has outlived its process, after each of these pauses.
async fn settled<L: DeployLock>(
    mut look: Look,
    supervisor: &Supervisor,
    lock: &L,
    pauses: &[Duration],
) -> Result<Look, ToolError> {
    if lock.dies_with_its_process() {
        for pause in pauses {
            if matches!(look, Look::Free | Look::NeverLocked) {
                break;
            }
            tokio::time::sleep(*pause).await;
            look = lock.look(supervisor).await?;
        }
        return Ok(look);
    }
    let deadline = Instant::now() + LINGER;
    while matches!(&look, Look::Held(holder) if L::is_of_a_look(holder))
        && Instant::now() < deadline
    {
        tokio::time::sleep(LINGER_STEP).await;
        look = lock.look(supervisor).await?;
    }
    Ok(look)
}

async fn find<L: DeployLock>(
    lock: &L,
    look: Look,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Finding, ToolError> {
    let (holder, verdict) = match look {
        Look::Free => return Ok(Finding::Free),
        Look::NeverLocked => return Ok(Finding::NeverLocked),
        Look::Held(holder) if lock.dies_with_its_process() => {
            return Ok(Finding::Alive(Some(holder), Life::Process));
        }
        Look::HeldBySomebody if lock.dies_with_its_process() => {
            return Ok(Finding::Alive(None, Life::Process));
        }
        Look::HeldBySomebody => {
            let nothing = ByHand::new();
            return Ok(Finding::Doubtful(None, Doubt::UnknownHolder, nothing));
        }
        Look::Held(holder) => {
            let verdict = judge(&holder).await?;
            (holder, verdict)
        }
    };
    Ok(match verdict {
        Verdict::Release(proof) => Finding::Over(holder, proof),
        Verdict::Wait(life) => Finding::Alive(Some(holder), life),
        Verdict::Refuse(doubt) => {
            let by_hand = lock.release_by_hand(&holder);
            Finding::Doubtful(Some(holder), doubt, by_hand)
        }
    })
}

fn say_that_it_changed(lock: &LockInfo) {
    info!(
        "Since it was looked at, the lock {} is gone or has changed.",
        lock.id
    );
}

fn is_held(look: &Look, holder: &LockInfo) -> bool {
    matches!(look, Look::Held(still) if still.id == holder.id)
}

impl Recovery {
    /// Whether nobody holds the lock any more.
    pub(crate) fn is_free(&self) -> bool {
        matches!(
            self,
            Self::Released(..) | Self::Untouched(Finding::Free | Finding::NeverLocked)
        )
    }
}

/// What was found, whose it is and since when, and why.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => formatter.write_str("The lock is free."),
            Self::NeverLocked => formatter.write_str("The backend is set up without locking."),
            Self::Over(lock, proof) => {
                write!(formatter, "There is {lock}. Its holder is over: {proof}.")
            }
            Self::Alive(Some(lock), life) => {
                write!(formatter, "There is {lock}. Its holder is alive: {life}.")
            }
            Self::Alive(None, life) => {
                write!(formatter, "The lock is held. Its holder is alive: {life}.")
            }
            Self::Doubtful(Some(lock), doubt, by_hand) => write!(
                formatter,
                "There is {lock}. It is left alone: {doubt}. If you are sure that its holder is \
                 over, release it by hand: {by_hand}"
            ),
            Self::Doubtful(None, doubt, _) => {
                write!(formatter, "The lock is held. It is left alone: {doubt}.")
            }
        }
    }
}

/// What was done, besides.
impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched(finding) => finding.fmt(formatter),
            Self::Released(lock, proof) => {
                write!(formatter, "There was {lock}. It was released: {proof}.")
            }
            Self::Stuck(lock, proof, reason, by_hand) => write!(
                formatter,
                "There is {lock}. It was to be released, because {proof}, but is still there.\
                 {reason} When the backend can be asked again, release it by hand: {by_hand}"
            ),
        }
    }
}
