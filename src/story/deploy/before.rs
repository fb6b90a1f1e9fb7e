//! The locks before anything runs, and how much time it takes to ask about it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Story;
use crate::exit_code::Exit;
use crate::lock::LockInfo;
use crate::recovery::{Finding, Patience, Recovery, recover_with_patience};
use crate::story::conclusion::{LockState, Locks};
use crate::story::locks::{exit_of_held, state_of};
use crate::story::stage::Stage;
use crate::tools::{Locked, Locking, Processes, ToolError};

/// How much of the grace period ending the tree may take.
const TO_END_THE_TREE: Duration = Duration::from_millis(700);
/// How much of the grace period the after-script is given when all else is late.
const FOR_THE_AFTER_SCRIPT: Duration = Duration::from_secs(1);
/// How long a look is expected to take on a backend that has not been asked yet.
const UNKNOWN_LOOK: Duration = Duration::from_millis(500);
/// The least that is expected of a question, because some start a Terraform in any case. Machine
/// and backend may be slower at the end than at the beginning, so twice the first look is reserved.
const SHORTEST_QUESTION: Duration = Duration::from_millis(250);
/// How many questions a release takes at the most: look, version, look, release, look.
const QUESTIONS: u32 = 5;

/// The locks as they were before the deploy.
pub(super) struct Before {
    pub(super) cost: Cost,
    pub(super) locks: Locks,
    /// Why the deploy cannot begin: a lock is held and stays held, or a look may yet take away that of
    /// the deploy.
    pub(super) obstacle: Option<(Exit, String)>,
    /// Why nothing is known of the locks, as it was told.
    pub(super) told: Option<String>,
}

/// How long it takes to ask about the lock, twice what was measured.
pub(super) struct Cost {
    /// To get ready for it.
    opening: Duration,
    question: Duration,
}

/// How much of the grace period is kept for what comes after the deploy.
#[derive(Clone, Copy)]
pub(super) struct Reserve {
    /// For all of it.
    pub(super) whole: Duration,
    /// For what comes last.
    pub(super) last: Duration,
}

impl<S: Stage> Story<'_, S> {
    /// Looks at the locks before anything runs, releases those whose holder is over, and waits for
    /// those whose holder is not. Learns how long a look takes here.
    pub(super) async fn free_before(&self) -> Before {
        let mut before = Before {
            cost: Cost {
                opening: Duration::ZERO,
                question: UNKNOWN_LOOK,
            },
            locks: Locks::default(),
            obstacle: None,
            told: None,
        };
        if self.tool.takes_no_lock(&self.deploy.command) {
            debug!("The command takes no lock, so none was looked at.");
            return before;
        }
        if !self.tool.has_work() {
            info!("There is no configuration here, and so no lock to look after.");
            return before;
        }
        if self.deploy.command.is_empty()
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
        let began = Instant::now();
        let locks = self.tool.find_locks(self.stage).await?;
        before.cost.opening = began.elapsed() * 2;
        if locks.is_empty() {
            warn!("{}", Finding::NeverLocked);
        }
        let began = Instant::now();
        let mut looks = Vec::new();
        for lock in &locks {
            looks.push(lock.look().await?);
        }
        before.cost.question = (began.elapsed() * 2).max(SHORTEST_QUESTION);
        let judge = async |holder: &LockInfo| self.inquiry.judge(self.tool, holder).await;
        let patience = Patience {
            until: Instant::now() + self.deploy.lock_timeout,
            also_in_doubt: true,
        };
        for (lock, look) in locks.iter().zip(looks) {
            let recovery = recover_with_patience(self.stage, lock, look, &judge, patience).await?;
            before.locks.0.extend(state_of(recovery.clone()));
            match recovery {
                Recovery::Untouched(Finding::Free) => {}
                Recovery::Released(..) => info!("{recovery}"),
                locked => {
                    before.obstacle = Some((exit_of_held(&locked), format!(". {locked}")));
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn reserve(&self, cost: &Cost) -> Reserve {
        let last = if self.deploy.after_script.is_some() {
            FOR_THE_AFTER_SCRIPT
        } else {
            Duration::ZERO
        };
        Reserve {
            whole: TO_END_THE_TREE + cost.opening + cost.question * QUESTIONS + last,
            last,
        }
    }
}

impl Before {
    /// Takes in why the locks could not be looked at.
    fn take_in(&mut self, error: ToolError) {
        match error {
            error if error.may_act_yet() => {
                let why = format!(", because {}", error.sentence());
                self.obstacle = Some((Exit::Unanswered, why));
            }
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
