//! Terraform and OpenTofu.

mod access;
mod arguments;
mod backend;
mod backend_config;
mod backends;
mod block;
mod by_hand;
mod call;
mod chosen;
mod configuration;
#[cfg(test)]
mod configuration_properties;
#[cfg(test)]
mod configuration_table;
mod constraint;
mod decrypted;
mod default_command;
mod diagnostics;
#[cfg(test)]
mod diagnostics_properties;
mod document;
mod encryption;
mod evaluated;
mod expired;
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
mod left;
mod lock;
mod lock_view;
mod looks;
#[cfg(test)]
mod merge_properties;
mod operations;
mod plan_file;
mod program;
mod published;
mod schema;
mod settings;
mod shadow;
mod sighting;
mod stand_in;
mod state_file;
mod static_part;
mod strategy;
mod unsaved;
mod version;
mod wishes;
mod written;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::gethostname;
use tracing::warn;

use super::access::Barred;
use super::{
    Host, Job, Locking, Prepared, Processes, Purpose, Sighting, Signing, StateKeeping, ToolError,
    UnsavedState, Unstored, Wanted,
};
use crate::environment::Environment;
use crate::identity::user_name;
use crate::lock::LockInfo;
use crate::supervisor::{Programs, SeenTool};
use arguments::values_by;
use backend::Backend;
use backend_config::check_files;
use backends::ALL;
pub(super) use by_hand::quoted;
pub(crate) use chosen::Chosen;
use configuration::{Configuration, Origin, Resolved};
use helper::helper_command;
use http_backend::HttpLock;
pub(crate) use lock::TerraformLock;
use lock_view::LockView;
use program::is_opentofu;
pub(crate) use program::{Program, say_installed};
pub(crate) use stand_in::stand_in;
use strategy::Strategy;
use version::version_of;

/// Where Terraform leaves a state that it could not store. By then it has released the lock, so a
/// deploy that comes first forks the state.
const ERRORED_STATE: &str = "errored.tfstate";
/// How the variables begin that give values to those of a configuration.
const VARIABLES: &str = "TF_VAR_";

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
    /// The `-var` and `-var-file` with which it was seen.
    seen_values: Option<Vec<String>>,
    /// The backend that it was seen to use.
    backend: Option<Backend>,
}
impl Terraform {
    /// A place that is named, and not seen; or why nothing can be done there.
    pub(crate) fn named(wanted: Wanted<'_>) -> Result<Self, String> {
        let directory = wanted.directory;
        check_files(&wanted.backend_config, &directory)?;
        let program = Program::of(wanted.program.as_deref(), &directory);
        let program = match wanted.chosen {
            Some(chosen) => chosen.choose(&program),
            None => program,
        };
        let mut terraform = Self {
            binary: program.path(),
            directory,
            backend_config: wanted.backend_config,
            workspace: wanted.workspace,
            environment: Environment::own(),
            is_seen: false,
            seen_values: None,
            backend: None,
        };
        let has_work = terraform.has_work();
        if !program.is_found() && (has_work || wanted.needs_work) {
            return Err(program.to_string());
        }
        if !has_work && wanted.needs_work {
            return Err(format!(
                "WORKING_DIR is \"{}\": there is no configuration of Terraform or OpenTofu in it",
                terraform.directory.display()
            ));
        }
        if let Some(plan) = &wanted.plan {
            terraform.mean(plan)?;
        }
        Ok(terraform)
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
        let mut place = self.clone();
        if !self.is_seen && resolved.origin == (Origin::Completed { names_host: true }) {
            let credentials = ALL.map(|known| known.credentials).concat();
            place.environment = self.environment.without(&credentials);
        }
        place
    }

    /// The `-var` and `-var-file` that count here.
    fn values(&self) -> Result<Vec<String>, ToolError> {
        match &self.seen_values {
            Some(seen) => Ok(seen.clone()),
            None => values_by(&self.environment),
        }
    }

    /// The directory, or the nearest one above it where a deploy has removed it since: version managers
    /// go by where they are started.
    fn existing_directory(&self) -> &Path {
        let mut levels = self.directory.ancestors();
        levels
            .find(|level| level.is_dir())
            .unwrap_or(&self.directory)
    }

    /// The variables that lead to another state, or to another account, where the settings are the same.
    fn leading_variables(&self) -> Vec<(&OsStr, &OsStr)> {
        let of_backends = ALL.iter().flat_map(|known| known.leading);
        let names: Vec<&str> = of_backends.copied().chain([VARIABLES]).collect();
        self.environment.beginning_with(&names)
    }

    /// Lets what `command` starts use the workspace that is named.
    fn choose_workspace(&self, command: &mut Command) {
        if let Some(workspace) = &self.workspace {
            command.env("TF_WORKSPACE", workspace);
        }
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

impl Processes for Terraform {
    fn tool_name(&self) -> &'static str {
        "Terraform or OpenTofu"
    }

    fn programs(&self) -> Programs {
        let real = fs::canonicalize(&self.binary).unwrap_or_else(|_| self.binary.clone());
        let named = real
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let names = ["terraform".to_owned(), "tofu".to_owned()];
        Programs::new(
            names.into_iter().chain(named).collect(),
            &["terraform-provider-", "terraform-provisioner-"],
        )
        .that_say("to exit or data loss may occur")
    }

    fn operations_of_a_deploy(&self) -> &'static [&'static str] {
        operations::OF_A_DEPLOY
    }

