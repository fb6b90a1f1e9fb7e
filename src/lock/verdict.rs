//! May this lock be released? A pure function from what is known to a verdict.

use std::cmp::Ordering;
use std::fmt;

use jiff::SignedDuration;

use super::{Holder, LockInfo, Owner, StepReport};

/// How far the clocks of two machines may be apart.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What may be done with a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The holder is proved to be over.
    Release(Proof),
    /// The holder is alive.
    Wait(Life),
    /// Nobody can tell, or the lock is not a build's.
    Refuse(Doubt),
}

/// What proves that the holder of a lock is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    OwnRun,
    NobodyLeftHere,
    EarlierRun,
    PipelineMovedOn,
    StepRanAgain,
    StepCompleted { result: Option<String> },
}

/// What shows that the holder of a lock is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    ThisStep,
    Container,
    Step { state: String },
    Process,
    ChangesHands,
}

/// Why a lock is neither released nor waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    ProcessesRemain,
    OlderThanTheRun,
    YoungerThanTheRun,
    SomebodyElse,
    OtherVersion,
    OtherOperation,
    UnknownTime,
    ToolEndedByItself,
    OthersRun,
    OthersHidden,
    UnknownHolder,
    NoBuild,
    NotAsked,
    NoToken,
    NoAnswer { reason: String, was_asked: bool },
    UnknownState { state: String },
    LaterRun,
    NeverRan,
    OutlivesItsStep,
}

/// What is known beside the lock itself.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    /// The `user@host` that a lock of whoever asks would carry.
    pub(crate) signature: &'a str,
    /// The step that asks, where a step does.
    pub(crate) asker: Option<&'a Owner>,
    /// Whether every other step of the asker's pipeline is over.
    pub(crate) siblings_are_over: bool,
    /// Whether nobody who signs as the asker does can be anywhere but here, and none is here.
    pub(crate) nobody_left_here: bool,
    /// Whether a Docker daemon says that the container of the holder runs.
    pub(crate) container_runs: bool,
    pub(crate) answer: Answer,
}

/// What Bitbucket says of the step that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was not asked yet.
    NotAsked,
    /// There is no token to ask with.
    NoToken,
    /// It said nothing that could be used; whether it was reached at all.
    Nothing {
        reason: String,
        was_asked: bool,
    },
    Step(StepReport),
}

/// Judges `lock` by the `evidence`, strongest proof first.
pub(crate) fn judge(lock: &LockInfo, evidence: &Evidence) -> Verdict {
    if lock.who.is_empty() {
        return Verdict::Refuse(Doubt::UnknownHolder);
    }
    if lock.who == evidence.signature && evidence.nobody_left_here {
        return Verdict::Release(Proof::NobodyLeftHere);
    }
    let Some(Holder { owner, .. }) = Holder::of(lock) else {
        return Verdict::Refuse(Doubt::NoBuild);
    };
    if evidence.container_runs {
        return Verdict::Wait(Life::Container);
    }
    evidence
        .asker
        .and_then(|asker| judge_relative(&owner, asker, evidence.siblings_are_over))
        .unwrap_or_else(|| judge_by_answer(lock, &owner, &evidence.answer))
}

/// Judges a holder that is a step of the asker's own pipeline.
fn judge_relative(owner: &Owner, asker: &Owner, siblings_are_over: bool) -> Option<Verdict> {
    if owner.is_step_of(asker) {
        return match owner.run().cmp(&asker.run()) {
            Ordering::Less => Some(Verdict::Release(Proof::EarlierRun)),
            Ordering::Equal => Some(Verdict::Wait(Life::ThisStep)),
            Ordering::Greater => None,
        };
    }
    (owner.is_in_pipeline_of(asker) && siblings_are_over)
        .then_some(Verdict::Release(Proof::PipelineMovedOn))
}

fn judge_by_answer(lock: &LockInfo, owner: &Owner, answer: &Answer) -> Verdict {
    match answer {
        Answer::NotAsked => Verdict::Refuse(Doubt::NotAsked),
        Answer::NoToken => Verdict::Refuse(Doubt::NoToken),
        Answer::Nothing { reason, was_asked } => Verdict::Refuse(Doubt::NoAnswer {
            reason: reason.clone(),
            was_asked: *was_asked,
        }),
        Answer::Step(step) => judge_by_step(lock, owner, step),
    }
}

