//! `init` in a shadow: it sets up the backend there, and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::backend::Backend;
use super::configuration::read_initialised;
use super::essence::Secrets;
use super::expired::failed;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// What is kept of an initialised backend, below the shadow.
pub(super) const INITIALISED: &str = ".terraform/terraform.tfstate";
/// A directory without any provider.
const NO_PROVIDERS: &str = ".terraform.no-providers";

/// Sets up the backend by `command`, which is about the program and the shadow, and says what was
/// kept of it.
///
/// Once it has kept the backend, `init` wants the providers of all resources of the state, which may
/// take longer than anybody has. From a directory without any it learns at once that it cannot have
/// them, and no look needs them.
pub(super) async fn initialise(
    host: &impl Host,
    mut command: Command,
    shadow: &Path,
    limit: Duration,
    secrets: &Secrets,
) -> Result<Backend, ToolError> {
    let providers = shadow.join(NO_PROVIDERS);
    fs::create_dir_all(&providers).map_err(ToolError::Scratch)?;
    command
        .args(["init", "-no-color", "-input=false"])
        .arg(format!("-plugin-dir={}", providers.display()));
    let program = Path::new(command.get_program()).file_name();
    let program = program.unwrap_or_default().to_string_lossy().into_owned();
    let helped = host.run_helper(command, limit).await?;
    let kept = shadow.join(INITIALISED);
    // A program that ends well and keeps nothing has not set up anything.
    if fs::metadata(&kept).is_ok_and(|file| file.len() > 0) {
        return read_initialised(&kept);
    }
    Err(failed(format!("{program} init"), &helped.stderr, secrets))
}
