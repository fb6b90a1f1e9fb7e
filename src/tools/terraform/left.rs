//! A note beside a state that could not be stored: whose it is, and of which state. It goes where the
//! file goes, so a later step can store what this one could not.

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files::text_of;
use super::place::{ERRORED_STATE, Terraform};
use super::state_file::StateVersion;
use crate::lock::LockInfo;
use crate::tools::signing::Signing;
use crate::tools::state_keeping::{Since, UnsavedState};

const NOTE: &str = "errored.tfstate.softstop.json";

/// It holds nothing of what the state holds.
#[derive(Deserialize, Serialize)]
struct Note {
    /// The run, as its locks name it.
    who: String,
    backend: String,
    workspace: String,
    /// What tells whether the file is still the one that is meant.
    lineage: String,
    serial: u64,
    /// A file that was copied has another time.
    written: Timestamp,
    tried_once: bool,
    is_of_several: bool,
}

impl Terraform {
    pub(super) fn note(&self, state: &UnsavedState) -> io::Result<()> {
        let backend = self.resolved().map_err(io::Error::other)?.backend;
        let unsaved = StateVersion::read(&text_of(&state.path)?);
        let unsaved = unsaved.map_err(io::Error::other)?;
        let note = Note {
            who: self.signature(),
            backend: backend.kind,
            workspace: self.workspace(),
            lineage: unsaved.lineage,
            serial: unsaved.serial,
            written: state.written.try_into().map_err(io::Error::other)?,
            tried_once: state.since == Since::TriedOnce,
            is_of_several: state.is_of_several,
        };
        fs::write(self.note_path(), serde_json::to_string(&note)?)
    }

    /// The state that lies here, where it is of this holder and of the state that is meant here.
    pub(super) fn left_by(&self, holder: &LockInfo) -> Option<UnsavedState> {
        let note = text_of(&self.note_path()).ok()?;
        let note: Note = serde_json::from_str(&note).ok()?;
        let path = self.directory.join(ERRORED_STATE);
        let unsaved = StateVersion::read(&text_of(&path).ok()?).ok()?;
        let is_meant = note.who == holder.who
            && note.workspace == self.workspace()
            && self
                .resolved()
                .is_ok_and(|resolved| resolved.backend.kind == note.backend)
            && note.lineage == unsaved.lineage
            && note.serial == unsaved.serial;
        let state = UnsavedState::at(path, note.tried_once)?.of_several(note.is_of_several);
        is_meant.then(|| UnsavedState {
            written: note.written.into(),
            ..state
        })
    }

    fn note_path(&self) -> PathBuf {
        self.directory.join(NOTE)
    }
}
