//! The story of a deploy, top to bottom.

mod after;
mod before;
mod remains;
mod unsaved;

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND, Outcome};
use crate::inquiry::{Finished, Inquiry, STAMP};
use crate::lock::OF_A_DEPLOY;
use crate::report::console::{FAILURE, SUCCESS};
use crate::story::after_script;
use crate::story::conclusion::Locks;
use crate::story::places::enter;
use crate::story::used::Used;
use crate::supervisor::{Audience, Ending, Grounds, Listener, Lookout, Seen, Supervisor};
use crate::tools::{DeployTool, Prepared, ToolError};
use before::Reserve;

/// How long the look before the deploy may go on once softstop is asked to stop.
const PATIENCE_BEFORE: Duration = Duration::from_secs(2);
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
    /// Where the report is written to, if anywhere.
    pub(crate) report_file: Option<PathBuf>,
}

/// Everybody who has a part in the story.
pub(crate) struct Story<'a, T> {
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) tool: &'a T,
    pub(crate) inquiry: &'a Inquiry,
    pub(crate) deploy: &'a Deploy,
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
        let reader = Arc::new(Mutex::new(T::Reader::default()));
        let ending = self.supervise(&mut used, &reader, reserve).await;
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
        self.report(&reader, &used, (outcome, exit), &locks).await;
        if let Some(script) = &self.deploy.after_script {
            let places = (
                self.deploy.directory.as_path(),
                self.deploy.report_file.as_deref(),
            );
            after_script::run(self.supervisor, script, places, outcome, exit, &locks).await;
        }
        let what = if used.is_plan() { "Plan" } else { "Deploy" };
        tell(what, outcome, exit, lacked_memory, &locks);
        exit
    }

    /// Runs the command, and notes which states its tools use.
    async fn supervise(
        &self,
        used: &mut Used<T>,
        reader: &Arc<Mutex<T::Reader>>,
        reserve: Reserve,
    ) -> io::Result<Ending> {
        let prepared = self.command().map_err(io::Error::other)?;
        let programs = self.tool.programs();
        let mut lookout = Lookout::new(&programs);
        let grounds = Grounds {
            path: env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
            clone: env::var_os("BITBUCKET_CLONE_DIR")
                .map_or_else(|| self.deploy.directory.clone(), PathBuf::from),
        };
        let listener = Arc::clone(reader) as Arc<Mutex<dyn Listener>>;
        let audience = Audience::new(T::MARKERS, listener);
        let noticed = lookout.notice(grounds, |seen: Seen| used.note(&seen));
        let deploy =
            self.supervisor
                .run_deploy(prepared.command, &programs, reserve.whole, &audience);
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

fn tell(what: &str, outcome: Outcome, exit: Exit, lacked_memory: bool, lock: &Locks) {
    match outcome {
        Outcome::Succeeded if lock.are_quiet() => {
            info!(target: SUCCESS, "{what} succeeded.");
        }
        Outcome::Succeeded => info!(target: SUCCESS, "{what} succeeded, but {lock}."),
        Outcome::Failed => error!(target: FAILURE, "{what} failed with {exit}; {lock}."),
        Outcome::Killed if lacked_memory => {
            error!(target: FAILURE, "{what} was killed for lack of memory ({exit}); {lock}.");
        }
        Outcome::Killed => error!(target: FAILURE, "{what} was killed ({exit}); {lock}."),
        Outcome::Interrupted => {
            error!(target: FAILURE, "{what} was interrupted ({exit}); {lock}.");
        }
    }
}
