//! How the grace period is shared out: until when each part of a run may go on, once somebody has
//! asked to stop. Pure: whoever asks says when the first signal came.

use std::time::Duration;

use tokio::time::Instant;

/// How long the look before the deploy may go on once softstop is asked to stop. A look that has
/// taken the lock for a moment should give it back, but nobody waits for a backend that hangs before
/// anything has begun.
const FOR_THE_LOOK_BEFORE: Duration = Duration::from_secs(2);
/// How much of the grace period ending the tree may take.
const TO_END_THE_TREE: Duration = Duration::from_millis(700);
/// How much of the grace period is kept for the after-script when all else is late, and to end it.
const FOR_THE_AFTER_SCRIPT: Duration = Duration::from_millis(1500);
/// How long a look is expected to take on a backend that has not been asked yet.
const UNKNOWN_LOOK: Duration = Duration::from_millis(500);
/// The least that is expected of a question, because some start a Terraform in any case.
const SHORTEST_QUESTION: Duration = Duration::from_millis(250);
/// How many questions a release takes at the most: look, version, look, release, look.
const QUESTIONS: u32 = 5;
/// How long the kernel may take to bury what was killed.
pub(super) const BURIAL: Duration = Duration::from_millis(500);
/// The same when nobody is in a hurry: a process with some gigabytes takes longer.
pub(super) const UNHURRIED_BURIAL: Duration = Duration::from_secs(5);
/// How long a tree may take to end when nobody is in a hurry.
pub(super) const UNHURRIED: Duration = Duration::from_secs(60);
/// How long the next bytes may take to move when the deploy is over.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(300);

/// How long softstop's own last steps may take.
const TO_LEAVE: Duration = Duration::from_millis(200);

/// What softstop is at, which decides how much is kept for what comes after it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Nothing comes after it that needs time.
    Alone,
    /// Looks at the lock before anything runs.
    LookBefore,
    /// Runs the deploy, and looks at its locks.
    Deploy(Reserve),
    /// Stores a state that the deploy could not store. That takes the lock; where it hangs, there
    /// must be time to free that again.
    Store(Reserve),
    /// Looks at the locks that storing has left.
    LookAgain(Reserve),
}

/// How long it takes to ask about the lock, twice what was measured: machine and backend may be
/// slower at the end than at the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// To get ready for it.
    opening: Duration,
    question: Duration,
}

/// How much of the grace period is kept for what comes after the deploy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserve {
    /// For all of it: to end what is left of the tree, to ask about the lock and to release it, and
    /// for the after-script.
    whole: Duration,
    after_script: Duration,
}

/// The time that is left once somebody has asked us to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// When the first signal came.
    pub(super) signal: Instant,
    /// The whole time from the first signal to the exit.
    pub(super) period: Duration,
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Instant,
}

impl Default for Cost {
    /// On a backend that has not been asked yet.
    fn default() -> Self {
        Self {
            opening: Duration::ZERO,
            question: UNKNOWN_LOOK,
        }
    }
}

impl Cost {
    /// Learns how long it took to get ready for questions.
    pub(crate) fn learn_opening(&mut self, took: Duration) {
        self.opening = took * 2;
    }

    /// Learns how long a question took.
    pub(crate) fn learn_question(&mut self, took: Duration) {
        self.question = (took * 2).max(SHORTEST_QUESTION);
    }

    /// What has to be kept where asking costs so much.
    pub(crate) fn reserve(self, has_after_script: bool) -> Reserve {
        let after_script = if has_after_script {
            FOR_THE_AFTER_SCRIPT
        } else {
            Duration::ZERO
        };
        Reserve {
            whole: TO_END_THE_TREE + self.opening + self.question * QUESTIONS + after_script,
            after_script,
        }
    }
}

impl Budget {
    /// When softstop must have ended.
    pub(super) fn ends(self) -> Instant {
        self.signal + self.period
    }

    /// When a deploy that has not stopped by itself is killed.
    pub(super) fn tree_ends(self) -> Instant {
        let reserve = match self.phase {
            Phase::Alone | Phase::LookBefore => Duration::ZERO,
            Phase::Deploy(reserve) | Phase::Store(reserve) | Phase::LookAgain(reserve) => {
                reserve.whole
            }
        };
        // Half is the deploy's in any case: a reserve that eats it all would kill at once.
        self.ends() - reserve.min(self.period / 2)
    }

