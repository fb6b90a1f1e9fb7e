//! How a tool signs its locks.

use super::error::ToolError;
use super::host::Host;

/// How a tool signs its locks.
pub(crate) trait Signing {
    /// The `user@host` that they carry.
    fn signature(&self) -> String;

    /// The version that they carry.
    async fn version(&self, host: &impl Host) -> Result<String, ToolError>;
}
