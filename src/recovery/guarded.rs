//! A lock whose holder is over and has left a state in a file: the state is stored while the lock still
//! keeps everybody else away, and then the lock is released.

use tracing::{info, warn};

use crate::lock::LockInfo;
use crate::tools::{
    ByHand, End, Host, Locked, Look, Reply, StateKeeper, StateKeeping, ToolError, UnsavedState,
};

/// A lock, and what its holder may have left.
pub(crate) struct Guarded<'a, H, L, F> {
    pub(crate) host: &'a H,
    pub(crate) lock: L,
    pub(crate) keeper: Option<StateKeeper<'a>>,
    /// The state that this holder has left in a file, by the word of the keeper.
    pub(crate) left: F,
}

impl<H, L, F> Locked for Guarded<'_, H, L, F>
where
    H: Host,
    L: Locked,
    F: Fn(StateKeeper<'_>, &LockInfo) -> Option<UnsavedState>,
{
    async fn look(&self) -> Result<Look, ToolError> {
        self.lock.look().await
    }

    async fn release(&self, holder: &LockInfo) -> Result<Reply, ToolError> {
        if let Some((keeper, state)) = self.left_by(holder) {
            // Under the lock of its own run a state is stored without one, which heeds nobody who has
            // taken that lock since it was judged, whatever the release itself compares.
            if let Some(changed) = self.changed(holder, "Before the state was stored").await {
                return Ok(changed);
            }
            info!("{state} It is stored before that lock is released.");
            let state = state.guarded();
            let saved = keeper.save_state(self.host, &state).await;
            // That took time too.
            let changed = self.changed(holder, "While the state was stored").await;
            match saved {
                Ok(()) if changed.is_none() => info!("{}", state.is_stored()),
                Ok(()) => warn!("{}", state.is_perhaps_stored()),
                // It can be stored later, but then others may have come first.
                Err(unstored) => info!("It is not stored yet, because {}.", unstored.reason),
            }
            if let Some(changed) = changed {
                return Ok(changed);
            }
        }
        self.lock.release(holder).await
    }

    fn end(&self) -> End {
        self.lock.end()
    }

    fn release_by_hand(&self, lock: &LockInfo) -> ByHand {
        self.lock.release_by_hand(lock)
    }

    fn unnamed_by_hand(&self) -> ByHand {
        self.lock.unnamed_by_hand()
    }
}

impl<'a, H, L, F> Guarded<'a, H, L, F>
where
    L: Locked,
    F: Fn(StateKeeper<'_>, &LockInfo) -> Option<UnsavedState>,
{
    /// Why the lock is not released, if so: it is not known to be this holder's any more.
    async fn changed(&self, holder: &LockInfo, when: &str) -> Option<Reply> {
        match self.lock.look().await {
            Ok(Look::Held(still)) if still == *holder => None,
            Ok(_) => Some(Reply::Changed(format!("{when}, the lock has changed"))),
            Err(error) if error.may_act_yet() => Some(Reply::Unclear(error)),
            // No release was asked for, so nothing that is gone by now was released by us.
            Err(error) => Some(Reply::Changed(error.to_string())),
        }
    }

    /// A lock as old as the run has kept others away since that run began.
    fn left_by(&self, holder: &LockInfo) -> Option<(StateKeeper<'a>, UnsavedState)> {
        let keeper = self.keeper?;
        let held_since = holder.created?.into();
        let state = (self.left)(keeper, holder)?;
        state.is_left_since(held_since).then_some((keeper, state))
    }
}
