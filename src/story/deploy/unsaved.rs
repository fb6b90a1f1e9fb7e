//! A state that the deploy could not store.

use jiff::Timestamp;
use tracing::{info, warn};

use super::Story;
use crate::inquiry::Finished;
use crate::story::conclusion::{LockState, Locks};
use crate::story::used::Used;
use crate::supervisor::{HelperError, Phase, Reserve};
use crate::tools::{DeployTool, ToolError, UnsavedState, Unstored};

impl<T: DeployTool> Story<'_, T> {
    /// Stores a state that the deploy could not store, unless somebody has built upon the old one. It
    /// is of one of these places, all in one directory.
    ///
    /// Terraform gives up the lock by itself when it has failed, so others may have come first.
    pub(super) async fn save(
        &self,
        places: &[&T],
        state: &UnsavedState,
        mut locks: Locks,
        reserve: Reserve,
    ) -> Locks {
        let [place, ..] = places else { return locks };
        info!("{state}");
        if !locks.0.iter().all(LockState::is_free) {
            warn!("It is not stored now, because {locks}.");
            keep(*place, state, &place.save_by_hand(state));
            return locks;
        }
        let started = Timestamp::now();
        // Storing takes the lock; where it hangs, there must be time to free that again.
        self.supervisor.enter(Phase::Store(reserve));
        let saved = self.save_in_one_of(places, state).await;
        self.supervisor.enter(Phase::LookAgain(reserve));
        let Err((place, Unstored { reason, advice })) = saved else {
            info!("{}", state.is_stored());
            return locks;
        };
        warn!("It is not stored now, because {reason}.");
        keep(place, state, &advice);
        let finished = Finished {
            started,
            ended: Timestamp::now(),
            tree_gone: self.supervisor.kill_tree().await,
            tool_was_killed: matches!(
                reason,
                ToolError::Helper(HelperError::TimedOut { .. } | HelperError::Killed { .. })
            ),
            operations: T::OF_A_SAVE,
        };
        let used = Used::default();
        let left = self.free_place(place, &used, &finished, true, None).await;
        locks.0.retain(|state| *state != LockState::Free);
        locks.0.extend(left);
        locks
    }

    /// Stores it in the first of these places that takes it, or says of the last one why not.
    async fn save_in_one_of<'b>(
        &self,
        places: &[&'b T],
        state: &UnsavedState,
    ) -> Result<(), (&'b T, Unstored)> {
        let mut refused = Ok(());
        for place in places {
            match place.save_state(self.supervisor, state).await {
                Ok(()) => return Ok(()),
                Err(unstored) => refused = Err((*place, unstored)),
            }
        }
        refused
    }
}

/// Tells a person what to do with a state that could not be stored, and a later release whose it is.
fn keep<T: DeployTool>(place: &T, state: &UnsavedState, advice: &str) {
    warn!("{}", state.to_keep(advice));
    if let Err(error) = place.note_unsaved(state) {
        warn!("Whose it is could not be noted beside it, so no `release` stores it: {error}.");
    }
}
