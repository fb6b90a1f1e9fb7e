//! Asks about a lock in a scratch directory that holds nothing but the backend block, so that no
//! provider, no module, no variable and no credential beyond the lock's own is needed.

use std::cell::Cell;
use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::backend::{Backend, LookBy, ReleaseBy, Strategy};
use super::configuration::read_initialised;
use super::diagnostics::{LOOK_OPERATION, essence, is_own_look, lock_info};
use crate::lock::LockInfo;
use crate::supervisor::{Helped, Supervisor};
use crate::tools::{Look, ToolError};

/// How long one question may take. A dead S3 endpoint costs Terraform 9 s of retries.
const LIMIT: Duration = Duration::from_secs(20);
/// How many percent of what is in use may be garbage before Go collects it. Terraform makes most of
/// its garbage while it starts; to collect that costs a fifth of its time and saves no memory.
const GARBAGE: &str = "400";
/// An address that no state holds, for a look by `untaint`.
const NO_RESOURCE: &str = "softstop_look.none";

/// What Terraform keeps of an initialised backend, below the scratch directory.
const INITIALISED: &str = ".terraform/terraform.tfstate";

/// A scratch directory for one backend and one workspace.
pub(crate) struct LockView {
    binary: PathBuf,
    /// Where the deploy runs.
    directory: PathBuf,
    scratch: TempDir,
    /// The backend, as Terraform understood it where `init` was run at once.
    pub(super) backend: Backend,
    /// Whether Terraform has initialised the scratch directory, or has answered in it.
    is_accepted: Cell<bool>,
    strategy: Strategy,
    pub(super) workspace: String,
    workspace_exists: Cell<bool>,
}

impl LockView {
    /// Makes a scratch directory in which Terraform can be asked.
    pub(super) async fn open(
        supervisor: &Supervisor,
        binary: &Path,
        directory: &Path,
        backend: Backend,
        workspace: String,
    ) -> Result<Self, ToolError> {
        let scratch = tempfile::Builder::new()
            .prefix("softstop-")
            .tempdir()
            .map_err(ToolError::Scratch)?;
        fs::write(scratch.path().join("main.tf.json"), document(&backend))
            .map_err(ToolError::Scratch)?;
        let mut view = Self {
            binary: binary.to_owned(),
            directory: directory.to_owned(),
            scratch,
            strategy: backend.strategy()?,
            backend,
            is_accepted: Cell::new(false),
            workspace_exists: Cell::new(workspace == "default"),
            workspace,
        };
        // A block without a lock may be one that lacks its settings, which only `init` refuses.
        let is_plain = view.strategy.is_flat && view.backend.locks();
        if is_plain && view.workspace_exists.get() {
            view.write_initialised().map_err(ToolError::Scratch)?;
        } else {
            view.initialise(supervisor).await?;
            view.backend = read_initialised(&view.scratch.path().join(INITIALISED))?;
        }
        Ok(view)
    }

    /// Writes down what `init` would keep, which saves one start of Terraform.
    ///
    /// Terraform takes it where it equals the backend block, setting by setting, whatever the hash.
    fn write_initialised(&self) -> io::Result<()> {
        let kept = json!({
            "version": 3,
            "backend": {"type": self.backend.kind, "config": self.backend.settings, "hash": 0},
        });
        fs::create_dir(self.scratch.path().join(".terraform"))?;
        fs::write(self.scratch.path().join(INITIALISED), kept.to_string())
    }

