//! A lock whose holder is over and has left a state in a file: the state is stored while the lock still
//! keeps everybody else away, and then the lock is released.

use tracing::info;

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
            info!("{state} It is stored before that lock is released.");
            save(self.host, keeper, &state.guarded()).await;
            // That took time, in which the lock may have changed hands.
            if self.end().is_blind() && self.look().await? != Look::Held(holder.clone()) {
                let said = "While the state was stored, the lock has changed";
                return Ok(Reply::Changed(said.to_owned()));
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
    F: Fn(StateKeeper<'_>, &LockInfo) -> Option<UnsavedState>,
{
    /// A lock as old as the run has kept others away since that run began.
    fn left_by(&self, holder: &LockInfo) -> Option<(StateKeeper<'a>, UnsavedState)> {
        let keeper = self.keeper?;
        let held_since = holder.created?.into();
        let state = (self.left)(keeper, holder)?;
        state.is_left_since(held_since).then_some((keeper, state))
    }
}

/// Tries to store a state under the lock of its own run. Where that fails, it can be stored later, but
/// then others may have come first.
async fn save(host: &impl Host, keeper: StateKeeper<'_>, state: &UnsavedState) {
    match keeper.save_state(host, state).await {
        Ok(()) => info!("{}", state.is_stored()),
        Err(unstored) => info!("It is not stored yet, because {}.", unstored.reason),
    }
}
