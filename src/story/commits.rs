//! The commits on which an earlier deploy may have left a journal.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tracing::debug;

use crate::story::places::enter;
use crate::tools::Host;

/// How many are asked. Bitbucket's clone has as many by default, and one that has fewer gives fewer.
const MOST: &str = "--max-count=50";
/// How long git may take.
const LIMIT_OF_GIT: Duration = Duration::from_secs(1);

/// The last ones of the clone, the newest first; none where git cannot tell.
pub(super) async fn recent_commits<H: Host>(host: &H, directory: &Path) -> Vec<String> {
    let mut command = Command::new("git");
    command.args(["rev-list", MOST, "HEAD"]);
    enter(&mut command, directory);
    match host.run_helper(command, LIMIT_OF_GIT).await {
        Ok(helped) if helped.status.success() => helped.stdout.lines().map(str::to_owned).collect(),
        Ok(helped) => {
            debug!("The last commits are not known: {}.", helped.stderr.trim());
            Vec::new()
        }
        Err(error) => {
            debug!("The last commits are not known: {error}.");
            Vec::new()
        }
    }
}
