//! Terraform as one of the tools: which part of it answers which question.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::unistd::gethostname;
use tracing::warn;

use super::halves::{Halves, takes_variables};
use super::http_backend::HttpLock;
use super::lock::TerraformLock;
use super::lock_view::LockView;
use super::place::{ERRORED_STATE, Terraform};
use super::progress::{MARKERS, Progress, type_of};
use super::resolved::Origin;
use super::settings::contradictions;
use super::strategy::Strategy;
use super::version::version_of;
use super::{
    access, by_hand, command_words, default_command, desk, evaluated, files, import_blocks,
    operations, place_name, planned, precedence, sighting, stand_in,
};
use crate::console::introduce;
use crate::environment::Environment;
use crate::identity::user_name;
use crate::lock::LockInfo;
use crate::printable::{is_printable, one_line};
use crate::supervisor::{Programs, SeenTool};
use crate::tools::access::Barred;
use crate::tools::error::ToolError;
use crate::tools::host::Host;
use crate::tools::job::Job;
use crate::tools::locking::Locking;
use crate::tools::processes::{Prepared, Processes, Purpose, Sighting};
use crate::tools::progress::{PlaceName, Reader};
use crate::tools::quoted::quoted;
use crate::tools::real::real;
use crate::tools::recovering::{Draft, LaidOut, Made, Planned, Recovering, Step};
use crate::tools::signing::Signing;
use crate::tools::state_keeping::{StateKeeping, UnsavedState, Unstored};
use crate::tools::telling::Telling;

/// How long a command of ours waits for a lock at the least: the look of another run may hold it just now
/// (`the_look_of_another_run_fails_no_deploy`).
const OF_A_LOOK: Duration = Duration::from_secs(5);

impl Terraform {
    /// Gives a command of ours what it takes from the user.
    fn surround(&self, command: &mut Command, lock_timeout: Duration) {
        let waits = lock_timeout.max(OF_A_LOOK);
        command.env("LOCK_TIMEOUT", format!("{}ms", waits.as_millis()));
        self.choose_workspace(command);
    }
}

impl Processes for Terraform {
    fn tool_name(&self) -> &'static str {
        "Terraform or OpenTofu"
    }

    fn programs(&self) -> Programs {
        let named = real(&self.binary)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let names = ["terraform".to_owned(), "tofu".to_owned()];
        Programs::new(
            names.into_iter().chain(named).collect(),
            &["terraform-provider-", "terraform-provisioner-"],
        )
        .that_say("to exit or data loss may occur")
    }

    fn renew_environment(&mut self) {
        self.environment = Environment::own();
    }

    fn operations_of_a_deploy(&self) -> &'static [&'static str] {
        operations::OF_A_DEPLOY
    }

    fn sight(&self, seen: &SeenTool) -> Sighting<Self> {
        sighting::sight(self, seen)
    }

    fn purpose(&self, seen: &SeenTool) -> Purpose {
        sighting::purpose(seen)
    }

    fn takes_no_lock(&self, words: &[String]) -> bool {
        command_words::takes_no_lock(words)
    }

    fn leaves(&self, words: &[String]) -> bool {
        command_words::leaves(self, words)
    }

    fn job_takes_no_lock(&self, job: &Job) -> bool {
        let subcommand = match job {
            Job::Apply | Job::ApplyPlan(_) => "apply",
            Job::Plan(_) => "plan",
        };
        command_words::takes_no_lock(&["terraform", subcommand].map(str::to_owned))
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
        } else {
            introduce(&format!("in {}", self.directory_name()));
        }
    }

    fn default_command(
        &self,
        job: &Job,
        lock_timeout: Duration,
        has_found_state: bool,
    ) -> Result<Prepared, ToolError> {
        let setup = self.setup(has_found_state);
        let mut prepared =
            default_command::default_command(setup, job).map_err(ToolError::Scratch)?;
        self.surround(&mut prepared.command, lock_timeout);
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
            &self.program(),
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
        let directory = self.directory_name();
        match self.workspace().as_str() {
            "default" => directory,
            workspace => format!("{directory} (workspace {workspace})"),
        }
    }

    fn description(&self) -> String {
        format!("{} {}", by_hand::program(self), self.whereabouts())
    }

    fn is_same_place(&self, other: &Self) -> bool {
        let is_here = self.directory == other.directory;
        let is_same_backend = || match (self.resolved(), other.resolved()) {
            (Ok(one), Ok(another)) => {
                let backend = one.backend;
                let [here, there] = [self, other].map(|place| &place.environment);
                backend == another.backend
                    && (is_here || !backend.goes_by_directory(here))
                    && backend.leading_variables(here) == backend.leading_variables(there)
            }
            _ => is_here && self.is_surrounded_like(other),
        };
        self.workspace() == other.workspace() && is_same_backend()
    }

    fn is_set_up_for(&self, used: &Self) -> bool {
        let is_here = self.directory == used.directory;
        is_here
            && match (self.resolved(), used.resolved()) {
                (Ok(set_up), Ok(used)) => {
                    let (set_up, used) = (set_up.backend, used.backend);
                    set_up.kind == used.kind && contradictions(&set_up, &used).is_empty()
                }
                _ => true,
            }
    }

    fn has_work(&self) -> bool {
        self.has_configuration()
    }

    fn has_work_below(&self) -> bool {
        files::lie_below(&self.directory)
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
        let resolved = evaluated::resolved(host, self).await?;
        for note in &resolved.notes {
            warn!("{note}");
        }
        let mut place = self.without_credentials_for(&resolved);
        let backend = resolved.backend;
        // What is printed by a place that asks nobody has to say which one that is.
        if resolved.origin == Origin::Evaluated {
            place.backend = Some(backend.clone());
        }
        let workspace = self.workspace();
        backend.expect_workspace(&workspace)?;
        let lock = match backend.strategy()? {
            Strategy::ByRequests => {
                HttpLock::open(host, &backend, self.signature(), &place.environment)?
                    .map(TerraformLock::Http)
            }
            Strategy::ByTerraform(strategy) => {
                let view = LockView::open(host, &place, backend, strategy, workspace).await?;
                view.takes_locks().then_some(TerraformLock::View(view))
            }
        };
        Ok(lock.into_iter().collect())
    }
}