/// Concludes from a state only where its name is one of those that Bitbucket publishes.
fn judge_by_step(lock: &LockInfo, owner: &Owner, step: &StepReport) -> Verdict {
    let is_known = matches!(
        step.state.as_str(),
        "PENDING" | "READY" | "IN_PROGRESS" | "COMPLETED"
    );
    if !is_known {
        return Verdict::Refuse(Doubt::UnknownState {
            state: step.state.clone(),
        });
    }
    match step.run {
        // Bitbucket starts a step again only once it has ended.
        Some(run) if run > owner.run() => return Verdict::Release(Proof::StepRanAgain),
        Some(run) if run < owner.run() => return Verdict::Refuse(Doubt::LaterRun),
        _ => {}
    }
    if step.state != "COMPLETED" {
        let stage = step.stage.as_ref();
        let state = stage.map_or_else(
            || step.state.clone(),
            |stage| format!("{}, {stage}", step.state),
        );
        return Verdict::Wait(Life::Step { state });
    }
    if step.result.as_deref() == Some("NOT_RUN") {
        return Verdict::Refuse(Doubt::NeverRan);
    }
    let outlives = lock
        .created
        .zip(step.completed)
        .is_some_and(|(created, completed)| created.duration_since(completed) > CLOCK_SKEW);
    if outlives {
        return Verdict::Refuse(Doubt::OutlivesItsStep);
    }
    Verdict::Release(Proof::StepCompleted {
        result: step.result.clone(),
    })
}

impl Doubt {
    /// Whether somebody who could tell was not reached.
    pub(crate) fn is_for_want_of_an_answer(&self) -> bool {
        matches!(
            self,
            Self::NoAnswer {
                was_asked: false,
                ..
            }
        )
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnRun => {
                formatter.write_str("it was this run's own, and every process of the run is gone")
            }
            Self::NobodyLeftHere => formatter.write_str(
                "it was signed on this very host, and no deploy that could have signed it is left here",
            ),
            Self::EarlierRun => {
                formatter.write_str("an earlier run of this very step took it, and that is over")
            }
            Self::PipelineMovedOn => formatter.write_str(
                "an earlier step of this very pipeline took it, and the pipeline has moved on",
            ),
            Self::StepRanAgain => formatter.write_str(
                "Bitbucket has started its step again since, and so that run of it is over",
            ),
            Self::StepCompleted { result: None } => {
                formatter.write_str("Bitbucket says that its step is COMPLETED")
            }
            Self::StepCompleted {
                result: Some(result),
            } => write!(
                formatter,
                "Bitbucket says that its step is COMPLETED ({result})"
            ),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisStep => formatter.write_str("this very step holds it, and still runs"),
            Self::Container => {
                formatter.write_str("the container that holds it still runs, by the word of Docker")
            }
            Self::Step { state } => {
                write!(formatter, "Bitbucket says that its step is {state}")
            }
            Self::Process => {
                formatter.write_str("such a lock dies with its process, so the process is alive")
            }
            Self::ChangesHands => {
                formatter.write_str("it changed hands whenever softstop looked at it")
            }
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ProcessesRemain => "processes of this run are still alive",
            Self::OlderThanTheRun => "it was taken before this run started",
            Self::YoungerThanTheRun => "it was taken after this run had ended",
            Self::SomebodyElse => "another user or host holds it",
            Self::OtherVersion => "another version of the tool took it",
            Self::OtherOperation => "it was taken for something that this run does not do",
            Self::UnknownTime => "it does not say when it was taken",
            Self::ToolEndedByItself => {
                "the Terraform of this run ended by itself, and so has given its lock back"
            }
            Self::OthersRun => "another deploy is running that signs its locks as this run does",
            Self::OthersHidden => {
                "the host name is not this container's alone, so another deploy may have taken it"
            }
            Self::UnknownHolder => "the backend does not say who holds it",
            Self::NoBuild => {
                "its holder is no build that softstop has signed for, so nobody can tell whether \
                 it is over"
            }
            Self::NotAsked => "Bitbucket was not asked about its step",
            Self::NoToken => {
                "there is no token to ask Bitbucket about its step: set BITBUCKET_ACCESS_TOKEN, or \
                 ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN"
            }
            Self::NoAnswer { reason, .. } => reason,
            Self::UnknownState { state } => {
                return write!(
                    formatter,
                    "Bitbucket says that its step is {state:?}, which softstop does not know"
                );
            }
            Self::LaterRun => {
                "Bitbucket knows only an earlier run of its step, so its answer is not about this \
                 lock"
            }
            Self::NeverRan => "Bitbucket says that its step was never run, so it is not the holder",
            Self::OutlivesItsStep => {
                "it was taken after its step had ended, so something has outlived the step"
            }
        })
    }
}
