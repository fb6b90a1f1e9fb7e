//! Terraform and OpenTofu.

mod arguments;
mod backend;
mod block;
mod configuration;
#[cfg(test)]
mod configuration_properties;
#[cfg(test)]
mod configuration_table;
mod diagnostics;
#[cfg(test)]
mod diagnostics_properties;
mod files;
mod hcl_text;
#[cfg(test)]
mod hcl_text_properties;
mod http_backend;
mod json_text;
mod known_settings;
mod lock_view;
#[cfg(test)]
mod merge_properties;
mod schema;
mod settings;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::gethostname;
use serde::Deserialize;

use super::{DeployLock, DeployTool, Look, ToolError, UnsavedState};
use crate::environment::Environment;
use crate::lock::LockInfo;
use crate::supervisor::{Supervisor, Tools, user_name};
use backend::ReleaseBy;
use configuration::{Configuration, Resolved};
use http_backend::HttpLock;
use lock_view::{LockView, helper_command};

/// How long Terraform may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// How long Terraform may take to push a state.
const PUSH_LIMIT: Duration = Duration::from_secs(60);
/// Where Terraform leaves a state that it could not store. By then it has released the lock, so a
/// deploy that comes first forks the state.
const ERRORED_STATE: &str = "errored.tfstate";

/// What to deploy, and with which Terraform.
#[derive(Clone, Debug)]
pub(crate) struct Terraform {
    /// The program, as it is found.
    pub(crate) binary: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) backend_config: Vec<String>,
    pub(crate) workspace: Option<String>,
}

/// The lock of one Terraform state.
pub(crate) enum TerraformLock {
    /// Asked about through Terraform.
    View(LockView),
    /// Asked about through requests of our own.
    Http(HttpLock),
    /// The backend is set up to take no lock.
    None,
}

#[derive(Deserialize)]
struct Version {
    terraform_version: String,
}

impl Terraform {
    fn configuration(&self) -> Configuration {
        let data_directory = env::var_os("TF_DATA_DIR").filter(|value| !value.is_empty());
        Configuration {
            directory: self.directory.clone(),
            data_directory: self
                .directory
                .join(data_directory.unwrap_or_else(|| ".terraform".into())),
            backend_config: self.backend_config.clone(),
            environment: Environment::own(),
            is_tofu: self
                .binary
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains("tofu")),
        }
    }

    /// The workspace whose state the deploy uses.
    fn workspace(&self) -> String {
        let selected = self.configuration().data_directory.join("environment");
        let candidates = [
            self.workspace.clone(),
            env::var("TF_WORKSPACE").ok(),
            fs::read_to_string(selected).ok(),
        ];
        candidates
            .into_iter()
            .flatten()
            .map(|name| name.trim().to_owned())
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned())
    }
}

impl DeployTool for Terraform {
    type Lock = TerraformLock;

    fn programs(&self) -> Tools {
        let real = fs::canonicalize(&self.binary).unwrap_or_else(|_| self.binary.clone());
        let named = real
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let names = ["terraform".to_owned(), "tofu".to_owned()];
        Tools::new(
            names.into_iter().chain(named).collect(),
            &["terraform-provider-", "terraform-provisioner-"],
        )
    }

    fn signature(&self) -> String {
        let host = gethostname().unwrap_or_default();
        format!("{}@{}", user_name(), host.to_string_lossy())
    }

    async fn version(&self, supervisor: &Supervisor) -> Result<String, ToolError> {
        let mut command = helper_command(&self.binary);
        command
            .args(["version", "-json"])
            .current_dir(&self.directory);
        let helped = supervisor.run_helper(command, VERSION_LIMIT).await?;
        // A warning about the CLI configuration may stand before the JSON.
        let json = helped.stdout.find('{').map(|begin| &helped.stdout[begin..]);
        json.and_then(|json| serde_json::from_str::<Version>(json).ok())
            .map(|version| version.terraform_version)
            .ok_or_else(|| ToolError::Failed {
                command: "terraform version -json".to_owned(),
                output: diagnostics::essence(&helped.stderr),
            })
    }

