//! What became of the locks of a deploy, as its last words and AFTER_SCRIPT tell it.

use std::fmt;

use crate::recovery::{Finding, Recovery};

/// What became of one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    /// Nobody holds it, by the word of the backend.
    Free,
    /// It was left behind, and was released.
    Released(String),
    /// It is held, by somebody else or by nobody knows whom.
    Held(Option<String>),
    /// It could not be asked about, or nobody knows which one it is.
    Unknown,
}

/// What became of all locks that a deploy has used. None where there is none to look after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locks(pub(crate) Vec<LockState>);

impl LockState {
    /// What a recovery says; nothing where the backend takes no locks.
    pub(crate) fn of(recovery: Recovery) -> Option<Self> {
        Some(match recovery {
            Recovery::Released(lock, _) => Self::Released(lock.id),
            Recovery::Stuck(lock, ..) | Recovery::Untouched(Finding::Over(lock, _)) => {
                Self::Held(Some(lock.id))
            }
            Recovery::Untouched(Finding::Free) => Self::Free,
            Recovery::Untouched(Finding::NeverLocked) => return None,
            Recovery::Untouched(Finding::Alive(lock, _) | Finding::Doubtful(lock, ..)) => {
                Self::Held(lock.map(|lock| lock.id))
            }
        })
    }

    pub(crate) fn is_free(&self) -> bool {
        matches!(self, Self::Free | Self::Released(_))
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Free => "the lock is free",
            Self::Released(_) => "its lock was released",
            Self::Held(_) => "the lock is held",
            Self::Unknown => "the lock could not be asked about",
        }
    }
}

impl Locks {
    /// The one that says most: what a person has to know first.
    fn foremost(&self) -> Option<&LockState> {
        self.0.iter().max_by_key(|state| match state {
            LockState::Held(_) => 3,
            LockState::Unknown => 2,
            LockState::Released(_) => 1,
            LockState::Free => 0,
        })
    }

    /// The word for all of them in SOFTSTOP_LOCK.
    pub(crate) fn word(&self) -> &'static str {
        match self.foremost() {
            Some(LockState::Held(_)) => "held",
            Some(LockState::Unknown) => "unknown",
            Some(LockState::Released(_)) => "released",
            Some(LockState::Free) => "free",
            None => "none",
        }
    }

    /// The IDs of the locks that this is about, separated by blanks.
    pub(crate) fn ids(&self) -> String {
        let ids: Vec<&str> = self
            .0
            .iter()
            .filter_map(|state| match state {
                LockState::Released(id) => Some(id.as_str()),
                LockState::Held(id) => id.as_deref(),
                LockState::Free | LockState::Unknown => None,
            })
            .collect();
        ids.join(" ")
    }

    /// Whether there is nothing that a person would have to know of.
    pub(crate) fn are_quiet(&self) -> bool {
        self.0.iter().all(|state| *state == LockState::Free)
    }
}

impl fmt::Display for Locks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.foremost(), self.0.len()) {
            (None, _) => formatter.write_str("there is no lock to look after"),
            (Some(state), 1) => formatter.write_str(state.words()),
            (Some(state), count) if self.0.iter().all(|other| other.words() == state.words()) => {
                write!(formatter, "of each of {count} locks: {}", state.words())
            }
            (Some(state), count) => write!(formatter, "of one of {count} locks: {}", state.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_locks_the_word_is_the_one_that_says_most() {
        use LockState::{Free, Held, Released, Unknown};
        let id = || "4711".to_owned();
        for (states, word, ids) in [
            (vec![], "none", ""),
            (vec![Free], "free", ""),
            (vec![Free, Released(id())], "released", "4711"),
            (vec![Released(id()), Unknown], "unknown", "4711"),
            (
                vec![Held(Some("12".to_owned())), Unknown, Released(id())],
                "held",
                "12 4711",
            ),
            (vec![Held(None), Free], "held", ""),
        ] {
            let locks = Locks(states);
            assert_eq!((locks.word(), locks.ids().as_str()), (word, ids));
        }
    }
}
