//! What a journal has of a deploy that is killed while it could not be written at once, in a time that
//! passes by itself.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::sleep;

use super::keeper_table::{LONG, SECOND, Stage, beside, empty, entry, too_many};
use super::record::Record;
use crate::tools::progress::Fate;

/// How many resources a deploy makes, and how many at once.
const COUNT: usize = 200;
const SIDE_BY_SIDE: usize = 10;

impl Stage {
    /// Lets it be heard how far this one is.
    fn hear_of(&self, number: usize, stage: Fate) {
        let mut record = self.record.borrow_mut();
        record.as_mut().unwrap().entries[number].resource.stage = stage;
        self.heard.notify_one();
    }

    /// Lets a plan of so many be heard.
    fn plan(&self, count: usize) {
        let names = (0..count).map(|number| entry(&format!("a.b[{number}]"), Fate::NotBegun));
        let entries = names.collect();
        self.record.replace(Some(Record { entries, ..empty() }));
        self.heard.notify_one();
    }

    fn is_said_to_be_behind(&self) -> bool {
        let last = self.journal.last.borrow();
        last.as_ref().is_some_and(|record| record.is_behind)
    }

    /// How many were begun that nobody would hear of, if everything were killed now.
    fn forgotten(&self) -> usize {
        let last = self.journal.last.borrow().clone().unwrap();
        let last = last.taken_as_over();
        let begun = self.record.borrow().clone().unwrap().entries.into_iter();
        let begun = begun.filter(|entry| entry.resource.is_begun());
        let is_forgotten = |entry: &super::Entry| {
            let mut kept = last.entries.iter();
            let kept = kept.find(|kept| kept.resource.address == entry.resource.address);
            !last.misses_some() && !kept.is_some_and(super::Entry::is_open)
        };
        begun.filter(is_forgotten).count()
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_larger_deploy_nothing_that_was_begun_is_forgotten_whenever_it_is_killed() {
    let stage = Stage::new();
    stage.journal.takes.set(Duration::from_millis(150));
    stage.plan(COUNT);
    let worst = Cell::new(0);
    beside(&stage.keeper(), async {
        // Each takes five seconds, so there is news every 250 ms.
        for step in 0..COUNT + SIDE_BY_SIDE {
            sleep(Duration::from_millis(250)).await;
            if let Some(done) = step.checked_sub(SIDE_BY_SIDE) {
                stage.hear_of(done, Fate::Complete);
            }
            sleep(Duration::from_millis(250)).await;
            if step < COUNT {
                stage.hear_of(step, Fate::InFlight);
            }
            // What is begun just now is not written yet.
            let begun_now = usize::from(step < COUNT);
            let forgotten = stage.forgotten().saturating_sub(begun_now);
            worst.set(worst.get().max(forgotten));
        }
    })
    .await;
    assert_eq!(worst.get(), 0);
    assert!(stage.is_said_to_be_behind(), "it has had much news");
}

#[tokio::test(start_paused = true)]
async fn a_record_says_that_it_is_behind_before_it_is_and_no_longer_once_there_is_time_again() {
    let stage = Stage::new();
    stage.plan(COUNT);
    beside(&stage.keeper(), async {
        for number in 0..COUNT {
            sleep(Duration::from_millis(100)).await;
            let was_behind = stage.is_said_to_be_behind();
            let count = stage.writes().len();
            stage.hear_of(number, Fate::InFlight);
            sleep(Duration::from_millis(10)).await;
            let is_written = stage.writes().len() > count;
            assert!(is_written || was_behind, "{number}");
        }
        assert!(stage.is_said_to_be_behind());
        sleep(SECOND * 600).await;
        assert!(!stage.is_said_to_be_behind());
        let count = stage.writes().len();
        sleep(LONG).await;
        assert_eq!(stage.writes().len(), count, "there is no news");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_says_that_it_is_behind_where_the_next_one_has_to_wait_for_somebody_in_trouble() {
    let stage = Stage::new();
    stage.plan(COUNT);
    *stage.journal.failures.borrow_mut() = too_many(3);
    beside(&stage.keeper(), async {
        sleep(SECOND * 15).await;
        assert!(stage.is_said_to_be_behind());
        for number in 0..3 {
            stage.hear_of(number, Fate::InFlight);
            sleep(SECOND * 10).await;
        }
        assert!(!stage.is_said_to_be_behind());
        assert_eq!(stage.forgotten(), 0);
    })
    .await;
}
