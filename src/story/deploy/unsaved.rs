//! A state that the deploy could not store.

use std::io;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tracing::{info, warn};

use super::Story;
use crate::exit_code::Outcome;
use crate::inquiry::Finished;
use crate::story::conclusion::{Conclusion, LockState, Locks};
use crate::story::remains::Ended;
use crate::story::stage::Stage;
use crate::story::used::Used;
use crate::supervisor::{Ending, HelperError, Phase, Reserve};
use crate::tools::{StateKeeper, StateKeeping, Tool, ToolError, UnsavedState, Unstored};

/// A place, and what keeps the state there.
type KeptState<'a> = (&'a Tool, StateKeeper<'a>);

impl<S: Stage> Story<'_, S> {
    /// Stores what the deploy could not store in any of the places that it has used. It has begun then,
    /// and has run so long where nobody disturbed it.
    pub(super) async fn save_each(
        &self,
        used: &[&Tool],
        (began, undisturbed): (SystemTime, Option<Duration>),
        mut locks: Locks,
        reserve: Reserve,
    ) -> Locks {
        for places in self.working_places(used) {
            let unsaved = places
                .first()
                .and_then(|(_, keeper)| keeper.unsaved_state(undisturbed));
            if let Some(state) = unsaved.filter(|state| state.is_left_since(began)) {
                let state = state.of_several(places.len() > 1);
                locks = self.save(&places, &state, locks, reserve).await;
            }
        }
        locks
    }

    /// How a deploy has ended that began then. In `terraform apply | tee log` nobody tells that Terraform
    /// was killed, or could not store its state.
    pub(super) fn ended(
        &self,
        ending: &io::Result<Ending>,
        conclusion: &Conclusion,
        used: &[&Tool],
        began: SystemTime,
    ) -> Ended {
        let lived = !ending.as_ref().is_ok_and(|ending| ending.tool_was_killed);
        let state_is_kept = lived && self.has_stored(conclusion, used, began);
        Ended {
            is_success: conclusion.outcome == Outcome::Succeeded
                && state_is_kept
                && conclusion.locks.are_quiet(),
            state_is_kept,
        }
    }

    /// Whether the tools have come to store what they knew, in a deploy that began then and has ended
    /// so. That one was killed in a script is told by no more than a code, or the lock that it has left.
    fn has_stored(&self, conclusion: &Conclusion, used: &[&Tool], began: SystemTime) -> bool {
        // One that names somebody else, he has taken since.
        let is_left = |lock: &LockState| {
            matches!(
                lock,
                LockState::Released(_) | LockState::Stuck(_) | LockState::Held(None)
            )
        };
        let places = self.working_places(used).into_iter().flatten();
        let mut unsaved = places.filter_map(|(_, keeper)| keeper.unsaved_state(None));
        conclusion.outcome != Outcome::Killed
            && !conclusion.locks.0.iter().any(is_left)
            && !unsaved.any(|state| state.is_left_since(began))
    }

    /// Stores a state that the deploy could not store, unless somebody has built upon the old one. It
    /// is of one of these places, all in one directory.
    ///
    /// Terraform gives up the lock by itself when it has failed, so others may have come first.
    async fn save(
        &self,
        places: &[KeptState<'_>],
        state: &UnsavedState,
        mut locks: Locks,
        reserve: Reserve,
    ) -> Locks {
        let [(_, keeper), ..] = places else {
            return locks;
        };
        info!("{state}");
        if !locks.0.iter().all(LockState::is_free) {
            warn!("It is not stored now, because {locks}.");
            let advice = keeper.save_by_hand(self.stage, state).await;
            keep(*keeper, state, &advice);
            return locks;
        }
        let started = Timestamp::now();
        self.stage.enter(Phase::Store(reserve));
        let saved = self.save_in_one_of(places, state).await;
        self.stage.enter(Phase::LookAgain(reserve));
        let Err(((place, keeper), Unstored { reason, advice })) = saved else {
            info!("{}", state.is_stored());
            return locks;
        };
        warn!("It is not stored now, because {reason}.");
        keep(keeper, state, &advice);
        let finished = Finished {
            started,
            ended: Timestamp::now(),
            tree_gone: self.stage.kill_tree().await,
            tool_was_killed: matches!(
                reason,
                ToolError::Helper(HelperError::TimedOut { .. } | HelperError::Killed { .. })
            ),
            operations: keeper.operations_of_a_save(),
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
        places: &[KeptState<'b>],
        state: &UnsavedState,
    ) -> Result<(), (KeptState<'b>, Unstored)> {
        let mut refused = Ok(());
        for (place, keeper) in places {
            match keeper.save_state(self.stage, state).await {
                Ok(()) => return Ok(()),
                Err(unstored) => refused = Err(((*place, *keeper), unstored)),
            }
        }
        refused
    }
}

/// Tells a person what to do with a state that could not be stored, and a later release whose it is.
fn keep(keeper: StateKeeper<'_>, state: &UnsavedState, advice: &str) {
    warn!("{}", state.to_keep(advice));
    if let Err(error) = keeper.note_unsaved(state) {
        warn!("Whose it is could not be noted beside it, so no `release` stores it: {error}.");
    }
}
