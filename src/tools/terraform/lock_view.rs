//! Asks about a lock in a shadow of the user's directory that holds nothing but the backend block, so
//! that no provider, no module, no variable and no credential beyond the lock's own is needed.

use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::Terraform;
use super::arguments::{joined, values_by};
use super::backend::{Backend, LookBy, ReleaseBy, Strategy};
use super::by_hand::{self, quoted};
use super::diagnostics::{
    LOOK_OPERATION, essence, is_own_look, lacks_table, lock_info, names_nobody,
};
use super::document::document;
use super::encryption::encryption_of;
use super::expired::{expired, failed};
use super::helper::helper_command;
use super::initialise::{INITIALISED, initialise};
use super::program::is_opentofu;
use super::shadow::Shadow;
use crate::lock::LockInfo;
use crate::supervisor::{Helped, HelperError, Supervisor};
use crate::tools::{DeployTool, Look, ToolError};

/// How long a look may take, however often it starts Terraform: at an S3 endpoint that refuses every
/// connection, one start costs up to 21 s of retries, and no variable shortens them.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a release may take, at a backend that has just answered.
const LIMIT_OF_RELEASE: Duration = Duration::from_secs(20);
/// How much time a look has at the least that takes the lock: who is killed does not give it back.
const TO_GIVE_BACK: Duration = Duration::from_secs(5);
/// Within what time an `untaint` ends that nothing keeps waiting.
const WITHIN: Duration = Duration::from_secs(1);
/// How many percent of what is in use may be garbage before Go collects it. Terraform makes most of
/// its garbage while it starts; to collect that costs a fifth of its time and saves no memory.
const GARBAGE: &str = "400";
/// From how much memory on Go collects garbage all the same: somebody's lock file may be of any size,
/// and with 50 MB of it Terraform took 755 MB.
const MEMORY: &str = "256MiB";
/// An address that no state holds, for a look by `untaint`.
const NO_RESOURCE: &str = "softstop_look.none";
/// What `untaint -allow-missing` says of it once it had the lock.
const NOT_FOUND: &str = "No such resource instance";

/// The file of the backend block in the shadow, beside which files of the user's own names may stand.
const BACKEND_FILE: &str = "softstop-backend.tf.json";

/// A shadow of a place, for one backend and one workspace.
pub(crate) struct LockView {
    place: Terraform,
    shadow: Shadow,
    /// The backend, as Terraform understood it where `init` was run at once.
    backend: Backend,
    /// Whether Terraform has initialised the shadow, or has answered in it.
    is_accepted: Cell<bool>,
    strategy: Strategy,
    /// The options that give values to variables, where the encryption of the state may name any.
    values: Option<String>,
    workspace: String,
    workspace_exists: Cell<bool>,
    /// When the look began that goes on.
    began: Cell<Instant>,
}