impl StateKeeping for Terraform {
    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState> {
        let tried_once = precedence::tried_once(undisturbed);
        UnsavedState::at(self.directory.join(ERRORED_STATE), tried_once)
    }

    async fn save_state(&self, host: &impl Host, state: &UnsavedState) -> Result<(), Unstored> {
        self.recognised(host).await.store(host, state).await
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

    async fn save_by_hand(&self, host: &impl Host, state: &UnsavedState) -> String {
        self.recognised(host).await.advice(state)
    }
}

impl Telling for Terraform {
    fn markers(&self) -> &'static [&'static str] {
        &MARKERS
    }

    fn reader(&self) -> Arc<Mutex<dyn Reader>> {
        Arc::new(Mutex::new(Progress::default()))
    }

    fn reader_of_log(&self) -> Arc<Mutex<dyn Reader>> {
        Arc::new(Mutex::new(Progress::of_log()))
    }

    fn journal_name(&self) -> Option<PlaceName> {
        place_name::place_name(self)
    }

    fn shares_its_name(&self) -> bool {
        place_name::is_shared(self)
    }

    async fn tell_stored(
        &self,
        host: &impl Host,
        tell: &mut dyn FnMut(String, Option<String>),
    ) -> Result<(), ToolError> {
        desk::tell_stored(host, self, tell).await
    }

    fn import_by_hand(&self, address: &str, id: &str) -> String {
        if !is_printable(address) || !is_printable(id) {
            return format!(
                "import {} by its ID, where control characters stand, with which no command can be \
                 pasted",
                one_line(address)
            );
        }
        let (address, id) = (quoted(address), quoted(id));
        by_hand::in_place(self, &format!("import {address} {id}"))
    }
}

impl Recovering for Terraform {
    async fn imports_by_plan(&self, host: &impl Host) -> Result<bool, ToolError> {
        let version = self.version(host).await?;
        Ok(import_blocks::are_known_to(&version))
    }

    fn is_address(&self, text: &str) -> bool {
        import_blocks::can_name(text)
    }

    fn are_of_one_type(&self, one: &str, other: &str) -> bool {
        type_of(one) == type_of(other)
    }

    fn import_blocks(&self, made: &[Made]) -> String {
        import_blocks::blocks(made)
    }

    fn lay_out(&self, made: &[Made]) -> io::Result<LaidOut> {
        import_blocks::lay_out(&self.directory, made)
    }

    fn clear_away(&self) -> io::Result<Option<PathBuf>> {
        import_blocks::clear_away(&self.directory)
    }

    async fn step(
        &self,
        host: &impl Host,
        step: Step<'_>,
        job: &Job,
        lock_timeout: Duration,
        has_found_state: bool,
    ) -> Result<Prepared, ToolError> {
        let setup = self.setup(has_found_state);
        let mut prepared = default_command::step(setup, step).map_err(ToolError::Scratch)?;
        self.surround(&mut prepared.command, lock_timeout);
        // What is meant for the apply of the default command decides what its plan says.
        if *job == Job::Apply {
            let takes_variables = matches!(step, Step::Apply(_))
                && self
                    .version(host)
                    .await
                    .is_ok_and(|version| takes_variables(&version, self.is_opentofu));
            let halves = Halves::of(&self.environment, takes_variables)?;
            let command = &mut prepared.command;
            match step {
                Step::Plan(_) => command.env("TF_CLI_ARGS_plan", halves.plan),
                Step::Apply(_) => command
                    .env("TF_CLI_ARGS_apply", halves.apply)
                    .env("TF_CLI_ARGS", halves.every),
                Step::SetUp | Step::Show(..) | Step::Refresh => command,
            };
        }
        Ok(prepared)
    }

    fn planned(&self, draft: &Draft) -> Result<Planned, ToolError> {
        let path = draft.shown();
        let text = files::read(&path)?;
        planned::planned(&text).map_err(|reason| files::malformed(&path, reason))
    }
}
