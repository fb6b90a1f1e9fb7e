//! Where records lie: on commits, or with a test.

#[cfg(test)]
use std::rc::Rc;

#[cfg(test)]
use super::fake::{FakeShelf, SECRET};
use super::record::{PlaceName, Record};
use super::store::Store;
use crate::bitbucket::InsightsError;
use crate::environment::Environment;
use crate::lock::Owner;

/// Where the records of a repository lie.
#[derive(Debug)]
pub(crate) enum Shelf {
    Commits(Box<Store>),
    #[cfg(test)]
    Fake(Rc<FakeShelf>),
}

impl Shelf {
    /// Writes a record, or writes it anew, and tells how many requests that took.
    pub(crate) async fn write(&self, record: Record) -> Result<u32, InsightsError> {
        match self {
            Self::Commits(store) => store.write(record).await,
            #[cfg(test)]
            Self::Fake(fake) => fake.write(record).await,
        }
    }

    /// A text as it is written down, without secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        match self {
            Self::Commits(store) => store.hide(text),
            #[cfg(test)]
            Self::Fake(_) => text.replace(SECRET, "***"),
        }
    }

    /// Hides the secrets of a program too, among its variables and its words.
    pub(crate) fn hide_those_of(&self, environment: &Environment, words: &[String]) {
        match self {
            Self::Commits(store) => store.hide_those_of(environment, words),
            #[cfg(test)]
            Self::Fake(_) => {}
        }
    }

    /// The record of this run of a step, of this place.
    pub(crate) async fn of_step(
        &self,
        commit: &str,
        owner: &Owner,
        place: &PlaceName,
    ) -> Result<Option<Record>, InsightsError> {
        match self {
            Self::Commits(store) => store.of_step(commit, owner, place).await,
            #[cfg(test)]
            Self::Fake(fake) => fake.of_step(commit, owner, place).await,
        }
    }

    /// All records on this commit.
    pub(crate) async fn on_commit(&self, commit: &str) -> Result<Vec<Record>, InsightsError> {
        match self {
            Self::Commits(store) => store.on_commit(commit).await,
            #[cfg(test)]
            Self::Fake(fake) => fake.on_commit(commit).await,
        }
    }
}
