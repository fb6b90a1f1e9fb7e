//! What a deploy was heard to make, as far as its tool tells while it runs.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;

use crate::supervisor::Listener;

/// Understands what a tool says of what it makes, from those of its lines that hold its markers.
pub(crate) trait Reader: Listener {
    /// What was understood so far.
    fn told(&self) -> Told;

    /// The same, of one unit with no more resources than so many: those that are most needed
    /// afterwards. The others that leave something are counted.
    fn told_in_short(&self, most: usize) -> Told;

    /// The same, which is handed over and forgotten: there may be very much of it.
    fn take_told(&mut self) -> Told;

    /// Forgets all of it: what comes now is another run.
    fn forget(&mut self);
}

/// A place as a journal names it, which is the same in every clone. Nothing else of its settings is
/// kept: they always come from the clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceName {
    /// Below the clone; `.` is the clone itself.
    pub(crate) directory: String,
    pub(crate) workspace: String,
    /// The type of the backend.
    pub(crate) backend: String,
}

impl PlaceName {
    /// Whether a command that is begun there may well come to this place: by another workspace, or in a
    /// directory below. Where it goes up first, nobody would guess it.
    pub(crate) fn is_in_reach_of(&self, there: &Self) -> bool {
        there.directory == "." || Path::new(&self.directory).starts_with(&there.directory)
    }

    /// Whether a wrapper may call this place so: it names a unit by its directory, as seen from wherever
    /// it was started, or from the root.
    pub(crate) fn may_be_called(&self, unit: &str) -> bool {
        let ups = |part: &Component<'_>| matches!(part, Component::CurDir | Component::ParentDir);
        let unit: PathBuf = Path::new(unit).components().skip_while(ups).collect();
        let directory = Path::new(&self.directory);
        if unit.is_absolute() {
            return directory != Path::new(".") && unit.ends_with(directory);
        }
        unit.file_name().is_some() && directory.ends_with(unit)
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} (workspace {})",
            self.directory, self.workspace
        )
    }
}

/// What a tool has told of its resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) resources: Vec<Resource>,
    /// How many were dropped because there were too many of them: complete ones as far as there are.
    pub(crate) dropped: usize,
    /// Whether it was told what the deploy was going to do, so that what is not listed was not meant.
    pub(crate) has_plan: bool,
    /// Whether more was complete than runs have said at their end, when they had stored it.
    pub(crate) is_unended: bool,
}

/// One resource, and what was to become of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resource {
    /// Which of several deployments in one run it belongs to, where a wrapper says so.
    pub(crate) unit: Option<Box<str>>,
    pub(crate) address: Box<str>,
    pub(crate) action: Action,
    pub(crate) stage: Fate,
    /// The id that it was given, where that was told.
    pub(crate) id: Option<Box<str>>,
    /// The id of what was in its place and is destroyed.
    pub(crate) old_id: Option<Box<str>>,
    /// When it was first heard that it was begun.
    pub(crate) begun: Option<Begun>,
}

/// All of that but what it is called.
pub(crate) type News<'a> = (
    Action,
    Fate,
    Option<&'a str>,
    Option<&'a str>,
    Option<Begun>,
);

/// A time to the second, in seconds since 1970: there are very many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Begun(NonZeroU32);

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Create,
    Update,
    /// Destroyed and made anew, in either order.
    Replace,
    Destroy,
    Import,
    Read,
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    NotBegun,
    /// It was begun, and no end of it was told.
    InFlight,
    Complete,
    Failed,
    /// It was given up while it was made, or has failed and no state was stored since, so it may be
    /// there all the same.
    GivenUp,
    /// What was told of it contradicts itself.
    InDoubt,
}

impl Action {
    /// The word for it in reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Destroy => "destroy",
            Self::Import => "import",
            Self::Read => "read",
        }
    }
}

