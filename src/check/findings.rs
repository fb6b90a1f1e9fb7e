//! The rules: what is missing for a safe stop.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::document::Position;
use super::misspelt;
use super::pipelines::{Deploy, Pipeline, Pipelines, Step};
use super::remedy;
use super::script::{Call, GracePeriod, Means, What};
use crate::pipe::variables;

/// What `docker stop` gives before it kills.
const GIVEN_BY_DOCKER: Duration = Duration::from_secs(10);

/// Something that is missing, in the order of the file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Finding {
    #[serde(flatten)]
    pub(super) position: Position,
    pub(super) severity: Severity,
    pub(super) reason: String,
    pub(super) fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// A stop is not safe.
    Error,
    /// A stop may not be safe, or the file alone does not tell.
    Warning,
}

/// Applies all rules. What several pipelines share by an alias is said once.
pub(super) fn find(pipelines: &Pipelines) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pipeline in &pipelines.all {
        recovery(pipeline, pipelines, &mut findings);
        place_of_final(pipeline, &mut findings);
        for step in pipeline.all_steps() {
            for call in &step.calls {
                findings.extend(bare(call));
                findings.extend(grace_period(step, call));
                findings.extend(shell(call));
                findings.extend(call.what.mistakes().iter().map(misspelt::finding));
            }
        }
        side_by_side(pipeline, &mut findings);
    }
    findings.extend(imports(pipelines));
    findings.sort();
    findings.dedup();
    findings
}

/// Every deploy needs somebody who releases its lock after a hard stop.
fn recovery(pipeline: &Pipeline, pipelines: &Pipelines, findings: &mut Vec<Finding>) {
    let deploys = pipeline.deploys();
    let Some(first) = deploys.first() else {
        return;
    };
    let line = first.call.position.line;
    let (name, position) = (&pipeline.name, pipeline.position);
    let Some(last) = pipeline.finals.first() else {
        findings.extend(if pipeline.can_have_final {
            Some(Finding {
                position,
                severity: Severity::Error,
                reason: format!(
                    "the pipeline `{name}` deploys with softstop (line {line}), but has no \
                     `final:` step that releases the lock which a hard stop leaves; add as its \
                     last item:"
                ),
                fix: remedy::final_step(&deploys, pipeline.column),
            })
        } else {
            unscheduled(pipeline, &deploys, pipelines)
        });
        return;
    };
    let uncovered = uncovered(&deploys, &releases(&last.step));
    if let Some(first) = uncovered.first() {
        findings.push(Finding {
            position: last.position,
            severity: Severity::Error,
            reason: format!(
                "`final:` does not release the lock of the deploy in line {}, which is in {}; add \
                 to its script:",
                first.call.position.line, first.call.target
            ),
            fix: remedy::releases(&uncovered, last.column),
        });
    }
}

/// Bitbucket's schema knows no `final:` in a custom pipeline, so this is no mistake.
fn unscheduled(
    pipeline: &Pipeline,
    deploys: &[Deploy<'_>],
    pipelines: &Pipelines,
) -> Option<Finding> {
    // A release of its own does not run after a stop.
    let others = pipelines
        .all
        .iter()
        .filter(|other| other.position != pipeline.position);
    let steps = others.flat_map(|other| &other.steps);
    let releases: Vec<&Call> = steps.flat_map(releases).collect();
    let uncovered = uncovered(deploys, &releases);
    let first = uncovered.first()?;
    Some(Finding {
        position: pipeline.position,
        severity: Severity::Warning,
        reason: format!(
            "the pipeline `{}` deploys with softstop (line {}), and custom pipelines have no \
             `final:` step: the lock that a hard stop leaves stays until the next deploy; add \
             beside it, with a schedule and a token to ask Bitbucket:",
            pipeline.name, first.call.position.line
        ),
        fix: remedy::scheduled(&uncovered, pipeline.position.column),
    })
}

fn releases(step: &Step) -> Vec<&Call> {
    let calls = step.calls.iter();
    calls
        .filter(|call| matches!(call.what, What::Release(_)))
        .collect()
}

fn uncovered<'a>(deploys: &[Deploy<'a>], releases: &[&Call]) -> Vec<Deploy<'a>> {
    let is_covered = |deploy: &&Deploy<'_>| {
        let target = &deploy.call.target;
        releases.iter().any(|release| release.target.covers(target))
    };
    deploys
        .iter()
        .filter(|deploy| !is_covered(deploy))
        .copied()
        .collect()
}

