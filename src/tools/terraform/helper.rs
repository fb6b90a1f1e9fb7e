//! How Terraform is started for questions of our own.

use std::path::Path;
use std::process::Command;

use crate::environment::Environment;

/// A command of Terraform's that no variable of the user's can change: a `-lock-timeout` in
/// TF_CLI_ARGS breaks force-unlock, and TF_DATA_DIR and TF_WORKSPACE would point elsewhere.
pub(super) fn helper_command(binary: &Path, environment: &Environment) -> Command {
    let mut command = Command::new(binary);
    environment.give_to(&mut command);
    for name in environment.names() {
        let text = name.to_string_lossy();
        if text.starts_with("TF_CLI_ARGS") || text.starts_with("TF_LOG") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("TF_DATA_DIR")
        .env_remove("TF_WORKSPACE")
        .env("TF_INPUT", "0")
        .env("TF_IN_AUTOMATION", "1")
        .env("CHECKPOINT_DISABLE", "1");
    command
}