    fn has_work(&self) -> bool {
        // A directory that cannot be read is told about when it is asked for its backend.
        self.configuration()
            .files()
            .map_or(true, |files| !files.is_empty())
    }

    fn keeps_state_here(&self) -> bool {
        matches!(self.configuration().has_backend_block(), Ok(false))
    }

    /// Initialises, then applies.
    ///
    /// `init` runs without TF_WORKSPACE, because it fails where that workspace does not exist
    /// yet; `apply` creates it.
    fn default_command(&self, lock_timeout: Duration) -> Command {
        const SCRIPT: &str = r#"TF_WORKSPACE= "$0" init -input=false "$@"
exec "$0" apply -input=false -auto-approve -lock-timeout="$LOCK_TIMEOUT""#;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-ec", SCRIPT])
            .arg(&self.binary)
            .args(
                self.backend_config
                    .iter()
                    .map(|given| format!("-backend-config={given}")),
            )
            .env("LOCK_TIMEOUT", format!("{}ms", lock_timeout.as_millis()));
        command
    }

    fn unsaved_state(&self) -> Option<UnsavedState> {
        UnsavedState::at(self.directory.join(ERRORED_STATE))
    }

    /// Terraform itself refuses where the stored state is newer or another one.
    async fn save_state(
        &self,
        supervisor: &Supervisor,
        state: &UnsavedState,
    ) -> Result<(), ToolError> {
        let mut command = helper_command(&self.binary);
        command
            .args(["state", "push", "-no-color", "-lock-timeout=0s"])
            .arg(&state.path)
            .env("TF_DATA_DIR", self.configuration().data_directory)
            .env("TF_WORKSPACE", self.workspace())
            .current_dir(&self.directory);
        let helped = supervisor.run_helper(command, PUSH_LIMIT).await?;
        if helped.status.success() {
            Ok(())
        } else {
            Err(ToolError::NotStored {
                command: self.save_by_hand(state),
                output: diagnostics::essence(&helped.stderr),
            })
        }
    }

    fn save_by_hand(&self, state: &UnsavedState) -> String {
        format!(
            "terraform state push {}",
            quoted(&state.path.to_string_lossy())
        )
    }

    async fn find_lock(&self, supervisor: &Supervisor) -> Result<TerraformLock, ToolError> {
        let resolved = self.configuration().resolve()?;
        for note in &resolved.notes {
            tracing::warn!("{note}");
        }
        let backend = resolved.backend;
        if backend.strategy()?.release == ReleaseBy::Request {
            return Ok(HttpLock::open(backend, self.signature())?
                .map_or(TerraformLock::None, TerraformLock::Http));
        }
        LockView::open(
            supervisor,
            &self.binary,
            &self.directory,
            backend,
            self.workspace(),
        )
        .await
        .map(TerraformLock::View)
    }

    fn is_current(&self, lock: &TerraformLock) -> bool {
        let Ok(Resolved { backend, .. }) = self.configuration().resolve() else {
            return false;
        };
        match lock {
            TerraformLock::View(view) => {
                view.backend == backend && view.workspace == self.workspace()
            }
            TerraformLock::Http(http) => http.backend == backend,
            TerraformLock::None => false,
        }
    }
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
            Self::View(_) | Self::None => format!("terraform force-unlock {}", quoted(&lock.id)),
        }
    }
}

/// Finds `program` the way a shell does.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let runnable = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return path::absolute(program).ok().filter(runnable);
    }
    env::split_paths(&env::var_os("PATH")?)
        .filter_map(|place| path::absolute(place.join(program)).ok())
        .find(runnable)
}

/// A word as a shell takes it, whatever is in it: what a backend says must not become a command.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@:".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backend_says_cannot_become_a_command() {
        assert_eq!(quoted("0b1c-2d3e"), "0b1c-2d3e");
        assert_eq!(quoted("x; rm -rf /"), "'x; rm -rf /'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
