//! The keeper with a journal that is played, in a time that passes by itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::keeper::{Keeper, Page, SharedPace};
use super::record::{Entry, PlaceName, Record, Stand};
use crate::bitbucket::InsightsError;
use crate::lock::Owner;
use crate::tools::progress::{Fate, Resource};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const LONG: Duration = Duration::from_secs(3_600);
pub(super) const TOO_MANY: InsightsError = InsightsError::TooManyRequests { wait: None };

/// A journal that plays what it is told, and notes when what was written.
#[derive(Clone, Default)]
pub(super) struct Played {
    /// What goes wrong when it is opened, the last one first.
    unread: Rc<RefCell<Vec<InsightsError>>>,
    /// What goes wrong with the next writes, the last one first.
    pub(super) failures: Rc<RefCell<Vec<InsightsError>>>,
    /// How long each write takes.
    pub(super) takes: Rc<Cell<Duration>>,
    /// When each write began, and how many resources were in it.
    writes: Rc<RefCell<Vec<(Instant, usize)>>>,
    pub(super) last: Rc<RefCell<Option<Record>>>,
}

impl Page for Played {
    async fn open(&self) -> Result<(), InsightsError> {
        self.unread.borrow_mut().pop().map_or(Ok(()), Err)
    }

    async fn write(&self, record: Record) -> Result<u32, InsightsError> {
        if self.last.borrow().as_ref() == Some(&record) {
            return Ok(0);
        }
        let count = record.entries.len();
        self.writes.borrow_mut().push((Instant::now(), count));
        sleep(self.takes.get()).await;
        if let Some(error) = self.failures.borrow_mut().pop() {
            return Err(error);
        }
        *self.last.borrow_mut() = Some(record);
        Ok(2)
    }
}

/// A deploy that is played, whose keeper runs.
pub(super) struct Stage {
    pub(super) journal: Played,
    pub(super) record: Rc<RefCell<Option<Record>>>,
    pub(super) heard: Arc<Notify>,
    pub(super) pace: SharedPace,
    began: Instant,
}

pub(super) type Source = Box<dyn Fn() -> Option<Record>>;

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            journal: Played::default(),
            record: Rc::default(),
            heard: Arc::default(),
            pace: SharedPace::default(),
            began: Instant::now(),
        }
    }

    pub(super) fn keeper(&self) -> Keeper<Played, Source> {
        let record = Rc::clone(&self.record);
        let source: Source = Box::new(move || record.borrow().clone());
        let (heard, pace) = (Arc::clone(&self.heard), Rc::clone(&self.pace));
        Keeper::new(self.journal.clone(), source, heard, pace)
    }

    /// Lets one more resource be heard of.
    fn hear(&self, stage: Fate) {
        let mut record = self.record.borrow_mut();
        let record = record.get_or_insert_with(empty);
        let number = record.entries.len();
        record.entries.push(entry(&format!("a.b[{number}]"), stage));
        self.heard.notify_one();
    }

    /// When was written, in seconds from the beginning.
    fn seconds(&self) -> Vec<u128> {
        let writes = self.writes().into_iter();
        writes.map(|(at, _)| at / 1_000).collect()
    }

    /// When was written, in milliseconds from the beginning, and how much.
    pub(super) fn writes(&self) -> Vec<(u128, usize)> {
        let writes = self.journal.writes.borrow();
        let since = |at: &Instant| (*at - self.began).as_millis();
        writes
            .iter()
            .map(|(at, count)| (since(at), *count))
            .collect()
    }
}

pub(super) fn empty() -> Record {
    let owner = Owner::new(
        "acme",
        "infra",
        42,
        Uuid::from_u128(1),
        Uuid::from_u128(2),
        1,
    );
    Record {
        owner: owner.unwrap(),
        commit: "0123456789ab".to_owned(),
        place: PlaceName::on_s3("."),
        stand: Stand::Running,
        entries: Vec::new(),
        dropped: 0,
        has_plan: true,
        is_behind: false,
    }
}

pub(super) fn entry(address: &str, stage: Fate) -> Entry {
    Entry::of(Resource::created(address, stage, None))
}

