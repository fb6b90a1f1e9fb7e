//! A state that the deploy could not store.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tracing::{info, warn};

use super::Story;
use super::before::Reserve;
use crate::inquiry::Finished;
use crate::lock::OF_A_STATE_PUSH;
use crate::story::conclusion::{LockState, Locks};
use crate::story::stage::Stage;
use crate::story::used::Used;
use crate::supervisor::HelperError;
use crate::tools::{StateKeeping, Tool, ToolError, UnsavedState, Unstored};

impl<S: Stage> Story<'_, S> {
    /// Stores the state that the deploy has left in a file at this place, unless somebody has built upon
    /// the old one. It began at `started`, and has run so long undisturbed.
    ///
    /// Terraform gives up the lock by itself when it has failed, so others may have come first.
    pub(super) async fn save(
        &self,
        place: &Tool,
        undisturbed: Option<Duration>,
        started: SystemTime,
        mut locks: Locks,
        reserve: Reserve,
    ) -> Locks {
        let Some(keeper) = place.state_keeper() else {
            return locks;
        };
        let unsaved = keeper.unsaved_state(undisturbed);
        let Some(state) = unsaved.filter(|state| state.is_left_since(started)) else {
            return locks;
        };
        let path = state.path.display();
        info!("The deploy could not store its state and left it in {path}.");
        if !locks.0.iter().all(LockState::is_free) {
            warn!("It is not stored now, because {locks}.");
            keep(&state, &keeper.save_by_hand(&state));
            return locks;
        }
        let started = Timestamp::now();
        // Storing takes the lock; where it hangs, there must be time to free that again.
        self.stage.keep_back(reserve.whole);
        let saved = keeper.save_state(self.stage, &state).await;
        self.stage.keep_back(reserve.last);
        let Err(Unstored { reason, advice }) = saved else {
            info!("The state is stored now. {path} is no longer needed.");
            return locks;
        };
        warn!("It is not stored now, because {reason}.");
        keep(&state, &advice);
        let finished = Finished {
            started,
            ended: Timestamp::now(),
            tree_gone: self.stage.kill_tree().await,
            tool_was_killed: matches!(
                reason,
                ToolError::Helper(HelperError::TimedOut { .. } | HelperError::Killed { .. })
            ),
            operations: OF_A_STATE_PUSH,
        };
        let used = Used::default();
        let left = self.free_place(place, &used, &finished, true, None).await;
        locks.0.retain(|state| *state != LockState::Free);
        locks.0.extend(left);
        locks
    }
}

/// Tells a person what to do with a state that could not be stored.
fn keep(state: &UnsavedState, advice: &str) {
    warn!(
        "Keep {}: it is the only record of what was created. {advice}",
        state.path.display()
    );
}
