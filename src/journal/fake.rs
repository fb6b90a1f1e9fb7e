//! A shelf that tests play.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::record::{PlaceName, Record};
use crate::bitbucket::InsightsError;
use crate::lock::Owner;

/// What it hides.
pub(crate) const SECRET: &str = "hunter2";

/// A shelf that is a value.
#[derive(Debug, Default)]
pub(crate) struct FakeShelf {
    /// The last that was written of each.
    pub(crate) records: RefCell<Vec<Record>>,
    pub(crate) mood: Cell<Mood>,
    /// The commit about which it never answers, as one that asks too often is not answered.
    pub(crate) failing: RefCell<Option<String>>,
    /// Every commit that was asked about.
    pub(crate) asked: RefCell<Vec<String>>,
}

/// How a shelf answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Well,
    NotThere,
    /// Each answer takes almost as long as it may.
    Slow,
    Hangs,
}

impl FakeShelf {
    pub(crate) fn that_is(mood: Mood) -> Rc<Self> {
        let fake = Self::default();
        fake.mood.set(mood);
        Rc::new(fake)
    }

    pub(super) async fn write(&self, record: Record) -> Result<u32, InsightsError> {
        self.answer().await?;
        let is_other = |other: &Record| {
            other.owner != record.owner
                || other.place != record.place
                || other.commit != record.commit
        };
        let mut records = self.records.borrow_mut();
        records.retain(is_other);
        records.push(record);
        Ok(1)
    }

    pub(super) async fn of_step(
        &self,
        commit: &str,
        owner: &Owner,
        place: &PlaceName,
    ) -> Result<Option<Record>, InsightsError> {
        let mut records = self.on_commit(commit).await?.into_iter();
        Ok(records.find(|record| record.owner == *owner && record.place == *place))
    }

    pub(super) async fn on_commit(&self, commit: &str) -> Result<Vec<Record>, InsightsError> {
        self.asked.borrow_mut().push(commit.to_owned());
        self.answer().await?;
        if self.failing.borrow().as_deref() == Some(commit) {
            return Err(InsightsError::NotThere);
        }
        let records = self.records.borrow();
        let here = records.iter().filter(|one| one.commit.starts_with(commit));
        Ok(here.cloned().collect())
    }

    async fn answer(&self) -> Result<(), InsightsError> {
        match self.mood.get() {
            Mood::Well => Ok(()),
            Mood::NotThere => Err(InsightsError::NotThere),
            Mood::Slow => {
                sleep(Duration::from_millis(1_500)).await;
                Ok(())
            }
            Mood::Hangs => pending().await,
        }
    }
}
