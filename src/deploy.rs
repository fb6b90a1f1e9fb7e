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
use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND, Outcome};
use crate::lock::{OF_A_DEPLOY, OF_A_STATE_PUSH};
use crate::pipe::console::{FAILURE, SUCCESS};
use crate::recovery::{Finished, LockState, free_own_lock};
use crate::supervisor::{Ending, HelperError, Supervisor};
use crate::tools::{DeployLock, DeployTool, Look, ToolError, UnsavedState};

/// How much of the grace period ending the tree may take.
const TO_END_THE_TREE: Duration = Duration::from_millis(700);
/// How much of the grace period the after-script is given when all else is late.
const FOR_THE_AFTER_SCRIPT: Duration = Duration::from_secs(1);
/// How long a look is expected to take on a backend that has not been asked yet.
const UNKNOWN_LOOK: Duration = Duration::from_millis(500);
/// The least that is expected of a question, because some start a Terraform in any case. Machine
/// and backend may be slower at the end than at the beginning, so twice the first look is reserved.
const SHORTEST_QUESTION: Duration = Duration::from_millis(250);
/// How long the look before the deploy may go on once softstop is asked to stop.
const PATIENCE_BEFORE: Duration = Duration::from_secs(2);
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

/// The lock as it was before the deploy, and how long it took to ask.
struct Before<L> {
    lock: Option<L>,
    look: Option<Look>,
    question: Duration,
}

/// Runs the deploy, and leaves no lock of its own behind.
pub(crate) async fn run<T: DeployTool>(supervisor: &Supervisor, tool: &T, deploy: &Deploy) -> Exit {
    // A look that has taken the lock for a moment should give it back, but nobody waits for a
    // backend that hangs before anything has begun.
    supervisor.hurry(PATIENCE_BEFORE);
    let before = look_before(supervisor, tool).await;
    if let Some(interrupt) = supervisor.interrupt() {
        supervisor.kill_tree().await;
        error!(target: FAILURE, "Stopped by {} before the deploy began.", interrupt.signal);
        return Exit::Signal(interrupt.signal as i32);
    }

    let unsaved_before = tool.unsaved_state();
    let last = if deploy.after_script.is_some() {
        FOR_THE_AFTER_SCRIPT
    } else {
        Duration::ZERO
    };
    supervisor.keep_back(last);
    let started = Timestamp::now();
    let reserve = TO_END_THE_TREE + before.question * QUESTIONS + last;
    let ending = supervisor
        .run_deploy(command(tool, deploy), &tool.programs(), reserve)
        .await;
    let (outcome, exit) = conclude(&ending);

    let mut lock = match &ending {
        Ok(ending) if tool.has_work() => {
            let finished = Finished {
                started,
                ended: Timestamp::now(),
                look_before: before.look.as_ref(),
                tree_gone: ending.tree_gone,
                tool_was_killed: ending.tool_was_killed,
                operations: OF_A_DEPLOY,
            };
            look_after(supervisor, tool, before.lock, &finished).await
        }
        _ => LockState::None,
    };
    let unsaved = tool.unsaved_state();
    if let Some(state) = unsaved.filter(|state| unsaved_before.as_ref() != Some(state)) {
        lock = save(supervisor, tool, &state, lock, reserve, last).await;
    }
    if let Some(script) = &deploy.after_script {
        after_script::run(supervisor, script, &deploy.directory, outcome, exit, &lock).await;
    }
    tell(outcome, exit, &lock);
    exit
}

/// Looks at the lock before anything runs: to learn whose it is, and how long a look takes here.
async fn look_before<T: DeployTool>(supervisor: &Supervisor, tool: &T) -> Before<T::Lock> {
    let mut before = Before::unknown();
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
            before.question = (began.elapsed() * 2).max(SHORTEST_QUESTION);
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
        Ok(Ending { status: None, .. }) => {
            error!("The command cannot be killed. Is it another user's?");
            (Outcome::Failed, Exit::Failure)
        }
        Ok(Ending {
            status: Some(status),
            ..
        }) => match (status.code(), status.signal()) {
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

/// Looks at the lock after the deploy, and releases it if the deploy has left it behind.
///
/// Also after a deploy that ended well: in `terraform apply | tee log` nobody tells that Terraform
/// was killed.
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
    lock: LockState,
    reserve: Duration,
    last: Duration,
) -> LockState {
    let path = state.path.display();
    info!("The deploy could not store its state and left it in {path}.");
    if !lock.is_free() {
        warn!("It is not stored now, because {lock}.");
        keep(tool, state);
        return lock;
    }
    let started = Timestamp::now();
    // Storing takes the lock; where it hangs, there must be time to free that again.
    supervisor.keep_back(reserve);
    let saved = tool.save_state(supervisor, state).await;
    supervisor.keep_back(last);
    let Err(error) = saved else {
        info!("The state is stored now. {path} is no longer needed.");
        return lock;
    };
    warn!("It cannot be stored now either: {error}.");
    keep(tool, state);
    let finished = Finished {
        started,
        ended: Timestamp::now(),
        look_before: None,
        tree_gone: supervisor.kill_tree().await,
        tool_was_killed: matches!(error, ToolError::Helper(HelperError::TimedOut { .. })),
        operations: OF_A_STATE_PUSH,
    };
    look_after(supervisor, tool, None, &finished).await
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
        Outcome::Succeeded if matches!(lock, LockState::Free | LockState::None) => {
            info!(target: SUCCESS, "Deploy succeeded.");
        }
        Outcome::Succeeded => info!(target: SUCCESS, "Deploy succeeded, but {lock}."),
        Outcome::Failed => error!(target: FAILURE, "Deploy failed with {exit}; {lock}."),
        Outcome::Killed => error!(target: FAILURE, "Deploy was killed ({exit}); {lock}."),
        Outcome::Interrupted => {
            error!(target: FAILURE, "Deploy was interrupted ({exit}); {lock}.");
        }
    }
}

impl<L> Before<L> {
    fn unknown() -> Self {
        Self {
            lock: None,
            look: None,
            question: UNKNOWN_LOOK,
        }
    }
}