impl Fate {
    /// The word for it in reports that machines read.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotBegun => "not_begun",
            Self::InFlight => "in_flight",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::GivenUp => "may_exist",
            Self::InDoubt => "in_doubt",
        }
    }

    /// How much it is needed afterwards, while it is not known what the state has: what may be there
    /// comes first.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::InFlight | Self::GivenUp | Self::InDoubt => 0,
            Self::Complete | Self::Failed => 1,
            Self::NotBegun => 2,
        }
    }
}

impl Begun {
    pub(crate) fn now() -> Self {
        Self::from(Timestamp::now())
    }
}

/// One that is long before, or after, any deploy is the earliest.
impl From<Timestamp> for Begun {
    fn from(time: Timestamp) -> Self {
        let seconds = u32::try_from(time.as_second()).unwrap_or_default();
        Self(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN))
    }
}

impl From<Begun> for Timestamp {
    fn from(Begun(seconds): Begun) -> Self {
        Self::from_second(i64::from(seconds.get())).unwrap_or_default()
    }
}

impl Resource {
    /// Whether the same object was made and then destroyed.
    pub(crate) fn is_gone(&self) -> bool {
        self.stage == Fate::Complete && self.id.is_some() && self.id == self.old_id
    }

    pub(crate) fn is_begun(&self) -> bool {
        self.stage != Fate::NotBegun
    }

    /// Its stage where what has failed to be made is taken for what may exist.
    pub(crate) fn doubted_stage(&self) -> Fate {
        match (self.action, self.stage) {
            (Action::Create | Action::Replace, Fate::Failed) => Fate::GivenUp,
            (_, stage) => stage,
        }
    }

    /// All that is told of it, whatever it is called.
    pub(crate) fn news(&self) -> News<'_> {
        let (id, old_id) = (self.id.as_deref(), self.old_id.as_deref());
        (self.action, self.stage, id, old_id, self.begun)
    }

    /// What was only read has left nothing, nor has what was made and destroyed again.
    pub(crate) fn leaves_something(&self) -> bool {
        self.action != Action::Read && !self.is_gone()
    }

    /// Whether nothing is left to say about it where the deploy has succeeded.
    pub(crate) fn goes_without_saying(&self) -> bool {
        !matches!(self.stage, Fate::InFlight | Fate::Failed | Fate::GivenUp)
    }
}

impl Told {
    /// Whether nothing was heard of: whatever was made, it is not known.
    pub(crate) fn is_nothing(&self) -> bool {
        self.resources.is_empty() && self.dropped == 0
    }

    /// Whether something was heard after only that was told `before`. A plan that was heard by then tells
    /// nothing of who applies it.
    pub(crate) fn is_more_than(&self, before: &Self) -> bool {
        // The same may be called by another unit as soon as another place is seen.
        let known = before.resources.iter();
        let known: HashSet<_> = known.map(|one| (&one.address, one.news())).collect();
        let mut resources = self.resources.iter();
        let is_new =
            |one: &Resource| one.leaves_something() && !known.contains(&(&one.address, one.news()));
        self.has_plan && !before.has_plan || resources.any(is_new)
    }

    /// Whether a wrapper, if there is one, has put the same words before all of it.
    pub(crate) fn is_of_one_unit(&self) -> bool {
        let mut units = self.resources.iter().map(|resource| &resource.unit);
        let first = units.next();
        units.all(|unit| Some(unit) == first)
    }
}

#[cfg(test)]
impl Resource {
    /// One that is to be made.
    pub(crate) fn created(address: &str, stage: Fate, id: Option<&str>) -> Self {
        Self {
            unit: None,
            address: address.into(),
            action: Action::Create,
            stage,
            id: id.map(Box::from),
            old_id: None,
            begun: None,
        }
    }
}

#[cfg(test)]
impl PlaceName {
    pub(crate) fn on_s3(directory: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            workspace: "default".to_owned(),
            backend: "s3".to_owned(),
        }
    }
}
