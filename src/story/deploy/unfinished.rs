//! What earlier deploys have left: it is looked at before anything runs, and where something is missing,
//! again before a plan is applied.

use std::io;

use tracing::{debug, info, warn};

use super::{Runs, Story, Watch};
use crate::journal::Past;
use crate::story::conclusion::{Conclusion, Locks};
use crate::story::stage::Stage;
use crate::story::unfinished::{Ahead, Course, Missing, Next, Unfinished, names, refused};
use crate::supervisor::Ending;
use crate::tools::progress::{Stored, Telling};
use crate::tools::recovering::{Draft, LaidOut, Made, Planned, Recovering, Step};
use crate::tools::{Job, Recoverer, ToolError};

/// Why nothing is applied where an import fails.
const NOT_IMPORTED: &str = "not everything can be imported that earlier deploys have made";

/// What earlier deploys have left, and what this one does about it.
#[derive(Default)]
pub(super) struct Weighed {
    unfinished: Unfinished,
    course: Course,
}

/// How what was to be run has gone.
pub(super) struct Went {
    pub(super) ending: io::Result<Ending>,
    /// Why not all of it was run, where nothing has failed.
    pub(super) obstacle: Option<String>,
    /// What earlier deploys have made, the state still lacks, and an import may bring back.
    pub(super) lacking: Vec<Made>,
}

impl Weighed {
    pub(super) fn lacking(&self) -> Vec<Made> {
        made(&self.unfinished.missing)
    }
}

impl<S: Stage> Story<'_, S> {
    /// Removes what a killed run has left beside the configuration, because it may break every plan.
    pub(super) fn clear_away(&self) {
        match self.tool.recoverer().map(|tool| tool.clear_away()) {
            Some(Ok(Some(path))) => info!(
                "{} was left by a run of softstop that was killed, and is removed.",
                path.display()
            ),
            Some(Err(error)) => warn!(
                "What a killed run of softstop may have left beside the configuration cannot be \
                 removed: {error}."
            ),
            Some(Ok(None)) | None => {}
        }
    }

    /// Says what earlier deploys have left, and decides what that means for this one.
    pub(super) async fn weigh(&self, past: &Past) -> Weighed {
        let (Past::Unfinished(records), Some(tool)) = (past, self.tool.recoverer()) else {
            return Weighed::default();
        };
        let stored = match self.tool.teller() {
            Some(teller) => teller.stored(self.stage).await,
            None => Ok(Stored::default()),
        };
        let stored = match (stored, &self.deploy.runs) {
            (Ok(stored), _) => stored,
            // Then it has nothing.
            (Err(ToolError::NoState(_)), _) => Stored::default(),
            // The plan will tell.
            (Err(error), Runs::Job(_)) => {
                debug!("What the state has is not known yet: {error}.");
                Stored::default()
            }
            (Err(error), Runs::Command(..)) => {
                warn!(
                    "Whether the state has by now what earlier deploys have left is not known: {}",
                    error.sentence()
                );
                return Weighed::default();
            }
        };
        let entries = records.iter().flat_map(|record| &record.entries);
        let unfinished = Unfinished::of(entries, &stored, &tool);
        unfinished.tell();
        let wish = self.deploy.on_unfinished;
        let weighed = Weighed {
            course: unfinished.course(wish, self.deploy.runs.job()),
            unfinished,
        };
        if matches!(weighed.course, Course::Stop(_)) {
            self.say_how(&weighed.lacking()).await;
        }
        weighed
    }

    /// How a deploy ends that does not begin because of what earlier ones have left.
    pub(super) async fn refuse(&self, weighed: &Weighed, locks: &Locks) -> Option<Conclusion> {
        let Course::Stop(why) = weighed.course else {
            return None;
        };
        let locks = locks.clone();
        if let Some(interrupt) = self.stage.interrupt() {
            let when = " before the deploy began";
            return Some(Conclusion::stopped(interrupt.signal, when, locks));
        }
        let conclusion = Conclusion::unfinished(locks, why);
        let remains = self.remains_of_others(&weighed.lacking()).await;
        (self.report)(&conclusion, &remains);
        Some(conclusion)
    }

    /// Runs what is to be run; and looks at its plan before that is applied, where the past asks for it.
    pub(super) async fn carry_out(&self, weighed: &Weighed, watch: &mut Watch<'_>) -> Went {
        let lacking = weighed.lacking();
        let (Some(tool), Some(job), Course::LookAhead) = (
            self.tool.recoverer(),
            self.deploy.runs.job(),
            &weighed.course,
        ) else {
            return Went {
                ending: self.supervise(self.command(), watch).await,
                obstacle: None,
                lacking,
            };
        };
        let draft = match Draft::new() {
            Ok(draft) => draft,
            Err(error) => {
                let (ending, obstacle) = (Err(error), None);
                return Went {
                    ending,
                    obstacle,
                    lacking,
                };
            }
        };
        let mut steps = Steps {
            story: self,
            tool,
            job,
            draft: &draft,
            watch,
            lacking,
        };
        let went = steps.look_ahead(&weighed.unfinished.missing).await;
        went.unwrap_or_else(|went| went)
    }

    /// Says how a person brings into the state what it lacks.
    async fn say_how(&self, made: &[Made]) {
        let way = self.way_back(made).await;
        if !way.is_empty() {
            warn!(
                "This brings it into the state. Blocks are for the configuration; with \
                 ON_UNFINISHED=import softstop does it.\n{}",
                way.trim_end()
            );
        }
    }

    /// What brings these into the state: blocks, or commands where the program knows no blocks.
    pub(super) async fn way_back(&self, made: &[Made]) -> String {
        let (Some(tool), Some(teller)) = (self.tool.recoverer(), self.tool.teller()) else {
            return String::new();
        };
        if made.is_empty() || tool.imports_by_plan(self.stage).await.unwrap_or(false) {
            return tool.import_blocks(made);
        }
        let commands = made
            .iter()
            .map(|Made { address, id }| teller.import_by_hand(address, id) + "\n");
        commands.collect()
    }
}

