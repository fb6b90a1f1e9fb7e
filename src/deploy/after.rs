//! The locks after the deploy: each place that it has used is looked at by itself.

use futures_util::{StreamExt, stream};
use tracing::{debug, info, warn};

use super::Story;
use crate::evidence::{Finished, judge_finished};
use crate::lock::LockInfo;
use crate::lock_state::{LockState, Locks};
use crate::recovery::{Recovery, recover};
use crate::tools::{DeployTool, ToolError};
use crate::used::Used;

/// How many places are looked at side by side.
const SIDE_BY_SIDE: usize = 4;

impl<T: DeployTool> Story<'_, T> {
    /// Looks at the lock of every place that the deploy has used, and releases what it has left behind.
    ///
    /// Also after a deploy that ended well: in `terraform apply | tee log` nobody tells that
    /// Terraform was killed.
    pub(super) async fn free_after(
        &self,
        used: &Used<T>,
        finished: &Finished<'_>,
        told: Option<&str>,
    ) -> Locks {
        let places = used.places();
        let is_plain = places.len() < 2
            && places
                .iter()
                .all(|place| place.directory() == self.tool.directory());
        let mut locks: Vec<LockState> = stream::iter(&places)
            .map(|place| self.free_place(place, used, finished, is_plain, told))
            .buffered(SIDE_BY_SIDE)
            .filter_map(async |state| state)
            .collect()
            .await;
        for reason in &used.unclear {
            warn!("Which state was used is not known: {reason}.");
            locks.push(LockState::Unknown);
        }
        if !used.is_any && self.is_spoken_of() {
            locks.push(self.free_unseen(finished).await);
        }
        Locks(locks)
    }

    /// Whether the command, or the directory, speaks of the tool.
    fn is_spoken_of(&self) -> bool {
        self.deploy.command.is_empty()
            || T::is_named_in(&self.deploy.command)
            || self.tool.has_work()
    }

    /// What can be said where no tool was seen: it may have run in a container, and used any state.
    async fn free_unseen(&self, finished: &Finished<'_>) -> LockState {
        let known = if self.tool.has_work() {
            self.recover_place(self.tool, finished).await
        } else {
            Err(ToolError::NoState(String::new()))
        };
        match known.map(|recovery| (recovery.to_string(), LockState::of(recovery))) {
            Ok((words, Some(state @ LockState::Held(_)))) => {
                warn!("{words}");
                state
            }
            Ok((words, Some(state @ LockState::Released(_)))) => {
                info!("{words}");
                state
            }
            _ => {
                warn!(
                    "No Terraform or OpenTofu was seen to run, so which state was used is not known, nor \
                     whether its lock is free. Where it runs in a container, run softstop in there."
                );
                LockState::Unknown
            }
        }
    }

    /// Nothing where there is no lock to look after.
    pub(super) async fn free_place(
        &self,
        place: &T,
        used: &Used<T>,
        finished: &Finished<'_>,
        is_plain: bool,
        told: Option<&str>,
    ) -> Option<LockState> {
        let name = if is_plain {
            String::new()
        } else {
            format!("{}: ", place.place_name())
        };
        let recovery = self.recover_place(place, finished).await;
        match recovery {
            Ok(recovery) => {
                match &recovery {
                    Recovery::Released(..) => info!("{name}{recovery}"),
                    recovery if recovery.is_free() => debug!("{name}{recovery}"),
                    recovery => warn!("{name}{recovery}"),
                }
                LockState::of(recovery)
            }
            Err(ToolError::NoState(_)) if used.has_removed(place) => None,
            Err(error) => {
                if told == Some(error.to_string().as_str()) {
                    warn!("{name}Whether the lock is free is not known, for the same reason.");
                } else {
                    let why = error.sentence();
                    warn!("{name}Whether the lock is free is not known: {why}");
                }
                Some(LockState::Unknown)
            }
        }
    }

    async fn recover_place(
        &self,
        place: &T,
        finished: &Finished<'_>,
    ) -> Result<Recovery, ToolError> {
        let lock = place.find_lock(self.supervisor).await?;
        let judge = async |holder: &LockInfo| {
            judge_finished(self.supervisor, place, holder, finished).await
        };
        recover(self.supervisor, &lock, &judge).await
    }
}
