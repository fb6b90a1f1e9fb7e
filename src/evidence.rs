//! Gathers what is known of the holder of a lock, and asks nobody for what is not needed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::bitbucket::api::{Api, Question};
use crate::bitbucket::build::{Build, STEP_UUID};
use crate::docker::{Container, Daemon};
use crate::lock::{
    Answer, Evidence, Holder, Life, LockInfo, Others, Run, Sighting, Verdict, judge, judge_own,
};
use crate::supervisor::{Neighbours, Supervisor, is_anybody_left, neighbours};
use crate::tools::{DeployTool, ToolError};

/// Marks every process of a deploy with the stamp of its locks, so that one that is left can be
/// found.
pub(crate) const STAMP: &str = "SOFTSTOP_STAMP";
/// How long an answer of Bitbucket's counts, while a lock is waited for: 1,000 questions an hour
/// are allowed, to all builds together.
const FRESH: Duration = Duration::from_secs(20);
/// How long Bitbucket and Docker may take, all retries included.
const LIMIT: Duration = Duration::from_secs(20);

/// Who asks, from where, and whom there is to ask.
pub(crate) struct Inquiry {
    pub(crate) build: Option<Build>,
    /// Nothing where there is no token.
    api: Option<Api>,
    daemon: Daemon,
    /// Whether this is a `release`, a step of its own that the pipeline runs after the others, or a
    /// `status`, which tells what a release would do.
    is_for_release: bool,
    began: Timestamp,
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
            began: Timestamp::now(),
            answers: RefCell::default(),
        }
    }

    /// Judges whether the holder of `lock` is over.
    pub(crate) async fn judge<T: DeployTool>(
        &self,
        supervisor: &Supervisor,
        tool: &T,
        lock: &LockInfo,
    ) -> Result<Verdict, ToolError> {
        let signature = tool.signature();
        let holder = Holder::of(lock);
        let build = self.build.as_ref();
        let (sighting, answer) = match &holder {
            Some(holder) => (
                self.look_for(supervisor, tool, lock, holder).await,
                self.answer(supervisor, holder).await,
            ),
            None => (Sighting::Nothing, Answer::NoToken),
        };
        let evidence = Evidence {
            signature: &signature,
            others: if lock.who == signature {
                others(tool).map_err(ToolError::Hidden)?
            } else {
                Others::Hidden
            },
            asker: build.map(|build| &build.owner),
            siblings_are_over: self.is_for_release && build.is_some_and(|build| !build.is_parallel),
            sighting,
            answer,
        };
        Ok(judge(lock, &evidence))
    }

    /// Looks for the holder itself: among the processes of its host, where that is ours, or else
    /// among the containers of a Docker daemon in reach. A daemon that does not know the container
    /// proves nothing: it may be another machine's.
    async fn look_for<T: DeployTool>(
        &self,
        supervisor: &Supervisor,
        tool: &T,
        lock: &LockInfo,
        holder: &Holder,
    ) -> Sighting {
        if tool.signature().ends_with(&format!("@{}", holder.host)) {
            let deploy = (STAMP, &*holder.owner.to_string());
            let step = (STEP_UUID, &*holder.owner.step().to_string());
            return match is_anybody_left(&tool.programs(), deploy, step) {
                Ok(true) => Sighting::Alive(Life::StillHere),
                // Taken after we have begun, so by somebody who was there then: perhaps by a look of
                // our own at the same lock from another directory.
                Ok(false) if lock.who == tool.signature() && lock.created > Some(self.began) => {
                    Sighting::Alive(Life::StillHere)
                }
                Ok(false) => Sighting::Nothing,
                Err(error) => Sighting::Unclear {
                    reason: format!("the processes of this machine are hidden: {error}"),
                },
            };
        }
        let Some(id) = holder.container() else {
            return Sighting::Nothing;
        };
        match supervisor.limited(LIMIT, self.daemon.look_for(id)).await {
            Some(Container::Running) => Sighting::Alive(Life::Container),
            Some(Container::NotRunning | Container::NoDaemon) => Sighting::Nothing,
            Some(Container::Unknown(reason)) => Sighting::Unclear { reason },
            None => Sighting::Unclear {
                reason: "there was no time left to ask Docker".to_owned(),
            },
        }
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

/// Who else can sign as we do.
fn others<T: DeployTool>(tool: &T) -> io::Result<Others> {
    Ok(match neighbours(&tool.programs())? {
        Neighbours::NonePossible => Others::Impossible,
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
        others: others(tool).map_err(ToolError::Hidden)?,
    };
    Ok(judge_own(lock, &run))
}
