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
use crate::evidence::{Finished, Inquiry, STAMP, judge_finished};
use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND, Outcome};
use crate::lock::{LockInfo, OF_A_DEPLOY, OF_A_STATE_PUSH};
use crate::lock_state::LockState;
use crate::pipe::console::{FAILURE, SUCCESS};
use crate::place::enter;
use crate::recovery::{Finding, Patience, Recovery, recover, recover_with_patience};
use crate::supervisor::{Ending, HelperError, Supervisor};
use crate::tools::{DeployLock, DeployTool, ToolError, UnsavedState};

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
/// How many questions a release takes at the most: look, version, look, release, look.
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
    pub(crate) lock_timeout: Duration,
}

/// Everybody who has a part in the story.
pub(crate) struct Story<'a, T> {
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) tool: &'a T,
    pub(crate) inquiry: &'a Inquiry,
    pub(crate) deploy: &'a Deploy,
}

/// The lock as it was before the deploy, and how long it took to ask.
struct Before<L> {
    lock: Option<L>,
    question: Duration,
    /// Why the deploy cannot begin, where the lock is held and stays held.
    locked: Option<Recovery>,
}

/// How much of the grace period is kept for what comes after the deploy.
#[derive(Clone, Copy)]
struct Reserve {
    /// For all of it.
    whole: Duration,
    /// For what comes last.
    last: Duration,
}

