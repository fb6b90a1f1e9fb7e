//! The story of a deploy, top to bottom.

mod access;
mod after;
mod before;
mod past;
mod remains;
mod saved_plan;
mod steps;
mod unfinished;
mod unsaved;

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND, Outcome};
use crate::inquiry::{Finished, Inquiry, STAMP};
use crate::journal::Record;
use crate::story::after_script;
use crate::story::conclusion::{Conclusion, Locks, Reason};
use crate::story::hearing::Hearing;
use crate::story::journal::Journal;
use crate::story::keeping::Keeping;
use crate::story::past::name_of;
use crate::story::places::enter;
use crate::story::remains::Remains;
use crate::story::stage::Stage;
use crate::story::unfinished::OnUnfinished;
use crate::story::used::Used;
use crate::story::warned::Warned;
use crate::supervisor::{Ending, Grounds, Phase, Seen};
use crate::tools::{Job, Locking, Prepared, Processes, Purpose, StateKeeper, Tool, ToolError};

/// How a shell tells that its command was killed.
const KILLED: i32 = 128 + nix::libc::SIGKILL;

/// What the user wants done.
pub(crate) struct Deploy {
    pub(crate) runs: Runs,
    pub(crate) directory: PathBuf,
    pub(crate) after_script: Option<String>,
    pub(crate) lock_timeout: Duration,
    /// Where the report is written to, if anywhere.
    pub(crate) report_file: Option<PathBuf>,
    /// What to do where earlier deploys have left something.
    pub(crate) on_unfinished: OnUnfinished,
}

/// What a deploy runs.
pub(crate) enum Runs {
    /// A program of the user's own, with these arguments.
    Command(String, Vec<String>),
    /// What the tool itself runs for this.
    Job(Job),
}

impl Runs {
    /// The words of a command of the user's own; none of the tool's.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Command(program, arguments) => {
                let words = [program].into_iter().chain(arguments);
                words.cloned().collect()
            }
            Self::Job(_) => Vec::new(),
        }
    }

    /// Whether it is known before it runs that no lock is taken.
    fn takes_no_lock(&self, tool: &impl Processes) -> bool {
        match self {
            Self::Command(..) => tool.takes_no_lock(&self.words()),
            Self::Job(job) => tool.job_takes_no_lock(job),
        }
    }

    /// What the tool itself runs, where it does.
    fn job(&self) -> Option<&Job> {
        match self {
            Self::Command(..) => None,
            Self::Job(job) => Some(job),
        }
    }

    /// Whether it is known before it runs that the place itself may be changed.
    fn may_change(&self) -> bool {
        matches!(self, Self::Job(Job::Apply | Job::ApplyPlan(_)))
    }

    fn is_the_tools(&self) -> bool {
        self.job().is_some()
    }
}

/// What is noticed of a deploy while it runs.
struct Watch<'a> {
    used: Used,
    warned: Warned,
    hearing: Hearing,
    keeping: Keeping<'a>,
}

/// Everybody who has a part in the story.
pub(crate) struct Story<'a, S> {
    pub(crate) stage: &'a S,
    pub(crate) tool: &'a Tool,
    pub(crate) inquiry: &'a Inquiry<'a, S>,
    pub(crate) deploy: &'a Deploy,
    pub(crate) journal: &'a Journal,
    /// Tells how the deploy ended and what it has left, before the after-script is run, which may
    /// want to read it.
    pub(crate) report: &'a dyn Fn(&Conclusion, &Remains),
}

