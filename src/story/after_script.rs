//! AFTER_SCRIPT: runs once after every deploy, however it ended, as Bitbucket's `after-script`.

use std::path::Path;
use std::process::Command;

use tracing::{info, warn};

use crate::exit_code::{Exit, Outcome};
use crate::story::conclusion::Locks;
use crate::story::places::enter;
use crate::supervisor::Supervisor;

/// Runs `script`, which learns by its environment how the deploy ended. Its own end changes
/// nothing: the deploy is over.
pub(crate) async fn run(
    supervisor: &Supervisor,
    script: &str,
    (directory, report_file): (&Path, Option<&Path>),
    outcome: Outcome,
    exit: Exit,
    locks: &Locks,
) {
    info!("Running AFTER_SCRIPT.");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-ec", script])
        .env("SOFTSTOP_OUTCOME", outcome.word())
        .env("SOFTSTOP_EXIT_CODE", exit.code().to_string())
        .env("SOFTSTOP_LOCK", locks.word())
        .env("SOFTSTOP_LOCK_ID", locks.ids());
    if let Some(report_file) = report_file {
        command.env("SOFTSTOP_REPORT_FILE", report_file);
    }
    enter(&mut command, directory);
    match supervisor.run_cleanup(command).await {
        Ok(status) if status.success() => {}
        Ok(status) => {
            warn!("AFTER_SCRIPT failed: {status}. The exit code stays that of the deploy.");
        }
        Err(error) => warn!("AFTER_SCRIPT could not be run: {error}."),
    }
}
