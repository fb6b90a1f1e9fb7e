//! A state that Terraform could not store, and left in a file beside the configuration.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tracing::warn;

use super::by_hand::{PRIVATE, decryption, in_place, in_place_after, once_in_place, program};
use super::decrypted::{PlainState, decrypt, encryption_of};
use super::desk::{Desk, LIMIT_OF_A_CALL, unreadable};
use super::expired::expired;
use super::files::text_of;
use super::opentofu::is_of_terraform;
use super::place::Terraform;
use super::precedence::{serial_to_store, step};
use super::state_file::{StateFile, is_encrypted, lowered, shown_text, with_serial};
use crate::tools::error::ToolError;
use crate::tools::host::Host;
use crate::tools::quoted::quoted;
use crate::tools::state_keeping::{Since, UnsavedState, Unstored};

/// A question of the shell.
const ASK: &str = r#"printf 'Push this one? (yes) '; IFS= read -r answer; [ "$answer" = yes ]"#;

/// A file that `state push` reads.
enum Readable {
    /// The one that was left.
    AsLeft,
    Decrypted(PlainState),
}

/// What was learned of a state by comparing it with the stored one.
enum Compared {
    /// It can be stored, and Terraform refuses it where another one is stored meanwhile.
    Storable(Readable),
    /// Something that is stored would be lost, or may be.
    Forked(ToolError),
    /// They could not be compared.
    Unknown(ToolError),
}

impl Terraform {
    /// The same, once the program has said what it is: OpenTofu, which may be called like Terraform, counts
    /// the serials of its states otherwise. One that says nothing is taken for it, because then a serial
    /// alone is no reason to store a state.
    pub(super) async fn recognised(&self, host: &impl Host) -> Self {
        let is_opentofu = self.is_opentofu || {
            let mut version = self.helper_command();
            version.arg("version").current_dir(&self.directory);
            let said = host.run_helper(version, LIMIT_OF_A_CALL).await;
            !said.is_ok_and(|said| is_of_terraform(&said.stdout))
        };
        Self {
            is_opentofu,
            ..self.clone()
        }
    }

    /// Stores the state where nothing that is stored is lost by it.
    pub(super) async fn store(
        &self,
        host: &impl Host,
        state: &UnsavedState,
    ) -> Result<(), Unstored> {
        let desk = match Desk::open(host, self).await {
            Ok(desk) => desk,
            Err(reason) => {
                let advice = self.advice(state);
                return Err(Unstored { reason, advice });
            }
        };
        let (reason, advice) = match self.compare(host, &desk, state).await {
            Compared::Storable(readable) => {
                match self.push(host, &desk, state, &readable).await {
                    Ok(()) => {
                        mark_as_stored(state);
                        return Ok(());
                    }
                    // The file that was left still has a serial that may pass over what others store.
                    Err(reason) if matches!(readable, Readable::Decrypted(_)) => {
                        (reason, self.advice(state))
                    }
                    Err(reason) => (reason, self.push_by_hand(state)),
                }
            }
            Compared::Forked(reason) => (reason, self.merge_by_hand()),
            Compared::Unknown(reason) => (reason, self.advice(state)),
        };
        Err(Unstored { reason, advice })
    }

    /// What a person can do with a state that nobody has compared with the stored one.
    pub(super) fn advice(&self, state: &UnsavedState) -> String {
        // What OpenTofu leaves has a serial that passes over what somebody else has stored since.
        let is_next = state.since == Since::TriedOnce && !self.is_opentofu;
        if is_next && !state.is_of_several {
            self.push_by_hand(state)
        } else {
            self.compare_by_hand(state)
        }
    }

    async fn compare<H: Host>(
        &self,
        host: &H,
        desk: &Desk<'_, H>,
        state: &UnsavedState,
    ) -> Compared {
        let unknown = |reason| Compared::Unknown(ToolError::NotComparable { reason });
        let unreadable = |error: io::Error| unknown(format!("{}: {error}", state.path.display()));
        let text = match text_of(&state.path) {
            Ok(text) => text,
            Err(error) => return unreadable(error),
        };
        let is_encrypted = is_encrypted(&text);
        let text = if is_encrypted {
            match decrypt(host, self, &text, LIMIT_OF_A_CALL).await {
                Ok(plain) => plain,
                Err(error) => return Compared::Unknown(error),
            }
        } else {
            text
        };
        let unsaved = match StateFile::read(&text) {
            Ok(unsaved) => unsaved,
            Err(reason) => return unknown(format!("{} is {reason}", state.path.display())),
        };
        let stored = match self.pull(host, desk).await {
            Ok(stored) => stored,
            Err(error) => return Compared::Unknown(error),
        };
        if stored.is_none() && state.is_of_several {
            return unknown(
                "several states were used in this directory, and which one it is of is not known"
                    .to_owned(),
            );
        }
        let step = step(self.is_opentofu);
        match serial_to_store(&stored, &unsaved, state.since, step) {
            Err(difference) => Compared::Forked(ToolError::Forked {
                difference: difference.to_string(),
            }),
            Ok(serial) if is_encrypted => match with_serial(&text, serial)
                .map_err(io::Error::from)
                .and_then(|text| PlainState::write(&text))
            {
                Ok(plain) => Compared::Storable(Readable::Decrypted(plain)),
                Err(error) => Compared::Unknown(ToolError::Scratch(error)),
            },
            Ok(serial) if serial == unsaved.serial() => Compared::Storable(Readable::AsLeft),
            Ok(serial) => match lower_serial(&state.path, &text, serial) {
                Ok(()) => Compared::Storable(Readable::AsLeft),
                Err(error) => unreadable(error),
            },
        }
    }

