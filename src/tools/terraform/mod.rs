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
mod encryption;
mod evaluated;
mod files;
mod hcl_text;
#[cfg(test)]
mod hcl_text_properties;
#[cfg(test)]
mod hcl_text_table;
mod http_backend;
mod initialise;
mod json_text;
mod known_settings;
mod lock_view;
#[cfg(test)]
mod merge_properties;
mod plan_file;
mod program;
mod schema;
mod settings;
mod shadow;
mod sighting;
mod static_part;

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::gethostname;
use serde::Deserialize;
use tracing::warn;

use super::{DeployLock, DeployTool, Look, Prepared, Sighting, ToolError, UnsavedState};
use crate::environment::Environment;
use crate::lock::LockInfo;
use crate::supervisor::{SeenTool, Supervisor, Tools, user_name};
use backend::{Backend, ReleaseBy};
use configuration::{Configuration, Origin, Resolved};
use http_backend::HttpLock;
use lock_view::LockView;
pub(crate) use program::Program;
use program::is_opentofu;

/// How long Terraform may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// How long Terraform may take to push a state.
const PUSH_LIMIT: Duration = Duration::from_secs(60);
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

    /// The name of the program, as a person calls it.
    fn program(&self) -> String {
        let name = self.binary.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// A command as a person types it in the checkout: it enters the directory, initialises where that
    /// was not done, and chooses the workspace.
    fn by_hand(&self, command: &str) -> String {
        let program = quoted(&self.program());
        let here = env::current_dir().unwrap_or_default();
        let directory = self
            .directory
            .strip_prefix(&here)
            .unwrap_or(&self.directory);
        let enter = if directory.as_os_str().is_empty() {
            String::new()
        } else {
            // A name that begins with a dash would be an option.
            let directory = directory.to_string_lossy();
            let dash = if directory.starts_with('-') { "./" } else { "" };
            format!("cd {} && ", quoted(&format!("{dash}{directory}")))
        };
        let mut init = vec![format!("{program} init -input=false")];
        init.extend(
            self.backend_config
                .iter()
                .map(|given| quoted_setting(given)),
        );
        let init = init.join(" ");
        let workspace = quoted(&self.workspace());
        format!("({enter}{init} && TF_WORKSPACE={workspace} {program} {command})")
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

/// A setting as an option of `init`. What may be a secret is asked for when the command is pasted.
fn quoted_setting(given: &str) -> String {
    const PLAIN: [&str; 12] = [
        "address",
        "bucket",
        "container_name",
        "dynamodb_table",
        "key",
        "lock_address",
        "path",
        "prefix",
        "region",
        "schema_name",
        "unlock_address",
        "use_lockfile",
    ];
    match given.split_once('=') {
        Some((name, _)) if !PLAIN.contains(&name.trim()) || given.contains('@') => {
            let name = name.trim();
            let words = quoted(&format!("{name}: "));
            let option = quoted(&format!("-backend-config={name}="));
            format!(
                "{option}\"$(printf %s {words} >/dev/tty; read -r value </dev/tty; printf %s \"$value\")\""
            )
        }
        _ => quoted(&format!("-backend-config={given}")),
    }
}

impl DeployTool for Terraform {
    type Lock = TerraformLock;

    fn sight(seen: &SeenTool) -> Sighting<Self> {
        sighting::sight(seen)
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
                command: format!("{} version -json", self.program()),
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
    fn default_command(&self, lock_timeout: Duration) -> Result<Prepared, ToolError> {
        const SCRIPT: &str = r#"TF_WORKSPACE= "$0" init -input=false "$@"
exec "$0" apply -input=false -auto-approve -lock-timeout="$LOCK_TIMEOUT""#;
        let directory = || tempfile::Builder::new().prefix("softstop-").tempdir();
        let needs_files = self.backend_config.iter().any(|given| given.contains('='));
        let files = needs_files
            .then(directory)
            .transpose()
            .map_err(ToolError::Scratch)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-ec", SCRIPT]).arg(&self.binary);
        for (index, given) in self.backend_config.iter().enumerate() {
            let file = match given.split_once('=').zip(files.as_ref()) {
                Some(((name, value), files)) => {
                    let file = files.path().join(format!("{index}.hcl"));
                    write_setting(&file, name.trim(), value).map_err(ToolError::Scratch)?;
                    file.to_string_lossy().into_owned()
                }
                None => given.clone(),
            };
            command.arg(format!("-backend-config={file}"));
        }
        command.env("LOCK_TIMEOUT", format!("{}ms", lock_timeout.as_millis()));
        Ok(Prepared { command, files })
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
        let mut command = helper_command(&self.binary, &self.environment);
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
        let file = state.path.strip_prefix(&self.directory);
        let file = file.unwrap_or(&state.path).to_string_lossy();
        self.by_hand(&format!("state push {}", quoted(&file)))
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
            Self::View(view) => view.release_by_hand(lock),
            Self::None => String::new(),
        }
    }
}

/// A command of Terraform's that no variable of the user's can change: a `-lock-timeout` in
/// TF_CLI_ARGS breaks force-unlock, and TF_DATA_DIR and TF_WORKSPACE would point elsewhere.
fn helper_command(binary: &Path, environment: &Environment) -> Command {
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

/// Writes a setting where only we can read it: a command line can be seen by everybody.
///
/// The value stands on a line of its own, because Terraform quotes the line of a name that it does
/// not know.
fn write_setting(file: &Path, name: &str, value: &str) -> std::io::Result<()> {
    let value = if value.starts_with(['{', '[']) {
        value.to_owned()
    } else {
        let escaped: String = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace("${", "$${")
            .replace("%{", "%%{");
        format!("\"{escaped}\"")
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(file)?
        .write_all(format!("{name} = (\n{value}\n)\n").as_bytes())
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
