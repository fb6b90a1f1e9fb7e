//! May this lock be released? A pure function from what is known to a verdict.

use std::cmp::Ordering;
use std::fmt;

use jiff::SignedDuration;

use super::{Holder, LockInfo, Others, Owner, StepReport};

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
    /// Why Bitbucket did not say anything else, where it was to be asked.
    PipelineMovedOn {
        silence: Option<String>,
    },
    StepCompleted {
        result: Option<String>,
    },
}

/// What shows that the holder of a lock is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    StillHere,
    OwnLook,
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
    PerhapsHere,
    ProcessesHidden {
        reason: String,
    },
    DockerSilent {
        reason: String,
    },
    ThisStep,
    /// Why the order of steps says nothing either, where it might have.
    NoToken {
        order: Option<String>,
    },
    NoAnswer {
        reason: String,
        was_asked: bool,
    },
    UnknownState {
        state: String,
    },
    OtherRun,
    LaterRun,
    NeverRan,
    NoEnd,
    OutlivesItsStep,
}

/// What is known beside the lock itself.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    /// The `user@host` that a lock of whoever asks would carry.
    pub(crate) signature: &'a str,
    /// Who else can sign like that.
    pub(crate) others: Others,
    /// The step that asks, where a step does.
    pub(crate) asker: Option<&'a Owner>,
    pub(crate) siblings: Siblings,
    pub(crate) sighting: Sighting,
}

/// What the order of steps says of the other steps in the asker's pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Siblings {
    /// The pipeline has moved on, so each of them is over.
    Over,
    /// Some may run; why it cannot be told, where it might have been.
    Open { reason: Option<String> },
}

/// What was seen of the holder itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// Nothing, which proves nothing: it may be where nobody looked.
    Nothing,
    Alive(Life),
    /// Something that leaves it open whether it is alive.
    Unclear(Doubt),
}

/// What Bitbucket says of the step that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is no token to ask with.
    NoToken,
    /// It said nothing of the step; whether it was reached at all.
    Silence {
        reason: String,
        was_asked: bool,
    },
    /// It said something that cannot be used, so it may know that the step runs.
    Unusable {
        reason: String,
    },
    Step(StepReport),
}

/// Judges `lock` by the `evidence`: what was seen beats what Bitbucket says, and that beats what
/// follows from the order of steps, which only silence leaves open.
pub(crate) fn judge(lock: &LockInfo, evidence: &Evidence, answer: &Answer) -> Verdict {
    if let Some(verdict) = settle(lock, evidence) {
        return verdict;
    }
    let Some(Holder { owner, .. }) = Holder::of(lock) else {
        return Verdict::Refuse(Doubt::NoBuild);
    };
    let verdict = match answer {
        Answer::NoToken => judge_by_order(&owner, evidence, None),
        Answer::Silence { reason, was_asked } => {
            judge_by_order(&owner, evidence, Some((reason, *was_asked)))
        }
        Answer::Unusable { reason } => Verdict::Refuse(Doubt::NoAnswer {
            reason: reason.clone(),
            was_asked: false,
        }),
        Answer::Step(step) => judge_by_step(lock, &owner, step),
    };
    let is_later = evidence
        .asker
        .is_some_and(|asker| owner.is_in_pipeline_of(asker) && owner.run() > asker.run());
    match verdict {
        Verdict::Release(_) | Verdict::Refuse(Doubt::NoToken { .. }) if is_later => {
            Verdict::Refuse(Doubt::LaterRun)
        }
        verdict => verdict,
    }
}

/// What follows without Bitbucket; nothing where Bitbucket has to be asked.
pub(crate) fn settle(lock: &LockInfo, evidence: &Evidence) -> Option<Verdict> {
    if lock.who.is_empty() {
        return Some(Verdict::Refuse(Doubt::UnknownHolder));
    }
    match &evidence.sighting {
        Sighting::Alive(life) => return Some(Verdict::Wait(life.clone())),
        Sighting::Unclear(doubt) => return Some(Verdict::Refuse(doubt.clone())),
        Sighting::Nothing => {}
    }
    let holder = Holder::of(lock);
    if lock.who == evidence.signature && evidence.others.are_excluded(holder.is_some()) {
        return Some(Verdict::Release(Proof::NobodyLeftHere));
    }
    let Some(Holder { owner, .. }) = holder else {
        return Some(Verdict::Refuse(Doubt::NoBuild));
    };
    let asker = evidence.asker.filter(|asker| owner.is_step_of(asker))?;
    match owner.run().cmp(&asker.run()) {
        Ordering::Less => Some(Verdict::Release(Proof::EarlierRun)),
        Ordering::Equal => Some(Verdict::Refuse(Doubt::ThisStep)),
        Ordering::Greater => None,
    }
}