pub(super) fn too_many(times: usize) -> Vec<InsightsError> {
    (0..times).map(|_| TOO_MANY).collect()
}

/// Plays this beside a keeper that runs meanwhile.
pub(super) async fn beside<P: Page, S: Fn() -> Option<Record>>(
    keeper: &Keeper<P, S>,
    play: impl Future<Output = ()>,
) {
    tokio::select! {
        () = keeper.keep() => unreachable!("it never ends"),
        () = play => {}
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_is_written_at_once_and_together_what_comes_meanwhile() {
    let stage = Stage::new();
    stage.journal.takes.set(Duration::from_millis(25));
    beside(&stage.keeper(), async {
        for _ in 0..5 {
            stage.hear(Fate::InFlight);
            sleep(Duration::from_millis(10)).await;
        }
        sleep(LONG).await;
    })
    .await;
    assert_eq!(stage.writes(), [(0, 1), (25, 3), (50, 5)]);
}

#[tokio::test(start_paused = true)]
async fn who_has_much_to_write_keeps_to_a_rate_in_the_long_run() {
    let stage = Stage::new();
    beside(&stage.keeper(), async {
        for _ in 0..3_600 {
            stage.hear(Fate::InFlight);
            sleep(SECOND).await;
        }
    })
    .await;
    let writes = stage.writes();
    let at_once = writes.iter().filter(|(at, _)| *at < 120_000).count();
    assert_eq!(at_once, 120);
    // At two requests each.
    assert!((410..=425).contains(&writes.len()), "{}", writes.len());
}

#[tokio::test(start_paused = true)]
async fn news_that_change_nothing_cost_nothing() {
    let stage = Stage::new();
    beside(&stage.keeper(), async {
        stage.hear(Fate::NotBegun);
        for _ in 0..100 {
            sleep(Duration::from_millis(50)).await;
            stage.heard.notify_one();
        }
        for _ in 0..50 {
            stage.hear(Fate::InFlight);
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let writes = stage.writes();
    assert_eq!((writes.len(), writes[1].0), (51, 5_000));
}

#[tokio::test(start_paused = true)]
async fn all_places_of_a_run_keep_to_one_pace_and_one_request_to_keep_quiet() {
    let pace = SharedPace::default();
    let stage = |_| Stage {
        pace: Rc::clone(&pace),
        ..Stage::new()
    };
    let stages: Vec<Stage> = (0..10).map(stage).collect();
    let keepers: Vec<_> = stages.iter().map(Stage::keeper).collect();
    let wait = Some(Duration::from_secs(30));
    *stages[0].journal.failures.borrow_mut() = vec![InsightsError::TooManyRequests { wait }];
    let play = async {
        for _ in 0..300 {
            for stage in &stages {
                stage.hear(Fate::InFlight);
            }
            sleep(SECOND).await;
        }
    };
    tokio::select! {
        _ = join_all(keepers.iter().map(Keeper::keep)) => unreachable!("it never ends"),
        () = play => {}
    }
    let all: Vec<u128> = stages.iter().flat_map(Stage::seconds).collect();
    assert_eq!(all.iter().filter(|at| **at < 30).count(), 1);
    // 120 at once, and one every twelve seconds.
    assert!((140..=147).contains(&all.len()), "{}", all.len());
    assert!(
        stages.iter().all(|stage| !stage.seconds().is_empty()),
        "each has its turn"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_it_is_known_what_is_to_be_carried_on() {
    let stage = Stage::new();
    *stage.journal.unread.borrow_mut() = vec![InsightsError::TimedOut, TOO_MANY];
    beside(&stage.keeper(), async {
        stage.hear(Fate::InFlight);
        sleep(LONG).await;
    })
    .await;
    // Twice, because the first one had to say that it is behind.
    assert_eq!(stage.writes(), [(6_000, 1), (8_000, 1)]);
    *stage.journal.unread.borrow_mut() = vec![InsightsError::Malformed];
    assert!(!stage.keeper().finish(empty, SECOND * 5).await);
    assert_eq!(stage.writes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_heard_nothing_is_done() {
    let stage = Stage::new();
    beside(&stage.keeper(), sleep(LONG)).await;
    stage.heard.notify_one();
    beside(&stage.keeper(), sleep(LONG)).await;
    assert_eq!(stage.writes(), [], "there is no record yet");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_trouble_is_asked_ever_less_often_and_then_more_often_again() {
    let stage = Stage::new();
    *stage.journal.failures.borrow_mut() = vec![TOO_MANY, InsightsError::TimedOut, TOO_MANY];
    beside(&stage.keeper(), async {
        for _ in 0..40 {
            stage.hear(Fate::InFlight);
            sleep(SECOND).await;
        }
    })
    .await;
    let times = stage.seconds();
    assert_eq!(times[..6], [0, 2, 6, 14, 18, 20]);
    assert!(
        times[6..].windows(2).all(|two| two[1] - two[0] <= 1),
        "{times:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_never_longer_than_a_minute_unless_it_was_asked_for() {
    let stage = Stage::new();
    let wait = Some(Duration::from_secs(300));
    let mut failures = too_many(10);
    failures.insert(0, InsightsError::TooManyRequests { wait });
    *stage.journal.failures.borrow_mut() = failures;
    beside(&stage.keeper(), async {
        stage.hear(Fate::InFlight);
        sleep(LONG).await;
    })
    .await;
    let times = stage.seconds();
    assert_eq!(
        times,
        [0, 2, 6, 14, 30, 62, 122, 182, 242, 302, 362, 662],
        "also where nothing more is heard"
    );
}

#[tokio::test(start_paused = true)]
async fn who_answers_slowly_is_asked_less_often() {
    let stage = Stage::new();
    stage.journal.takes.set(Duration::from_secs(3));
    beside(&stage.keeper(), async {
        for _ in 0..30 {
            stage.hear(Fate::InFlight);
            sleep(SECOND).await;
        }
    })
    .await;
    let times = stage.seconds();
    assert_eq!(times[..3], [0, 5, 12]);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_proxy_nobody_asks_again() {
    let stage = Stage::new();
    *stage.journal.unread.borrow_mut() = vec![InsightsError::NotThere];
    let keeper = stage.keeper();
    let play = async {
        for _ in 0..10 {
            stage.hear(Fate::InFlight);
            sleep(SECOND).await;
        }
    };
    beside(&keeper, play).await;
    assert!(!keeper.finish(empty, SECOND).await);
    assert_eq!(stage.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_was_there_is_asked_again() {
    let stage = Stage::new();
    beside(&stage.keeper(), async {
        stage.hear(Fate::NotBegun);
        sleep(SECOND * 2).await;
        *stage.journal.failures.borrow_mut() = vec![InsightsError::NotThere];
        stage.hear(Fate::InFlight);
        sleep(SECOND * 10).await;
    })
    .await;
    assert_eq!(stage.writes(), [(0, 1), (2_000, 2), (4_000, 2)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_record_is_tried_again_within_its_time() {
    let stage = Stage::new();
    *stage.journal.failures.borrow_mut() = vec![TOO_MANY, InsightsError::TimedOut];
    assert!(stage.keeper().finish(empty, SECOND * 5).await);
    assert_eq!(stage.writes(), [(0, 0), (500, 0), (1_500, 0)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_record_keeps_nobody_longer_than_it_may() {
    for (failures, takes, expected) in [
        (vec![], LONG, 5_000),
        (too_many(20), Duration::ZERO, 3_500),
        (
            vec![InsightsError::TooManyRequests { wait: Some(LONG) }],
            Duration::ZERO,
            0,
        ),
        (vec![InsightsError::Malformed], Duration::ZERO, 0),
    ] {
        let stage = Stage::new();
        *stage.journal.failures.borrow_mut() = failures;
        stage.journal.takes.set(takes);
        assert!(!stage.keeper().finish(empty, SECOND * 5).await);
        assert_eq!(stage.began.elapsed().as_millis(), expected);
    }
}
