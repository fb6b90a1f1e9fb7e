//! A release gets its credentials as its deploy did: where that was by the token of its step, the step of
//! the release needs one too.

use super::recovery::{MOST_COMPARISONS, releases};
use super::remark::{Remark, Severity};
use super::remedy;
use crate::pipelines::calls::{Call, Means, Softstop, What};
use crate::pipelines::credentials::{may_hold_credentials, may_set_credentials};
use crate::pipelines::pipeline::{Deploy, Pipeline, Pipelines, Step};

/// Finds the releases whose step asks for no token.
pub(super) fn find(pipelines: &Pipelines, findings: &mut Vec<Remark>) {
    let by_token = |pipeline| Pipeline::deploys(pipeline).into_iter().filter(is_by_token);
    let everywhere: Vec<Deploy<'_>> = pipelines.all.iter().flat_map(by_token).collect();
    let mut comparisons_left = MOST_COMPARISONS;
    for pipeline in &pipelines.all {
        let here: Vec<Deploy<'_>> = by_token(pipeline).collect();
        let steps = pipeline.steps.iter().map(|step| (step, &everywhere));
        let finals = pipeline.finals.iter().map(|last| (&last.step, &here));
        for (step, deploys) in steps.chain(finals) {
            if step.credentials.asks_for_token {
                continue;
            }
            for call in releases(step) {
                // What is beyond is not compared, as where a release is looked for.
                let deploys: &[Deploy<'_>] = if comparisons_left > 0 { deploys } else { &[] };
                let mut cleans_up_after = |deploy: &&Deploy<'_>| {
                    call.targets.iter().any(|release| {
                        let cost = release.size() * deploy.target.size();
                        comparisons_left = comparisons_left.saturating_sub(cost);
                        comparisons_left > 0 && release.covers(deploy.target)
                    })
                };
                let deploys = deploys.iter().filter(|deploy| cleans_up_after(deploy));
                let deploys: Vec<Deploy<'_>> = deploys.copied().collect();
                findings.extend(without_token(step, call, &deploys));
            }
        }
    }
}

/// Whether it gets its credentials in exchange for the token of its step.
fn is_by_token(deploy: &Deploy<'_>) -> bool {
    let credentials = &deploy.step.credentials;
    credentials.asks_for_token
        && (deploy.softstop.exchanges_token || !credentials.handing_on.is_empty())
}

/// What is said of a release in a step that asks for none, after these deploys that had one.
fn without_token(step: &Step, call: &Call, deploys: &[Deploy<'_>]) -> Option<Remark> {
    let What::Release(softstop) = &call.what else {
        return None;
    };
    if softstop.exchanges_token {
        return Some(Remark {
            position: call.position,
            severity: Severity::Error,
            reason: "this release exchanges the token of its step, but the step asks for none, so \
                     nothing is released; add to the step:"
                .into(),
            fix: "oidc: true".to_owned(),
        });
    }
    let first = deploys
        .first()
        .filter(|_| !has_credentials(step, call, softstop))?;
    Some(Remark {
        position: call.position,
        // What is set for the whole repository is in no file.
        severity: Severity::Warning,
        reason: format!(
            "the deploy in line {} gets its credentials by the token of its step, and the step of \
             this release asks for none and names no other credentials; write as its lines:",
            first.call.position.line
        )
        .into(),
        fix: remedy::lines_of_step(deploys, 1),
    })
}

/// Whether a release names credentials of its own.
fn has_credentials(step: &Step, call: &Call, softstop: &Softstop) -> bool {
    let mut settings = call
        .targets
        .iter()
        .flat_map(|target| &target.backend_config);
    if settings.any(|item| may_set_credentials(item)) {
        return true;
    }
    match &softstop.means {
        Means::Pipe { variables, .. } => {
            variables.iter().any(|(name, _)| may_hold_credentials(name))
        }
        Means::Command { .. } => !step.credentials.exports.is_empty(),
    }
}
