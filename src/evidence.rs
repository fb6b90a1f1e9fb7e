//! Gathers what is known of the holder of a lock, and asks nobody for what is not needed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::bitbucket::api::{Api, Question};
use crate::bitbucket::build::Build;
use crate::docker::{Container, Daemon};
use crate::lock::{
    Answer, Doubt, Evidence, Holder, LockInfo, Others, Run, Verdict, judge, judge_own,
};
use crate::supervisor::{Neighbours, Supervisor, neighbours};
use crate::tools::{DeployTool, ToolError};

/// How long an answer of Bitbucket's counts, while a lock is waited for: 1,000 questions an hour
/// are allowed, to all builds together.
const FRESH: Duration = Duration::from_secs(20);
/// How long Bitbucket and Docker may take, all retries included.
const LIMIT: Duration = Duration::from_secs(20);

/// Who asks, from where, and whom there is to ask.
pub(crate) struct Inquiry {
    pub(crate) build: Option<Build>,
    /// Nothing where there is no token.
    pub(crate) api: Option<Api>,
    pub(crate) daemon: Daemon,
    /// Whether this is a `release`, a step of its own that the pipeline runs after the others, or a
    /// `status`, which tells what a release would do.
    pub(crate) is_for_release: bool,
    answers: RefCell<HashMap<String, (Instant, Answer)>>,
}

impl Inquiry {
    pub(crate) fn new(
        build: Option<Build>,
        api: Option<Api>,
        daemon: Daemon,
        is_for_release: bool,
    ) -> Self {
        Self {
            build,
            api,
            daemon,
            is_for_release,
            answers: RefCell::default(),
        }
    }

    /// Judges whether the holder of `lock` is over.
    pub(crate) async fn judge<T: DeployTool>(
        &self,
        supervisor: &Supervisor,
        tool: &T,
        lock: &LockInfo,
    ) -> Verdict {
        let signature = tool.signature();
        let holder = Holder::of(lock);
        let build = self.build.as_ref();
        let mut evidence = Evidence {
            signature: &signature,
            asker: build.map(|build| &build.owner),
            siblings_are_over: self.is_for_release && build.is_some_and(|build| !build.is_parallel),
            nobody_left_here: lock.who == signature
                && matches!(others(tool, lock), Ok(Others::Impossible)),
            container_runs: self.container_runs(supervisor, holder.as_ref()).await,
            answer: Answer::NotAsked,
        };
        let verdict = judge(lock, &evidence);
        match (verdict, holder) {
            (Verdict::Refuse(Doubt::NotAsked), Some(holder)) => {
                evidence.answer = self.answer(supervisor, &holder).await;
                judge(lock, &evidence)
            }
            (verdict, _) => verdict,
        }
    }

    /// Whether a Docker daemon in reach says that the holder's container runs. A daemon that does
    /// not know it proves nothing: it may be another machine's.
    async fn container_runs(&self, supervisor: &Supervisor, holder: Option<&Holder>) -> bool {
        let Some(id) = holder.and_then(Holder::container) else {
            return false;
        };
        matches!(
            supervisor.limited(LIMIT, self.daemon.look_for(id)).await,
            Some(Container::Running)
        )
    }

    async fn answer(&self, supervisor: &Supervisor, holder: &Holder) -> Answer {
        let Some(api) = &self.api else {
            return Answer::NoToken;
        };
        let stamp = holder.owner.to_string();
        if let Some((asked, answer)) = self.answers.borrow().get(&stamp)
            && asked.elapsed() < FRESH
        {
            return answer.clone();
        }
        let (pipeline, step) = (
            holder.owner.pipeline().to_string(),
            holder.owner.step().to_string(),
        );
        let question = Question {
            workspace: holder.owner.workspace(),
            repository: holder.owner.repository(),
            pipeline: &pipeline,
            step: &step,
        };
        let answer = match supervisor.limited(LIMIT, api.step(question)).await {
            Some(Ok(step)) => Answer::Step(step),
            Some(Err(error)) => Answer::Nothing {
                reason: error.to_string(),
                was_asked: error.is_an_answer(),
            },
            None => Answer::Nothing {
                reason: "there was no time left to ask Bitbucket".to_owned(),
                was_asked: false,
            },
        };
        let mut answers = self.answers.borrow_mut();
        answers.insert(stamp, (Instant::now(), answer.clone()));
        answer
    }
}

/// Who else can have signed `lock`, which is signed as we sign.
///
/// A step signs on one machine only, so for its stamp it is enough to see all of that machine.
fn others<T: DeployTool>(tool: &T, lock: &LockInfo) -> io::Result<Others> {
    Ok(match neighbours(&tool.programs())? {
        Neighbours::NonePossible => Others::Impossible,
        Neighbours::NoneHere if Holder::of(lock).is_some() => Others::Impossible,
        Neighbours::NoneHere => Others::NotHere,
        Neighbours::Some => Others::Running,
        Neighbours::Hidden => Others::Hidden,
    })
}

/// What is known of a run that is over.
pub(crate) struct Finished<'a> {
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) tree_gone: bool,
    pub(crate) tool_was_killed: bool,
    /// The operations for which it can hold a lock.
    pub(crate) operations: &'a [&'a str],
}

/// Judges whether `lock` is what a run has left behind that has ended here.
pub(crate) async fn judge_finished<T: DeployTool>(
    supervisor: &Supervisor,
    tool: &T,
    lock: &LockInfo,
    finished: &Finished<'_>,
) -> Result<Verdict, ToolError> {
    let signature = tool.signature();
    let version = tool.version(supervisor).await?;
    let run = Run {
        who: &signature,
        version: &version,
        started: finished.started,
        ended: finished.ended,
        processes_gone: finished.tree_gone,
        tool_was_killed: finished.tool_was_killed,
        operations: finished.operations,
        others: others(tool, lock).map_err(ToolError::Hidden)?,
    };
    Ok(judge_own(lock, &run))
}