impl LockView {
    /// Makes a shadow in which Terraform can be asked.
    pub(super) async fn open(
        supervisor: &Supervisor,
        place: &Terraform,
        mut backend: Backend,
        workspace: String,
    ) -> Result<Self, ToolError> {
        backend.create_nothing();
        let shadow = Shadow::of(&place.directory).map_err(ToolError::Scratch)?;
        let document = document(&backend, is_opentofu(&place.binary));
        fs::write(shadow.directory.join(BACKEND_FILE), document).map_err(ToolError::Scratch)?;
        let mut values = None;
        if let Some(encryption) = encryption_of(place, &backend)? {
            encryption
                .write(&place.directory, &shadow.directory)
                .map_err(ToolError::Scratch)?;
            values = Some(joined(&values_by(&place.environment)?));
        }
        let mut view = Self {
            place: place.clone(),
            shadow,
            strategy: backend.strategy()?,
            backend,
            is_accepted: Cell::new(false),
            values,
            workspace_exists: Cell::new(workspace == "default"),
            workspace,
            began: Cell::new(Instant::now()),
        };
        // A block without a lock may be one that lacks its settings, which only `init` refuses.
        let is_plain = view.strategy.is_flat && view.backend.locks();
        if is_plain && view.workspace_exists.get() {
            view.write_initialised().map_err(ToolError::Scratch)?;
        } else {
            view.backend = view.initialise(supervisor).await?;
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
        fs::create_dir(self.shadow.directory.join(".terraform"))?;
        fs::write(self.shadow.directory.join(INITIALISED), kept.to_string())
    }

    async fn initialise(&self, supervisor: &Supervisor) -> Result<Backend, ToolError> {
        // What we have written ourselves would be a backend to migrate from.
        match fs::remove_dir_all(self.shadow.directory.join(".terraform")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ToolError::Scratch(error));
            }
            _ => {}
        }
        // Without TF_WORKSPACE: initialising with one that does not exist creates it.
        let shadow = &self.shadow.directory;
        let backend = initialise(supervisor, self.command(&[]), shadow, LIMIT).await?;
        self.is_accepted.set(true);
        Ok(backend)
    }

    pub(super) async fn look(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        if !self.backend.locks() {
            return Ok(Look::NeverLocked);
        }
        self.began.set(Instant::now());
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
        let unlock = self.state_command(&["force-unlock", "-no-color", "-force", "--", &lock.id]);
        let helped = supervisor.run_helper(unlock, LIMIT_OF_RELEASE).await?;
        if helped.status.success() {
            return Ok(());
        }
        let command = format!("{} force-unlock {}", by_hand::program(&self.place), lock.id);
        if let Some(error) = expired(&command, &helped.stderr) {
            return Err(error);
        }
        let output = essence(&helped.stderr);
        let mut half_texts = self.strategy.half_texts.iter();
        Err(if half_texts.any(|text| helped.stderr.contains(text)) {
            ToolError::ReleasedInPart { command, output }
        } else {
            ToolError::NotReleased { command, output }
        })
    }

    /// A lock's ID may begin with a dash.
    pub(super) fn release_by_hand(&self, lock: &LockInfo) -> String {
        let id = quoted(&lock.id);
        by_hand::in_place(&self.place, &format!("force-unlock -force -- {id}"))
    }

    pub(super) fn release_compares(&self) -> bool {
        self.strategy.compares_ids
    }

    pub(super) fn dies_with_its_process(&self) -> bool {
        self.strategy.release == ReleaseBy::Death
    }

    /// Whether there is a state that could be locked: asking about the lock of one that is not there
    /// would create it. Fails where nothing says that it is the right one, because a name that is
    /// misspelt must not be called free.
    async fn has_state(&self, supervisor: &Supervisor) -> Result<bool, ToolError> {
        if self.backend.kind == "local" {
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
        let listed = self.succeed(supervisor, command).await?;
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
                "there is no workspace {:?}, but there is {}. Is the name misspelt?",
                self.workspace,
                names.join(", ")
            )))
        }
    }

    /// What it means that the database has no table of states, without which nobody can lock one.
    fn without_state(&self) -> Result<Look, ToolError> {
        if self.place.is_seen {
            Ok(Look::Free)
        } else {
            Err(ToolError::NoState(
                "the database has no table of states, so nobody has deployed there yet, or \
                 `conn_str` or `schema_name` is misspelt"
                    .to_owned(),
            ))
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

    async fn look_by_wrong_id(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        let command = self.state_command(&["force-unlock", "-no-color", "-force", "0"]);
        let helped = self.ask(supervisor, command).await?;
        let is_opentofu = is_opentofu(&self.place.binary);
        if let Some(lock) = lock_info(&helped.stderr) {
            Ok(Look::Held(lock))
        } else if helped.status.success() {
            // Nothing has that ID, so a program that has unlocked it was not asking.
            Err(self.failed("force-unlock", &helped))
        } else if self.strategy.says_free(&helped.stderr, is_opentofu) {
            self.is_accepted.set(true);
            if self.strategy.hides_unnamed && !is_opentofu {
                self.look_by_untaint(supervisor).await
            } else {
                Ok(Look::Free)
            }
        } else if self.is_accepted.get() {
            self.look_by_untaint(supervisor).await
        } else {
            Err(self.failed("force-unlock", &helped))
        }
    }

    /// Looks by `untaint`, which may meet a lock that it has taken itself: where the answer to that is
    /// lost, the SDK asks again. Nothing else gives that lock back.
    async fn look_by_untaint(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        match self.untaint(supervisor).await? {
            Untaint::OwnLook(lock) if self.strategy.compares_ids => {
                self.give_back(supervisor, lock).await
            }
            untaint => Ok(untaint.into_look()),
        }
    }

    /// Releases a lock that only a look of ours can have taken: another `untaint` of the same name
    /// would have ended by now.
    async fn give_back(&self, supervisor: &Supervisor, own: LockInfo) -> Result<Look, ToolError> {
        tokio::time::sleep(WITHIN).await;
        match self.untaint(supervisor).await? {
            Untaint::Done(Look::Held(lock)) if lock.id == own.id => {
                self.release(supervisor, &own).await?;
                self.untaint(supervisor).await.map(Untaint::into_look)
            }
            untaint => Ok(untaint.into_look()),
        }
    }

    async fn untaint(&self, supervisor: &Supervisor) -> Result<Untaint, ToolError> {
        let command = self.state_command(&[
            LOOK_OPERATION,
            "-no-color",
            "-allow-missing",
            "-lock-timeout=0s",
            NO_RESOURCE,
        ]);
        let began = Timestamp::now();
        let helped = match self.ask_with(supervisor, command, TO_GIVE_BACK).await {
            Err(error @ (HelperError::TimedOut { .. } | HelperError::Killed { .. }))
                if !self.dies_with_its_process() =>
            {
                return Err(ToolError::CutShort(error));
            }
            helped => helped?,
        };
        // A program that ends well and says nothing of what Terraform says has not looked.
        if helped.status.success() && helped.stdout.contains(NOT_FOUND) {
            return Ok(Untaint::Done(Look::Free));
        }
        match lock_info(&helped.stderr) {
            Some(lock) if is_own_look(&lock, began) && self.is_ours(&lock) => {
                Ok(Untaint::OwnLook(lock))
            }
            Some(lock) => Ok(Untaint::Done(Look::Held(lock))),
            None if names_nobody(&helped.stderr) => Ok(Untaint::Done(Look::HeldBySomebody)),
            None if lacks_table(&helped.stderr) => self.without_state().map(Untaint::Done),
            None => Err(self.failed(LOOK_OPERATION, &helped)),
        }
    }

    /// Whether a look that the program names is the one that it was asked for: pg names no other.
    fn is_ours(&self, look: &LockInfo) -> bool {
        self.dies_with_its_process() || look.who == self.place.signature()
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
        let helped = self.ask(supervisor, command).await?;
        if helped.status.success() {
            Ok(helped)
        } else {
            Err(self.failed(&name, &helped))
        }
    }

    fn failed(&self, command: &str, helped: &Helped) -> ToolError {
        let command = format!("{} {command}", by_hand::program(&self.place));
        failed(command, &helped.stderr)
    }

    /// Asks with what is left of the time for the whole look.
    async fn ask(&self, supervisor: &Supervisor, command: Command) -> Result<Helped, HelperError> {
        self.ask_with(supervisor, command, Duration::ZERO).await
    }

    /// The same, with so much time at the least.
    async fn ask_with(
        &self,
        supervisor: &Supervisor,
        command: Command,
        at_least: Duration,
    ) -> Result<Helped, HelperError> {
        let began = self.began.get();
        let left = LIMIT.saturating_sub(began.elapsed()).max(at_least);
        match supervisor.run_helper(command, left).await {
            Err(HelperError::TimedOut { program, .. }) => Err(HelperError::TimedOut {
                program,
                seconds: began.elapsed().as_secs_f32(),
            }),
            helped => helped,
        }
    }

    /// A command about the state of the workspace.
    fn state_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("TF_WORKSPACE", &self.workspace);
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = helper_command(&self.place.binary, &self.place.environment);
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

/// What `untaint` has shown.
enum Untaint {
    Done(Look),
    /// It has named itself: somebody holds the lock, as pg tells it, or it has met its own lock.
    OwnLook(LockInfo),
}

impl Untaint {
    fn into_look(self) -> Look {
        match self {
            Self::Done(look) => look,
            Self::OwnLook(_) => Look::HeldBySomebody,
        }
    }
}
