//! AFTER_SCRIPT: runs once after every deploy, however it ended, as Bitbucket's `after-script`.

use std::path::Path;
use std::process::Command;

use tracing::{info, warn};

use crate::story::conclusion::Conclusion;
use crate::story::places::enter;
use crate::story::stage::Stage;

/// Runs `script`, which learns by its environment how the deploy ended. Its own end changes
/// nothing: the deploy is over.
pub(crate) async fn run(
    stage: &impl Stage,
    script: &str,
    directory: &Path,
    report_file: Option<&Path>,
    conclusion: &Conclusion,
) {
    info!("Running AFTER_SCRIPT.");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-ec", script])
        .env("SOFTSTOP_OUTCOME", conclusion.outcome.word())
        .env("SOFTSTOP_EXIT_CODE", conclusion.exit.code().to_string())
        .env("SOFTSTOP_LOCK", conclusion.locks.word())
        .env("SOFTSTOP_LOCK_ID", conclusion.locks.ids());
    // What a variable of the step names may be the report of another run.
    match report_file {
        Some(report_file) => command.env("SOFTSTOP_REPORT_FILE", report_file),
        None => command.env_remove("SOFTSTOP_REPORT_FILE"),
    };
    enter(&mut command, directory);
    match stage.run_cleanup(command).await {
        Ok(status) if status.success() => {}
        Ok(status) => {
            warn!("AFTER_SCRIPT failed: {status}. The exit code stays that of the deploy.");
        }
        Err(error) => warn!("AFTER_SCRIPT could not be run: {error}."),
    }
}
