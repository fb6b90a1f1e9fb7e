//! The rules: what is missing for a safe stop.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::recovery::Recovery;
use super::remark::{Remark, Severity};
use super::tokens;
use crate::pipe::variables;
use crate::pipelines::calls::{Call, Effect, GracePeriod, Means, What};
use crate::pipelines::document::Node;
use crate::pipelines::misspelt::Mistake;
use crate::pipelines::pipeline::{Pipeline, Pipelines, Step};
use crate::pipelines::releases;

/// What `docker stop` gives before it kills.
const GIVEN_BY_DOCKER: Duration = Duration::from_secs(10);

/// How many characters of conditions are read in a file at most, for each pipeline that they are about.
const MOST_READ: usize = 1 << 26;

/// Applies all rules. What several pipelines share by an alias is said once.
pub(super) fn find(pipelines: &Pipelines) -> Vec<Remark> {
    let mut findings = Vec::new();
    for pipeline in &pipelines.all {
        place_of_final(pipeline, &mut findings);
        findings.extend(beside_people(pipeline));
        for step in pipeline.all_steps() {
            for call in &step.calls {
                findings.extend(bare(step, call));
                findings.extend(grace_period(step, call));
                findings.extend(shell(call));
                findings.extend(time_limit(step, call));
                findings.extend(beside_others(step, call));
                findings.extend(without_clone(step, call));
                findings.extend(call.what.mistakes().iter().map(misspelt));
            }
        }
        side_by_side(pipeline, &mut findings);
    }
    Recovery::new(pipelines).find(&mut findings);
    tokens::find(pipelines, &mut findings);
    findings.extend(imports(pipelines));
    triggers(pipelines, &mut findings);
    findings.sort_unstable();
    findings.dedup();
    findings
}

/// Bitbucket takes one `final:`, as the last item, and without some keys.
fn place_of_final(pipeline: &Pipeline, findings: &mut Vec<Remark>) {
    for last in &pipeline.finals {
        if !last.is_last {
            findings.push(Remark {
                position: last.position,
                severity: Severity::Error,
                reason: "`final:` has to be the last item of its pipeline, and the only one of \
                         its kind"
                    .into(),
                fix: "move it to the end".to_owned(),
            });
        }
        for (position, text) in &last.forbidden {
            findings.push(Remark {
                position: *position,
                severity: Severity::Refused,
                reason: "Bitbucket does not allow this in `final:`".into(),
                fix: format!("delete `{text}`"),
            });
        }
    }
}

/// Terraform alone cannot be stopped gently, and its lock names no build.
fn bare(step: &Step, call: &Call) -> Option<Remark> {
    let What::Bare(bare) = &call.what else {
        return None;
    };
    let (severity, reason) = match bare.effect {
        // PowerShell knows no `exec`, and softstop no Windows.
        Effect::Changes if step.is_on_windows => (
            Severity::Error,
            format!(
                "{} changes infrastructure here without softstop: where it is stopped, it can leave a \
                 lock that nobody can prove to be over; softstop does not run on Windows, so write \
                 instead, in a step on a Linux runner:",
                bare.program
            )
            .into(),
        ),
        Effect::Changes => (
            Severity::Error,
            format!(
                "{} changes infrastructure here without softstop: where it is stopped, it can leave a \
                 lock that nobody can prove to be over; write instead, in an image that has softstop:",
                bare.program
            )
            .into(),
        ),
        Effect::Locks(subcommand) => (
            Severity::Warning,
            format!(
                "`{subcommand}` takes the lock too, and where it is stopped, can leave it; write \
                 instead:"
            )
            .into(),
        ),
        Effect::Unknown => return None,
    };
    let is_exec = bare.can_be_last && bare.remedy.starts_with("softstop") && !step.is_on_windows;
    let exec = if is_exec { "exec " } else { "" };
    Some(Remark {
        position: call.position,
        severity,
        reason,
        fix: format!("{exec}{}", bare.remedy),
    })
}

/// A release may take the lock of a deploy that goes on beside it for one that was left behind.
fn beside_others(step: &Step, call: &Call) -> Option<Remark> {
    let is_release = matches!(call.what, What::Release(_));
    (is_release && step.group.is_some()).then(|| Remark {
        position: call.position,
        severity: Severity::Error,
        reason: "a release in a parallel group runs beside steps that are alive, and no other \
                 release of this pipeline can be sure any more that what it finds is over"
            .into(),
        fix: "move it to `final:`".to_owned(),
    })
}