/// Bitbucket takes one `final:`, as the last item, and without some keys.
fn place_of_final(pipeline: &Pipeline, findings: &mut Vec<Finding>) {
    let error = |position, reason: &str, fix| Finding {
        position,
        severity: Severity::Error,
        reason: reason.to_owned(),
        fix,
    };
    for last in &pipeline.finals {
        if !last.is_last {
            findings.push(error(
                last.position,
                "`final:` has to be the last item of its pipeline, and the only one of its kind",
                "move it to the end".to_owned(),
            ));
        }
        for (position, text) in &last.forbidden {
            findings.push(error(
                *position,
                "Bitbucket does not allow this in `final:`",
                format!("delete `{text}`"),
            ));
        }
    }
}

/// Terraform alone cannot be stopped gently, and its lock names no build.
fn bare(call: &Call) -> Option<Finding> {
    let What::Bare {
        remedy,
        can_be_last,
    } = &call.what
    else {
        return None;
    };
    let exec = if *can_be_last { "exec " } else { "" };
    Some(Finding {
        position: call.position,
        severity: Severity::Error,
        reason: "Terraform changes infrastructure here without softstop: where it is stopped, it \
                 can leave a lock that nobody can prove to be over; write instead:"
            .to_owned(),
        fix: format!("{exec}{remedy}"),
    })
}

/// Docker kills what takes longer.
fn grace_period(step: &Step, call: &Call) -> Option<Finding> {
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
    Some(Finding {
        position: *position,
        severity: if step.has_own_runner {
            Severity::Warning
        } else {
            Severity::Error
        },
        reason: format!(
            "GRACE_PERIOD is {text:?}, but `docker stop` kills after 10 s unless it is told \
             otherwise; write instead:"
        ),
        fix: (*remedy).to_owned(),
    })
}

/// A shell between the runner and softstop passes no signal on.
fn shell(call: &Call) -> Option<Finding> {
    let What::Deploy(softstop) = &call.what else {
        return None;
    };
    let Means::Command {
        is_piped,
        with_exec: Some(fix),
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
    Some(Finding {
        position: call.position,
        severity: Severity::Warning,
        reason: reason.to_owned(),
        fix: fix.clone(),
    })
}

/// Two deploys at the same time cannot both have one lock.
fn side_by_side(pipeline: &Pipeline, findings: &mut Vec<Finding>) {
    let mut seen = HashMap::new();
    for (index, step) in pipeline.steps.iter().enumerate() {
        let Some(group) = step.group else {
            continue;
        };
        let calls = step.calls.iter();
        for call in calls.filter(|call| !matches!(call.what, What::Release(_))) {
            let key = (group, &step.deployment, &call.target);
            let (other, other_step) = *seen.entry(key).or_insert((call, index));
            let is_queued = step.queue.is_some() && step.queue == pipeline.steps[other_step].queue;
            if other_step != index && call.target.is_certain() && !is_queued {
                findings.push(Finding {
                    position: call.position,
                    severity: Severity::Error,
                    reason: format!(
                        "this deploy is in {}, and so is that of another parallel step (line {}): \
                         one of them will find the lock held; put one after the other, or add to \
                         both steps:",
                        call.target, other.position.line
                    ),
                    fix: "concurrency-group: terraform".to_owned(),
                });
            }
        }
    }
}

/// What is in another repository is not read.
fn imports(pipelines: &Pipelines) -> impl Iterator<Item = Finding> {
    pipelines.imports.iter().map(|(position, source)| Finding {
        position: *position,
        severity: Severity::Warning,
        reason: format!("the import {source:?} cannot be followed; where it comes from, run:"),
        fix: "softstop check".to_owned(),
    })
}
