//! What a deploy has made and not made, as a value: the screen and the file are views of it.

use crate::tools::progress::{Action, Resource, Stage};

/// What is known at the end of a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    pub(crate) outcome: &'static str,
    pub(crate) exit_code: u8,
    /// What became of the locks, in one word, and which ones it is about.
    pub(crate) lock: &'static str,
    pub(crate) lock_id: String,
    /// Whether anything was heard of it. If not, what it has made is not known.
    pub(crate) is_heard: bool,
    /// Whether a plan was heard, so that what was not begun is known.
    pub(crate) has_plan: bool,
    /// Whether the state was read after the end.
    pub(crate) state_was_read: bool,
    pub(crate) resources: Vec<Left>,
    /// How many are not among them, because there were too many.
    pub(crate) dropped: usize,
    /// What a person has to do, or can.
    pub(crate) next_steps: Vec<String>,
}

/// A resource, and whether the state has it, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) resource: Resource,
    pub(crate) is_stored: Option<bool>,
}

/// In which way a resource is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is to be done about it.
    Complete,
    /// It is there, and the next deploy would make it again.
    NotStored,
    /// It is complete, and nobody knows whether the state has it.
    PerhapsStored,
    InFlight,
    MayExist,
    Failed,
    InDoubt,
    NotBegun,
}

impl Left {
    pub(crate) fn kind(&self) -> Kind {
        match (self.resource.stage, self.is_stored) {
            (Stage::Complete, Some(true)) => Kind::Complete,
            (Stage::Complete, Some(false)) => Kind::NotStored,
            (Stage::Complete, None) => Kind::PerhapsStored,
            (Stage::InFlight, _) => Kind::InFlight,
            (Stage::GivenUp, _) => Kind::MayExist,
            (Stage::Failed, _) => Kind::Failed,
            (Stage::InDoubt, _) => Kind::InDoubt,
            (Stage::NotBegun, _) => Kind::NotBegun,
        }
    }

    /// The resource, as people know it.
    pub(crate) fn name(&self) -> String {
        match &self.resource.unit {
            Some(unit) => format!("[{unit}] {}", self.resource.address),
            None => self.resource.address.clone(),
        }
    }
}

impl Remains {
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Left> {
        self.resources
            .iter()
            .filter(move |left| left.kind() == kind)
    }
}

/// Whether a resource counts: what was only read has left nothing.
pub(crate) fn counts(resource: &Resource) -> bool {
    resource.action != Action::Read
}
