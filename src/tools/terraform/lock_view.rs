//! Terraform in a shadow of the user's directory that holds nothing but the backend block, so that
//! no provider, no module, no variable and no credential beyond the lock's own is needed.

use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::arguments::joined;
use super::backend::{Backend, DEFAULT_BACKEND};
use super::by_hand;
use super::document::document;
use super::encryption::encryption_of;
use super::essence::Secrets;
use super::expired::failed;
use super::initialise::{INITIALISED, initialise};
use super::place::Terraform;
use super::shadow::Shadow;
use super::strategy::ByTerraform;
use crate::supervisor::{Helped, HelperError};
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// How long a look may take, however often it starts Terraform: at an S3 endpoint that refuses every
/// connection, one start costs up to 21 s of retries, and no variable shortens them.
const LIMIT_OF_A_LOOK: Duration = Duration::from_secs(10);
/// How many percent of what is in use may be garbage before Go collects it. Terraform makes most of
/// its garbage while it starts; to collect that costs a fifth of its time and saves no memory.
const GARBAGE: &str = "400";
/// From how much memory on Go collects garbage all the same: somebody's lock file may be of any size,
/// and with 50 MB of it Terraform took 755 MB.
const MEMORY: &str = "256MiB";

/// The file of the backend block in the shadow, beside which files of the user's own names may stand.
const BACKEND_FILE: &str = "softstop-backend.tf.json";

/// A shadow of a place, for one backend and one workspace.
pub(crate) struct LockView<'a, H> {
    pub(super) host: &'a H,
    pub(super) place: Terraform,
    shadow: Shadow,
    /// The backend, as Terraform understood it where `init` was run at once.
    pub(super) backend: Backend,
    /// Whether Terraform has initialised the shadow, or has answered in it.
    pub(super) is_accepted: Cell<bool>,
    /// Whether the lock that is there keeps `force-unlock` too from opening the state.
    pub(super) is_shut_out: Cell<bool>,
    pub(super) strategy: ByTerraform,
    /// The options that give values to variables, where the encryption of the state may name any.
    values: Option<String>,
    workspace: String,
    workspace_exists: Cell<bool>,
    /// When the look began that goes on.
    pub(super) began: Cell<Instant>,
}

impl<'a, H: Host> LockView<'a, H> {
    /// Makes a shadow in which Terraform can be asked.
    pub(super) async fn open(
        host: &'a H,
        place: &Terraform,
        mut backend: Backend,
        strategy: ByTerraform,
        workspace: String,
    ) -> Result<Self, ToolError> {
        backend.make_nothing();
        let shadow = Shadow::of(&place.directory).map_err(ToolError::Scratch)?;
        let document = document(&backend, place.is_opentofu);
        fs::write(shadow.directory.join(BACKEND_FILE), document).map_err(ToolError::Scratch)?;
        let mut values = None;
        if let Some(encryption) = encryption_of(place, &backend)? {
            encryption
                .write(&place.directory, &shadow.directory)
                .map_err(ToolError::Scratch)?;
            values = Some(joined(&place.values()?));
        }
        let mut view = Self {
            host,
            place: place.clone(),
            shadow,
            strategy,
            backend,
            is_accepted: Cell::new(false),
            is_shut_out: Cell::new(false),
            values,
            workspace_exists: Cell::new(workspace == "default"),
            workspace,
            began: Cell::new(Instant::now()),
        };
        // A block without a lock may be one that lacks its settings, which only `init` refuses.
        let is_plain = view.backend.is_flat() && view.takes_locks();
        let is_default = view.workspace_exists.get();
        // `init` opens the default state, which not all may read who may read this one, and on some backends
        // makes it.
        let is_written = is_plain || !is_default && view.backend.is_made_by_asking();
        if is_written {
            view.write_initialised().map_err(ToolError::Scratch)?;
        }
        let is_refused = is_written
            && !is_default
            && matches!(view.has_state().await, Err(ToolError::Failed { .. }));
        if is_refused || !is_written {
            view.backend = view.initialise().await?;
        }
        Ok(view)
    }

    /// Whether the backend is set up to take locks at all.
    pub(super) fn takes_locks(&self) -> bool {
        self.backend.takes_locks(&self.place.environment)
    }

    /// How a person removes the lock at the backend itself, as an order.
    pub(super) fn removal(&self) -> Option<String> {
        let backend = self.backend.with_variables(&self.place.environment);
        backend.removal(&self.workspace)
    }

