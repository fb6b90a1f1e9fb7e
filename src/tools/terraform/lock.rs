//! The lock of one Terraform state, however it is asked about.

use super::http_backend::HttpLock;
use super::lock_view::LockView;
use crate::lock::LockInfo;
use crate::tools::error::ToolError;
use crate::tools::host::Host;
use crate::tools::locking::{ByHand, End, Locked, Look, Reply};

/// The lock of one Terraform state.
pub(crate) enum TerraformLock<'a, H> {
    /// Asked about through Terraform.
    View(LockView<'a, H>),
    /// Asked about through requests of our own.
    Http(HttpLock<'a, H>),
}

impl<H: Host> Locked for TerraformLock<'_, H> {
    async fn look(&self) -> Result<Look, ToolError> {
        match self {
            Self::View(view) => view.look().await,
            Self::Http(http) => http.look().await,
        }
    }

    async fn release(&self, lock: &LockInfo) -> Result<Reply, ToolError> {
        match self {
            Self::View(view) => view.release(lock).await,
            Self::Http(http) => http.release(lock).await,
        }
    }

    fn end(&self) -> End {
        match self {
            Self::View(view) => view.end(),
            Self::Http(http) => http.end(),
        }
    }

    fn release_by_hand(&self, lock: &LockInfo) -> ByHand {
        match self {
            Self::View(view) => view.release_by_hand(lock),
            Self::Http(http) => http.release_by_hand(lock),
        }
    }

    fn unnamed_by_hand(&self) -> ByHand {
        match self {
            Self::View(view) => view.unnamed_by_hand(),
            Self::Http(http) => http.unnamed_by_hand(),
        }
    }
}
