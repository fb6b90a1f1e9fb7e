//! The story of a deploy, top to bottom.

mod access;
mod after;
mod before;
mod over;
mod past;
mod ready;
mod remains;
mod saved_plan;
mod steps;
mod unfinished;
mod unsaved;

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::inquiry::{Inquiry, STAMP};
use crate::journal::Record;
use crate::story::conclusion::Conclusion;
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
    began: Began,
    /// Whether the state that is meant was found before.
    has_found_state: bool,
    used: Used,
    warned: Warned,
    hearing: Hearing,
    keeping: Keeping<'a>,
}

/// When a deploy began, by each clock with which that is compared.
#[derive(Clone, Copy)]
struct Began {
    timestamp: Timestamp,
    file_time: SystemTime,
    instant: Instant,
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
    pub(crate) report: &'a dyn Fn(&Conclusion, &Remains<'_>),
}

impl<S: Stage> Story<'_, S> {
    /// Runs the deploy, and leaves no lock of its own behind. However it ends, that is reported.
    pub(crate) async fn run(&self) -> Conclusion {
        let ready = match self.get_ready().await {
            Ok(ready) => ready,
            Err(not_begun) => return self.turn_back(not_begun).await,
        };
        let reserve = ready.cost.reserve(self.deploy.after_script.is_some());
        self.stage.enter(Phase::Deploy(reserve));
        let mut watch = self.watch(ready.warned, ready.records, ready.has_found_state);
        let went = self.carry_out(&ready.weighed, &mut watch).await;
        let went = went.unless_stopped(self.stage.interrupt());

        let places = watch.used.places();
        let told = ready.told.as_deref();
        let conclusion = self.clear_up(&went, &watch, &places, reserve, told).await;
        let remains = self.remains(&went, &watch, &places, &conclusion).await;
        (self.report)(&conclusion, &remains);
        // What follows asks a backend, and that this deploy has ended is known now.
        watch.keeping.finish(self.stage, &remains).await;
        let (outcome, stopped_for) = (conclusion.outcome, &went.stopped_for);
        let settled = self
            .settled(
                ready.past,
                &places,
                (&watch.keeping, &remains),
                outcome,
                stopped_for,
            )
            .await;
        watch.keeping.write_earlier(self.stage, settled).await;
        self.run_after_script(&conclusion).await;
        self.explain(&watch.warned, &conclusion);
        conclusion
    }

    /// Who watches the deploy. What it is about to change has a record from the beginning.
    fn watch(&self, warned: Warned, records: Vec<Record>, has_found_state: bool) -> Watch<'_> {
        let hearing = Hearing::of(self.tool);
        let keeping = Keeping::of(self.journal, &hearing, records);
        if self.deploy.runs.may_change() {
            keeping.begin(name_of(self.tool));
        }
        Watch {
            began: Began {
                timestamp: Timestamp::now(),
                file_time: SystemTime::now(),
                instant: Instant::now(),
            },
            has_found_state,
            used: Used::default(),
            warned,
            keeping,
            hearing,
        }
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
            ..
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
            let makes_nothing = purpose != Purpose::Change;
            if is_heard && purpose != Purpose::Other {
                hearing.note_heard();
                keeping.note_heard();
            } else if matches!(&seen, Seen::Tool(_)) && !makes_nothing {
                hearing.note_unheard();
            }
            let may_change = matches!(purpose, Purpose::Change | Purpose::Tend);
            if may_change && !is_heard {
                hearing.note_silent();
            }
            // A plan that takes no lock is about no known place, and makes nothing.
            if may_change || purpose == Purpose::Plan && place.is_some() {
                let is_heard = is_heard || makes_nothing;
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

    fn command(&self, has_found_state: bool) -> Result<Prepared, ToolError> {
        let lock_timeout = self.deploy.lock_timeout;
        match &self.deploy.runs {
            Runs::Job(job) => self
                .tool
                .default_command(job, lock_timeout, has_found_state),
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
