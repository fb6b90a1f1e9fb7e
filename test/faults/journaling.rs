//! The journal of the deploys, and what the next one does about what it says.

use fastrand::Rng;

use super::drawn::{Place, one_of};
use super::round::{RESOURCES, Round};
use crate::support::{CodeInsights, Finished, InsightsFault, Softstop};

/// What becomes of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journaling {
    /// Nobody is there who would take it.
    Nowhere,
    Kept,
    TooMuch,
    NeverAnswered,
    /// No answer arrives while the broken deploy lasts.
    AnswerLost,
}

/// What the last deploy is told to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Report,
    Stop,
    Ignore,
    Import,
}

impl Journaling {
    /// The usual more than once.
    pub(super) fn drawn(rng: &mut Rng) -> Self {
        let all = [
            Self::Nowhere,
            Self::Kept,
            Self::Kept,
            Self::Kept,
            Self::TooMuch,
            Self::NeverAnswered,
            Self::AnswerLost,
        ];
        one_of(rng, &all)
    }

    /// Where it is written.
    pub(super) fn begin(self) -> Option<CodeInsights> {
        let fault = match self {
            Self::Nowhere => return None,
            Self::Kept => None,
            Self::TooMuch => Some(InsightsFault::TooManyRequests(None)),
            Self::NeverAnswered => Some(InsightsFault::Hang),
            Self::AnswerLost => Some(InsightsFault::LoseAnswer),
        };
        let insights = CodeInsights::start();
        insights.fail_always(fault);
        Some(insights)
    }
}

impl Wish {
    pub(super) fn drawn(rng: &mut Rng) -> Self {
        one_of(rng, &[Self::Report, Self::Stop, Self::Ignore, Self::Import])
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Stop => "stop",
            Self::Ignore => "ignore",
            Self::Import => "import",
        }
    }
}

impl Round<'_> {
    /// Lets it be read what was written without an answer.
    pub(super) fn end_lost_answers(&self) {
        let insights = self.insights.as_ref();
        let is_lost = self.plan.journaling == Journaling::AnswerLost;
        if let Some(insights) = insights.filter(|_| is_lost) {
            insights.fail_always(None);
        }
    }

    /// With a journal in reach, where there is one.
    pub(super) fn journaling(&self, softstop: Softstop) -> Softstop {
        softstop.env("JOURNAL", self.journal())
    }

    fn journal(&self) -> String {
        self.journal_at(Place::Host)
    }

    /// How it is reached from there.
    pub(super) fn journal_at(&self, place: Place) -> String {
        let Some(insights) = &self.insights else {
            return CodeInsights::nobody();
        };
        match place {
            Place::Container => insights.proxy_for_containers(),
            Place::Host | Place::Namespace => insights.proxy(),
        }
    }

    /// Whether a deploy has not gone on for what an earlier one has left, as it was told, and names
    /// that.
    pub(super) fn stands_in_the_way(&self, finished: &Finished, wish: Wish) -> bool {
        // What only a log tells is imported by nobody, and stops one deploy.
        let is_by_log = finished.stderr.contains("Only the log of its step tells");
        let may_stop =
            matches!(wish, Wish::Report | Wish::Stop) || wish == Wish::Import && is_by_log;
        let is_named = |name: &&str| finished.stderr.contains(&format!(".{name}"));
        // Where nobody has heard what a killed deploy made, there is nothing to name.
        let is_told = finished.stderr.contains("softstop resolve not-listed")
            || RESOURCES.iter().any(is_named);
        let is_stopped = finished.code == Some(5);
        if is_stopped && !(may_stop && is_told) {
            self.truth
                .violated("I5", "the next deploy stops for what it does not name");
        }
        is_stopped
    }
}
