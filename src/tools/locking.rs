//! Locks, however a tool asks about them: what a look shows, and what a release guarantees and does.

use std::fmt;
use std::path::Path;

use super::access::Barred;
use super::error::ToolError;
use super::host::Host;
use crate::lock::LockInfo;

/// Where a tool works, and which locks it takes there.
pub(crate) trait Locking: Clone {
    type Lock<'a, H: Host + 'a>: Locked
    where
        Self: 'a;

    /// Where the tool runs.
    fn directory(&self) -> &Path;

    /// The directory, and what else tells one place from another, for people.
    fn place_name(&self) -> String;

    /// The program, the directory, and what else decides which state is used there, for people.
    fn description(&self) -> String;

    /// Whether both mean the same state at the same backend.
    fn is_same_place(&self, other: &Self) -> bool;

    /// Whether what was set up is what was used, be it for another state at the same backend.
    fn is_set_up_for(&self, used: &Self) -> bool;

    /// Whether there is anything here that the tool could deploy.
    fn has_work(&self) -> bool;

    /// The same of all that lies here or below.
    fn has_work_below(&self) -> bool;

    /// What a person should know of this place before the tool's own command deploys there.
    fn caveat(&self) -> Option<&'static str>;

    /// What the tool would want to read or write here, and may not.
    fn barred(&self) -> Vec<Barred>;

    /// Finds the locks of the deploy, without taking them; none where it is set up to take none.
    async fn find_locks<'a, H: Host>(
        &'a self,
        host: &'a H,
    ) -> Result<Vec<Self::Lock<'a, H>>, ToolError>;
}

/// One lock of a place.
pub(crate) trait Locked {
    /// Asks who holds the lock.
    async fn look(&self) -> Result<Look, ToolError>;

    /// Asks for the release. No answer of the tool is a proof: look again. An error leaves open whether it was
    /// carried out; where nothing was asked for, the lock counts as changed.
    async fn release(&self, lock: &LockInfo) -> Result<Reply, ToolError>;

    /// How the lock goes whose holder is over.
    fn end(&self) -> End;

    /// What a person does to release the lock.
    fn release_by_hand(&self, lock: &LockInfo) -> ByHand;

    /// What a person does to release a lock that does not say whose it is.
    fn unnamed_by_hand(&self) -> ByHand;
}

/// What a person does to release a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByHand {
    /// A command that is to be pasted.
    Paste(String),
    /// What no command does, as an order.
    Words(String),
    Unknown,
}

/// What a look at a lock has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Free,
    Held(LockInfo),
    /// Somebody holds it, and the backend does not say who.
    HeldBySomebody,
}

impl fmt::Display for Look {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => formatter.write_str("nobody holds the lock"),
            Self::Held(lock) => lock.fmt(formatter),
            Self::HeldBySomebody => formatter.write_str("somebody holds the lock who is not named"),
        }
    }
}

/// How a lock goes whose holder is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It dies with the process that holds it, so that it can only be watched.
    Death,
    Release(Guarantee),
}

/// What a release guarantees where the lock has changed hands since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// The backend itself compares, and refuses.
    Atomic,
    /// The tool compares just before: a window of milliseconds stays open.
    Compared,
    /// Nothing: whoever holds the lock by then may lose it.
    Blind,
}

/// What a release did, by the word of whoever was asked for it.
#[derive(Debug)]
pub(crate) enum Reply {
    Released,
    /// Nothing was locked any more, as it was said.
    Gone(String),
    /// It was refused, as where another lock is there by now.
    Changed(String),
    /// One half of the lock was released, and the other one not.
    Half(String),
    /// Something may be carried out yet, whoever holds the lock by then.
    Unclear(ToolError),
}

impl ByHand {
    /// What is to be done, and when; on lines of its own, behind whatever was said of the lock.
    pub(crate) fn advice(&self, when: &str) -> String {
        match self {
            Self::Paste(command) => format!("\n  {when}, release it by hand:\n  {command}"),
            Self::Words(words) => format!("\n  {when}, {words}."),
            Self::Unknown => String::new(),
        }
    }

    /// What is to be done, where that is known.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Paste(text) | Self::Words(text) => Some(text),
            Self::Unknown => None,
        }
    }
}

impl End {
    /// Whether a release would take the lock of whoever holds it by then.
    pub(crate) fn is_blind(self) -> bool {
        self == Self::Release(Guarantee::Blind)
    }
}