    /// Writes down what `init` would keep, which saves one start of Terraform.
    ///
    /// Terraform takes it where it equals the backend block, setting by setting, whatever the hash.
    fn write_initialised(&self) -> io::Result<()> {
        let kept = self.backend.kept(self.place.is_opentofu);
        let initialised = json!({
            "version": 3,
            "backend": {"type": self.backend.kind, "config": kept, "hash": 0},
        });
        fs::create_dir(self.shadow.directory.join(".terraform"))?;
        fs::write(
            self.shadow.directory.join(INITIALISED),
            initialised.to_string(),
        )
    }

    pub(super) async fn initialise(&self) -> Result<Backend, ToolError> {
        // What we have written ourselves would be a backend to migrate from.
        match fs::remove_dir_all(self.shadow.directory.join(".terraform")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ToolError::Scratch(error));
            }
            _ => {}
        }
        // Without TF_WORKSPACE: initialising with one that does not exist creates it.
        let shadow = &self.shadow.directory;
        let (command, secrets) = (self.command(&[]), self.secrets());
        let backend = match initialise(self.host, command, shadow, LIMIT_OF_A_LOOK, &secrets).await
        {
            Err(ToolError::Helper(error)) => return Err(self.unanswered(error)),
            backend => backend?,
        };
        self.is_accepted.set(true);
        Ok(backend)
    }

    /// Whether there is a state that could be locked: asking about the lock of one that is not there
    /// would create it. Fails where nothing says that it is the right one, because a name that is
    /// misspelt must not be called free.
    pub(super) async fn has_state(&self) -> Result<bool, ToolError> {
        if self.backend.kind == DEFAULT_BACKEND {
            let state = self.local_state();
            return match state.exists() {
                exists if exists || self.place.is_seen => Ok(exists),
                _ => Err(ToolError::NoState(format!(
                    "softstop cannot know where the state is: no backend says so, and there is none \
                     at {}. Name the directory by WORKING_DIR, or the backend in a backend block or \
                     by BACKEND_CONFIG",
                    state.display()
                ))),
            };
        }
        if self.workspace_exists.get() {
            return Ok(true);
        }
        let command = self.command(&["workspace", "list", "-no-color"]);
        let listed = self.succeed(command).await?;
        self.is_accepted.set(true);
        let names: Vec<&str> = listed
            .stdout
            .lines()
            .map(|line| line.trim_start_matches(['*', ' ']).trim_end())
            .filter(|name| !name.is_empty())
            .collect();
        if names.contains(&self.workspace.as_str()) {
            self.workspace_exists.set(true);
            Ok(true)
        } else {
            Err(ToolError::NoState(format!(
                "there is no workspace {:?}, but there is {}. Correct its name",
                self.workspace,
                names.join(", ")
            )))
        }
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

    async fn succeed(&self, command: Command) -> Result<Helped, ToolError> {
        let name = command
            .get_args()
            .next()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let helped = self.ask(command).await?;
        if helped.status.success() {
            Ok(helped)
        } else {
            Err(self.failed(&name, &helped))
        }
    }

    pub(super) fn failed<O>(&self, command: &str, helped: &Helped<O>) -> ToolError {
        let command = format!("{} {command}", by_hand::program(&self.place));
        failed(command, &helped.stderr, &self.secrets())
    }

    /// Why a question that makes a state where there is none has no answer.
    pub(super) fn unanswered(&self, error: HelperError) -> ToolError {
        ToolError::unanswered(error, self.backend.is_made_by_asking())
    }

    /// What nobody may read of what Terraform says here.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets::of(&self.place.environment, Some(&self.backend))
    }

    /// Asks with what is left of the time for the whole look.
    pub(super) async fn ask(&self, command: Command) -> Result<Helped, HelperError> {
        self.ask_with(command, Duration::ZERO).await
    }

    /// The same, with so much time at the least.
    pub(super) async fn ask_with(
        &self,
        command: Command,
        at_least: Duration,
    ) -> Result<Helped, HelperError> {
        let began = self.began.get();
        let left = LIMIT_OF_A_LOOK
            .saturating_sub(began.elapsed())
            .max(at_least);
        match self.host.run_helper(command, left).await {
            Err(HelperError::TimedOut { program, .. }) => Err(HelperError::TimedOut {
                program,
                seconds: began.elapsed().as_secs_f32(),
            }),
            helped => helped,
        }
    }

    /// A command about the state of the workspace.
    pub(super) fn state_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("TF_WORKSPACE", &self.workspace);
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.helper_command();
        for (name, value) in [("GOGC", GARBAGE), ("GOMEMLIMIT", MEMORY)] {
            if self.place.environment.get(name).is_none() {
                command.env(name, value);
            }
        }
        if let Some(values) = &self.values {
            command.env("TF_CLI_ARGS", values);
        }
        command
            .args(arguments)
            .current_dir(&self.shadow.directory)
            .env("PWD", &self.shadow.directory);
        command
    }
}
