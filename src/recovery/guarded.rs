//! A lock whose holder is over and has left a state in a file: the state is stored while the lock still
//! keeps everybody else away, and then the lock is released.

use tracing::info;

use crate::lock::LockInfo;
use crate::supervisor::Supervisor;
use crate::tools::{DeployLock, DeployTool, Look, ToolError, UnsavedState};

/// A lock, and what its holder may have left.
pub(crate) struct Guarded<'a, T: DeployTool, F> {
    pub(crate) lock: T::Lock,
    pub(crate) tool: &'a T,
    /// The state that this holder has left in a file.
    pub(crate) left: F,
}

impl<T: DeployTool, F: Fn(&LockInfo) -> Option<UnsavedState>> DeployLock for Guarded<'_, T, F> {
    async fn look(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        self.lock.look(supervisor).await
    }

    async fn release(&self, supervisor: &Supervisor, holder: &LockInfo) -> Result<(), ToolError> {
        // Whose lock is as old as the run has kept others away since that run began.
        let left = (self.left)(holder).filter(|state| {
            let held_since = holder.created.map(Into::into);
            held_since.is_some_and(|moment| state.is_left_since(moment))
        });
        if let Some(state) = left {
            info!("{state} It is stored before that lock is released.");
            save(supervisor, self.tool, &state.guarded()).await;
            // That took time, in which the lock may have changed hands.
            if !self.release_compares()
                && self.look(supervisor).await? != Look::Held(holder.clone())
            {
                return Err(ToolError::NotReleased {
                    command: "Storing the state".to_owned(),
                    output: "the lock has changed meanwhile".to_owned(),
                });
            }
        }
        self.lock.release(supervisor, holder).await
    }

    fn release_compares(&self) -> bool {
        self.lock.release_compares()
    }

    fn is_of_a_look(lock: &LockInfo) -> bool {
        T::Lock::is_of_a_look(lock)
    }

    fn dies_with_its_process(&self) -> bool {
        self.lock.dies_with_its_process()
    }

    fn release_by_hand(&self, lock: &LockInfo) -> String {
        self.lock.release_by_hand(lock)
    }
}

/// Tries to store a state under the lock of its own run. Where that fails, it can be stored later, but
/// then others may have come first.
async fn save<T: DeployTool>(supervisor: &Supervisor, tool: &T, state: &UnsavedState) {
    match tool.save_state(supervisor, state).await {
        Ok(()) => info!("{}", state.is_stored()),
        Err(unstored) => info!("It is not stored yet, because {}.", unstored.reason),
    }
}