    /// Until when helpers may run.
    pub(super) fn helpers_end(self) -> Instant {
        let kept = match self.phase {
            Phase::Alone => Duration::ZERO,
            Phase::LookBefore => return self.ends().min(self.signal + FOR_THE_LOOK_BEFORE),
            Phase::Deploy(reserve) | Phase::LookAgain(reserve) => reserve.after_script,
            Phase::Store(reserve) => reserve.whole,
        };
        // What comes last gets at most half of what was left when the phase began.
        let began = self.since.max(self.signal);
        self.ends() - kept.min(self.ends().saturating_duration_since(began) / 2)
    }

    /// Until when may be made good what a helper has left that was killed.
    pub(super) fn amends_end(self) -> Instant {
        match self.phase {
            Phase::LookBefore => self.last_work_ends(),
            _ => self.helpers_end(),
        }
    }

    /// When the last work is killed, the after-script's too, with just enough time left to bury the dead,
    /// to hear their last words, and to leave.
    pub(super) fn last_work_ends(self) -> Instant {
        self.ends() - (BURIAL + LAST_WORDS + TO_LEAVE).min(self.period / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A reserve of 4.5 s, of which 1.5 s are for the after-script.
    fn reserve() -> Reserve {
        let mut cost = Cost::default();
        cost.learn_opening(Duration::from_millis(400));
        cost.learn_question(Duration::from_millis(150));
        cost.reserve(true)
    }

    /// The time from the first signal to that moment, in milliseconds.
    fn after_the_signal(budget: Budget, moment: Instant) -> u128 {
        moment.duration_since(budget.signal).as_millis()
    }

    #[test]
    fn every_phase_has_its_end() {
        let (deploy, store, again) = (
            Phase::Deploy(reserve()),
            Phase::Store(reserve()),
            Phase::LookAgain(reserve()),
        );
        // When the phase began, in milliseconds from the signal, and when the tree, helpers and the
        // after-script have to end.
        for (period, phase, since, tree, helpers, after_script) in [
            (9000, Phase::Alone, -5000, 9000, 9000, 8000),
            (9000, Phase::LookBefore, -50, 9000, 2000, 8000),
            (1000, Phase::LookBefore, -50, 1000, 1000, 500),
            // The reserve is kept at the end of the period.
            (9000, deploy, -5000, 4500, 7500, 8000),
            // The deploy gets half of the period at the least, and so do its looks.
            (4000, deploy, -5000, 2000, 2500, 3000),
            (1000, deploy, -5000, 500, 500, 500),
            (600, deploy, -5000, 300, 300, 300),
            // A signal that comes while a state is stored finds the whole period.
            (9000, store, -100, 4500, 4500, 8000),
            // Later on, storing gets half of what is left, and so do the looks after it.
            (9000, store, 1000, 4500, 5000, 8000),
            (9000, store, 5000, 4500, 7000, 8000),
            (9000, again, 5000, 4500, 7500, 8000),
            (9000, again, 8000, 4500, 8500, 8000),
            // Whoever is late has no time.
            (9000, again, 9500, 4500, 9000, 8000),
        ] {
            let now = Instant::now();
            let signal = now + Duration::from_secs(60);
            let since = u32::try_from(60_000 + since).unwrap();
            let budget = Budget {
                signal,
                period: Duration::from_millis(period),
                phase,
                since: now + MILLISECOND * since,
            };
            assert_eq!(after_the_signal(budget, budget.ends()), period.into());
            let ends = [
                budget.tree_ends(),
                budget.helpers_end(),
                budget.last_work_ends(),
            ];
            assert_eq!(
                ends.map(|end| after_the_signal(budget, end)),
                [tree, helpers, after_script],
                "{phase:?} in {period} ms"
            );
        }
    }

    #[test]
    fn the_reserve_is_made_of_what_was_learned() {
        let whole = |cost: Cost, has_after_script| cost.reserve(has_after_script).whole.as_millis();
        let mut cost = Cost::default();
        assert_eq!(whole(cost, false), 700 + 5 * 500);
        assert_eq!(whole(cost, true), 700 + 5 * 500 + 1500);
        cost.learn_question(MILLISECOND);
        assert_eq!(whole(cost, false), 700 + 5 * 250);
        cost.learn_opening(MILLISECOND * 30);
        cost.learn_question(MILLISECOND * 400);
        assert_eq!(whole(cost, false), 700 + 60 + 5 * 800);
    }
}
