//! The deploy tools that softstop can stop and whose locks it can free.

pub(crate) mod progress;
pub(crate) mod terraform;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use thiserror::Error;

use crate::lock::LockInfo;
use crate::supervisor::{HelperError, SeenTool, Supervisor, Tools};
use progress::{Reader, Stored};

/// A tool that deploys under a lock.
pub(crate) trait DeployTool: Clone {
    type Lock: DeployLock;
    type Reader: Reader;

    /// What the lines of its output hold in which it tells what it makes.
    const MARKERS: &'static [&'static str];

    /// What a program of the tool that was seen to run says of the state that it uses.
    fn sight(seen: &SeenTool) -> Sighting<Self>;

    /// What a program of the tool that was seen to run is there for.
    fn purpose(seen: &SeenTool) -> Purpose;

    /// Whether these words of a command, or the shell script in them, show that no lock is taken.
    fn takes_no_lock(words: &[String]) -> bool;

    /// Whether these words of a command, or the shell script in them, name the tool.
    fn is_named_in(words: &[String]) -> bool;

    /// Whether both mean the same state at the same backend.
    fn is_same_place(&self, other: &Self) -> bool;

    /// The directory, and what else tells one place from another, for people.
    fn place_name(&self) -> String;

    /// Where the tool runs.
    fn directory(&self) -> &Path;

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
    fn default_command(&self, lock_timeout: Duration) -> Result<Prepared, ToolError>;

    /// A command of the user's own, with what it needs for the tool in it to find the settings that are
    /// given.
    fn own_command(&self, command: Command) -> Result<Prepared, ToolError>;

    /// The state that the tool could not store and left in a file. The deploy that left it has run so
    /// long, where nobody asked any tool in it to stop.
    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState>;

    /// Stores such a state where nothing that is stored is lost by it. To be called while nobody
    /// holds the lock.
    async fn save_state(
        &self,
        supervisor: &Supervisor,
        state: &UnsavedState,
    ) -> Result<(), Unstored>;

    /// How a person stores such a state, or learns whether it can be stored.
    fn save_by_hand(&self, state: &UnsavedState) -> String;

    /// What the stored state has, without taking the lock. To be asked where the deploy has used it,
    /// because asking may create it.
    async fn stored(&self, supervisor: &Supervisor) -> Result<Stored, ToolError>;

    /// How a person brings into the state what was made and is not in it.
    fn import_by_hand(&self, address: &str, id: &str) -> String;

    /// Finds the lock of the deploy, without taking it.
    async fn find_lock(&self, supervisor: &Supervisor) -> Result<Self::Lock, ToolError>;
}

/// What a program of a tool is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It shows what a deploy would change.
    Plan,
    /// It may change something.
    Change,
    Other,
}

/// What a program of a tool was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sighting<T> {
    /// It opens no state, or takes no lock.
    Nothing,
    /// It uses the state of this place.
    Place(T),
    /// It sets this place up.
    Initialising(T),
    /// It removes the state of this place.
    Removing(T),
    /// Which state it uses cannot be read, for this reason.
    Unclear(String),
}

/// A command, and the files that it needs until it has ended.
pub(crate) struct Prepared {
    pub(crate) command: Command,
    pub(crate) files: Option<TempDir>,
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
    written: SystemTime,
    /// How long the deploy that left it has run, where nobody asked any tool in it to stop.
    undisturbed: Option<Duration>,
}

/// Why a state was not stored, and what a person can do about that.
#[derive(Debug)]
pub(crate) struct Unstored {
    pub(crate) reason: ToolError,
    pub(crate) advice: String,
}

impl UnsavedState {
    fn at(path: PathBuf, undisturbed: Option<Duration>) -> Option<Self> {
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
    #[error("it cannot be compared with the state that is stored by now: {reason}")]
    NotComparable { reason: String },
    #[error("something that is stored by now may be lost by it: {difference}")]
    Forked { difference: String },
    #[error("{command} did not release the lock. It said: {output}")]
    NotReleased { command: String, output: String },
    #[error("{command} released one half of the lock, and not the other one. It said: {output}")]
    ReleasedInPart { command: String, output: String },
    #[error("the processes of this machine are hidden: {0}")]
    Hidden(std::io::Error),
    #[error("the lock server {address} could not be asked: {reason}{advice}")]
    LockServer {
        address: String,
        reason: String,
        /// The sentence that says what to do, whose last words are a command; empty where there is
        /// nothing to do.
        advice: String,
    },
    /// Nothing may follow as if the lock were free: it may be there.
    #[error(
        "a look at the lock, which takes it for a moment, was ended before it could give it back: {0}. Where a lock for the operation `untaint` is left there, release it by hand"
    )]
    CutShort(HelperError),
    /// Nothing may follow as if the lock were free: the request may be carried out later, whoever
    /// holds the lock by then.
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
            Self::NotGivenBack { .. } => self.to_string(),
            Self::LockServer { advice, .. } if !advice.is_empty() => self.to_string(),
            error => format!("{error}."),
        }
    }
}
