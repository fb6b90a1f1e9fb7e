//! Looks, judges, looks again where the release itself does not, releases, looks again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::finding::{Finding, Recovery};
use crate::lock::{Doubt, Life, LockInfo, Verdict};
use crate::tools::{End, Locked, Look, Reply, ToolError};

/// How long a look of somebody else, which holds a lock for an instant, may take.
pub(super) const LINGER: Duration = Duration::from_secs(2);
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
pub(super) const ONCE: [Duration; 1] = [Duration::from_millis(300)];
/// How often a lock may change hands while it is judged.
pub(super) const ROUNDS: u32 = 5;

/// Looks at the lock, and judges its holder.
pub(crate) async fn examine(
    lock: &impl Locked,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Finding, ToolError> {
    let look = lock.look().await?;
    find(lock, settled(lock, look, &ONCE).await?, judge).await
}

/// Releases the lock where its holder is over, by the word of `judge`; the one that is looked for has
/// ended just now.
pub(crate) async fn recover(
    lock: &impl Locked,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Recovery, ToolError> {
    let look = lock.look().await?;
    let look = settled(lock, look, &AFTER_THE_HOLDER).await?;
    recover_from(lock, look, judge).await
}

pub(super) async fn recover_from(
    lock: &impl Locked,
    mut look: Look,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Recovery, ToolError> {
    for _ in 0..ROUNDS {
        // Another run's look may hold the lock by now; it is not to be judged, but waited for.
        if is_of_a_look(&look) {
            look = settled(lock, look, &ONCE).await?;
        }
        let (holder, proof) = match find(lock, look, judge).await? {
            Finding::Over(holder, proof) => (holder, proof),
            finding => return Ok(Recovery::Untouched(finding)),
        };
        // Judging took time, in which the lock may have changed hands; then it is a new one.
        if lock.end().is_blind() {
            look = lock.look().await?;
            if look != Look::Held(holder.clone()) {
                say_that_it_changed(&holder);
                continue;
            }
        }
        let answer = lock.release(&holder).await;
        // What is still to be carried out may free whoever holds the lock by then, and a lock that a look
        // has left there tells nothing of the one that was to be released.
        if let Ok(Reply::Unclear(error)) = answer {
            return Err(error);
        }
        look = lock.look().await?;
        debug!("After the release the backend says: {look}.");
        if is_held(&look, &holder) {
            let reason = said(answer).map(|said| format!(" {said}."));
            let by_hand = lock.release_by_hand(&holder);
            let reason = reason.unwrap_or_default();
            return Ok(Recovery::Stuck(holder, proof, reason, by_hand));
        }
        match answer {
            // It is gone, and not by us.
            Ok(Reply::Gone(_) | Reply::Changed(_)) => say_that_it_changed(&holder),
            // It may be the same one, of which less is told by now.
            Ok(_) | Err(_) if look == Look::HeldBySomebody => say_that_it_changed(&holder),
            // The other half is another one's lock, and to be judged.
            Ok(Reply::Half(_)) if look != Look::Free => say_that_it_changed(&holder),
            Ok(_) | Err(_) => return Ok(Recovery::Released(holder, proof)),
        }
    }
    Ok(Recovery::Untouched(Finding::Alive(
        None,
        Life::ChangesHands,
    )))
}

/// Looks again until what passes by itself has passed: a lock that a look of somebody else holds,
/// or one that has outlived its process, after each of these pauses.
pub(super) async fn settled(
    lock: &impl Locked,
    mut look: Look,
    pauses: &[Duration],
) -> Result<Look, ToolError> {
    if lock.end() == End::Death {
        for pause in pauses {
            if look == Look::Free {
                break;
            }
            tokio::time::sleep(*pause).await;
            look = lock.look().await?;
        }
        return Ok(look);
    }
    let deadline = Instant::now() + LINGER;
    while is_of_a_look(&look) && Instant::now() < deadline {
        tokio::time::sleep(LINGER_STEP).await;
        look = lock.look().await?;
    }
    Ok(look)
}

async fn find(
    lock: &impl Locked,
    look: Look,
    judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
) -> Result<Finding, ToolError> {
    debug!("The backend says: {look}.");
    let (holder, verdict) = match look {
        Look::Free => return Ok(Finding::Free),
        Look::Held(holder) if lock.end() == End::Death => {
            return Ok(Finding::Alive(Some(holder), Life::Process));
        }
        Look::HeldBySomebody if lock.end() == End::Death => {
            return Ok(Finding::Alive(None, Life::Process));
        }
        Look::HeldBySomebody => {
            let by_hand = lock.unnamed_by_hand();
            return Ok(Finding::Doubtful(None, Doubt::UnknownHolder, by_hand));
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

/// Why a release has not done what it was asked for, as far as that was said.
fn said(answer: Result<Reply, ToolError>) -> Option<String> {
    match answer {
        Ok(Reply::Released) => None,
        Ok(Reply::Gone(said) | Reply::Changed(said) | Reply::Half(said)) => Some(said),
        Ok(Reply::Unclear(error)) | Err(error) => Some(error.to_string()),
    }
}

fn is_of_a_look(look: &Look) -> bool {
    matches!(look, Look::Held(holder) if holder.is_of_a_look)
}

fn is_held(look: &Look, holder: &LockInfo) -> bool {
    matches!(look, Look::Held(still) if still.id == holder.id)
}
