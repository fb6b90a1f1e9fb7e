//! What a look and its verdict have shown, and what became of the lock.

use std::fmt;

use crate::lock::{Doubt, Life, LockInfo, Proof};

/// What a look at a lock has shown, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nobody holds it.
    Free,
    /// The backend is set up to take none.
    NeverLocked,
    /// Its holder is over.
    Over(LockInfo, Proof),
    /// Its holder is alive.
    Alive(Option<LockInfo>, Life),
    /// Nobody can tell whether its holder is over.
    Doubtful(Option<LockInfo>, Doubt, ByHand),
}

/// What became of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Its holder was over, and it was released.
    Released(LockInfo, Proof),
    /// It is as it was found.
    Untouched(Finding),
    /// Its holder is over, and yet it could not be released, for this reason.
    Stuck(LockInfo, Proof, String, ByHand),
}

/// The command by which a person releases a lock; empty where nobody knows which lock it is.
pub(super) type ByHand = String;

impl From<Finding> for Recovery {
    fn from(finding: Finding) -> Self {
        Self::Untouched(finding)
    }
}

impl Recovery {
    /// Whether nobody holds the lock any more.
    pub(crate) fn is_free(&self) -> bool {
        matches!(
            self,
            Self::Released(..) | Self::Untouched(Finding::Free | Finding::NeverLocked)
        )
    }
}

/// What was found, whose it is and since when, and why.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => formatter.write_str("The lock is free."),
            Self::NeverLocked => formatter.write_str("The backend is set up without locking."),
            Self::Over(lock, proof) => {
                write!(formatter, "There is {lock}. Its holder is over: {proof}.")
            }
            Self::Alive(Some(lock), life) => {
                write!(formatter, "There is {lock}. Its holder is alive: {life}.")
            }
            Self::Alive(None, life) => {
                write!(formatter, "The lock is held. Its holder is alive: {life}.")
            }
            Self::Doubtful(Some(lock), doubt, by_hand) => write!(
                formatter,
                "There is {lock}. It is left alone: {doubt}. If you are sure that its holder is \
                 over, release it by hand: {by_hand}"
            ),
            Self::Doubtful(None, doubt, _) => {
                write!(formatter, "The lock is held. It is left alone: {doubt}.")
            }
        }
    }
}

/// What was done, besides.
impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched(finding) => finding.fmt(formatter),
            Self::Released(lock, proof) => {
                write!(formatter, "There was {lock}. It was released: {proof}.")
            }
            Self::Stuck(lock, proof, reason, by_hand) => write!(
                formatter,
                "There is {lock}. It was to be released, because {proof}, but is still there.\
                 {reason} When the backend can be asked again, release it by hand: {by_hand}"
            ),
        }
    }
}