/// A job in steps. Each is a run of its own, and is stopped like any deploy.
struct Steps<'a, 'k, S> {
    story: &'a Story<'a, S>,
    tool: Recoverer<'a>,
    job: &'a Job,
    draft: &'a Draft,
    watch: &'a mut Watch<'k>,
    /// What an import may bring back.
    lacking: Vec<Made>,
}

impl<S: Stage> Steps<'_, '_, S> {
    /// Plans without any import, which shows what would be made again, and goes on from there.
    async fn look_ahead(&mut self, missing: &[Missing]) -> Result<Went, Went> {
        self.run(Step::SetUp).await?;
        let first = match self.job {
            Job::ApplyPlan(file) => Step::Show(file, self.draft),
            Job::Apply | Job::Plan(_) => Step::Plan(self.draft),
        };
        let ending = self.run(first).await?;
        let ahead = Ahead::of(missing, &self.planned(ending)?, &self.tool);
        ahead.tell();
        let again = made(&ahead.again);
        // The others no import brings back.
        self.lacking.clone_from(&again);
        let imports = self.tool.imports_by_plan(self.story.stage).await;
        let wish = self.story.deploy.on_unfinished;
        match ahead.next(wish, self.job, imports.unwrap_or(false)) {
            Next::Import { refreshes } => {
                info!(
                    "The plan would make {} again, so it is imported.",
                    names(&again)
                );
                if refreshes {
                    self.run(Step::Refresh).await?;
                }
                self.import(ending, &again).await
            }
            Next::Stop(why) => {
                self.story.say_how(&again).await;
                Err(self.stopped(ending, why))
            }
            Next::GoOn => {
                self.story.say_how(&again).await;
                Ok(self.finish().await)
            }
        }
    }

    /// Plans with the imports, and does what that plan says where it brings each and harms none.
    async fn import(&mut self, before: Ending, made: &[Made]) -> Result<Went, Went> {
        // What the first plan has told is not what will be done.
        self.watch.hearing.forget();
        let blocks = self.lay_out(before, made).await?;
        let ending = match self.run(Step::Plan(self.draft)).await {
            Err(went) if went.has_failed_by_itself() => {
                drop(blocks);
                return self.explain(before, went, made).await;
            }
            ran => ran?,
        };
        let planned = self.planned(ending)?;
        let refused = refused(made, &planned);
        if !refused.is_empty() {
            for (made, refusal) in &refused {
                warn!("{}", refusal.words_about(made));
            }
            self.story.say_how(made).await;
            return Err(self.stopped(ending, NOT_IMPORTED));
        }
        // A plan for people to look at is made once more, where they find it.
        let _blocks = matches!(self.job, Job::Plan(_)).then_some(blocks);
        let mut went = self.finish().await;
        if went.has_succeeded() {
            went.lacking.clear();
        }
        Ok(went)
    }

