//! The deploy tools that softstop can stop and whose locks it can free.

pub(crate) mod terraform;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::lock::LockInfo;
use crate::supervisor::{HelperError, Supervisor, Tools};

/// A tool that deploys under a lock.
pub(crate) trait DeployTool {
    type Lock: DeployLock;

    /// The programs that must be stopped the way they want.
    fn programs(&self) -> Tools;

    /// The `user@host` with which the tool signs its locks.
    fn signature(&self) -> String;

    /// The version with which the tool signs its locks.
    async fn version(&self, supervisor: &Supervisor) -> Result<String, ToolError>;

    /// Whether there is anything here that the tool could deploy.
    fn has_work(&self) -> bool;

    /// Whether the state, and with it the lock, is kept nowhere but beside the configuration.
    fn keeps_state_here(&self) -> bool;

    /// What the tool runs where the user names no command.
    fn default_command(&self, lock_timeout: Duration) -> Command;

    /// The state that the tool could not store and left in a file.
    fn unsaved_state(&self) -> Option<UnsavedState>;

    /// Stores such a state. To be called while nobody holds the lock.
    async fn save_state(
        &self,
        supervisor: &Supervisor,
        state: &UnsavedState,
    ) -> Result<(), ToolError>;

    /// The command by which a person stores such a state.
    fn save_by_hand(&self, state: &UnsavedState) -> String;

    /// Finds the lock of the deploy, without taking it.
    async fn find_lock(&self, supervisor: &Supervisor) -> Result<Self::Lock, ToolError>;

    /// Whether `lock` is still the one that `find_lock` would find.
    fn is_current(&self, lock: &Self::Lock) -> bool;
}

/// The lock of one deploy.
pub(crate) trait DeployLock {
    /// Asks who holds the lock.
    async fn look(&self, supervisor: &Supervisor) -> Result<Look, ToolError>;

    /// Asks for the release. No answer of the tool is a proof: look again.
    async fn release(&self, supervisor: &Supervisor, lock: &LockInfo) -> Result<(), ToolError>;

    /// Whether a release is refused where another lock, or none, is there by now.
    fn release_compares(&self) -> bool;

    /// Whether `lock` is held by a look of somebody else's, which takes it for an instant.
    fn is_of_a_look(lock: &LockInfo) -> bool;

    /// Whether the lock dies with the process that holds it, so that it can only be watched.
    fn dies_with_its_process(&self) -> bool;

    /// The command by which a person releases the lock.
    fn release_by_hand(&self, lock: &LockInfo) -> String;
}

/// What a look at a lock has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Free,
    Held(LockInfo),
    /// Somebody holds it, and the backend does not say who.
    HeldBySomebody,
    /// The backend is set up to take no lock.
    NeverLocked,
}

/// A state that lies in a file because it could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnsavedState {
    pub(crate) path: PathBuf,
    /// Tells the file of this run from one of an earlier run.
    written: (SystemTime, u64),
}

impl UnsavedState {
    fn at(path: PathBuf) -> Option<Self> {
        let metadata = fs::metadata(&path).ok()?;
        let written = (metadata.modified().ok()?, metadata.len());
        Some(Self { path, written })
    }
}

/// Why a question about a lock has no answer.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    #[error("{path} cannot be read: {source}. Make it readable for softstop")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} cannot be understood: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "softstop does not know how locks of the backend {kind:?} are read and released, so it leaves them alone. {advice}"
    )]
    Unsupported { kind: String, advice: &'static str },
    #[error("{reason}")]
    Unknown { reason: String },
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
    #[error("Terraform refuses what {variable} holds: a quote or a bracket in it is not closed")]
    BadArguments { variable: &'static str },
    #[error("no directory for temporary files: {0}. Point TMPDIR at a writable directory")]
    Scratch(std::io::Error),
    #[error("the backend gave no answer: {0}")]
    Helper(#[from] HelperError),
    #[error("{command} failed, so the lock cannot be asked about. It said: {output}")]
    Failed { command: String, output: String },
    #[error("{command} failed. It said: {output}")]
    NotStored { command: String, output: String },
    #[error("{command} did not release the lock. It said: {output}")]
    NotReleased { command: String, output: String },
    #[error("{command} released one half of the lock, and not the other one. It said: {output}")]
    ReleasedInPart { command: String, output: String },
    #[error("the processes of this machine are hidden: {0}")]
    Hidden(std::io::Error),
    #[error("the lock server {address} could not be asked: {reason}")]
    LockServer { address: String, reason: String },
}
