//! The story of a deploy, top to bottom.

use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::after_script;
use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND};
use crate::pipe::console::{FAILURE, SUCCESS};
use crate::recovery::{Finished, LockState, free_own_lock};
use crate::supervisor::{Ending, Supervisor};
use crate::tools::{DeployLock, DeployTool, Look, UnsavedState};

/// How much of the grace period ending the tree may take.
const TO_END_THE_TREE: Duration = Duration::from_millis(700);
/// How much of the grace period the after-script is given when all else is late.
const FOR_THE_AFTER_SCRIPT: Duration = Duration::from_secs(1);
/// How long a look is expected to take on a backend that has not been asked yet.
const UNKNOWN_LOOK: Duration = Duration::from_millis(500);
/// How many questions a release takes: look, version, look, release, look.
const QUESTIONS: u32 = 5;
/// How a shell tells that its command was killed.
const KILLED: i32 = 128 + nix::libc::SIGKILL;

/// What the user wants done.
pub(crate) struct Deploy {
    /// What to run; the tool's own default where it is empty.
    pub(crate) command: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) workspace: Option<String>,
    pub(crate) after_script: Option<String>,
}

/// How the deploy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
    /// softstop was asked to stop.
    Interrupted,
    /// The command was killed, and not by softstop.
    Killed,
}

/// The lock as it was before the deploy, and how long it took to ask.
struct Before<L> {
    lock: Option<L>,
    look: Option<Look>,
    question: Duration,
}

/// Runs the deploy, and leaves no lock of its own behind.
pub(crate) async fn run<T: DeployTool>(supervisor: &Supervisor, tool: &T, deploy: &Deploy) -> Exit {
    let before = look_before(supervisor, tool).await;
    if let Some(interrupt) = supervisor.interrupt() {
        let exit = Exit::Signal(interrupt.signal as i32);
        error!(target: FAILURE, "Stopped by {} before the deploy began.", interrupt.signal);
        return exit;
    }

    let unsaved_before = tool.unsaved_state();
    let started = Timestamp::now();
    let command = command(tool, deploy);
    let reserve = reserve(before.question, deploy.after_script.is_some());
    let ending = supervisor
        .run_deploy(command, &tool.programs(), reserve)
        .await;
    let (outcome, exit) = conclude(&ending);
    let finished = Finished {
        started,
        ended: Timestamp::now(),
        look_before: before.look.as_ref(),
        tree_gone: ending.as_ref().is_ok_and(|ending| ending.tree_gone),
    };

    let lock = if !tool.has_work() {
        LockState::None
    } else if has_released_its_lock(&ending) {
        LockState::Free
    } else {
        look_after(supervisor, tool, before.lock, &finished).await
    };
    let unsaved = tool
        .unsaved_state()
        .filter(|state| unsaved_before.as_ref() != Some(state));
    if let Some(state) = unsaved {
        save(supervisor, tool, &state, &lock).await;
    }
    if let Some(script) = &deploy.after_script {
        after_script::run(supervisor, script, &deploy.directory, outcome, exit, &lock).await;
    }
    tell(outcome, exit, &lock);
    exit
}

/// Looks at the lock before anything runs: to learn whose it is, and how long a look takes here.
async fn look_before<T: DeployTool>(supervisor: &Supervisor, tool: &T) -> Before<T::Lock> {
    let mut before = Before {
        lock: None,
        look: None,
        question: UNKNOWN_LOOK,
    };
    if !tool.has_work() {
        info!("There is no configuration here, and so no lock to look after.");
        return before;
    }
    if tool.keeps_state_here() {
        warn!(
            "The configuration has no backend block: state and lock are kept beside it, and in a \
             pipeline they are gone with the step."
        );
    }
    let found = tool.find_lock(supervisor).await;
    let began = Instant::now();
    let looked = match &found {
        Ok(lock) => lock.look(supervisor).await,
        Err(_) => Ok(Look::Free),
    };
    match (found, looked) {
        (Ok(lock), Ok(look)) => {
            before.question = began.elapsed();
            match &look {
                Look::Held(holder) => info!("The state is locked already: {holder}."),
                Look::HeldBySomebody => info!("The state is locked already, by somebody."),
                Look::NeverLocked => warn!("The backend is set up without locking."),
                Look::Free => {}
            }
            before.look = Some(look);
            before.lock = Some(lock);
        }
        (Err(error), _) | (_, Err(error)) => {
            warn!("The lock cannot be looked after yet: {error}.");
        }
    }
    before
}