/// Concludes from the order of steps where Bitbucket has kept silent, for this reason, or had
/// nobody to ask.
fn judge_by_order(owner: &Owner, evidence: &Evidence, silence: Option<(&String, bool)>) -> Verdict {
    let is_sibling = evidence
        .asker
        .is_some_and(|asker| owner.is_in_pipeline_of(asker) && !owner.is_step_of(asker));
    match (&evidence.siblings, silence) {
        (Siblings::Over, silence) if is_sibling => Verdict::Release(Proof::PipelineMovedOn {
            silence: silence.map(|(reason, _)| reason.clone()),
        }),
        (_, Some((reason, was_asked))) => Verdict::Refuse(Doubt::NoAnswer {
            reason: reason.clone(),
            was_asked,
        }),
        (Siblings::Open { reason }, None) if is_sibling => Verdict::Refuse(Doubt::NoToken {
            order: reason.clone(),
        }),
        (_, None) => Verdict::Refuse(Doubt::NoToken { order: None }),
    }
}

/// Concludes from a state only where its name is one of those that Bitbucket publishes.
fn judge_by_step(lock: &LockInfo, owner: &Owner, step: &StepReport) -> Verdict {
    match step.state.as_str() {
        "COMPLETED" => {}
        "PENDING" | "READY" | "IN_PROGRESS" => {
            let stage = step.stage.iter().map(|stage| format!(", {stage}"));
            let state = step.state.clone() + &stage.collect::<String>();
            return Verdict::Wait(Life::Step { state });
        }
        state => {
            return Verdict::Refuse(Doubt::UnknownState {
                state: state.to_owned(),
            });
        }
    }
    // An answer about an earlier run says nothing of a later one. A later run proves that the
    // earlier one has ended; an answer that names none is about the only one.
    if step.run.unwrap_or(1) < owner.run() {
        return Verdict::Refuse(Doubt::OtherRun);
    }
    if step.result.as_deref() == Some("NOT_RUN") {
        return Verdict::Refuse(Doubt::NeverRan);
    }
    let Some(created) = lock.created else {
        return Verdict::Refuse(Doubt::UnknownTime);
    };
    let Some(completed) = step.completed else {
        return Verdict::Refuse(Doubt::NoEnd);
    };
    if created.duration_since(completed) > CLOCK_SKEW {
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
            Self::DockerSilent { .. }
                | Self::NoAnswer {
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
            Self::PipelineMovedOn { silence } => {
                formatter.write_str(
                    "another step of this very pipeline took it, and the pipeline has moved on",
                )?;
                match silence {
                    Some(reason) => write!(formatter, " (Bitbucket could not tell: {reason})"),
                    None => Ok(()),
                }
            }
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
            Self::StillHere => {
                formatter.write_str("processes of that deploy are still running here")
            }
            Self::OwnLook => formatter.write_str("a look of softstop's own holds it"),
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
                "the Terraform or OpenTofu of this run ended by itself, and so has given its lock back"
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
            Self::PerhapsHere => {
                "a deploy is running on its host that does not say, or does not show, whose it is"
            }
            Self::ProcessesHidden { reason } => {
                return write!(formatter, "the processes of its host are hidden: {reason}");
            }
            Self::DockerSilent { reason } => {
                return write!(
                    formatter,
                    "{reason}, so nobody can tell whether its container runs. Make the daemon of \
                     DOCKER_HOST answer. Where no deploy can run in a container there, unset it; a \
                     pipe is told so by `DOCKER_HOST: \"\"` among its variables"
                );
            }
            Self::ThisStep => {
                "this very run of the step has taken it, elsewhere, and only a later step or run can \
                 tell whether that is over"
            }
            Self::NoToken { order } => {
                formatter.write_str(
                    "there is no token to ask Bitbucket about its step: set \
                     BITBUCKET_ACCESS_TOKEN, or ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN",
                )?;
                return match order {
                    Some(reason) => {
                        write!(formatter, " (nor can its step be told to be over: {reason})")
                    }
                    None => Ok(()),
                };
            }
            Self::NoAnswer { reason, .. } => reason,
            Self::UnknownState { state } => {
                return write!(
                    formatter,
                    "Bitbucket says that its step is {state:?}, which softstop does not know"
                );
            }
            Self::OtherRun => {
                "Bitbucket's answer is about an earlier run of its step, and not about the one that \
                 holds the lock"
            }
            Self::LaterRun => {
                "it was taken in a later run of this very pipeline than the one that asks"
            }
            Self::NeverRan => "Bitbucket says that its step was never run, so it is not the holder",
            Self::NoEnd => {
                "Bitbucket says that its step is COMPLETED, but its answer has no `completed_on` \
                 that can be read, so nobody can tell whether the lock was taken before that"
            }
            Self::OutlivesItsStep => {
                "it was taken after its step had ended, so something has outlived the step"
            }
        })
    }
}
