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
    /// Stores a state that the deploy could not store, unless somebody has built upon the old one.
    ///
    /// Terraform gives up the lock by itself when it has failed, so others may have come first.
    pub(super) async fn save(
        &self,
        place: &T,
        state: &UnsavedState,
        mut locks: Locks,
        reserve: Reserve,
    ) -> Locks {
        let path = state.path.display();
        info!("The deploy could not store its state and left it in {path}.");
        if !locks.0.iter().all(LockState::is_free) {
            warn!("It is not stored now, because {locks}.");
            keep(state, &place.save_by_hand(state));
            return locks;
        }
        let started = Timestamp::now();
        self.supervisor.enter(Phase::Store(reserve));
        let saved = place.save_state(self.supervisor, state).await;
        self.supervisor.enter(Phase::LookAgain(reserve));
        let Err(Unstored { reason, advice }) = saved else {
            info!("The state is stored now. {path} is no longer needed.");
            return locks;
        };
        warn!("It is not stored now, because {reason}.");
        keep(state, &advice);
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
}

/// Tells a person what to do with a state that could not be stored.
fn keep(state: &UnsavedState, advice: &str) {
    warn!(
        "Keep {}: it is the only record of what was created. {advice}",
        state.path.display()
    );
}
