//! A state that Terraform could not store, and left in a file beside the configuration.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Terraform;
use super::by_hand::{in_place, program, quoted};
use super::diagnostics::essence;
use super::helper::helper_command;
use super::state_file::{StateFile, lowered, serial_to_store, tried_once};
use crate::supervisor::Supervisor;
use crate::tools::{ToolError, UnsavedState, Unstored};

/// How long Terraform may take to show the stored state, or to store another one.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a state may be that is compared with another one.
const MOST_OF_A_STATE: u64 = 64 * 1024 * 1024;

/// What was learned of a state by comparing it with the stored one.
enum Compared {
    /// It can be stored, and Terraform refuses it where another one is stored meanwhile.
    Storable,
    /// Something that is stored would be lost, or may be.
    Forked(ToolError),
    /// They could not be compared.
    Unknown(ToolError),
}

impl Terraform {
    /// Stores the state where nothing that is stored is lost by it.
    pub(super) async fn store(
        &self,
        supervisor: &Supervisor,
        state: &UnsavedState,
    ) -> Result<(), Unstored> {
        let (reason, advice) = match self.compare(supervisor, state).await {
            Compared::Storable => match self.push(supervisor, state).await {
                Ok(()) => return Ok(()),
                Err(reason) => (reason, self.push_by_hand(state)),
            },
            Compared::Forked(reason) => (reason, self.merge_by_hand()),
            Compared::Unknown(reason) => (reason, self.advice(state)),
        };
        Err(Unstored { reason, advice })
    }

    /// What a person can do with a state that nobody has compared with the stored one.
    pub(super) fn advice(&self, state: &UnsavedState) -> String {
        if tried_once(state.undisturbed) {
            self.push_by_hand(state)
        } else {
            self.compare_by_hand(state)
        }
    }

    async fn compare(&self, supervisor: &Supervisor, state: &UnsavedState) -> Compared {
        let unknown = |reason| Compared::Unknown(ToolError::NotComparable { reason });
        let unreadable = |error: io::Error| unknown(format!("{}: {error}", state.path.display()));
        let text = match fs::read_to_string(&state.path) {
            Ok(text) => text,
            Err(error) => return unreadable(error),
        };
        let unsaved = match StateFile::read(&text) {
            Ok(unsaved) => unsaved,
            Err(reason) => return unknown(format!("{} is {reason}", state.path.display())),
        };
        let stored = match self.pull(supervisor).await {
            Ok(stored) => stored,
            Err(error) => return Compared::Unknown(error),
        };
        match serial_to_store(&stored, &unsaved, tried_once(state.undisturbed)) {
            Err(difference) => Compared::Forked(ToolError::Forked {
                difference: difference.to_string(),
            }),
            Ok(serial) if serial == unsaved.serial() => Compared::Storable,
            Ok(serial) => match lower_serial(&state.path, &text, serial) {
                Ok(()) => Compared::Storable,
                Err(error) => unreadable(error),
            },
        }
    }

    async fn pull(&self, supervisor: &Supervisor) -> Result<StateFile, ToolError> {
        let text = self.pull_text(supervisor).await?;
        StateFile::read(&text).map_err(|reason| ToolError::NotComparable {
            reason: format!("what terraform state pull shows is {reason}"),
        })
    }

    /// The stored state. The deploy has used it, so asking creates nothing.
    pub(super) async fn pull_text(&self, supervisor: &Supervisor) -> Result<String, ToolError> {
        let command = self.command_in_place(&["state", "pull", "-no-color"]);
        let helped = supervisor
            .run_helper_that_says(command, LIMIT, MOST_OF_A_STATE)
            .await?;
        if helped.status.success() {
            return Ok(helped.stdout);
        }
        Err(ToolError::NotComparable {
            reason: format!("terraform state pull said: {}", essence(&helped.stderr)),
        })
    }

    async fn push(&self, supervisor: &Supervisor, state: &UnsavedState) -> Result<(), ToolError> {
        let mut command =
            self.command_in_place(&["state", "push", "-no-color", "-lock-timeout=0s"]);
        command.arg(&state.path);
        let helped = supervisor.run_helper(command, LIMIT).await?;
        if helped.status.success() {
            Ok(())
        } else {
            Err(ToolError::NotStored {
                command: "terraform state push".to_owned(),
                output: essence(&helped.stderr),
            })
        }
    }

    /// A command in the user's directory, about the state that the deploy has used.
    fn command_in_place(&self, arguments: &[&str]) -> Command {
        let mut command = helper_command(&self.binary, &self.environment);
        command
            .args(arguments)
            .env("TF_DATA_DIR", self.configuration().data_directory)
            .env("TF_WORKSPACE", self.workspace())
            .current_dir(&self.directory);
        command
    }

    fn push_by_hand(&self, state: &UnsavedState) -> String {
        let file = self.name_of(state);
        format!(
            "Before the next deploy, store it by hand, which {} refuses where another one has been \
             stored meanwhile: {}",
            program(self),
            in_place(self, &format!("state push {file}"))
        )
    }

    fn compare_by_hand(&self, state: &UnsavedState) -> String {
        let file = self.name_of(state);
        format!(
            "Another state may have been stored meanwhile, and {} may set it back without a word. \
             Before the next deploy, compare them, and push this one only where the stored one has \
             nothing that it lacks: {}",
            program(self),
            in_place(self, &format!("state pull | diff - {file}"))
        )
    }

    fn merge_by_hand(&self) -> String {
        let program = program(self);
        format!(
            "Do not push it. Before the next deploy, bring what only it has into the stored one by \
             `{program} import`, and take out by `{program} state rm` what this deploy has destroyed."
        )
    }

    fn name_of(&self, state: &UnsavedState) -> String {
        let file = state.path.strip_prefix(&self.directory);
        quoted(&file.unwrap_or(&state.path).to_string_lossy())
    }
}

/// Gives the state a smaller serial, by one write of a few bytes: it is the only record of what was
/// created.
fn lower_serial(path: &Path, text: &str, serial: u64) -> io::Result<()> {
    let (place, digits) = lowered(text, serial)
        .ok_or_else(|| io::Error::other("it is not as Terraform writes it"))?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(digits.as_bytes(), place.start as u64)
}
