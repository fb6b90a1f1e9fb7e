//! What is kept of one deploy at one place, as a value.

use jiff::Timestamp;

use crate::lock::Owner;
pub(crate) use crate::tools::progress::PlaceName;
use crate::tools::progress::Resource;

/// What one run of one step has told of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) owner: Owner,
    /// The commit on which it is kept.
    pub(crate) commit: String,
    pub(crate) place: PlaceName,
    pub(crate) stand: Stand,
    pub(crate) entries: Vec<Entry>,
    /// How many resources are not among them, because there were too many.
    pub(crate) dropped: usize,
    /// Whether it was told what the deploy was going to do.
    pub(crate) has_plan: bool,
}

/// How far a deploy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Nobody has written its end: it goes on, or was killed.
    Running,
    /// It has ended, and left something that is not settled.
    Unfinished,
    /// Nothing of it is left to be settled.
    Settled,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) resource: Resource,
    /// When it was first heard that it was begun.
    pub(crate) begun: Option<Timestamp>,
    /// Whether the state had it, where the state was read.
    pub(crate) is_stored: Option<bool>,
}

impl Entry {
    /// One of which nothing is known but what was told.
    pub(crate) fn of(resource: Resource) -> Self {
        Self {
            resource,
            begun: None,
            is_stored: None,
        }
    }
}

/// What is known of the deploys before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// Everything that was found is settled.
    Settled,
    Unfinished(Vec<Record>),
    /// For this reason.
    NotKnown(String),
}