impl<S: Stage> Story<'_, S> {
    /// Runs the deploy, and leaves no lock of its own behind.
    pub(crate) async fn run(&self) -> Conclusion {
        let warned = match self.ensure_access() {
            Ok(warned) => warned,
            Err(why) => return Conclusion::not_begun(Exit::BadVariable, Locks::default(), why),
        };
        self.clear_away();
        self.stage.enter(Phase::LookBefore);
        self.tool.introduce(self.stage).await;
        let before = self.free_before().await;
        if let Some(stopped) = self.stopped_before(&before.locks).await {
            if let Some((_, why)) = before.obstacle {
                warn!("Nothing was deployed{why}");
            }
            return stopped;
        }
        if let Some((exit, why)) = before.obstacle {
            return Conclusion::not_begun(exit, before.locks, why);
        }

        let left = self.past(&before).await;
        let weighed = self
            .weigh(&left.past, left.logged.as_ref(), left.stored)
            .await;
        if let Some(stopped) = self.stopped_before(&before.locks).await {
            return stopped;
        }
        if let Some(conclusion) = self.refuse(&weighed, &before.locks, &left.records).await {
            return conclusion;
        }

        let reserve = before.cost.reserve(self.deploy.after_script.is_some());
        self.stage.enter(Phase::Deploy(reserve));
        let started = (Timestamp::now(), SystemTime::now());
        let began = Instant::now();
        let mut watch = self.watch(warned, left.records);
        let went = self.carry_out(&weighed, &mut watch).await;
        let went = went.unless_stopped(self.stage.interrupt());
        let (ending, obstacle) = (went.ending, went.obstacle);
        let (outcome, exit) = match obstacle {
            Some(_) => (Outcome::Failed, Exit::Unfinished),
            None => conclude(&ending),
        };
        let Watch {
            used,
            warned,
            hearing,
            keeping,
        } = watch;
        let lacked_memory = explain_lack_of_memory(&ending, outcome);
        let was_disturbed = outcome == Outcome::Interrupted || self.stage.has_heard_of_a_stop();
        let undisturbed = (!was_disturbed).then(|| began.elapsed());

        let places = used.places();
        let mut locks = Locks::default();
        if let Ok(ending) = &ending {
            let finished = Finished {
                started: started.0,
                ended: Timestamp::now(),
                tree_gone: ending.tree_gone,
                tool_was_killed: ending.tool_was_killed,
                operations: self.tool.operations_of_a_deploy(),
            };
            let told = before.told.as_deref();
            locks = self.free_after(&places, &used, &finished, told).await;
        }
        locks = self
            .save_each(&places, (started.1, undisturbed), locks, reserve)
            .await;
        let conclusion = Conclusion {
            outcome,
            exit,
            locks,
            reason: match obstacle {
                Some(why) => Reason::Unfinished(why),
                None => Reason::Ran {
                    was_a_plan: used.is_plan(),
                    lacked_memory,
                },
            },
        };
        let ended = self.ended(&ending, &conclusion, &places, started.1);
        let remains = self
            .remains(&hearing, &used, &places, ended, &went.lacking)
            .await;
        (self.report)(&conclusion, &remains);
        // What follows asks a backend, and that this deploy has ended is known now.
        keeping.finish(self.stage, &remains).await;
        let settled = self.settled(left.past, &places, &keeping, outcome).await;
        keeping.write_earlier(self.stage, settled).await;
        self.run_after_script(&conclusion).await;
        self.explain(&warned, &conclusion);
        conclusion
    }

    /// Who watches the deploy. What it is about to change has a record from the beginning.
    fn watch(&self, warned: Warned, records: Vec<Record>) -> Watch<'_> {
        let hearing = Hearing::of(self.tool);
        let keeping = Keeping::of(self.journal, &hearing, records);
        if self.deploy.runs.may_change() {
            keeping.begin(name_of(self.tool));
        }
        Watch {
            used: Used::default(),
            warned,
            keeping,
            hearing,
        }
    }

    fn explain(&self, warned: &Warned, conclusion: &Conclusion) {
        warned.explain(conclusion.outcome);
        if let (Runs::Job(job), Reason::Ran { .. }) = (&self.deploy.runs, &conclusion.reason) {
            saved_plan::explain(job, conclusion.outcome);
        }
    }

    async fn run_after_script(&self, conclusion: &Conclusion) {
        if let Some(script) = &self.deploy.after_script {
            let report_file = self.deploy.report_file.as_deref();
            let directory = &self.deploy.directory;
            after_script::run(self.stage, script, directory, report_file, conclusion).await;
        }
    }

    /// How it ends where somebody has asked to stop before anything was begun.
    async fn stopped_before(&self, locks: &Locks) -> Option<Conclusion> {
        let interrupt = self.stage.interrupt()?;
        self.stage.kill_tree().await;
        let when = " before the deploy began";
        Some(Conclusion::stopped(interrupt.signal, when, locks.clone()))
    }

    /// Runs a command, and notes which states its tools use.
    async fn supervise(
        &self,
        prepared: Result<Prepared, ToolError>,
        watch: &mut Watch<'_>,
    ) -> io::Result<Ending> {
        let prepared = prepared.map_err(io::Error::other)?;
        let command = self.started_by_us(prepared.command);
        let Watch {
            used,
            warned,
            hearing,
            keeping,
        } = watch;
        let programs = self.tool.programs();
        let grounds = Grounds {
            path: env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
            clone: env::var_os("BITBUCKET_CLONE_DIR")
                .map_or_else(|| self.deploy.directory.clone(), PathBuf::from),
        };
        let note = |seen: Seen| {
            if let Seen::Tool(seen) = &seen {
                keeping.hide_secrets_of(seen);
            }
            let place = used.note(self.tool, &seen);
            if let Some(place) = place {
                warned.tell(place);
            }
            let (purpose, is_heard) = match &seen {
                Seen::Tool(seen) => (self.tool.purpose(seen), seen.is_heard),
                Seen::Hidden(_) => (Purpose::Change, false),
            };
            // A plan that takes no lock is about no known place, and makes nothing.
            if purpose == Purpose::Change || purpose == Purpose::Plan && place.is_some() {
                let may_change = purpose == Purpose::Change;
                keeping.note(place.and_then(name_of), may_change, is_heard);
            }
        };
        let audience = hearing.audience.as_ref();
        let deploy = self
            .stage
            .run_deploy(command, &programs, grounds, note, audience);
        let ending = tokio::select! {
            biased;
            ending = deploy => ending,
            never = keeping.keep() => match never {},
        };
        drop(prepared.files);
        ending
    }

    /// Where tools that keep a state have worked, by directory: what was used there, the last one
    /// first, or else what is named.
    fn working_places<'b>(&'b self, used: &[&'b Tool]) -> Vec<Vec<(&'b Tool, StateKeeper<'b>)>> {
        let real = |place: &Tool| fs::canonicalize(place.directory()).ok();
        let mut directories: Vec<(Option<PathBuf>, Vec<_>)> = Vec::new();
        let named = used.iter().all(|place| real(place) != real(self.tool));
        let named = named.then_some(self.tool);
        for place in used.iter().rev().copied().chain(named) {
            let Some(keeper) = place.state_keeper() else {
                continue;
            };
            let here = real(place);
            match directories.iter_mut().find(|(known, _)| *known == here) {
                Some((_, places)) => places.push((place, keeper)),
                None => directories.push((here, vec![(place, keeper)])),
            }
        }
        directories.into_iter().map(|(_, places)| places).collect()
    }

    fn command(&self) -> Result<Prepared, ToolError> {
        match &self.deploy.runs {
            Runs::Job(job) => self.tool.default_command(job, self.deploy.lock_timeout),
            Runs::Command(program, arguments) => {
                let mut command = Command::new(program);
                command.args(arguments);
                self.tool.own_command(command)
            }
        }
    }

    /// A command that says whose it is, in the directory of the deploy.
    fn started_by_us(&self, mut command: Command) -> Command {
        if let Some(build) = &self.inquiry.build {
            command.env(STAMP, build.owner.name_of_run());
        }
        enter(&mut command, &self.deploy.directory);
        command
    }
}

/// Whether there was too little memory; said where that may be why it has failed.
fn explain_lack_of_memory(ending: &io::Result<Ending>, outcome: Outcome) -> bool {
    let lacked_memory = ending.as_ref().is_ok_and(|ending| ending.lacked_memory);
    if lacked_memory && matches!(outcome, Outcome::Failed | Outcome::Killed) {
        warn!(
            "The kernel killed a process here for lack of memory. A step has more with a larger \
             `size`, a pipe with more `memory` of the service `docker`."
        );
    }
    lacked_memory
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
