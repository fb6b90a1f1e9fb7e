//! Terraform and OpenTofu.

mod arguments;
mod backend;
mod backend_config;
mod block;
mod by_hand;
mod configuration;
#[cfg(test)]
mod configuration_properties;
#[cfg(test)]
mod configuration_table;
mod diagnostics;
#[cfg(test)]
mod diagnostics_properties;
mod document;
mod encryption;
mod evaluated;
mod files;
mod hcl_text;
#[cfg(test)]
mod hcl_text_properties;
#[cfg(test)]
mod hcl_text_table;
mod helper;
mod http_backend;
mod initialise;
mod json_text;
mod known_settings;
mod lock;
mod lock_view;
#[cfg(test)]
mod merge_properties;
mod plan_file;
mod program;
mod progress;
mod schema;
mod settings;
mod shadow;
mod sighting;
mod stand_in;
mod state_file;
mod static_part;
mod stored;
mod unsaved;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::gethostname;
use serde::Deserialize;
use tracing::warn;

use super::progress::Stored;
use super::{DeployTool, Prepared, Purpose, Sighting, ToolError, UnsavedState, Unstored};
use crate::environment::Environment;
use crate::supervisor::{SeenTool, Supervisor, Tools, user_name};
use backend::{Backend, ReleaseBy};
use configuration::{Configuration, Origin, Resolved};
use helper::helper_command;
use http_backend::HttpLock;
pub(crate) use lock::TerraformLock;
use lock_view::LockView;
pub(crate) use program::Program;
use program::is_opentofu;
use progress::{MARKERS, Progress};
pub(crate) use stand_in::stand_in;

/// How long Terraform may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// Where Terraform leaves a state that it could not store. By then it has released the lock, so a
/// deploy that comes first forks the state.
const ERRORED_STATE: &str = "errored.tfstate";

/// A place: what decides which state is used, and the Terraform that uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terraform {
    /// The program, as it is found.
    pub(crate) binary: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) backend_config: Vec<String>,
    pub(crate) workspace: Option<String>,
    /// The variables with which Terraform is started there: our own, or those of one that was seen.
    pub(crate) environment: Environment,
    /// Whether a Terraform was seen to run there.
    is_seen: bool,
    /// The backend that it was seen to use.
    backend: Option<Backend>,
}

#[derive(Deserialize)]
struct Version {
    terraform_version: String,
}

/// Variables that lead to another state, or to another account, where the settings are the same.
const LEADING: [&str; 12] = [
    "ALICLOUD_",
    "ARM_",
    "AWS_",
    "CONSUL_",
    "GOOGLE_",
    "KUBE",
    "OCI_",
    "PG",
    "STORAGE_EMULATOR_HOST",
    "TENCENTCLOUD_",
    "TF_HTTP_",
    "TF_VAR_",
];

impl Terraform {
    /// A place that is named, and not seen.
    pub(crate) fn named(
        binary: PathBuf,
        directory: PathBuf,
        backend_config: Vec<String>,
        workspace: Option<String>,
    ) -> Self {
        Self {
            binary,
            directory,
            backend_config,
            workspace,
            environment: Environment::own(),
            is_seen: false,
            backend: None,
        }
    }

    fn configuration(&self) -> Configuration {
        let data_directory = self.environment.get("TF_DATA_DIR");
        Configuration {
            directory: self.directory.clone(),
            data_directory: self
                .directory
                .join(data_directory.unwrap_or_else(|| ".terraform".as_ref())),
            backend_config: self.backend_config.clone(),
            environment: self.environment.clone(),
            is_tofu: is_opentofu(&self.binary),
        }
    }

    /// The backend that was seen in use, or else the one that is named.
    fn resolved(&self) -> Result<Resolved, ToolError> {
        if let Some(backend) = &self.backend {
            return Ok(Resolved::named(backend.clone()));
        }
        let configuration = self.configuration();
        if self.is_seen {
            if let Some(backend) = configuration.initialised()? {
                return Ok(Resolved::named(backend));
            }
            return configuration.resolve_used();
        }
        configuration.resolve()
    }

    /// A host that only `.terraform` names gets the credentials that `.terraform` has, and none of our
    /// own: somebody else may have written it. A Terraform that was seen has used them already.
    fn without_credentials_for(&self, resolved: &Resolved) -> Self {
        const CREDENTIALS: [&str; 12] = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "CONSUL_HTTP_AUTH",
            "CONSUL_HTTP_TOKEN",
            "KUBE_PASSWORD",
            "KUBE_TOKEN",
            "PGPASSWORD",
            "PGUSER",
            "TF_HTTP_CLIENT_PRIVATE_KEY_PEM",
            "TF_HTTP_PASSWORD",
            "TF_HTTP_USERNAME",
        ];
        let mut place = self.clone();
        if !self.is_seen && resolved.origin == (Origin::Completed { names_host: true }) {
            place.environment = self.environment.without(&CREDENTIALS);
        }
        place
    }

    /// The directory, or the nearest one above it where a deploy has removed it since: version managers
    /// go by where they are started.
    fn existing_directory(&self) -> &Path {
        let mut levels = self.directory.ancestors();
        levels
            .find(|level| level.is_dir())
            .unwrap_or(&self.directory)
    }

    /// The workspace whose state the deploy uses.
    fn workspace(&self) -> String {
        self.workspace
            .clone()
            .unwrap_or_else(|| selected_workspace(self))
    }
}

