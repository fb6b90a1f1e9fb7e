//! States that a tool keeps, and that may be left in a file where they could not be stored.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Host, ToolError};

/// A tool that keeps a state of what it has made.
pub(crate) trait StateKeeping {
    /// The state that could not be stored and was left in a file. The deploy that left it has run so
    /// long, where nobody asked any tool in it to stop.
    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState>;

    /// Stores such a state where nothing that is stored is lost by it. To be called while nobody
    /// holds the lock.
    async fn save_state(&self, host: &impl Host, state: &UnsavedState) -> Result<(), Unstored>;

    /// How a person stores such a state, or learns whether it can be stored.
    fn save_by_hand(&self, state: &UnsavedState) -> String;
}

/// A state that lies in a file because it could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnsavedState {
    pub(crate) path: PathBuf,
    written: SystemTime,
    /// How long the deploy that left it has run, where nobody asked any tool in it to stop.
    pub(super) undisturbed: Option<Duration>,
}

/// Why a state was not stored, and what a person can do about that.
#[derive(Debug)]
pub(crate) struct Unstored {
    pub(crate) reason: ToolError,
    pub(crate) advice: String,
}

impl UnsavedState {
    pub(super) fn at(path: PathBuf, undisturbed: Option<Duration>) -> Option<Self> {
        let written = fs::metadata(&path).ok()?.modified().ok()?;
        Some(Self {
            path,
            written,
            undisturbed,
        })
    }

    /// Whether it was left since then; if not, it is an earlier run's.
    pub(crate) fn is_left_since(&self, moment: SystemTime) -> bool {
        self.written >= moment
    }
}
