//! May this lock be released? A pure function from what is known to a verdict.

use std::cmp::Ordering;

use jiff::SignedDuration;

use super::evidence::{Answer, Evidence, Presence, Siblings};
use super::info::LockInfo;
use super::owner::{Holder, Owner};
use super::reasons::{Doubt, Life, Proof};
use super::step::StepReport;

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

/// Judges `lock` by the `evidence`: what was seen beats what Bitbucket says, and that beats what
/// follows from the order of steps, which only silence leaves open.
pub(crate) fn judge(lock: &LockInfo, evidence: &Evidence, answer: &Answer) -> Verdict {
    if let Some(verdict) = judge_unasked(lock, evidence) {
        return verdict;
    }
    let Some(Holder { owner, .. }) = Holder::of(lock) else {
        return Verdict::Refuse(Doubt::NoBuild);
    };
    let verdict = match answer {
        Answer::NoToken => judge_by_order(lock, &owner, evidence, None),
        Answer::Silence { reason, was_asked } => {
            judge_by_order(lock, &owner, evidence, Some((reason, *was_asked)))
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
pub(crate) fn judge_unasked(lock: &LockInfo, evidence: &Evidence) -> Option<Verdict> {
    if lock.who.is_empty() {
        return Some(Verdict::Refuse(Doubt::UnknownHolder));
    }
    match &evidence.sighting {
        Presence::Alive(life) => return Some(Verdict::Wait(life.clone())),
        Presence::Unclear(doubt) => return Some(Verdict::Refuse(doubt.clone())),
        Presence::Nothing => {}
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
///
/// A step that a person starts or resumes may begin after whoever asks: the pipeline has not left it
/// behind.
fn judge_by_order(
    lock: &LockInfo,
    owner: &Owner,
    evidence: &Evidence,
    silence: Option<(&String, bool)>,
) -> Verdict {
    let is_sibling = evidence
        .asker
        .is_some_and(|asker| owner.is_in_pipeline_of(asker) && !owner.is_step_of(asker));
    let was_here_before = lock.created.is_some_and(|created| created < evidence.began);
    let siblings = match &evidence.siblings {
        Siblings::Over if !was_here_before => &Siblings::Open {
            reason: Some("nothing says that it was taken before this run began".to_owned()),
        },
        siblings => siblings,
    };
    match (siblings, silence) {
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