    /// Finds out because of which of these a plan has failed, which the tool refuses as a whole.
    async fn explain(&mut self, before: Ending, went: Went, made: &[Made]) -> Result<Went, Went> {
        if self.fails_with(before, &[]).await? {
            return Err(went);
        }
        let mut refused = Vec::new();
        let mut failing = vec![made];
        while let Some(group) = failing.pop() {
            if let [one] = group {
                refused.push(one.clone());
                continue;
            }
            let (one, other) = group.split_at(group.len() / 2);
            for half in [other, one] {
                if self.fails_with(before, half).await? {
                    failing.push(half);
                }
            }
        }
        if refused.is_empty() {
            return Err(went);
        }
        warn!(
            "Not imported, because the plan fails with it: {}. The id is wrong, or it is not what \
             `import` takes.",
            names(&refused)
        );
        self.story.say_how(made).await;
        Err(self.stopped(before, NOT_IMPORTED))
    }

    /// Whether a plan fails that imports these.
    async fn fails_with(&mut self, before: Ending, made: &[Made]) -> Result<bool, Went> {
        let _blocks = self.lay_out(before, made).await?;
        match self.run(Step::Plan(self.draft)).await {
            Ok(_) => Ok(false),
            Err(went) if went.has_failed_by_itself() => Ok(true),
            Err(went) => Err(went),
        }
    }

    /// Puts blocks for these beside the configuration, where that can be written.
    async fn lay_out(&mut self, before: Ending, made: &[Made]) -> Result<LaidOut, Went> {
        match self.tool.lay_out(made) {
            Ok(blocks) => Ok(blocks),
            Err(error) => {
                self.story.say_how(made).await;
                let why = format!("the blocks cannot be put beside the configuration: {error}");
                Err(self.stopped(before, why))
            }
        }
    }

    /// Does what the job was planned to do.
    async fn finish(&mut self) -> Went {
        let plan = self.draft.plan();
        let step = match self.job {
            Job::Apply => Step::Apply(&plan),
            Job::ApplyPlan(file) => Step::Apply(file),
            Job::Plan(_) => {
                let ending = self.story.supervise(self.story.command(), self.watch).await;
                return self.ended(ending);
            }
        };
        match self.run(step).await {
            Ok(ending) => self.ended(Ok(ending)),
            Err(went) => {
                if *self.job == Job::Apply && went.has_failed_by_itself() {
                    info!(
                        "\"Saved plan is stale\" says that somebody has changed the state since it was \
                         planned, and that nothing was applied: deploy again."
                    );
                }
                went
            }
        }
    }

    /// Runs one step; where it does not end well, nothing follows.
    async fn run(&mut self, step: Step<'_>) -> Result<Ending, Went> {
        let lock_timeout = self.story.deploy.lock_timeout;
        let prepared = self.tool.step(step, self.job, lock_timeout);
        let ending = self.story.supervise(prepared, self.watch).await;
        match ending {
            Ok(ending) => {
                let interrupt = ending.interrupt.or(self.story.stage.interrupt());
                let went_well = ending.status.is_some_and(|status| status.success());
                if went_well && interrupt.is_none() {
                    Ok(ending)
                } else {
                    Err(self.ended(Ok(Ending {
                        interrupt,
                        ..ending
                    })))
                }
            }
            Err(error) => Err(self.ended(Err(error))),
        }
    }

    fn planned(&self, ending: Ending) -> Result<Planned, Went> {
        let planned = self.tool.planned(self.draft);
        planned
            .map_err(|error| self.stopped(ending, format!("its plan is not understood: {error}")))
    }

    fn ended(&self, ending: io::Result<Ending>) -> Went {
        Went {
            ending,
            obstacle: None,
            lacking: self.lacking.clone(),
        }
    }

    fn stopped(&self, ending: Ending, why: impl Into<String>) -> Went {
        Went {
            obstacle: Some(why.into()),
            ..self.ended(Ok(ending))
        }
    }
}

impl Went {
    fn has_succeeded(&self) -> bool {
        self.ending.as_ref().is_ok_and(|ending| {
            let went_well = ending.status.is_some_and(|status| status.success());
            went_well && ending.interrupt.is_none()
        })
    }

    /// Whether the tool itself has said that it cannot.
    fn has_failed_by_itself(&self) -> bool {
        self.ending.as_ref().is_ok_and(|ending| {
            let code = ending.status.and_then(|status| status.code());
            ending.interrupt.is_none() && code.is_some()
        })
    }
}

fn made(missing: &[Missing]) -> Vec<Made> {
    missing.iter().map(|missing| missing.made.clone()).collect()
}