impl<T: DeployTool> Story<'_, T> {
    /// Runs the deploy, and leaves no lock of its own behind.
    pub(crate) async fn run(&self) -> Exit {
        // A look that has taken the lock for a moment should give it back, but nobody waits for a
        // backend that hangs before anything has begun.
        self.supervisor.hurry(PATIENCE_BEFORE);
        let before = self.free_before().await;
        if let Some(interrupt) = self.supervisor.interrupt() {
            self.supervisor.kill_tree().await;
            error!(target: FAILURE, "Stopped by {} before the deploy began.", interrupt.signal);
            return Exit::Signal(interrupt.signal as i32);
        }
        if let Some(locked) = before.locked {
            error!(target: FAILURE, "Nothing was deployed. {locked}");
            return Exit::of_held(&locked);
        }

        let unsaved_before = self.tool.unsaved_state();
        let reserve = self.reserve(before.question);
        self.supervisor.keep_back(reserve.last);
        let started = Timestamp::now();
        let ending = self
            .supervisor
            .run_deploy(self.command(), &self.tool.programs(), reserve.whole)
            .await;
        let (outcome, exit) = conclude(&ending);

        let mut lock = match &ending {
            Ok(ending) if self.tool.has_work() => {
                let finished = Finished {
                    started,
                    ended: Timestamp::now(),
                    tree_gone: ending.tree_gone,
                    tool_was_killed: ending.tool_was_killed,
                    operations: OF_A_DEPLOY,
                };
                self.free_after(before.lock, &finished).await
            }
            _ => LockState::None,
        };
        let unsaved = self.tool.unsaved_state();
        if let Some(state) = unsaved.filter(|state| unsaved_before.as_ref() != Some(state)) {
            lock = self.save(&state, lock, reserve).await;
        }
        if let Some(script) = &self.deploy.after_script {
            let directory = &self.deploy.directory;
            after_script::run(self.supervisor, script, directory, outcome, exit, &lock).await;
        }
        tell(outcome, exit, &lock);
        exit
    }

    /// Looks at the lock before anything runs, releases it where its holder is over, and waits for
    /// it where its holder is not. Learns how long a look takes here.
    async fn free_before(&self) -> Before<T::Lock> {
        let mut before = Before {
            lock: None,
            question: UNKNOWN_LOOK,
            locked: None,
        };
        if !self.tool.has_work() {
            info!("There is no configuration here, and so no lock to look after.");
            return before;
        }
        if self.tool.keeps_state_here() {
            warn!(
                "The configuration has no backend block: state and lock are kept beside it, and in \
                 a pipeline they are gone with the step."
            );
        }
        match self.look_before(&mut before.question).await {
            Ok((lock, recovery)) => {
                match &recovery {
                    Recovery::Untouched(Finding::Free) => {}
                    Recovery::Untouched(Finding::NeverLocked) => warn!("{recovery}"),
                    Recovery::Released(..) => info!("{recovery}"),
                    _ => before.locked = Some(recovery),
                }
                before.lock = Some(lock);
            }
            Err(error) => warn!("The lock cannot be looked after yet: {error}."),
        }
        before
    }

    async fn look_before(&self, question: &mut Duration) -> Result<(T::Lock, Recovery), ToolError> {
        let lock = self.tool.find_lock(self.supervisor).await?;
        let began = Instant::now();
        let look = lock.look(self.supervisor).await?;
        *question = (began.elapsed() * 2).max(SHORTEST_QUESTION);
        let judge =
            async |holder: &LockInfo| self.inquiry.judge(self.supervisor, self.tool, holder).await;
        let patience = Patience {
            time: self.deploy.lock_timeout,
            also_in_doubt: true,
        };
        let recovery =
            recover_with_patience(look, self.supervisor, &lock, &judge, patience).await?;
        Ok((lock, recovery))
    }

    fn reserve(&self, question: Duration) -> Reserve {
        let last = if self.deploy.after_script.is_some() {
            FOR_THE_AFTER_SCRIPT
        } else {
            Duration::ZERO
        };
        Reserve {
            whole: TO_END_THE_TREE + question * QUESTIONS + last,
            last,
        }
    }

    fn command(&self) -> Command {
        let mut command = match self.deploy.command.split_first() {
            None => self.tool.default_command(self.deploy.lock_timeout),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
        };
        if let Some(workspace) = &self.deploy.workspace {
            command.env("TF_WORKSPACE", workspace);
        }
        if let Some(build) = &self.inquiry.build {
            command.env(STAMP, build.owner.to_string());
        }
        enter(&mut command, &self.deploy.directory);
        command
    }

    /// Looks at the lock after the deploy, and releases it if the deploy has left it behind.
    ///
    /// Also after a deploy that ended well: in `terraform apply | tee log` nobody tells that
    /// Terraform was killed.
    async fn free_after(&self, lock_before: Option<T::Lock>, finished: &Finished<'_>) -> LockState {
        // The deploy itself may have initialised another backend or another workspace.
        let lock = match lock_before.filter(|lock| self.tool.is_current(lock)) {
            Some(lock) => Ok(lock),
            None => self.tool.find_lock(self.supervisor).await,
        };
        let recovery = match lock {
            Ok(lock) => {
                let judge = async |holder: &LockInfo| {
                    judge_finished(self.supervisor, self.tool, holder, finished).await
                };
                recover(self.supervisor, &lock, &judge).await
            }
            Err(error) => Err(error),
        };
        match &recovery {
            Ok(released @ Recovery::Released(..)) => info!("{released}"),
            Ok(recovery) if recovery.is_free() => {}
            Ok(recovery) => warn!("{recovery}"),
            Err(error) => warn!("Whether the lock is free is not known: {error}."),
        }
        recovery.map_or(LockState::Unknown, LockState::from)
    }

    /// Stores a state that the deploy could not store, while nobody can have built upon the old
    /// one.
    async fn save(&self, state: &UnsavedState, lock: LockState, reserve: Reserve) -> LockState {
        let path = state.path.display();
        info!("The deploy could not store its state and left it in {path}.");
        if !lock.is_free() {
            warn!("It is not stored now, because {lock}.");
            self.keep(state);
            return lock;
        }
        let started = Timestamp::now();
        // Storing takes the lock; where it hangs, there must be time to free that again.
        self.supervisor.keep_back(reserve.whole);
        let saved = self.tool.save_state(self.supervisor, state).await;
        self.supervisor.keep_back(reserve.last);
        let Err(error) = saved else {
            info!("The state is stored now. {path} is no longer needed.");
            return lock;
        };
        warn!("It cannot be stored now either: {error}.");
        self.keep(state);
        let finished = Finished {
            started,
            ended: Timestamp::now(),
            tree_gone: self.supervisor.kill_tree().await,
            tool_was_killed: matches!(
                error,
                ToolError::Helper(HelperError::TimedOut { .. } | HelperError::Killed { .. })
            ),
            operations: OF_A_STATE_PUSH,
        };
        self.free_after(None, &finished).await
    }

    fn keep(&self, state: &UnsavedState) {
        warn!(
            "Keep {}: it is the only record of what was created. Before the next deploy, store it \
             by hand: {}",
            state.path.display(),
            self.tool.save_by_hand(state)
        );
    }
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
