//! What is kept of one deploy at one place, as a value.

use std::fmt;

use crate::lock::Owner;
pub(crate) use crate::tools::progress::PlaceName;
use crate::tools::progress::Resource;

/// What one run of one step has told of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) owner: Owner,
    /// The commit on which it is kept; empty where it cannot be kept on any.
    pub(crate) commit: String,
    pub(crate) place: PlaceName,
    pub(crate) stand: Stand,
    pub(crate) entries: Vec<Entry>,
    /// How many resources are not among them, because there were too many, or they were not written in
    /// time. Once the deploy has ended, only what may be open counts.
    pub(crate) dropped: usize,
    /// Whether it was told what the deploy was going to do.
    pub(crate) has_plan: bool,
    /// Whether what came next could not be written at once, so that more may have been begun than it
    /// says.
    pub(crate) is_behind: bool,
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
    /// Whether the state had it, where the state was read.
    pub(crate) is_stored: Option<bool>,
    /// Where only the log of its step tells of it, which may be about another deploy there.
    pub(crate) claim: Option<Claim>,
}

/// How far something is heeded that only a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The first deploy that would make it again stops.
    Fresh,
    /// One has stopped for it. Nobody is stopped twice for what need not be true.
    Heeded,
}

impl Claim {
    pub(super) const ALL: [Self; 2] = [Self::Fresh, Self::Heeded];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Heeded => "heeded",
        }
    }
}

impl Record {
    /// Whether it is kept, or can be.
    pub(crate) fn is_kept(&self) -> bool {
        !self.commit.is_empty()
    }

    /// Whether it is of this place but for the type of the backend.
    pub(crate) fn is_of_another_backend(&self, place: &PlaceName) -> bool {
        let PlaceName {
            directory,
            workspace,
            backend,
        } = &self.place;
        *directory == place.directory && *workspace == place.workspace && *backend != place.backend
    }

    /// Whether this entry has to be counted where it is not listed.
    pub(super) fn misses(&self, entry: &Entry) -> bool {
        self.stand != Stand::Unfinished || entry.is_open()
    }
}

impl Entry {
    /// One of which nothing is known but what was told.
    pub(crate) fn of(resource: Resource) -> Self {
        Self {
            resource,
            is_stored: None,
            claim: None,
        }
    }
}

/// What is known of the deploys before this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// What is not settled at the place that was asked about.
    pub(crate) records: Vec<Record>,
    /// What deploys have told of this place that may go on: of that nothing is written.
    pub(crate) in_doubt: Vec<Record>,
    /// Whose locks were released, so that what they have left is of the state that is used here.
    pub(crate) released: Vec<Owner>,
    /// What is open at other places of the repository.
    pub(crate) elsewhere: Vec<Record>,
    /// Whose records of the place were found, those of which nothing is left to settle too.
    pub(crate) told_by: Vec<Owner>,
    /// Who is known to have left no record, and on which commit it would be.
    pub(crate) without: Vec<(Owner, String)>,
    /// Why there may be more.
    pub(crate) gap: Option<Gap>,
}

/// Why what is known of a past may not be all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Nobody was asked, for this reason.
    NotAsked(String),
    /// Nobody has answered, for this reason.
    Silent(String),
    /// Not all have answered, for this reason.
    Incomplete(String),
    /// This build has not told of its end, and nobody knows whether it is over.
    MayGoOn(u64),
    /// This build, whose deploy is over, has left no record.
    NoneLeft(u64),
}

impl Past {
    /// Nothing, because nobody was asked.
    pub(crate) fn not_asked(why: impl Into<String>) -> Self {
        Self {
            gap: Some(Gap::NotAsked(why.into())),
            ..Self::default()
        }
    }

    /// Takes in what was left in the directory and workspace of this place by deploys that have used
    /// another type of backend: the state may have come from there, or have been configured by what is
    /// not written yet. The lock of this one says nothing of who has told no end, unless a person `says`
    /// that.
    pub(crate) fn take_in_moved(&mut self, place: &PlaceName, says_over: bool) {
        let moved = |record: &mut Record| record.is_of_another_backend(place);
        for record in self.elsewhere.extract_if(.., moved) {
            if record.stand == Stand::Running && !says_over {
                let gap = Gap::MayGoOn(record.owner.build());
                self.gap = self.gap.take().or(Some(gap));
                self.in_doubt.push(record);
            } else {
                self.records.push(record);
            }
        }
    }

    /// Whether this deploy is among what is known.
    pub(crate) fn tells_of(&self, owner: &Owner) -> bool {
        self.told_by.contains(owner)
    }

    /// On which commit what is known of this deploy can be kept, where it has surely left no record that
    /// would be written over.
    pub(crate) fn room_for(&self, owner: &Owner) -> Option<String> {
        let mut without = self.without.iter();
        let (_, commit) = without.find(|(other, _)| other == owner)?;
        Some(commit.clone())
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked(why) | Self::Silent(why) | Self::Incomplete(why) => {
                formatter.write_str(why)
            }
            Self::MayGoOn(build) => {
                write!(
                    formatter,
                    "build {build} has not told of its end, and may go on"
                )
            }
            Self::NoneLeft(build) => write!(formatter, "build {build} has left none"),
        }
    }
}
