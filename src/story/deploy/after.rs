//! The locks after the deploy: each place that it has used is looked at by itself.

use futures_util::{StreamExt, stream};
use tracing::{debug, info, warn};

use super::Story;
use crate::inquiry::Finished;
use crate::lock::LockInfo;
use crate::recovery::guarded::Guarded;
use crate::recovery::{Recovery, recover};
use crate::story::conclusion::{LockState, Locks};
use crate::story::locks::{each_lock, state_of, unknown, unknown_as_before};
use crate::story::stage::Stage;
use crate::story::used::Used;
use crate::tools::{Locking, Processes, StateKeeper, StateKeeping, Tool, ToolError};

/// How many places are looked at side by side.
const SIDE_BY_SIDE: usize = 4;

impl<S: Stage> Story<'_, S> {
    /// Looks at the lock of every place that the deploy has used, and releases what it has left behind.
    ///
    /// Also after a deploy that ended well: in `terraform apply | tee log` nobody tells that
    /// Terraform was killed.
    pub(super) async fn free_after(
        &self,
        places: &[&Tool],
        used: &Used,
        finished: &Finished<'_>,
        told: Option<&str>,
    ) -> Locks {
        let is_plain = places.len() < 2
            && places
                .iter()
                .all(|place| place.directory() == self.tool.directory());
        let found: Vec<Vec<LockState>> = stream::iter(places)
            .map(|place| self.free_place(place, used, finished, is_plain, told))
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        // Where this run's lock was, there was the state that it used, and one lock is of one state.
        let is_own = |state: &LockState| matches!(state, LockState::Released(_));
        let released = places.iter().zip(&found);
        let released = released.filter(|(_, states)| states.iter().any(is_own));
        let mut released: Vec<&Tool> = released.map(|(place, _)| *place).collect();
        let mut locks = found.concat();
        for unclear in &used.unclear {
            let perhaps = unclear.perhaps.as_ref();
            let of = |perhaps: &Tool| released.iter().position(|one| one.is_same_place(perhaps));
            if let Some(index) = perhaps.and_then(of) {
                released.swap_remove(index);
                continue;
            }
            warn!("Which state was used is not known: {}.", unclear.reason);
            locks.push(LockState::Unknown);
        }
        // What needs no state may stand beside what runs in a container.
        let is_seen_through = self.deploy.runs.takes_no_lock(self.tool);
        if !used.is_any && !is_seen_through && self.is_spoken_of() {
            locks.extend(self.free_unseen(used, finished).await);
        }
        Locks(locks)
    }

    /// Whether the command speaks of the tool, or a file in the directory or below it.
    fn is_spoken_of(&self) -> bool {
        self.deploy.runs.is_the_tools()
            || self.tool.is_named_in(&self.deploy.runs.words())
            || self.tool.has_work_below()
    }

    /// What can be said where no tool was seen: it may have run in a container, and used any state.
    async fn free_unseen(&self, used: &Used, finished: &Finished<'_>) -> Vec<LockState> {
        let known = if self.tool.has_work() {
            self.recover_place(self.tool, used, finished).await
        } else {
            Vec::new()
        };
        let mut states = Vec::new();
        for recovery in known.into_iter().flatten() {
            let words = recovery.to_string();
            match state_of(recovery) {
                Some(state @ (LockState::Held(_) | LockState::Stuck(_))) => {
                    warn!("{words}");
                    states.push(state);
                }
                Some(state @ LockState::Released(_)) => {
                    info!("{words}");
                    states.push(state);
                }
                _ => {}
            }
        }
        if states.is_empty() {
            warn!(
                "No {} was seen to use a state, so which state was used is not known, nor whether its lock is \
                 free. Where it runs in a container, run softstop in there.",
                self.tool.tool_name()
            );
            states.push(LockState::Unknown);
        }
        states
    }

    /// Nothing where there is no lock to look after.
    pub(super) async fn free_place(
        &self,
        place: &Tool,
        used: &Used,
        finished: &Finished<'_>,
        is_plain: bool,
        told: Option<&str>,
    ) -> Vec<LockState> {
        let name = if is_plain {
            String::new()
        } else {
            format!("{}: ", place.place_name())
        };
        let recovered = self.recover_place(place, used, finished).await;
        let state = |recovered| match recovered {
            Ok(recovery) => {
                match &recovery {
                    Recovery::Released(..) => info!("{name}{recovery}"),
                    recovery if recovery.is_free() => debug!("{name}{recovery}"),
                    recovery => warn!("{name}{recovery}"),
                }
                state_of(recovery)
            }
            Err(ToolError::NoState(_)) if used.has_removed(place) => None,
            Err(error) => {
                if told == Some(error.to_string().as_str()) {
                    warn!("{name}{}", unknown_as_before());
                } else {
                    warn!("{name}{}", unknown(&error));
                }
                Some(LockState::Unknown)
            }
        };
        recovered.into_iter().filter_map(state).collect()
    }

    async fn recover_place(
        &self,
        place: &Tool,
        used: &Used,
        finished: &Finished<'_>,
    ) -> Vec<Result<Recovery, ToolError>> {
        let judge =
            async |holder: &LockInfo| self.inquiry.judge_finished(place, holder, finished).await;
        each_lock(self.stage, place, async |lock| {
            let lock = Guarded {
                host: self.stage,
                lock,
                keeper: place.state_keeper(),
                // Whose lock it is, the judge knows.
                left: |keeper: StateKeeper<'_>, _: &LockInfo| {
                    let left = keeper.unsaved_state(None)?;
                    Some(left.of_several(used.shares_directory(place)))
                },
            };
            recover(&lock, &judge).await
        })
        .await
    }
}
