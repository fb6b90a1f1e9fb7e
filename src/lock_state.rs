//! What became of the lock of a deploy, as its last words and AFTER_SCRIPT tell it.

use std::fmt;

use crate::recovery::{Finding, Recovery};

/// What became of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    /// Nobody holds it.
    Free,
    /// It was left behind, and was released.
    Released(String),
    /// It is held, by somebody else or by nobody knows whom.
    Held(Option<String>),
    /// It could not be asked about.
    Unknown,
    /// There is none to look after.
    None,
}

impl LockState {
    /// The word for it in SOFTSTOP_LOCK. What is not known to be free counts as held.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Free | Self::None => "free",
            Self::Released(_) => "released",
            Self::Held(_) | Self::Unknown => "held",
        }
    }

    /// The ID of the lock that this is about.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Released(id) => Some(id),
            Self::Held(id) => id.as_deref(),
            Self::Free | Self::Unknown | Self::None => None,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        matches!(self, Self::Free | Self::Released(_) | Self::None)
    }
}

impl From<Recovery> for LockState {
    fn from(recovery: Recovery) -> Self {
        match recovery {
            Recovery::Released(lock, _) => Self::Released(lock.id),
            Recovery::Stuck(lock, ..) | Recovery::Untouched(Finding::Over(lock, _)) => {
                Self::Held(Some(lock.id))
            }
            Recovery::Untouched(Finding::Free) => Self::Free,
            Recovery::Untouched(Finding::NeverLocked) => Self::None,
            Recovery::Untouched(Finding::Alive(lock, _) | Finding::Doubtful(lock, ..)) => {
                Self::Held(lock.map(|lock| lock.id))
            }
        }
    }
}

impl fmt::Display for LockState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Free => "the lock is free",
            Self::Released(_) => "its lock was released",
            Self::Held(_) => "the lock is held",
            Self::Unknown => "the lock could not be asked about",
            Self::None => "there is no lock to look after",
        })
    }
}
