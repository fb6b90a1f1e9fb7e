//! The locks before anything runs, and how much time it takes to ask about it.

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Story;
use crate::exit_code::Exit;
use crate::lock::{Holder, Life, LockInfo, Owner, Verdict};
use crate::recovery::{Finding, Patience, Recovery, recover_with_patience};
use crate::story::conclusion::{LockState, Locks};
use crate::story::journal::Untold;
use crate::story::locks::{exit_of_held, state_of};
use crate::story::stage::Stage;
use crate::supervisor::Cost;
use crate::tools::{Locked, Locking, Look, Processes, ToolError};

/// How many locks are released one after the other, each taken since the last one was released.
const MOST_RELEASES: u32 = 5;

/// The locks as they were before the deploy.
pub(super) struct Before {
    pub(super) cost: Cost,
    pub(super) locks: Locks,
    /// Whether the state was found that is meant.
    pub(super) has_found_state: bool,
    /// Why the deploy cannot begin: a lock is held and stays held, or a look may yet take away that of
    /// the deploy.
    pub(super) obstacle: Option<(Exit, String)>,
    /// Why nothing is known of the locks, as it was told.
    pub(super) told: Option<String>,
    /// The locks of holders that were over.
    pub(super) released: Vec<LockInfo>,
}

impl<S: Stage> Story<'_, S> {
    /// Looks at the locks before anything runs, releases those whose holder is over, and waits for
    /// those whose holder is not. Learns how long a look takes here.
    pub(super) async fn free_before(&self) -> Before {
        let mut before = Before {
            cost: Cost::default(),
            locks: Locks::default(),
            has_found_state: false,
            obstacle: None,
            told: None,
            released: Vec::new(),
        };
        if self.deploy.runs.takes_no_lock(self.tool) {
            debug!("The command takes no lock, so none was looked at.");
            return before;
        }
        if !self.tool.has_work() {
            info!("There is no configuration here, and so no lock to look after.");
            return before;
        }
        if self.deploy.runs.is_the_tools()
            && let Some(caveat) = self.tool.caveat()
        {
            warn!("{caveat}");
        }
        if let Err(error) = self.look_before(&mut before).await {
            before.locks.0.push(LockState::Unknown);
            before.take_in(error);
        }
        before
    }

    async fn look_before(&self, before: &mut Before) -> Result<(), ToolError> {
        debug!("Looking at the lock: {}.", self.tool.description());
        let began = Instant::now();
        let locks = self.tool.find_locks(self.stage).await?;
        before.cost.learn_opening(began.elapsed());
        if locks.is_empty() {
            warn!("{}", Finding::NeverLocked);
        }
        let began = Instant::now();
        let mut looks = Vec::new();
        for lock in &locks {
            looks.push(lock.look().await?);
        }
        before.cost.learn_question(began.elapsed());
        // No lock is looked at of a state that is not there.
        before.has_found_state = !looks.is_empty();
        let judge = async |holder: &LockInfo| self.inquiry.judge(self.tool, holder).await;
        let leaves = self.tool.leaves(&self.deploy.runs.words());
        let patience = Patience {
            place: None,
            until: if leaves {
                Instant::now()
            } else {
                Instant::now() + self.deploy.lock_timeout
            },
            also_in_doubt: true,
        };
        for (lock, look) in locks.iter().zip(looks) {
            let released = &mut before.released;
            let recovery = self.free(lock, look, &judge, patience, released).await?;
            before.locks.0.extend(state_of(recovery.clone()));
            match recovery {
                Recovery::Untouched(Finding::Free) | Recovery::Released(..) => {}
                locked if leaves => {
                    warn!("{locked}");
                    info!("The command chooses another place itself, so it runs all the same.");
                }
                locked => {
                    warn!("{locked}");
                    let why = ". The lock is held, and stays held.".to_owned();
                    before.obstacle = Some((exit_of_held(&locked), why));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Releases a lock whose holder is over, and waits in the same time for whoever takes it then: a
    /// deploy that has waited for it may be first.
    async fn free(
        &self,
        lock: &impl Locked,
        mut look: Look,
        judge: &impl AsyncFn(&LockInfo) -> Result<Verdict, ToolError>,
        patience: Patience<'_>,
        released: &mut Vec<LockInfo>,
    ) -> Result<Recovery, ToolError> {
        for _ in 0..MOST_RELEASES {
            let recovery = recover_with_patience(self.stage, lock, look, judge, patience).await?;
            let Recovery::Released(gone, _) = &recovery else {
                return Ok(recovery);
            };
            info!("{recovery}");
            released.push(gone.clone());
            look = match lock.look().await {
                Ok(Look::Free) => return Ok(recovery),
                Ok(held) => held,
                Err(error) if error.may_act_yet() => return Err(error),
                Err(error) => {
                    debug!("Whether somebody has taken the lock since is not known: {error}.");
                    return Ok(recovery);
                }
            };
        }
        Ok(Finding::Alive(None, Life::ChangesHands).into())
    }
}

impl Before {
    /// Whose locks were released.
    pub(super) fn holders(&self) -> impl Iterator<Item = Owner> {
        let holders = self.released.iter().filter_map(Holder::of);
        holders.map(|holder| holder.owner)
    }

    /// What follows for whoever has not told of an end.
    pub(super) fn untold(&self) -> Untold {
        let locks = &self.locks.0;
        if !locks.is_empty() && locks.iter().all(LockState::is_free) {
            Untold::OverUnlessBeside
        } else {
            Untold::PerhapsAlive
        }
    }

    /// Takes in why the locks could not be looked at.
    fn take_in(&mut self, error: ToolError) {
        match error {
            error if error.may_act_yet() => {
                let why = format!(", because {}", error.sentence());
                self.obstacle = Some((Exit::Unanswered, why));
            }
            ToolError::InVain => debug!("No lock was looked at: {error}."),
            // The deploy makes it, or uses another one.
            ToolError::NoState(reason) => debug!("No lock was looked at: {reason}."),
            error @ (ToolError::Unknown { .. } | ToolError::Incomplete { .. }) => {
                debug!("No lock was looked at, because the deploy may say which one: {error}.");
            }
            error => {
                warn!("The lock cannot be looked after yet: {}", error.sentence());
                self.told = Some(error.to_string());
            }
        }
    }
}
