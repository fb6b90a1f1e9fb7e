//! The story of a deploy, top to bottom.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::after_script;
use crate::evidence::{Finished, Inquiry, STAMP, judge_finished};
use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND, Outcome};
use crate::lock::{LockInfo, OF_A_DEPLOY, OF_A_STATE_PUSH};
use crate::lock_state::{LockState, Locks};
use crate::pipe::console::{FAILURE, SUCCESS};
use crate::place::enter;
use crate::recovery::{Finding, Patience, Recovery, recover, recover_with_patience};
use crate::supervisor::{Ending, Grounds, HelperError, Lookout, Seen, Supervisor};
use crate::tools::{DeployLock, DeployTool, Prepared, ToolError, UnsavedState, Unstored};
use crate::used::Used;

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
/// How many places are looked at side by side.
const SIDE_BY_SIDE: usize = 4;
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

/// The lock as it was before the deploy.
struct Before {
    cost: Cost,
    /// Why the deploy cannot begin, where the lock is held and stays held.
    locked: Option<Recovery>,
    /// Why it cannot begin, where a look may yet take away the lock of the deploy.
    unsafe_to_begin: Option<ToolError>,
    /// Why nothing is known of the lock, as it was told.
    told: Option<String>,
}

/// How long it takes to ask about the lock, twice what was measured.
struct Cost {
    /// To get ready for it.
    opening: Duration,
    question: Duration,
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
        if let Some(error) = before.unsafe_to_begin {
            error!(target: FAILURE, "Nothing was deployed, because {}", error.sentence());
            return Exit::Unanswered;
        }
        if let Some(locked) = before.locked {
            error!(target: FAILURE, "Nothing was deployed. {locked}");
            return Exit::of_held(&locked);
        }

        let reserve = self.reserve(&before.cost);
        self.supervisor.keep_back(reserve.last);
        let started = (Timestamp::now(), SystemTime::now());
        let began = Instant::now();
        let mut used = Used::default();
        let ending = self.supervise(&mut used, reserve).await;
        let (outcome, exit) = conclude(&ending);
        let lacked_memory = ending.as_ref().is_ok_and(|ending| ending.lacked_memory);
        if lacked_memory && matches!(outcome, Outcome::Failed | Outcome::Killed) {
            warn!(
                "The kernel killed a process here for lack of memory. A step has more with a larger \
                 `size`, a pipe with more `memory` of the service `docker`."
            );
        }
        let was_disturbed =
            outcome == Outcome::Interrupted || self.supervisor.has_heard_of_a_stop();
        let undisturbed = (!was_disturbed).then(|| began.elapsed());

