//! The commits on which an earlier deploy may have left a journal.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join;

use crate::story::places::enter;
use crate::tools::Host;
use crate::tools::clone::repository_around;

/// How many are asked. Bitbucket's clone has as many by default, and one that has fewer gives fewer.
const MOST: &str = "--max-count=50";
/// How long git may take.
const LIMIT_OF_GIT: Duration = Duration::from_secs(1);

/// What git says where there is no clone, which hides what came before as a shallow one does.
const NO_CLONE: &str = "not a git repository";

/// What of a branch is newer than the own commit: somebody may deploy an earlier one again.
const NEWER: [&str; 2] = ["@{upstream}", "^HEAD"];

/// The last ones of the clone, the newest first, or why git does not tell. After them come those of its
/// branch that are newer, where git knows of any.
pub(super) async fn recent_commits<H: Host>(
    host: &H,
    directory: &Path,
) -> Result<Vec<String>, String> {
    let repository = repository_around(directory);
    // Each is large, and what waits for both would have to hold them.
    let ask = |which| Box::pin(listed(host, &repository, which));
    let (commits, newer) = join(ask(&["HEAD"]), ask(&NEWER)).await;
    let mut commits = commits?;
    // A clone of a tag has no branch.
    let mut newer = newer.unwrap_or_default();
    newer.retain(|commit| !commits.contains(commit));
    commits.extend(newer);
    Ok(commits)
}

async fn listed<H: Host>(
    host: &H,
    repository: &Path,
    which: &'static [&'static str],
) -> Result<Vec<String>, String> {
    let mut command = Command::new("git");
    command.args(["rev-list", MOST]).args(which);
    command.env("LC_ALL", "C");
    enter(&mut command, repository);
    let helped = host.run_helper(command, LIMIT_OF_GIT).await;
    let helped = helped.map_err(|error| error.to_string())?;
    if helped.status.success() {
        return Ok(helped.stdout.lines().map(str::to_owned).collect());
    }
    if helped.stderr.contains(NO_CLONE) {
        return Ok(Vec::new());
    }
    // What follows the first line is advice, of several lines.
    let why = helped.stderr.trim().lines().next().unwrap_or("git failed");
    Err(why.to_owned())
}