/// `final:` runs at every pause, so whoever starts a step then starts it beside that.
fn beside_people(pipeline: &Pipeline) -> impl Iterator<Item = Remark> {
    let by_hand = pipeline.by_hand.into_iter();
    by_hand.flat_map(|by_hand| {
        let calls = pipeline.finals.iter().flat_map(|last| &last.step.calls);
        // What an image of one's own finds in its environment, the file does not tell.
        let unsure = calls.filter(|call| {
            matches!(&call.what, What::Release(softstop)
                if !softstop.has_token && matches!(softstop.means, Means::Pipe { .. }))
        });
        unsure.map(move |call| Remark {
            position: call.position,
            severity: Severity::Warning,
            reason: format!(
                "somebody may start what is `trigger: manual` (line {}) while this release runs, so \
                 only Bitbucket can tell it what is over; give it a token, such as:",
                by_hand.line
            )
            .into(),
            fix: "BITBUCKET_ACCESS_TOKEN: $BITBUCKET_ACCESS_TOKEN".to_owned(),
        })
    })
}

/// A release knows by the clone which state is meant, and whether it runs alone.
fn without_clone(step: &Step, call: &Call) -> Option<Remark> {
    let clone = step.clone.filter(|clone| !clone.is_there)?;
    matches!(call.what, What::Release(_)).then(|| Remark {
        position: clone.position,
        severity: Severity::Error,
        reason: format!(
            "the release in line {} has no clone, by which alone it knows which state is meant; \
             write in its step:",
            call.position.line
        )
        .into(),
        fix: "clone:\n  enabled: true".to_owned(),
    })
}

/// A release trusts the order of steps only where nothing in a parallel group might be one.
pub(super) fn doubtful(root: &Node) -> impl Iterator<Item = Remark> {
    let positions = releases::perhaps_in_parallel(root).into_iter();
    positions.map(|position| Remark {
        position,
        severity: Severity::Warning,
        reason:
            "this may be a release in a parallel group, beside steps that are alive, and no other \
                 release of this file can be sure then that what it finds is over; move it to \
                 `final:`, or say what else it does, such as:"
                .into(),
        fix: "softstop deploy".to_owned(),
    })
}

/// Bitbucket kills a step whose time is over, whatever it is still about to do.
fn time_limit(step: &Step, call: &Call) -> Option<Remark> {
    let (What::Deploy(softstop) | What::Release(softstop)) = &call.what else {
        return None;
    };
    let limit = step.time_limit.as_ref()?;
    let text = &softstop.grace_period.as_ref()?.text;
    let period = variables::duration(text).ok()?;
    (period >= Duration::from_secs(limit.minutes.saturating_mul(60))).then(|| Remark {
        position: limit.position,
        severity: Severity::Warning,
        reason: format!(
            "the step may run for {} min, and GRACE_PERIOD (line {}) is {text:?}: nothing is left \
             for the deploy; write a longer `max-time`, or a shorter grace period",
            limit.minutes, call.position.line
        )
        .into(),
        fix: "max-time: 120".to_owned(),
    })
}

/// Docker kills what takes longer.
fn grace_period(step: &Step, call: &Call) -> Option<Remark> {
    let (What::Deploy(softstop) | What::Release(softstop)) = &call.what else {
        return None;
    };
    let GracePeriod {
        position,
        text,
        remedy,
    } = softstop.grace_period.as_ref()?;
    if variables::duration(text).ok()? < GIVEN_BY_DOCKER {
        return None;
    }
    Some(Remark {
        position: *position,
        severity: if step.has_own_runner {
            Severity::Warning
        } else {
            Severity::Error
        },
        reason: format!(
            "GRACE_PERIOD is {text:?}, but `docker stop` kills after 10 s unless it is told \
             otherwise; write instead:"
        )
        .into(),
        fix: (*remedy).to_owned(),
    })
}