        let mut locks = Locks::default();
        if let Ok(ending) = &ending {
            let finished = Finished {
                started: started.0,
                ended: Timestamp::now(),
                tree_gone: ending.tree_gone,
                tool_was_killed: ending.tool_was_killed,
                operations: OF_A_DEPLOY,
            };
            let told = before.told.as_deref();
            locks = self.free_after(&used, &finished, told).await;
        }
        for place in self.working_places(&used) {
            let unsaved = place.unsaved_state(undisturbed);
            if let Some(state) = unsaved.filter(|state| state.is_left_since(started.1)) {
                locks = self.save(place, &state, locks, reserve).await;
            }
        }
        if let Some(script) = &self.deploy.after_script {
            let directory = &self.deploy.directory;
            after_script::run(self.supervisor, script, directory, outcome, exit, &locks).await;
        }
        tell(outcome, exit, lacked_memory, &locks);
        exit
    }

    /// Runs the command, and notes which states its tools use.
    async fn supervise(&self, used: &mut Used<T>, reserve: Reserve) -> io::Result<Ending> {
        let prepared = self.command().map_err(io::Error::other)?;
        let programs = self.tool.programs();
        let mut lookout = Lookout::new(&programs);
        let grounds = Grounds {
            path: env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
            clone: env::var_os("BITBUCKET_CLONE_DIR")
                .map_or_else(|| self.deploy.directory.clone(), PathBuf::from),
        };
        let noticed = lookout.notice(grounds, |seen: Seen| used.note(&seen));
        let deploy = self
            .supervisor
            .run_deploy(prepared.command, &programs, reserve.whole);
        let ending = tokio::select! {
            biased;
            ending = deploy => ending,
            never = noticed => match never {},
        };
        drop(prepared.files);
        ending
    }

    /// Where tools have worked, each directory once: what was used there last, or else what is named.
    fn working_places<'b>(&'b self, used: &'b Used<T>) -> Vec<&'b T> {
        let real = |place: &T| fs::canonicalize(place.directory()).ok();
        let mut places: Vec<&T> = Vec::new();
        for place in used.places().into_iter().rev().chain([self.tool]) {
            if places.iter().all(|known| real(known) != real(place)) {
                places.push(place);
            }
        }
        places
    }

    /// Looks at the lock before anything runs, releases it where its holder is over, and waits for
    /// it where its holder is not. Learns how long a look takes here.
    async fn free_before(&self) -> Before {
        let mut before = Before {
            cost: Cost {
                opening: Duration::ZERO,
                question: UNKNOWN_LOOK,
            },
            locked: None,
            unsafe_to_begin: None,
            told: None,
        };
        if T::takes_no_lock(&self.deploy.command) {
            debug!("The command takes no lock, so none was looked at.");
            return before;
        }
        if !self.tool.has_work() {
            info!("There is no configuration here, and so no lock to look after.");
            return before;
        }
        if self.deploy.command.is_empty() && self.tool.keeps_state_here() {
            warn!(
                "The configuration has no backend block: state and lock are kept beside it, and in \
                 a pipeline they are gone with the step."
            );
        }
        match self.look_before(&mut before.cost).await {
            Ok(Recovery::Untouched(Finding::Free)) => {}
            Ok(recovery @ Recovery::Untouched(Finding::NeverLocked)) => warn!("{recovery}"),
            Ok(recovery @ Recovery::Released(..)) => info!("{recovery}"),
            Ok(recovery) => before.locked = Some(recovery),
            Err(error @ ToolError::NotGivenBack { .. }) => before.unsafe_to_begin = Some(error),
            // The deploy makes it, or uses another one.
            Err(ToolError::NoState(reason)) => debug!("No lock was looked at: {reason}."),
            Err(error @ (ToolError::Unknown { .. } | ToolError::Incomplete { .. })) => {
                debug!("No lock was looked at, because the deploy may say which one: {error}.");
            }
            Err(error) => {
                warn!("The lock cannot be looked after yet: {}", error.sentence());
                before.told = Some(error.to_string());
            }
        }
        before
    }

    async fn look_before(&self, cost: &mut Cost) -> Result<Recovery, ToolError> {
        let began = Instant::now();
        let lock = self.tool.find_lock(self.supervisor).await?;
        cost.opening = began.elapsed() * 2;
        let began = Instant::now();
        let look = lock.look(self.supervisor).await?;
        cost.question = (began.elapsed() * 2).max(SHORTEST_QUESTION);
        let judge =
            async |holder: &LockInfo| self.inquiry.judge(self.supervisor, self.tool, holder).await;
        let patience = Patience {
            time: self.deploy.lock_timeout,
            also_in_doubt: true,
        };
        recover_with_patience(look, self.supervisor, &lock, &judge, patience).await
    }

    fn reserve(&self, cost: &Cost) -> Reserve {
        let last = if self.deploy.after_script.is_some() {
            FOR_THE_AFTER_SCRIPT
        } else {
            Duration::ZERO
        };
        Reserve {
            whole: TO_END_THE_TREE + cost.opening + cost.question * QUESTIONS + last,
            last,
        }
    }

    fn command(&self) -> Result<Prepared, ToolError> {
        let mut prepared = match self.deploy.command.split_first() {
            None => self.tool.default_command(self.deploy.lock_timeout)?,
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments);
                self.tool.own_command(command)?
            }
        };
        let command = &mut prepared.command;
        if let Some(workspace) = &self.deploy.workspace {
            command.env("TF_WORKSPACE", workspace);
        }
        if let Some(build) = &self.inquiry.build {
            command.env(STAMP, build.owner.to_string());
        }
        enter(command, &self.deploy.directory);
        Ok(prepared)
    }

    /// Looks at the lock of every place that the deploy has used, and releases what it has left behind.
    ///
    /// Also after a deploy that ended well: in `terraform apply | tee log` nobody tells that
    /// Terraform was killed.
    async fn free_after(
        &self,
        used: &Used<T>,
        finished: &Finished<'_>,
        told: Option<&str>,
    ) -> Locks {
        let places = used.places();
        let is_plain = places.len() < 2
            && places
                .iter()
                .all(|place| place.directory() == self.tool.directory());
        let mut locks: Vec<LockState> = stream::iter(&places)
            .map(|place| self.free_place(place, used, finished, is_plain, told))
            .buffered(SIDE_BY_SIDE)
            .filter_map(async |state| state)
            .collect()
            .await;
        for reason in &used.unclear {
            warn!("Which state was used is not known: {reason}.");
            locks.push(LockState::Unknown);
        }
        if !used.is_any && self.is_spoken_of() {
            locks.push(self.free_unseen(finished).await);
        }
        Locks(locks)
    }

    /// Whether the command, or the directory, speaks of the tool.
    fn is_spoken_of(&self) -> bool {
        self.deploy.command.is_empty()
            || T::is_named_in(&self.deploy.command)
            || self.tool.has_work()
    }

    /// What can be said where no tool was seen: it may have run in a container, and used any state.
    async fn free_unseen(&self, finished: &Finished<'_>) -> LockState {
        let known = if self.tool.has_work() {
            self.recover_place(self.tool, finished).await
        } else {
            Err(ToolError::NoState(String::new()))
        };
        match known.map(|recovery| (recovery.to_string(), LockState::of(recovery))) {
            Ok((words, Some(state @ LockState::Held(_)))) => {
                warn!("{words}");
                state
            }
            Ok((words, Some(state @ LockState::Released(_)))) => {
                info!("{words}");
                state
            }
            _ => {
                warn!(
                    "No Terraform was seen to run, so which state was used is not known, nor \
                     whether its lock is free. Where it runs in a container, run softstop in there."
                );
                LockState::Unknown
            }
        }
    }

    /// Nothing where there is no lock to look after.
    async fn free_place(
        &self,
        place: &T,
        used: &Used<T>,
        finished: &Finished<'_>,
        is_plain: bool,
        told: Option<&str>,
    ) -> Option<LockState> {
        let name = if is_plain {
            String::new()
        } else {
            format!("{}: ", place.place_name())
        };
        let recovery = self.recover_place(place, finished).await;
        match recovery {
            Ok(recovery) => {
                match &recovery {
                    Recovery::Released(..) => info!("{name}{recovery}"),
                    recovery if recovery.is_free() => debug!("{name}{recovery}"),
                    recovery => warn!("{name}{recovery}"),
                }
                LockState::of(recovery)
            }
            Err(ToolError::NoState(_)) if used.has_removed(place) => None,
            Err(error) => {
                if told == Some(error.to_string().as_str()) {
                    warn!("{name}Whether the lock is free is not known, for the same reason.");
                } else {
                    let why = error.sentence();
                    warn!("{name}Whether the lock is free is not known: {why}");
                }
                Some(LockState::Unknown)
            }
        }
    }

    async fn recover_place(
        &self,
        place: &T,
        finished: &Finished<'_>,
    ) -> Result<Recovery, ToolError> {
        let lock = place.find_lock(self.supervisor).await?;
        let judge = async |holder: &LockInfo| {
            judge_finished(self.supervisor, place, holder, finished).await
        };
        recover(self.supervisor, &lock, &judge).await
    }

    /// Stores a state that the deploy could not store, unless somebody has built upon the old one.
    ///
    /// Terraform gives up the lock by itself when it has failed, so others may have come first.
    async fn save(
        &self,
        place: &T,
        state: &UnsavedState,
        mut locks: Locks,
        reserve: Reserve,
    ) -> Locks {
        let path = state.path.display();
        info!("The deploy could not store its state and left it in {path}.");
        if !locks.0.iter().all(LockState::is_free) {
            warn!("It is not stored now, because {locks}.");
            keep(state, &place.save_by_hand(state));
            return locks;
        }
        let started = Timestamp::now();
        // Storing takes the lock; where it hangs, there must be time to free that again.
        self.supervisor.keep_back(reserve.whole);
        let saved = place.save_state(self.supervisor, state).await;
        self.supervisor.keep_back(reserve.last);
        let Err(Unstored { reason, advice }) = saved else {
            info!("The state is stored now. {path} is no longer needed.");
            return locks;
        };
        warn!("It is not stored now, because {reason}.");
        keep(state, &advice);
        let finished = Finished {
            started,
            ended: Timestamp::now(),
            tree_gone: self.supervisor.kill_tree().await,
            tool_was_killed: matches!(
                reason,
                ToolError::Helper(HelperError::TimedOut { .. } | HelperError::Killed { .. })
            ),
            operations: OF_A_STATE_PUSH,
        };
        let used = Used::default();
        let left = self.free_place(place, &used, &finished, true, None).await;
        locks.0.retain(|state| *state != LockState::Free);
        locks.0.extend(left);
        locks
    }
}

/// Tells a person what to do with a state that could not be stored.
fn keep(state: &UnsavedState, advice: &str) {
    warn!(
        "Keep {}: it is the only record of what was created. {advice}",
        state.path.display()
    );
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

fn tell(outcome: Outcome, exit: Exit, lacked_memory: bool, lock: &Locks) {
    match outcome {
        Outcome::Succeeded if lock.are_quiet() => {
            info!(target: SUCCESS, "Deploy succeeded.");
        }
        Outcome::Succeeded => info!(target: SUCCESS, "Deploy succeeded, but {lock}."),
        Outcome::Failed => error!(target: FAILURE, "Deploy failed with {exit}; {lock}."),
        Outcome::Killed if lacked_memory => {
            error!(target: FAILURE, "Deploy was killed for lack of memory ({exit}); {lock}.");
        }
        Outcome::Killed => error!(target: FAILURE, "Deploy was killed ({exit}); {lock}."),
        Outcome::Interrupted => {
            error!(target: FAILURE, "Deploy was interrupted ({exit}); {lock}.");
        }
    }
}