/// The workspace that the variables and the directory of a place say.
fn selected_workspace(place: &Terraform) -> String {
    let selected = place.configuration().data_directory.join("environment");
    let candidates = [
        place.environment.text("TF_WORKSPACE"),
        fs::read_to_string(selected).ok(),
    ];
    candidates
        .into_iter()
        .flatten()
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

impl DeployTool for Terraform {
    type Lock = TerraformLock;
    type Reader = Progress;

    const MARKERS: &'static [&'static str] = &MARKERS;

    fn sight(seen: &SeenTool) -> Sighting<Self> {
        sighting::sight(seen)
    }

    fn purpose(seen: &SeenTool) -> Purpose {
        sighting::purpose(seen)
    }

    fn takes_no_lock(words: &[String]) -> bool {
        sighting::takes_no_lock(words)
    }

    fn is_named_in(words: &[String]) -> bool {
        const NAMES: [&str; 4] = ["terraform", "tofu", "terragrunt", "cdktf"];
        let is_word = |text: &str, name: &str| {
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| word == name)
        };
        words
            .iter()
            .any(|text| NAMES.iter().any(|name| is_word(text, name)))
    }

    fn is_same_place(&self, other: &Self) -> bool {
        let leading = self.environment.beginning_with(&LEADING);
        self.workspace() == other.workspace()
            && leading == other.environment.beginning_with(&LEADING)
            && match (self.resolved(), other.resolved()) {
                (Ok(one), Ok(another)) => one.backend == another.backend,
                _ => self.directory == other.directory,
            }
    }

    fn place_name(&self) -> String {
        let here = env::current_dir().unwrap_or_default();
        let directory = self
            .directory
            .strip_prefix(&here)
            .unwrap_or(&self.directory);
        let directory = match directory.to_string_lossy() {
            name if name.is_empty() => ".".to_owned(),
            name => name.into_owned(),
        };
        match self.workspace().as_str() {
            "default" => directory,
            workspace => format!("{directory} (workspace {workspace})"),
        }
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

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
        .that_say("to exit or data loss may occur")
    }

    fn signature(&self) -> String {
        let host = gethostname().unwrap_or_default();
        format!("{}@{}", user_name(), host.to_string_lossy())
    }

    async fn version(&self, supervisor: &Supervisor) -> Result<String, ToolError> {
        let mut command = helper_command(&self.binary, &self.environment);
        command
            .args(["version", "-json"])
            .current_dir(self.existing_directory());
        let helped = supervisor.run_helper(command, VERSION_LIMIT).await?;
        // A warning about the CLI configuration may stand before the JSON.
        let json = helped.stdout.find('{').map(|begin| &helped.stdout[begin..]);
        json.and_then(|json| serde_json::from_str::<Version>(json).ok())
            .map(|version| version.terraform_version)
            .ok_or_else(|| ToolError::Failed {
                command: format!("{} version -json", by_hand::program(self)),
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

    fn default_command(&self, lock_timeout: Duration) -> Result<Prepared, ToolError> {
        let mut prepared = backend_config::default_command(&self.binary, &self.backend_config)
            .map_err(ToolError::Scratch)?;
        let lock_timeout = format!("{}ms", lock_timeout.as_millis());
        prepared.command.env("LOCK_TIMEOUT", lock_timeout);
        Ok(prepared)
    }

    fn own_command(&self, command: Command) -> Result<Prepared, ToolError> {
        stand_in::lay_out(self, command).map_err(ToolError::Scratch)
    }

    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState> {
        UnsavedState::at(self.directory.join(ERRORED_STATE), undisturbed)
    }

    async fn save_state(
        &self,
        supervisor: &Supervisor,
        state: &UnsavedState,
    ) -> Result<(), Unstored> {
        self.store(supervisor, state).await
    }

    fn save_by_hand(&self, state: &UnsavedState) -> String {
        self.advice(state)
    }

    async fn stored(&self, supervisor: &Supervisor) -> Result<Stored, ToolError> {
        stored::read(&self.pull_text(supervisor).await?)
    }

    fn import_by_hand(&self, address: &str, id: &str) -> String {
        let (address, id) = (by_hand::quoted(address), by_hand::quoted(id));
        by_hand::in_place(self, &format!("import {address} {id}"))
    }

    async fn find_lock(&self, supervisor: &Supervisor) -> Result<TerraformLock, ToolError> {
        let resolved = match self.resolved() {
            // OpenTofu takes variables in a backend block.
            Err(ToolError::NoLiteral { .. }) if !self.is_seen && is_opentofu(&self.binary) => {
                evaluated::resolve(supervisor, self).await?
            }
            resolved => resolved?,
        };
        for note in &resolved.notes {
            warn!("{note}");
        }
        let place = self.without_credentials_for(&resolved);
        let backend = resolved.backend;
        if backend.strategy()?.release == ReleaseBy::Request {
            return Ok(
                HttpLock::open(&backend, self.signature(), &place.environment)?
                    .map_or(TerraformLock::None, TerraformLock::Http),
            );
        }
        LockView::open(supervisor, &place, backend, self.workspace())
            .await
            .map(TerraformLock::View)
    }
}
