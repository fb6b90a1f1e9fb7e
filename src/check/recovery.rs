//! Every deploy needs somebody who releases its lock after a hard stop.

use std::collections::HashSet;

use super::remark::{Remark, Severity};
use super::remedy;
use crate::pipelines::calls::{Call, What};
use crate::pipelines::pipeline::{Deploy, Pipeline, Pipelines, Step};
use crate::pipelines::target::Target;

/// How many texts of deploys and releases are compared in a file at most. No file that is not made
/// for it has so many; what is beyond counts as released, and that is said.
pub(super) const MOST_COMPARISONS: usize = 1 << 20;

/// The search for deploys that nobody releases.
pub(super) struct Recovery<'a> {
    pipelines: &'a Pipelines,
    /// Releases that run whatever a pipeline does, with the index of the one they are in.
    elsewhere: Vec<(usize, &'a Target)>,
    comparisons_left: usize,
}

impl<'a> Recovery<'a> {
    pub(super) fn new(pipelines: &'a Pipelines) -> Self {
        let elsewhere = pipelines
            .all
            .iter()
            .enumerate()
            .flat_map(|(index, pipeline)| {
                let steps = pipeline.steps.iter().flat_map(releases);
                let finals = pipeline.finals.iter().flat_map(|last| releases(&last.step));
                // A lock of a child names the child, so its parent has to ask Bitbucket.
                let finals = finals.filter(|call| has_token(call));
                let calls = steps.chain(finals);
                calls
                    .flat_map(move |call| call.targets.iter().map(move |target| (index, &**target)))
            });
        Self {
            pipelines,
            elsewhere: elsewhere.collect(),
            comparisons_left: MOST_COMPARISONS,
        }
    }

    pub(super) fn find(mut self, findings: &mut Vec<Remark>) {
        for (index, pipeline) in self.pipelines.all.iter().enumerate() {
            findings.extend(self.pipeline(index, pipeline));
        }
        let first = self.pipelines.all.first();
        if let Some(first) = first.filter(|_| self.comparisons_left == 0) {
            findings.push(Remark {
                position: first.position,
                severity: Severity::Warning,
                reason: "there are too many deploys and releases here to compare them all".into(),
                fix: "split the file".to_owned(),
            });
        }
    }

    fn pipeline(&mut self, index: usize, pipeline: &Pipeline) -> Option<Remark> {
        let deploys = pipeline.deploys();
        let line = deploys.first()?.call.position.line;
        let (name, position) = (&pipeline.name, pipeline.position);
        let Some(last) = pipeline.finals.first() else {
            if !pipeline.can_have_final {
                return self.unscheduled(index, pipeline, &deploys);
            }
            return Some(Remark {
                position,
                severity: Severity::Error,
                reason: format!(
                    "the pipeline `{name}` deploys with softstop (line {line}), but has no \
                     `final:` step that releases the lock which a hard stop leaves; add as its \
                     last item:"
                )
                .into(),
                fix: remedy::final_step(&deploys, pipeline.column),
            });
        };
        let targets: Vec<&Target> = releases(&last.step)
            .flat_map(|call| call.targets.iter().map(|target| &**target))
            .collect();
        let uncovered = self.uncovered(&deploys, &targets);
        let first = uncovered.first()?;
        Some(Remark {
            position: last.position,
            severity: Severity::Error,
            reason: format!(
                "`final:` does not release the lock of the deploy in line {}, which is in {}; add \
                 to its script:",
                first.call.position.line, first.target
            )
            .into(),
            fix: remedy::releases(&uncovered, last.column),
        })
    }

    /// Bitbucket's schema knows no `final:` in a custom pipeline, so this is no mistake.
    fn unscheduled(
        &mut self,
        index: usize,
        pipeline: &Pipeline,
        deploys: &[Deploy<'_>],
    ) -> Option<Remark> {
        // A release of its own does not run after a stop.
        let elsewhere = self.elsewhere.iter().filter(|(other, _)| *other != index);
        // Some other pipelines may hold very many; no more of them are listed than are compared.
        let targets: Vec<&Target> = elsewhere
            .take(self.comparisons_left)
            .map(|(_, target)| *target)
            .collect();
        self.comparisons_left = self.comparisons_left.saturating_sub(targets.len());
        let uncovered = self.uncovered(deploys, &targets);
        let first = uncovered.first()?;
        Some(Remark {
            position: pipeline.position,
            severity: Severity::Warning,
            reason: format!(
                "the pipeline `{}` deploys with softstop (line {}), and custom pipelines have no \
                 `final:` step: the lock that a hard stop leaves stays until the next deploy, and \
                 the `final:` of a pipeline that starts this one needs a token to ask about it; \
                 add beside it, with a schedule and a token to ask Bitbucket:",
                pipeline.name, first.call.position.line
            )
            .into(),
            fix: remedy::scheduled(&uncovered, pipeline.position.column),
        })
    }

    fn uncovered<'b>(&mut self, deploys: &[Deploy<'b>], targets: &[&Target]) -> Vec<Deploy<'b>> {
        let same: HashSet<&Target> = targets.iter().copied().collect();
        let is_covered = |deploy: &&Deploy<'_>| {
            same.contains(deploy.target)
                || targets.iter().any(|release| {
                    let cost = release.size() * deploy.target.size();
                    self.comparisons_left = self.comparisons_left.saturating_sub(cost);
                    self.comparisons_left == 0 || release.covers(deploy.target)
                })
        };
        let mut is_covered = is_covered;
        let deploys = deploys.iter();
        deploys
            .filter(|deploy| !is_covered(deploy))
            .copied()
            .collect()
    }
}

pub(super) fn releases(step: &Step) -> impl Iterator<Item = &Call> {
    let calls = step.calls.iter();
    calls.filter(|call| matches!(call.what, What::Release(_)))
}

fn has_token(call: &Call) -> bool {
    matches!(&call.what, What::Release(softstop) if softstop.has_token)
}
