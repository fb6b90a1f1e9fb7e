//! How often a lock is looked at, and Bitbucket is asked about its holder, while a run waits for it.
//!
//! Bitbucket allows 1,000 questions an hour to all builds together, so one run may put no more than
//! a fifth of them, and stays quiet where it is told to.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long a run that waits is in a hurry: most locks that are waited for are free by then.
const HURRY: Duration = Duration::from_secs(60);
/// In which time the questions are counted, and how many it may have.
const HOUR: Duration = Duration::from_secs(3600);
const MOST_AN_HOUR: usize = 200;

/// How long after a look the next one begins.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(2850);
/// So many holders are each asked about at every look of a run in a hurry, which takes about half of
/// what it may ask in an hour; of more, each at every second look, and so on.
const HURRIED_HOLDERS: usize = 5;
/// How many looks the hurry has, and how many the rest of the hour.
const LOOKS_IN_A_HURRY: usize = 22;
const LOOKS_AFTER_IT: usize = 1242;

/// How long an answer of Bitbucket's counts, where the holder was first asked about so long ago, and
/// so many holders are asked about: until half a step before the look that is to use a new one.
pub(crate) fn fresh_for(waited: Duration, holders: usize) -> Duration {
    let holders = holders.max(1);
    let hurried = holders.div_ceil(HURRIED_HOLDERS);
    let looks = if waited < HURRY {
        hurried
    } else {
        // What the hurry has left of the hour is shared out evenly.
        let left = MOST_AN_HOUR - LOOKS_IN_A_HURRY * holders.div_ceil(hurried);
        holders.saturating_mul(LOOKS_AFTER_IT.div_ceil(left))
    };
    BETWEEN_LOOKS
        .saturating_mul(u32::try_from(looks).unwrap_or(u32::MAX))
        .saturating_sub(BETWEEN_LOOKS / 2)
}

/// What a run may still ask.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// When it has asked, within the last hour.
    asked: VecDeque<Instant>,
    quiet_until: Option<Instant>,
}

impl Allowance {
    /// Whether it may send so many requests now.
    pub(crate) fn covers(&mut self, requests: usize, now: Instant) -> bool {
        while self
            .asked
            .front()
            .is_some_and(|asked| now.duration_since(*asked) >= HOUR)
        {
            self.asked.pop_front();
        }
        self.quiet_until.is_none_or(|end| end <= now) && self.asked.len() + requests <= MOST_AN_HOUR
    }

    /// Counts requests that were sent.
    pub(crate) fn take(&mut self, requests: usize, now: Instant) {
        self.asked.extend(std::iter::repeat_n(now, requests));
    }

    /// Asks nothing for so long.
    pub(crate) fn be_quiet(&mut self, time: Duration, now: Instant) {
        self.quiet_until = self.quiet_until.max(now.checked_add(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK_TIME: Duration = Duration::from_millis(300);

    /// When a run asks about each of so many holders whose locks it waits for so long.
    fn questions(began: Instant, wait: Duration, holders: usize) -> Vec<Vec<Instant>> {
        let mut allowance = Allowance::default();
        let mut asked: Vec<Vec<Instant>> = vec![Vec::new(); holders];
        let mut look = began;
        while look < began + wait {
            let now = look + LOOK_TIME;
            for times in &mut asked {
                let is_fresh = times.last().is_some_and(|last| {
                    now.duration_since(*last) < fresh_for(now.duration_since(times[0]), holders)
                });
                if !is_fresh && allowance.covers(1, now) {
                    allowance.take(1, now);
                    times.push(now);
                }
            }
            look += BETWEEN_LOOKS;
        }
        asked
    }

    #[test]
    fn each_holder_is_asked_about_every_3_s_in_the_first_minute_and_then_as_the_hour_allows() {
        for (holders, hurried, patient) in [(1, 3, 20), (2, 3, 46), (5, 3, 200), (6, 6, 172)] {
            let began = Instant::now();
            let end = began + HOUR * 2;
            for mut asked in questions(began, HOUR * 2, holders) {
                asked.push(end);
                for pair in asked.windows(2) {
                    let is_hurried = pair[1] < began + HURRY;
                    let most = if is_hurried { hurried } else { patient };
                    let between = pair[1].duration_since(pair[0]);
                    assert!(between.as_secs() < most, "{holders} holders: {between:?}");
                }
            }
        }
        let asked = questions(Instant::now(), HOUR, 1);
        assert!(asked[0].len() > 190, "{}", asked[0].len());
    }

    #[test]
    fn nobody_asks_more_than_200_questions_an_hour() {
        for holders in [1, 2, 5, 7, 50, 1000] {
            let mut asked = questions(Instant::now(), HOUR * 3, holders).concat();
            asked.sort();
            for (index, first) in asked.iter().enumerate() {
                let hour = asked[index..]
                    .iter()
                    .take_while(|time| time.duration_since(*first) < HOUR);
                assert!(hour.count() <= MOST_AN_HOUR, "{holders} holders");
            }
        }
    }

    #[test]
    fn whoever_is_told_to_be_quiet_is_quiet_for_so_long() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        let seconds = Duration::from_secs;
        assert!(allowance.covers(1, now));
        allowance.be_quiet(seconds(30), now);
        allowance.be_quiet(seconds(10), now);
        assert!(!allowance.covers(1, now + seconds(29)));
        assert!(allowance.covers(1, now + seconds(30)));
    }

    #[test]
    fn a_question_that_may_be_repeated_needs_room_for_that() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        allowance.take(MOST_AN_HOUR - 3, now);
        assert!(allowance.covers(3, now));
        assert!(!allowance.covers(4, now));
        assert!(allowance.covers(4, now + HOUR));
    }
}
