//! Asks a program for its version.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::essence::Secrets;
use super::helper::helper_command;
use crate::environment::Environment;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// How long Terraform may take to say its version.
const LIMIT_OF_A_VERSION: Duration = Duration::from_secs(10);

/// What `version -json` says.
#[derive(Deserialize)]
struct Version {
    terraform_version: String,
}

/// The version of the program that runs in this directory.
pub(super) async fn version_of(
    host: &impl Host,
    binary: &Path,
    environment: &Environment,
    directory: &Path,
) -> Result<String, ToolError> {
    let mut command = helper_command(binary, environment);
    command.args(["version", "-json"]).current_dir(directory);
    let helped = host.run_helper(command, LIMIT_OF_A_VERSION).await?;
    // A warning about the CLI configuration may stand before the JSON.
    let json = helped.stdout.find('{').map(|begin| &helped.stdout[begin..]);
    json.and_then(|json| serde_json::from_str::<Version>(json).ok())
        .map(|version| version.terraform_version)
        .ok_or_else(|| ToolError::Failed {
            command: format!("{} version -json", binary.display()),
            output: Secrets::of(environment, None).essence(&helped.stderr),
        })
}