    async fn initialise(&self, supervisor: &Supervisor) -> Result<(), ToolError> {
        // What we have written ourselves would be a backend to migrate from.
        match fs::remove_dir_all(self.scratch.path().join(".terraform")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ToolError::Scratch(error));
            }
            _ => {}
        }
        // Without TF_WORKSPACE: initialising with one that does not exist creates it.
        let command = self.command(&["init", "-no-color", "-input=false"]);
        self.succeed(supervisor, command).await?;
        self.is_accepted.set(true);
        Ok(())
    }

    pub(super) async fn look(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        if !self.backend.locks() {
            return Ok(Look::NeverLocked);
        }
        if !self.has_state(supervisor).await? {
            return Ok(Look::Free);
        }
        let look = self.look_by_strategy(supervisor).await;
        match &look {
            // It may be the directory that Terraform does not like.
            Err(ToolError::Failed { .. }) if !self.is_accepted.get() => {
                self.initialise(supervisor).await?;
                return self.look_by_strategy(supervisor).await;
            }
            Ok(_) => self.is_accepted.set(true),
            Err(_) => {}
        }
        look
    }

    async fn look_by_strategy(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        match self.strategy.look {
            LookBy::WrongId => self.look_by_wrong_id(supervisor).await,
            LookBy::Untaint | LookBy::Request => self.look_by_untaint(supervisor).await,
        }
    }

    pub(super) async fn release(
        &self,
        supervisor: &Supervisor,
        lock: &LockInfo,
    ) -> Result<(), ToolError> {
        let unlock = self.state_command(&["force-unlock", "-no-color", "-force", &lock.id]);
        let helped = supervisor.run_helper(unlock, LIMIT).await?;
        if helped.status.success() {
            return Ok(());
        }
        let command = format!("terraform force-unlock {}", lock.id);
        let output = essence(&helped.stderr);
        let mut half_texts = self.strategy.half_texts.iter();
        Err(if half_texts.any(|text| helped.stderr.contains(text)) {
            ToolError::ReleasedInPart { command, output }
        } else {
            ToolError::NotReleased { command, output }
        })
    }

    pub(super) fn release_compares(&self) -> bool {
        self.strategy.compares_ids
    }

    pub(super) fn dies_with_its_process(&self) -> bool {
        self.strategy.release == ReleaseBy::Death
    }

    /// Whether there is a state that could be locked. Asking about the lock of one that is not
    /// there would create it.
    async fn has_state(&self, supervisor: &Supervisor) -> Result<bool, ToolError> {
        if self.backend.kind == "local" {
            return Ok(self.local_state().exists());
        }
        if !self.workspace_exists.get() {
            let command = self.command(&["workspace", "list", "-no-color"]);
            let listed = self.succeed(supervisor, command).await?;
            let mut names = listed.stdout.lines();
            let exists =
                names.any(|line| line.trim_start_matches(['*', ' ']).trim_end() == self.workspace);
            self.workspace_exists.set(exists);
        }
        Ok(self.workspace_exists.get())
    }

    fn local_state(&self) -> PathBuf {
        let setting = |name| PathBuf::from(self.backend.text(name).unwrap_or_default());
        if self.workspace == "default" {
            setting("path")
        } else {
            setting("workspace_dir")
                .join(&self.workspace)
                .join("terraform.tfstate")
        }
    }

    async fn look_by_wrong_id(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        let command = self.state_command(&["force-unlock", "-no-color", "-force", "0"]);
        let helped = supervisor.run_helper(command, LIMIT).await?;
        let free_texts = self.strategy.free_texts;
        if let Some(lock) = lock_info(&helped.stderr) {
            Ok(Look::Held(lock))
        } else if !free_texts.is_empty()
            && free_texts.iter().all(|text| helped.stderr.contains(text))
        {
            Ok(Look::Free)
        } else if self.is_accepted.get() {
            self.look_by_untaint(supervisor).await
        } else {
            Err(failed("force-unlock", &helped))
        }
    }

    async fn look_by_untaint(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        let command = self.state_command(&[
            LOOK_OPERATION,
            "-no-color",
            "-allow-missing",
            "-lock-timeout=0s",
            NO_RESOURCE,
        ]);
        let began = Timestamp::now();
        let helped = supervisor.run_helper(command, LIMIT).await?;
        if helped.status.success() {
            return Ok(Look::Free);
        }
        match lock_info(&helped.stderr) {
            Some(lock) if is_own_look(&lock, began) => Ok(Look::HeldBySomebody),
            Some(lock) => Ok(Look::Held(lock)),
            None => Err(failed(LOOK_OPERATION, &helped)),
        }
    }

    async fn succeed(
        &self,
        supervisor: &Supervisor,
        command: Command,
    ) -> Result<Helped, ToolError> {
        let name = command
            .get_args()
            .next()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let helped = supervisor.run_helper(command, LIMIT).await?;
        if helped.status.success() {
            Ok(helped)
        } else {
            Err(failed(&name, &helped))
        }
    }

    /// A command about the state of the workspace.
    fn state_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("TF_WORKSPACE", &self.workspace);
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = helper_command(&self.binary);
        for variable in self.strategy.path_variables {
            if let Some(value) = env::var_os(variable) {
                let anchored = self.directory.join(value);
                if anchored.exists() {
                    command.env(variable, anchored);
                }
            }
        }
        if env::var_os("GOGC").is_none() {
            command.env("GOGC", GARBAGE);
        }
        command.args(arguments).current_dir(self.scratch.path());
        command
    }
}

/// A command of Terraform's that no variable of the user's can change: a `-lock-timeout` in
/// TF_CLI_ARGS breaks force-unlock, and TF_DATA_DIR and TF_WORKSPACE would point elsewhere.
pub(super) fn helper_command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TF_CLI_ARGS") || text.starts_with("TF_LOG") {
            command.env_remove(&name);
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

fn failed(command: &str, helped: &Helped) -> ToolError {
    ToolError::Failed {
        command: format!("terraform {command}"),
        output: essence(&helped.stderr),
    }
}

/// The scratch directory's whole configuration.
fn document(backend: &Backend) -> String {
    let mut settings = Value::Object(backend.settings.clone());
    escape_templates(&mut settings);
    json!({"terraform": {"backend": {backend.kind.as_str(): settings}}}).to_string()
}

/// In JSON, Terraform takes `${` and `%{` in a text for the begin of a template.
fn escape_templates(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${").replace("%{", "%%{"),
        Value::Array(values) => values.iter_mut().for_each(escape_templates),
        Value::Object(values) => values.values_mut().for_each(escape_templates),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_directory_holds_the_backend_and_no_template() {
        let settings = json!({"conn_str": "postgres://u:${p}%{q}@h", "assume_role": [{"x": "${"}]});
        let backend = Backend {
            kind: "pg".to_owned(),
            settings: settings.as_object().unwrap().clone(),
        };
        let document: Value = serde_json::from_str(&document(&backend)).unwrap();
        assert_eq!(
            document,
            json!({"terraform": {"backend": {"pg": {
                "conn_str": "postgres://u:$${p}%%{q}@h", "assume_role": [{"x": "$${"}]
            }}}})
        );
    }
}
