//! Why a question about a lock has no answer.

use std::path::PathBuf;

use thiserror::Error;

use crate::printable::one_line;
use crate::supervisor::HelperError;

/// Why a question about a lock has no answer.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    #[error("{path} cannot be read: {source}. Make it readable for softstop")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The backend has no such state, and so nothing there can be locked.
    #[error("{0}")]
    NoState(String),
    #[error("{path} cannot be understood: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "softstop does not know how locks of the backend {kind:?} are read and released, so it leaves them alone. {advice}"
    )]
    Unsupported { kind: String, advice: &'static str },
    #[error("{reason}")]
    Unknown { reason: String },
    #[error("{0}")]
    NoProgram(String),
    /// The program deploys all the same, without a lock.
    #[error(
        "the backend {kind:?} knows no setting {names}, and without it no lock is taken, so softstop cannot know which lock is meant. Correct its name"
    )]
    Dropped { kind: String, names: String },
    #[error(
        "the settings of the backend {kind:?} are incomplete, so softstop cannot know which state is meant: {missing} missing. Give it by {ways}"
    )]
    Incomplete {
        kind: String,
        missing: String,
        ways: String,
    },
    #[error(
        "{path} cannot be understood: the setting {setting:?} is no literal value. Give it by BACKEND_CONFIG"
    )]
    NoLiteral { path: PathBuf, setting: String },
    #[error(
        "Terraform and OpenTofu refuse what {variable} holds: a quote or a bracket in it is not closed"
    )]
    BadArguments { variable: &'static str },
    #[error("no directory for temporary files: {0}. Point TMPDIR at a writable directory")]
    Scratch(std::io::Error),
    #[error("the backend gave no answer: {0}")]
    Helper(#[from] HelperError),
    /// Whoever is killed while the first, empty state is stored leaves the lock for that.
    #[error(
        "the backend gave no answer: {0}. Where no state was there yet, a lock for the operation `init` may be left"
    )]
    PerhapsFirst(HelperError),
    #[error("{command} failed, so the lock cannot be asked about. It said: {output}")]
    Failed { command: String, output: String },
    #[error(
        "the credentials for the backend have expired{since}, so {command} failed. Give it fresh ones, or ones that live longer than the step. It said: {output}"
    )]
    Expired {
        /// Since when, with a blank before it; empty where nobody has said so.
        since: String,
        command: String,
        output: String,
    },
    #[error("{command} failed. It said: {output}")]
    NotStored { command: String, output: String },
    #[error("it cannot be compared with the state that is stored by now: {reason}")]
    NotComparable { reason: String },
    #[error("something that is stored by now may be lost by it: {difference}")]
    Forked { difference: String },
    #[error("the processes of this machine are hidden: {0}")]
    Hidden(std::io::Error),
    #[error("the lock server {address} could not be asked: {reason}")]
    LockServer { address: String, reason: String },
    /// The lock of the look may be there, or may be taken yet.
    #[error(
        "the lock server {address} could not be asked: {reason}. If the lock {ids} of this very question is left there, release it by hand: {by_hand}"
    )]
    PerhapsTaken {
        address: String,
        reason: String,
        ids: String,
        by_hand: String,
    },
    #[error(
        "softstop was asked to stop before anything was begun, and takes no lock any more to ask about it"
    )]
    InVain,
    /// The lock of the look may be there.
    #[error(
        "a look at the lock, which takes it for a moment, was ended before it could give it back: {0}. Where a lock for the operation `untaint` is left there, release it by hand"
    )]
    CutShort(HelperError),
    /// The lock of the look is there.
    #[error(
        "a look at the lock, which takes it for a moment, could not give it back: {reason}. Where a lock for the operation `untaint` is left there, release it by hand"
    )]
    KeptByLook { reason: String },
    /// The request may be carried out later, whoever holds the lock by then.
    #[error(
        "the lock server {address} has not confirmed that it has given back the lock {id}: {reason}. Where that lock is still there, release it by hand: {by_hand}"
    )]
    NotGivenBack {
        address: String,
        id: String,
        reason: String,
        by_hand: String,
    },
}

impl ToolError {
    /// The error as a sentence: after a command that is to be pasted, there is no full stop.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::NotGivenBack { .. } | Self::PerhapsTaken { .. } => one_line(&self.to_string()),
            error => one_line(&format!("{error}.")),
        }
    }

    /// Why a question has no answer that makes a state where there is none, or does not.
    pub(crate) fn unanswered(error: HelperError, makes_state: bool) -> Self {
        match error {
            HelperError::TimedOut { .. } | HelperError::Killed { .. } if makes_state => {
                Self::PerhapsFirst(error)
            }
            error => Self::Helper(error),
        }
    }

    /// Whether the next question may have an answer, where an earlier one had.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Helper(_) | Self::LockServer { .. } | Self::Failed { .. }
        )
    }

    /// Whether a request may be carried out yet, or a lock of our own be left: then nothing may follow
    /// as if the lock were free.
    pub(crate) fn may_act_yet(&self) -> bool {
        matches!(
            self,
            Self::NotGivenBack { .. }
                | Self::PerhapsTaken { .. }
                | Self::CutShort(_)
                | Self::KeptByLook { .. }
        )
    }
}
