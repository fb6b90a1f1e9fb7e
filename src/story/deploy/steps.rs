//! A job in steps, of which each shows whether there is a next one.

use std::io;

use tracing::{info, warn};

use super::{Story, Watch};
use crate::story::ahead::{Ahead, Next, refused};
use crate::story::stage::Stage;
use crate::story::unfinished::{Missing, OnUnfinished, made, names, tell_of_claims};
use crate::supervisor::{Ending, Interrupt};
use crate::tools::recovering::{Draft, LaidOut, Made, Planned, Recovering, Step};
use crate::tools::{Job, Recoverer};

/// How many plans are made at the most to find out because of which imports one fails.
const MOST_PLANS: usize = 8;
/// Why nothing is applied where an import fails.
const NOT_IMPORTED: &str = "not everything can be imported that earlier deploys have made";

/// How what was to be run has gone.
pub(super) struct Went {
    pub(super) ending: io::Result<Ending>,
    /// Why not all of it was run, where nothing has failed.
    pub(super) obstacle: Option<String>,
    /// Because of which of these that is so.
    pub(super) stopped_for: Vec<Made>,
    /// What earlier deploys have made, the state still lacks, and an import may bring back.
    pub(super) lacking: Vec<Made>,
}

/// A job in steps. Each is a run of its own, and is stopped like any deploy.
pub(super) struct Steps<'a, 'k, S> {
    pub(super) story: &'a Story<'a, S>,
    pub(super) tool: Recoverer<'a>,
    pub(super) job: &'a Job,
    pub(super) draft: &'a Draft,
    pub(super) watch: &'a mut Watch<'k>,
    /// What an import may bring back.
    pub(super) lacking: Vec<Made>,
    /// What it stops for.
    pub(super) stopped_for: Vec<Made>,
    /// How the last step has ended.
    pub(super) last: Option<Ending>,
}

impl<S: Stage> Steps<'_, '_, S> {
    /// Plans without any import, which shows what would be made again, and goes on from there.
    pub(super) async fn look_ahead(
        &mut self,
        missing: &[Missing],
        wish: OnUnfinished,
    ) -> Result<Went, Went> {
        self.run(Step::SetUp).await?;
        let first = match self.job {
            Job::ApplyPlan(file) => Step::Show(file, self.draft),
            Job::Apply | Job::Plan(_) => Step::Plan(self.draft),
        };
        let ending = self.run(first).await?;
        let planned = self.planned(ending)?;
        let meant = |address: &str| self.story.journal.meant(address, planned.0.keys());
        let ahead = Ahead::of(missing, &planned, &self.tool, &meant);
        ahead.tell();
        let again = made(&ahead.again);
        // The others no import brings back.
        self.lacking.clone_from(&again);
        let imports = self.tool.imports_by_plan(self.story.stage).await;
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
                let standing = ahead.standing_in_the_way();
                tell_of_claims(&standing);
                self.stopped_for = made(&standing);
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
        let mut plans = 0;
        while let Some(group) = failing.pop() {
            if group.len() == 1 || plans >= MOST_PLANS {
                refused.extend_from_slice(group);
                continue;
            }
            plans += 2;
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
                let command = self.story.command(self.watch.has_found_state);
                let ending = self.story.supervise(command, self.watch).await;
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
        if let (interrupt @ Some(_), Some(last)) = (self.story.stage.interrupt(), self.last) {
            return Err(self.ended(Ok(Ending { interrupt, ..last })));
        }
        let lock_timeout = self.story.deploy.lock_timeout;
        let stage = self.story.stage;
        let is_found = self.watch.has_found_state;
        let prepared = self
            .tool
            .step(stage, step, self.job, lock_timeout, is_found);
        let ending = self.story.supervise(prepared.await, self.watch).await;
        match ending {
            Ok(ending) => {
                self.last = Some(ending);
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
            stopped_for: self.stopped_for.clone(),
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
    /// Who was asked to stop has not gone on for that reason.
    pub(super) fn unless_stopped(self, interrupt: Option<Interrupt>) -> Self {
        if self.obstacle.is_none() || interrupt.is_none() {
            return self;
        }
        Self {
            ending: self.ending.map(|ending| Ending {
                interrupt,
                ..ending
            }),
            obstacle: None,
            ..self
        }
    }

    fn has_succeeded(&self) -> bool {
        self.ending.as_ref().is_ok_and(|ending| {
            let went_well = ending.status.is_some_and(|status| status.success());
            went_well && ending.interrupt.is_none()
        })
    }

    /// Whether the tool itself has said that it cannot. A shell tells by a code above 128 that it was
    /// killed.
    fn has_failed_by_itself(&self) -> bool {
        self.ending.as_ref().is_ok_and(|ending| {
            let code = ending.status.and_then(|status| status.code());
            ending.interrupt.is_none() && code.is_some_and(|code| code <= 128)
        })
    }
}
