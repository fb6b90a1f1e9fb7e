//! What Bitbucket has said of a holder so far, and what its next answer makes of that.

use std::time::Duration;

use tokio::time::Instant;

use crate::lock::Answer;
use crate::recovery::pace::fresh_for;

/// What counts of Bitbucket's answers about one holder.
pub(super) struct Given {
    first_asked: Instant,
    last_asked: Instant,
    pub(super) answer: Answer,
}

impl Given {
    /// A step that was over stays so: nobody is in a hurry to hear it again.
    pub(super) fn is_fresh(&self, now: Instant, holders: usize) -> bool {
        let waited = match &self.answer {
            Answer::Step(step) if step.is_completed() => Duration::MAX,
            _ => now - self.first_asked,
        };
        now - self.last_asked < fresh_for(waited, holders)
    }

    /// What counts after this answer. Silence never takes the place of a word, however long ago that
    /// was said: where the step may run, the order of steps would release a lock that is in use.
    pub(super) fn after(earlier: Option<Self>, answer: Answer, now: Instant) -> Self {
        let first_asked = earlier.as_ref().map_or(now, |earlier| earlier.first_asked);
        let is_word = |answer: &Answer| matches!(answer, Answer::Step(_) | Answer::Unusable { .. });
        let answer = match earlier {
            Some(earlier) if is_word(&earlier.answer) && !is_word(&answer) => earlier.answer,
            _ => answer,
        };
        Self {
            first_asked,
            last_asked: now,
            answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::StepReport;

    fn silence(reason: &str) -> Answer {
        Answer::Silence {
            reason: reason.to_owned(),
            was_asked: false,
        }
    }

    fn unusable() -> Answer {
        Answer::Unusable {
            reason: "it says nothing".to_owned(),
        }
    }

    fn step(state: &str) -> Answer {
        Answer::Step(StepReport {
            state: state.to_owned(),
            ..StepReport::default()
        })
    }

    #[test]
    fn silence_takes_the_place_of_silence_alone_and_a_word_that_of_every_other_one() {
        let quiet = || silence("it fails");
        let rows = [
            (vec![quiet(), silence("it is slow")], silence("it is slow")),
            (vec![quiet(), unusable()], unusable()),
            (vec![unusable(), quiet()], unusable()),
            (vec![unusable(), quiet(), quiet()], unusable()),
            (vec![step("IN_PROGRESS"), quiet()], step("IN_PROGRESS")),
            (vec![step("COMPLETED"), quiet()], step("COMPLETED")),
            (vec![step("IN_PROGRESS"), unusable(), quiet()], unusable()),
            (vec![unusable(), step("COMPLETED")], step("COMPLETED")),
            (
                vec![step("PENDING"), quiet(), step("HALTED")],
                step("HALTED"),
            ),
        ];
        let began = Instant::now();
        for (answers, expected) in rows {
            let mut given = None;
            for (hour, answer) in (0..).zip(answers.clone()) {
                let now = began + Duration::from_secs(3600) * hour;
                given = Some(Given::after(given.take(), answer, now));
            }
            assert_eq!(given.unwrap().answer, expected, "{answers:?}");
        }
    }
}
