//! The lock of one Terraform state, however it is asked about.

use super::diagnostics;
use super::http_backend::{self, HttpLock};
use super::lock_view::LockView;
use crate::lock::LockInfo;
use crate::supervisor::Supervisor;
use crate::tools::{DeployLock, Look, ToolError};

/// The lock of one Terraform state.
pub(crate) enum TerraformLock {
    /// Asked about through Terraform.
    View(LockView),
    /// Asked about through requests of our own.
    Http(HttpLock),
    /// The backend is set up to take no lock.
    None,
}

impl DeployLock for TerraformLock {
    async fn look(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        match self {
            Self::View(view) => view.look(supervisor).await,
            Self::Http(http) => http.look(supervisor).await,
            Self::None => Ok(Look::NeverLocked),
        }
    }

    async fn release(&self, supervisor: &Supervisor, lock: &LockInfo) -> Result<(), ToolError> {
        match self {
            Self::View(view) => view.release(supervisor, lock).await,
            Self::Http(http) => http.release(supervisor, lock).await,
            Self::None => Ok(()),
        }
    }

    fn release_compares(&self) -> bool {
        match self {
            Self::View(view) => view.release_compares(),
            // The server decides.
            Self::Http(_) | Self::None => false,
        }
    }

    fn is_of_a_look(lock: &LockInfo) -> bool {
        [diagnostics::LOOK_OPERATION, http_backend::LOOK_OPERATION]
            .contains(&lock.operation.as_str())
    }

    fn dies_with_its_process(&self) -> bool {
        match self {
            Self::View(view) => view.dies_with_its_process(),
            Self::Http(_) | Self::None => false,
        }
    }

    fn release_by_hand(&self, lock: &LockInfo) -> String {
        match self {
            Self::Http(http) => http.release_by_hand(lock),
            Self::View(view) => view.release_by_hand(lock),
            Self::None => String::new(),
        }
    }
}
