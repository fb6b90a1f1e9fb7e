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
/// After how many looks Bitbucket is asked again, once nobody is in a hurry any more.
const PATIENT_LOOKS: u32 = 7;

/// How long an answer of Bitbucket's counts, where the holder was first asked about so long ago, and
/// so many holders are asked about: until half a step before the look that is to use a new one.
pub(crate) fn fresh_for(waited: Duration, holders: usize) -> Duration {
    let looks = if waited < HURRY { 1 } else { PATIENT_LOOKS };
    let holders = u32::try_from(holders.max(1)).unwrap_or(u32::MAX);
    BETWEEN_LOOKS
        .saturating_mul(looks.saturating_mul(holders))
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

    /// When a run asks that waits for so long for locks of so many holders.
    fn questions(began: Instant, wait: Duration, holders: usize) -> Vec<Instant> {
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
        let mut all = asked.concat();
        all.sort();
        all
    }

    #[test]
    fn a_holder_is_asked_about_every_3_s_in_the_first_minute_and_every_20_s_after_it() {
        let began = Instant::now();
        let asked = questions(began, HOUR, 1);
        for pair in asked.windows(2) {
            let most = if pair[1] < began + HURRY { 3 } else { 20 };
            let between = pair[1].duration_since(pair[0]);
            assert!(between <= Duration::from_secs(most), "{between:?}");
        }
        assert!(asked.len() > 190, "{}", asked.len());
    }

    #[test]
    fn nobody_asks_more_than_200_questions_an_hour() {
        for holders in [1, 2, 7, 50, 1000] {
            let asked = questions(Instant::now(), HOUR * 3, holders);
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
