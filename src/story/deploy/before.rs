//! The lock before anything runs, and how much time it takes to ask about it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Story;
use crate::lock::LockInfo;
use crate::recovery::{Finding, Patience, Recovery, recover_with_patience};
use crate::tools::{DeployLock, DeployTool, ToolError};

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

/// The lock as it was before the deploy.
pub(super) struct Before {
    pub(super) cost: Cost,
    /// Why the deploy cannot begin, where the lock is held and stays held.
    pub(super) locked: Option<Recovery>,
    /// Why it cannot begin, where a look may yet take away the lock of the deploy.
    pub(super) unsafe_to_begin: Option<ToolError>,
    /// Why nothing is known of the lock, as it was told.
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

impl<T: DeployTool> Story<'_, T> {
    /// Looks at the lock before anything runs, releases it where its holder is over, and waits for
    /// it where its holder is not. Learns how long a look takes here.
    pub(super) async fn free_before(&self) -> Before {
        let mut before = Before {
            cost: Cost {
                opening: Duration::ZERO,
                question: UNKNOWN_LOOK,
            },
            locked: None,
            unsafe_to_begin: None,
            told: None,
        };
        if T::takes_no_lock(&self.deploy.command) {
            debug!("The command takes no lock, so none was looked at.");
            return before;
        }
        if !self.tool.has_work() {
            info!("There is no configuration here, and so no lock to look after.");
            return before;
        }
        if self.deploy.command.is_empty() && self.tool.keeps_state_here() {
            warn!(
                "The configuration has no backend block: state and lock are kept beside it, and in \
                 a pipeline they are gone with the step."
            );
        }
        match self.look_before(&mut before.cost).await {
            Ok(Recovery::Untouched(Finding::Free)) => {}
            Ok(recovery @ Recovery::Untouched(Finding::NeverLocked)) => warn!("{recovery}"),
            Ok(recovery @ Recovery::Released(..)) => info!("{recovery}"),
            Ok(recovery) => before.locked = Some(recovery),
            Err(error @ (ToolError::NotGivenBack { .. } | ToolError::CutShort(_))) => {
                before.unsafe_to_begin = Some(error);
            }
            // The deploy makes it, or uses another one.
            Err(ToolError::NoState(reason)) => debug!("No lock was looked at: {reason}."),
            Err(error @ (ToolError::Unknown { .. } | ToolError::Incomplete { .. })) => {
                debug!("No lock was looked at, because the deploy may say which one: {error}.");
            }
            Err(error) => {
                warn!("The lock cannot be looked after yet: {}", error.sentence());
                before.told = Some(error.to_string());
            }
        }
        before
    }

    async fn look_before(&self, cost: &mut Cost) -> Result<Recovery, ToolError> {
        let began = Instant::now();
        let lock = self.tool.find_lock(self.supervisor).await?;
        cost.opening = began.elapsed() * 2;
        let began = Instant::now();
        let look = lock.look(self.supervisor).await?;
        cost.question = (began.elapsed() * 2).max(SHORTEST_QUESTION);
        let judge =
            async |holder: &LockInfo| self.inquiry.judge(self.supervisor, self.tool, holder).await;
        let patience = Patience {
            time: self.deploy.lock_timeout,
            also_in_doubt: true,
        };
        recover_with_patience(look, self.supervisor, &lock, &judge, patience).await
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