fn command<T: DeployTool>(tool: &T, deploy: &Deploy) -> Command {
    let mut command = match deploy.command.split_first() {
        None => tool.default_command(),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    if let Some(workspace) = &deploy.workspace {
        command.env("TF_WORKSPACE", workspace);
    }
    command.current_dir(&deploy.directory);
    command
}

/// The end of the grace period that is kept for ending the tree, the lock and the after-script.
fn reserve(question: Duration, has_after_script: bool) -> Duration {
    let for_the_script = if has_after_script {
        FOR_THE_AFTER_SCRIPT
    } else {
        Duration::ZERO
    };
    TO_END_THE_TREE + question * QUESTIONS + for_the_script
}

fn conclude(ending: &io::Result<Ending>) -> (Outcome, Exit) {
    match ending {
        Err(problem) => {
            error!("The command could not be run: {problem}.");
            let code = match problem.kind() {
                ErrorKind::NotFound => Exit::Command(NOT_FOUND),
                ErrorKind::PermissionDenied => Exit::Command(CANNOT_RUN),
                _ => Exit::Failure,
            };
            (Outcome::Failed, code)
        }
        Ok(Ending {
            interrupt: Some(interrupt),
            ..
        }) => (Outcome::Interrupted, Exit::Signal(interrupt.signal as i32)),
        Ok(Ending { status, .. }) => match (status.code(), status.signal()) {
            (Some(0), _) => (Outcome::Succeeded, Exit::Done),
            (Some(KILLED), _) => (Outcome::Killed, Exit::Signal(nix::libc::SIGKILL)),
            (Some(code), _) => {
                let code = u8::try_from(code).unwrap_or(u8::MAX);
                (Outcome::Failed, Exit::Command(code))
            }
            (None, signal) => (Outcome::Killed, signal.map_or(Exit::Failure, Exit::Signal)),
        },
    }
}

/// Whether the deploy has surely left no lock: it never began, or it ended well and left no tool
/// running.
fn has_released_its_lock(ending: &io::Result<Ending>) -> bool {
    ending.as_ref().map_or(true, |ending| {
        ending.status.success() && !ending.tool_was_stopped
    })
}

/// Looks at the lock after a deploy that may have left it behind, and releases it if it has.
async fn look_after<T: DeployTool>(
    supervisor: &Supervisor,
    tool: &T,
    lock_before: Option<T::Lock>,
    finished: &Finished<'_>,
) -> LockState {
    // The deploy itself may have initialised another backend or another workspace.
    let lock = match lock_before.filter(|lock| tool.is_current(lock)) {
        Some(lock) => Ok(lock),
        None => tool.find_lock(supervisor).await,
    };
    let state = match lock {
        Ok(lock) => free_own_lock(supervisor, tool, &lock, finished).await,
        Err(error) => Err(error.into()),
    };
    state.unwrap_or_else(|error| {
        warn!("Whether the lock is free is not known: {error:#}.");
        LockState::Unknown
    })
}

/// Stores a state that the deploy could not store, while nobody can have built upon the old one.
async fn save<T: DeployTool>(
    supervisor: &Supervisor,
    tool: &T,
    state: &UnsavedState,
    lock: &LockState,
) {
    let path = state.path.display();
    info!("The deploy could not store its state and left it in {path}.");
    let saved = if lock.is_free() {
        tool.save_state(supervisor, state).await
    } else {
        warn!("It is not stored now, because {lock}.");
        return keep(tool, state);
    };
    match saved {
        Ok(()) => info!("The state is stored now. {path} is no longer needed."),
        Err(error) => {
            warn!("It cannot be stored now either: {error}.");
            keep(tool, state);
        }
    }
}

fn keep<T: DeployTool>(tool: &T, state: &UnsavedState) {
    warn!(
        "Keep {}: it is the only record of what was created. Before the next deploy, store it by \
         hand: {}",
        state.path.display(),
        tool.save_by_hand(state)
    );
}

fn tell(outcome: Outcome, exit: Exit, lock: &LockState) {
    match outcome {
        Outcome::Succeeded => info!(target: SUCCESS, "Deploy succeeded."),
        Outcome::Failed => error!(target: FAILURE, "Deploy failed with {exit}; {lock}."),
        Outcome::Killed => error!(target: FAILURE, "Deploy was killed ({exit}); {lock}."),
        Outcome::Interrupted => {
            error!(target: FAILURE, "Deploy was interrupted ({exit}); {lock}.");
        }
    }
}

impl Outcome {
    /// The word for it in SOFTSTOP_OUTCOME.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
        }
    }
}
