//! What a campaign has found, by dimension.

use std::collections::BTreeMap;
use std::fmt;

use super::plan::Plan;
use super::truth::Truth;

/// How many failures end the campaign: what comes after them is most likely the same.
const ENOUGH: usize = 3;

/// The rounds that were played.
#[derive(Default)]
pub(super) struct Report {
    rounds: usize,
    failures: usize,
    /// How many rounds were played and failed, by dimension and value.
    tally: BTreeMap<(usize, &'static str, String), (usize, usize)>,
    /// What was said of the rounds that failed, in short.
    failed: Vec<String>,
    /// The numbers of the first rounds in which an invariant was broken.
    first: BTreeMap<String, usize>,
}

impl Report {
    /// Counts a round, and tells at once what is wrong with it.
    pub(super) fn add(&mut self, plan: &Plan, truth: &Truth, violations: &[String]) {
        self.rounds += 1;
        let is_failed = !violations.is_empty();
        self.failures += usize::from(is_failed);
        let landed = if truth.has_landed() {
            "landed"
        } else {
            "found nobody"
        };
        let dimensions = plan.dimensions().into_iter();
        let left = if truth.has_left_lock() {
            "its lock"
        } else {
            "nothing"
        };
        let outcomes = [("blow", landed.to_owned()), ("left", left.to_owned())];
        let dimensions = dimensions.chain(outcomes);
        for (place, (dimension, value)) in dimensions.enumerate() {
            let (rounds, failures) = self.tally.entry((place, dimension, value)).or_default();
            *rounds += 1;
            *failures += usize::from(is_failed);
        }
        for violation in violations {
            let invariant = violation.split(':').next().unwrap_or_default().to_owned();
            self.first.entry(invariant).or_insert(self.rounds);
        }
        if is_failed {
            let violations = violations.join("\n  ");
            let seed = plan.seed;
            let failed = format!(
                "=== round {} failed\n  {violations}\nplan: {plan}\nreplay: test/campaign --replay \
                 {seed}",
                self.rounds
            );
            eprintln!("{failed}\n{truth}");
            self.failed.push(failed);
        } else if self.rounds.is_multiple_of(50) {
            eprintln!("{} rounds, {} failed", self.rounds, self.failures);
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.failures == 0
    }

    pub(super) fn failed(&self) -> String {
        self.failed.join("\n")
    }

    pub(super) fn is_enough(&self) -> bool {
        self.failures >= ENOUGH
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heading = "";
        for ((_, dimension, value), (rounds, failures)) in &self.tally {
            if heading != *dimension {
                heading = dimension;
                writeln!(formatter, "{dimension}:")?;
            }
            writeln!(
                formatter,
                "  {value:<28} {rounds:>5} rounds {failures:>3} failed"
            )?;
        }
        for (invariant, round) in &self.first {
            writeln!(formatter, "first broken: {invariant} in round {round}")?;
        }
        let passed = self.rounds - self.failures;
        write!(
            formatter,
            "campaign: {passed} passed, {} failed",
            self.failures
        )
    }
}