    fn sight(&self, seen: &SeenTool) -> Sighting<Self> {
        sighting::sight(seen)
    }

    fn purpose(&self, seen: &SeenTool) -> Purpose {
        sighting::purpose(seen)
    }

    fn takes_no_lock(&self, words: &[String]) -> bool {
        sighting::takes_no_lock(words)
    }

    fn is_named_in(&self, words: &[String]) -> bool {
        const NAMES: [&str; 4] = ["terraform", "tofu", "terragrunt", "cdktf"];
        let is_word = |text: &str, name: &str| {
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| word == name)
        };
        words
            .iter()
            .any(|text| NAMES.iter().any(|name| is_word(text, name)))
    }

    async fn introduce(&self, host: &impl Host) {
        if self.has_work() {
            self.say_version(host).await;
        }
    }

    fn default_command(&self, job: &Job, lock_timeout: Duration) -> Result<Prepared, ToolError> {
        let mut prepared =
            default_command::default_command(&self.binary, &self.backend_config, job)
                .map_err(ToolError::Scratch)?;
        let lock_timeout = format!("{}ms", lock_timeout.as_millis());
        prepared.command.env("LOCK_TIMEOUT", lock_timeout);
        self.choose_workspace(&mut prepared.command);
        Ok(prepared)
    }

    fn own_command(&self, mut command: Command) -> Result<Prepared, ToolError> {
        self.choose_workspace(&mut command);
        stand_in::lay_out(self, command).map_err(ToolError::Scratch)
    }
}

impl Signing for Terraform {
    fn signature(&self) -> String {
        let host = gethostname().unwrap_or_default();
        format!("{}@{}", user_name(), host.to_string_lossy())
    }

    async fn version(&self, host: &impl Host) -> Result<String, ToolError> {
        version_of(
            host,
            &self.binary,
            &self.environment,
            self.existing_directory(),
        )
        .await
    }
}

impl Locking for Terraform {
    type Lock<'a, H: Host + 'a> = TerraformLock<'a, H>;

    fn directory(&self) -> &Path {
        &self.directory
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

    fn is_same_place(&self, other: &Self) -> bool {
        self.workspace() == other.workspace()
            && self.leading_variables() == other.leading_variables()
            && match (self.resolved(), other.resolved()) {
                (Ok(one), Ok(another)) => one.backend == another.backend,
                _ => self.directory == other.directory,
            }
    }

    fn has_work(&self) -> bool {
        // A directory that cannot be read is told about when it is asked for its backend.
        self.configuration()
            .files()
            .map_or(true, |files| !files.is_empty())
    }

    fn caveat(&self) -> Option<&'static str> {
        let keeps_state_here = matches!(self.configuration().has_backend_block(), Ok(false));
        keeps_state_here.then_some(
            "The configuration has no backend block: state and lock are kept beside it, and in a \
             pipeline they are gone with the step.",
        )
    }

    fn barred(&self) -> Vec<Barred> {
        access::barred(self)
    }

    async fn find_locks<'a, H: Host>(
        &'a self,
        host: &'a H,
    ) -> Result<Vec<TerraformLock<'a, H>>, ToolError> {
        let resolved = match self.resolved() {
            // OpenTofu takes variables in a backend block.
            Err(ToolError::NoLiteral { .. }) if is_opentofu(&self.binary) => {
                evaluated::resolve(host, self).await?
            }
            resolved => resolved?,
        };
        for note in &resolved.notes {
            warn!("{note}");
        }
        let place = self.without_credentials_for(&resolved);
        let backend = resolved.backend;
        let lock = match backend.strategy()? {
            Strategy::ByRequests => {
                HttpLock::open(host, &backend, self.signature(), &place.environment)?
                    .map(TerraformLock::Http)
            }
            Strategy::ByTerraform(strategy) => {
                let workspace = self.workspace();
                let view = LockView::open(host, &place, backend, strategy, workspace).await?;
                view.takes_locks().then_some(TerraformLock::View(view))
            }
        };
        Ok(lock.into_iter().collect())
    }
}

impl StateKeeping for Terraform {
    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState> {
        let tried_once = state_file::tried_once(undisturbed);
        UnsavedState::at(self.directory.join(ERRORED_STATE), tried_once)
    }

    async fn save_state(&self, host: &impl Host, state: &UnsavedState) -> Result<(), Unstored> {
        self.store(host, state).await
    }

    fn note_unsaved(&self, state: &UnsavedState) -> io::Result<()> {
        self.note(state)
    }

    fn unsaved_state_of(&self, holder: &LockInfo) -> Option<UnsavedState> {
        self.left_by(holder)
    }

    fn operations_of_a_save(&self) -> &'static [&'static str] {
        operations::OF_A_STATE_PUSH
    }

    fn save_by_hand(&self, state: &UnsavedState) -> String {
        self.advice(state)
    }
}