    async fn pull<H: Host>(&self, host: &H, desk: &Desk<'_, H>) -> Result<StateFile, ToolError> {
        let shown = desk.pull(host, LIMIT_OF_A_CALL).await?;
        let text = shown.map_or(Ok(String::new()), shown_text);
        let text = text.map_err(ToolError::Scratch)?;
        StateFile::read(&text).map_err(|reason| unreadable(self, &reason))
    }

    async fn push<H: Host>(
        &self,
        host: &H,
        desk: &Desk<'_, H>,
        state: &UnsavedState,
        readable: &Readable,
    ) -> Result<(), ToolError> {
        let mut command = desk.command(&["state", "push", "-no-color", "-lock-timeout=0s"])?;
        if state.since == Since::Guarded {
            command.arg("-lock=false");
        }
        command.arg(match readable {
            Readable::AsLeft => &state.path,
            Readable::Decrypted(plain) => &plain.path,
        });
        let helped = host.run_helper(command, LIMIT_OF_A_CALL).await?;
        if helped.status.success() {
            return Ok(());
        }
        let command = format!("{} state push", program(self));
        let secrets = self.secrets();
        let output = secrets.essence(&helped.stderr);
        Err(expired(&command, &helped.stderr, &secrets)
            .unwrap_or(ToolError::NotStored { command, output }))
    }

    fn push_by_hand(&self, state: &UnsavedState) -> String {
        let command = match self.decryption_by_hand(state) {
            None => in_place(self, &format!("state push {}", self.name_of(state))),
            Some(Ok(decryption)) => in_place_after(self, &decryption, &self.push_plain()),
            Some(Err(why)) => return self.decrypt_by_hand(&why),
        };
        format!(
            "Before the next deploy, store it by hand, which {} refuses where another one has been \
             stored meanwhile: {command}",
            program(self),
        )
    }

    fn compare_by_hand(&self, state: &UnsavedState) -> String {
        let file = self.name_of(state);
        let command = match self.decryption_by_hand(state) {
            None if !self.is_opentofu => in_place(self, &format!("state pull | diff - {file}")),
            None => in_place_after(self, PRIVATE, &self.compare_lines(&file, "")),
            Some(Ok(decryption)) => {
                let push = format!("; {ASK} && {}", self.push_plain());
                let compare = self.compare_lines("\"$private/plain\"", &push);
                in_place_after(self, &decryption, &compare)
            }
            Some(Err(why)) => return self.decrypt_by_hand(&why),
        };
        format!(
            "Another state may have been stored meanwhile, and {} may set it back without a word. \
             Before the next deploy, compare them, and push this one only where the stored one has \
             nothing that it lacks: {command}",
            program(self),
        )
    }

    fn push_plain(&self) -> String {
        once_in_place(self, "state push \"$private/plain\"")
    }

    /// Compares the stored state with this file: OpenTofu shows a state on one line, and leaves one on
    /// many.
    fn compare_lines(&self, file: &str, then: &str) -> String {
        const LINES: &str = r#"lines() { tr -d ' \n' <"$1" | tr , '\n'; }"#;
        let pull = once_in_place(self, "state pull");
        format!(
            "{pull} >\"$private/stored\" && {LINES} && lines \"$private/stored\" >\"$private/lines\" && \
             {{ lines {file} | diff \"$private/lines\" -{then}; }}"
        )
    }

    /// What lays out a state in plain text where it is encrypted, or why nothing does.
    fn decryption_by_hand(&self, state: &UnsavedState) -> Option<Result<String, String>> {
        let text = text_of(&state.path).unwrap_or_default();
        let file = self.name_of(state);
        is_encrypted(&text).then(|| encryption_of(self).map(|part| decryption(self, &file, &part)))
    }

    fn decrypt_by_hand(&self, why: &str) -> String {
        let program = program(self);
        format!(
            "`{program} state push` reads no encrypted file, and softstop knows no command that decrypts \
             it: {why}. Before the next deploy, show it by `{program} state pull`, as terraform.tfstate \
             in a directory with its encryption and no backend, and store what is shown"
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

/// Without that, the same state would be stored once more, which loses nothing.
fn mark_as_stored(state: &UnsavedState) {
    if let Err(error) = fs::rename(&state.path, state.stored_path()) {
        warn!(
            "{} is stored, and could not be renamed: {error}. Remove it.",
            state.path.display()
        );
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
