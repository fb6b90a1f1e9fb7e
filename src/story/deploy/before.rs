//! The lock before anything runs, and how much time it takes to ask about it.

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Story;
use crate::lock::LockInfo;
use crate::recovery::{Finding, Patience, Recovery, recover_with_patience};
use crate::supervisor::Cost;
use crate::tools::{DeployLock, DeployTool, ToolError};

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

impl<T: DeployTool> Story<'_, T> {
    /// Looks at the lock before anything runs, releases it where its holder is over, and waits for
    /// it where its holder is not. Learns how long a look takes here.
    pub(super) async fn free_before(&self) -> Before {
        let mut before = Before {
            cost: Cost::default(),
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
        cost.learn_opening(began.elapsed());
        let began = Instant::now();
        let look = lock.look(self.supervisor).await?;
        cost.learn_question(began.elapsed());
        let judge =
            async |holder: &LockInfo| self.inquiry.judge(self.supervisor, self.tool, holder).await;
        let patience = Patience {
            time: self.deploy.lock_timeout,
            also_in_doubt: true,
        };
        recover_with_patience(look, self.supervisor, &lock, &judge, patience).await
    }
}
