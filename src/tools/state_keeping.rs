//! States that a tool keeps, and that may be left in a file where they could not be stored.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::error::ToolError;
use super::host::Host;
use crate::lock::LockInfo;

/// A tool that keeps a state of what it has made.
pub(crate) trait StateKeeping {
    /// The state that could not be stored and was left in a file. The deploy that left it has run so
    /// long, where nobody asked any tool in it to stop.
    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState>;

    /// Stores such a state where nothing that is stored is lost by it. To be called while nobody
    /// holds the lock.
    async fn save_state(&self, host: &impl Host, state: &UnsavedState) -> Result<(), Unstored>;

    /// Notes beside a state that is not stored whose it is, so that a release can store it.
    fn note_unsaved(&self, state: &UnsavedState) -> io::Result<()>;

    /// The state that lies here and is noted to be of this holder.
    fn unsaved_state_of(&self, holder: &LockInfo) -> Option<UnsavedState>;

    /// The operations for which storing a state can hold a lock.
    fn operations_of_a_save(&self) -> &'static [&'static str];

    /// How a person stores such a state, or learns whether it can be stored.
    async fn save_by_hand(&self, host: &impl Host, state: &UnsavedState) -> String;
}

/// A state that lies in a file because it could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnsavedState {
    pub(crate) path: PathBuf,
    pub(super) written: SystemTime,
    pub(super) since: Since,
    /// Whether more than one state was used where it lies, so that it may be of any of them.
    pub(super) is_of_several: bool,
}

/// What is known of others who may have stored a state since the run began that could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// Nobody: the lock of that run is still there.
    Guarded,
    /// The run has tried once, so the serial of its state tells.
    TriedOnce,
    Unknown,
}

/// Why a state was not stored, and what a person can do about that.
#[derive(Debug)]
pub(crate) struct Unstored {
    pub(crate) reason: ToolError,
    pub(crate) advice: String,
}

impl UnsavedState {
    pub(super) fn at(path: PathBuf, tried_once: bool) -> Option<Self> {
        let written = fs::metadata(&path).ok()?.modified().ok()?;
        let since = if tried_once {
            Since::TriedOnce
        } else {
            Since::Unknown
        };
        Some(Self {
            path,
            written,
            since,
            is_of_several: false,
        })
    }

    /// The same while the lock of the run that has left it is still there.
    pub(crate) fn guarded(self) -> Self {
        Self {
            since: Since::Guarded,
            ..self
        }
    }

    /// The same where more than one state was used.
    pub(crate) fn of_several(self, is_of_several: bool) -> Self {
        Self {
            is_of_several,
            ..self
        }
    }

    /// Whether it was left since then; if not, it is an earlier run's.
    pub(crate) fn is_left_since(&self, moment: SystemTime) -> bool {
        self.written >= moment
    }

    /// Where the file is once its state is stored: under another name nobody stores it again.
    pub(super) fn stored_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".stored");
        path.into()
    }

    /// What is to be said where it cannot be stored.
    pub(crate) fn to_keep(&self, advice: &str) -> String {
        let path = self.path.display();
        format!(
            "Keep {path}: it is the only record of what was created, and holds secrets. {advice}"
        )
    }

    /// What is to be said once it is stored, where somebody else may have the lock by then.
    pub(crate) fn is_perhaps_stored(&self) -> String {
        format!(
            "The state was stored, but nobody knows whether it still is: the lock that kept others away \
             is not seen to be there any more. Keep {}, which holds secrets, until the stored state is \
             seen to have all that is in it.",
            self.stored_path().display()
        )
    }

    /// What is to be said once it is stored.
    pub(crate) fn is_stored(&self) -> String {
        format!(
            "The state is stored now. {} is no longer needed, and holds secrets.",
            self.stored_path().display()
        )
    }
}

impl fmt::Display for UnsavedState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(
            formatter,
            "The deploy could not store its state and left it in {path}."
        )
    }
}