/// A shell between the runner and softstop passes no signal on.
fn shell(call: &Call) -> Option<Remark> {
    let What::Deploy(softstop) = &call.what else {
        return None;
    };
    let Means::Command {
        is_piped,
        with_exec: Some(fix),
        ..
    } = &softstop.means
    else {
        return None;
    };
    let reason = if *is_piped {
        "the shell stays in front of softstop and passes no signal on, and behind a pipe the exit \
         code of the deploy can be lost; write without the pipe:"
    } else {
        "the shell stays in front of softstop and passes no signal on; write instead:"
    };
    Some(Remark {
        position: call.position,
        severity: Severity::Warning,
        reason: reason.into(),
        fix: fix.clone(),
    })
}

/// Two deploys at the same time cannot both have one lock.
fn side_by_side(pipeline: &Pipeline, findings: &mut Vec<Remark>) {
    let mut seen = HashMap::new();
    for (index, step) in pipeline.steps.iter().enumerate() {
        let Some(group) = step.group else {
            continue;
        };
        let calls = step.calls.iter();
        for call in calls.filter(|call| !matches!(call.what, What::Release(_))) {
            for target in &call.targets {
                let key = (group, &step.deployment, &**target);
                let (line, other) = *seen.entry(key).or_insert((call.position.line, index));
                let is_queued = step.queue.is_some() && step.queue == pipeline.steps[other].queue;
                if other != index && target.is_certain() && !is_queued {
                    findings.push(Remark {
                        position: call.position,
                        severity: Severity::Error,
                        reason: format!(
                            "this deploy is in {target}, and so is that of another parallel step \
                             (line {line}): one of them will find the lock held; put one after \
                             the other, or add to both steps:"
                        )
                        .into(),
                        fix: "concurrency-group: terraform".to_owned(),
                    });
                }
            }
        }
    }
}

/// A variable that nobody reads changes nothing, and the deploy goes where it was not meant to go.
fn misspelt(mistake: &Mistake) -> Remark {
    let Mistake { position, misspelt } = mistake;
    let name = &misspelt.name;
    let (reason, fix) = match misspelt.meant {
        Some(meant) => (
            format!("softstop knows no variable {name}; write instead:"),
            meant.to_owned(),
        ),
        None => (
            format!("softstop knows no variable {name}, and nothing comes of it"),
            format!("delete `{name}`"),
        ),
    };
    Remark {
        position: *position,
        severity: Severity::Warning,
        reason: reason.into(),
        fix,
    }
}

/// What is in another repository is not read.
fn imports(pipelines: &Pipelines) -> impl Iterator<Item = Remark> {
    pipelines.imports.iter().map(|(position, source)| Remark {
        position: *position,
        severity: Severity::Warning,
        reason: format!("the import {source:?} cannot be followed; where it comes from, run:")
            .into(),
        fix: "softstop check".to_owned(),
    })
}

/// A pipeline of softstop's that its own end starts again may go on for ever.
fn triggers(pipelines: &Pipelines, findings: &mut Vec<Remark>) {
    let custom = pipelines.all.iter().filter_map(|pipeline| {
        let calls = pipeline.steps.iter().flat_map(|step| &step.calls);
        let name = pipeline.name.strip_prefix("custom: ")?;
        let has_softstop = calls
            .into_iter()
            .any(|call| !matches!(call.what, What::Bare(_)));
        has_softstop.then_some(name)
    });
    let custom: HashSet<&str> = custom.collect();
    let mut left = MOST_READ;
    for trigger in &pipelines.triggers {
        let started = trigger.pipelines.iter().map(String::as_str);
        let mut again = started.filter(|name| custom.contains(name)).filter(|name| {
            left = left.saturating_sub(trigger.length());
            left > 0 && trigger.can_start_after(name)
        });
        if let Some(name) = again.next() {
            findings.push(Remark {
                position: trigger.position,
                severity: Severity::Warning,
                reason: format!(
                    "`{name}` can end like this too, and then starts itself; say after which \
                     pipelines it is to run, or add to the condition:"
                )
                .into(),
                fix: format!("&& BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN != {name:?}"),
            });
        }
    }
    let first = pipelines.triggers.first();
    if let Some(first) = first.filter(|_| left == 0) {
        findings.push(Remark {
            position: first.position,
            severity: Severity::Warning,
            reason: "the conditions here are too long to be read for each pipeline that they start"
                .into(),
            fix: "split the file".to_owned(),
        });
    }
}
