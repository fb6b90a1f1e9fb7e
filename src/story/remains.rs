//! What a deploy has made and not made, as a value: whatever tells of it is a view of this.

use std::fmt;
use std::iter;

use super::way_back::Imports;
use crate::tools::progress::{Action, Fate, News, Resource, Told};
use crate::tools::recovering::Made;

/// How many resources a line names.
const NAMED: usize = 5;

/// What is known at the end of a deploy. There may be very much of it, so nothing is kept twice.
pub(crate) struct Remains<'a> {
    pub(crate) heard: Heard,
    /// Whether the deploy has ended well, and left nothing that a person has to know of.
    pub(crate) is_plain: bool,
    /// Whether the tool has stored its state at its end, so that it has what there is of what failed.
    pub(crate) state_is_kept: bool,
    /// All that was told, as it was.
    pub(crate) told: Told,
    /// Of each of its resources, whether the state has it; nothing where the state was not read after the
    /// end.
    pub(crate) known: Option<Vec<Option<bool>>>,
    /// Whether what was not begun was to be begun, by a deploy that is heard.
    pub(crate) is_applied: bool,
    /// What a person has to do, or can.
    pub(crate) next_steps: Vec<String>,
    /// How the states get what they lack; nothing where nobody has looked.
    pub(super) imports: Option<Imports<'a>>,
}

/// How a deploy has ended, as far as that tells what may be left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    /// Whether its tool has stored its state at its end.
    pub(crate) state_is_kept: bool,
}

/// How much was heard of what the deploy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// What it has made is not known, or what else.
    Nothing,
    /// What was not begun is not known.
    NoPlan,
    Plan,
}

/// A resource, and whether the state has it, where that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    pub(crate) resource: &'a Resource,
    /// What became of it, which may be in more doubt than what was told.
    pub(crate) stage: Fate,
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

impl<'a> Left<'a> {
    /// All that is known of it, whatever it is called.
    pub(super) fn news(&self) -> News<'a> {
        let (action, _, id, old_id, begun) = self.resource.news();
        (action, self.stage, id, old_id, begun)
    }

    pub(crate) fn kind(&self) -> Kind {
        match (self.stage, self.is_stored) {
            (Fate::Complete, Some(true)) => Kind::Complete,
            (Fate::Complete, Some(false)) => Kind::NotStored,
            (Fate::Complete, None) => Kind::PerhapsStored,
            (Fate::InFlight, _) => Kind::InFlight,
            (Fate::GivenUp, _) => Kind::MayExist,
            (Fate::Failed, _) => Kind::Failed,
            (Fate::InDoubt, _) => Kind::InDoubt,
            (Fate::NotBegun, _) => Kind::NotBegun,
        }
    }

    /// Whether the next deploy may make it again, because nobody knows whether it is there.
    pub(crate) fn may_be_made_again(&self) -> bool {
        let kind = self.kind();
        matches!(kind, Kind::InFlight | Kind::MayExist | Kind::InDoubt)
            && self.is_stored != Some(true)
            && matches!(
                self.resource.action,
                Action::Create | Action::Replace | Action::Import
            )
    }

    /// What there is by its id at its address, where a wrapper does not give it another one.
    pub(crate) fn made(&self) -> Option<Made> {
        let Resource {
            unit: None,
            address,
            id: Some(id),
            ..
        } = self.resource
        else {
            return None;
        };
        Some(Made {
            address: address.to_string(),
            id: id.to_string(),
        })
    }

    /// The resource, as people know it.
    pub(crate) fn name(&self) -> String {
        match &self.resource.unit {
            Some(unit) => format!("[{unit}] {}", self.resource.address),
            None => self.resource.address.to_string(),
        }
    }
}

/// The resource, and what else tells it from others: what the state knows of it, where that is not
/// obvious, and the id where nobody else would know it.
impl fmt::Display for Left<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())?;
        let id = self.resource.id.as_deref().map(str::escape_debug);
        match (self.kind(), id, self.is_stored) {
            (Kind::NotStored | Kind::PerhapsStored | Kind::InDoubt, Some(id), _) => {
                write!(formatter, " (id {id})")
            }
            (Kind::InFlight | Kind::MayExist | Kind::InDoubt, _, Some(true)) => {
                formatter.write_str(" (the state has it)")
            }
            (Kind::InFlight | Kind::MayExist | Kind::InDoubt, _, Some(false)) => {
                formatter.write_str(" (not in the state)")
            }
            _ => Ok(()),
        }
    }
}

/// The first of these, and how many more there are; empty where there is none.
pub(crate) fn listed(mut all: impl Iterator<Item: fmt::Display>) -> String {
    let first = all.by_ref().take(NAMED);
    let named: Vec<String> = first.map(|one| one.to_string()).collect();
    match all.count() {
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

impl Remains<'_> {
    /// Of a deploy that has not begun.
    pub(crate) fn of_nothing() -> Self {
        Self {
            heard: Heard::NoPlan,
            is_plain: true,
            state_is_kept: true,
            told: Told::default(),
            known: None,
            is_applied: false,
            next_steps: Vec::new(),
            imports: None,
        }
    }

    /// All that leaves something, also what was not even to be begun.
    pub(crate) fn all(&self) -> impl Iterator<Item = Left<'_>> + Clone {
        let known = self.known.iter().flatten().copied();
        let known = known.chain(iter::repeat(None));
        let all = self.told.resources.iter().zip(known);
        let all = all.filter(|(resource, _)| resource.leaves_something());
        all.map(|(resource, is_stored)| Left {
            resource,
            stage: if self.state_is_kept {
                resource.stage
            } else {
                resource.doubted_stage()
            },
            is_stored,
        })
    }

    /// What the deploy has left.
    pub(crate) fn left(&self) -> impl Iterator<Item = Left<'_>> + Clone {
        self.all().filter(|left| self.counts(left.resource))
    }

    /// Whether it is left by a deploy that has begun it, or was to begin it.
    pub(crate) fn counts(&self, resource: &Resource) -> bool {
        self.is_applied || resource.is_begun()
    }

    /// What brings into the states what they lack, blocks or commands, one after the other; nothing where
    /// nobody has looked.
    pub(crate) fn imports(&self) -> Option<impl Iterator<Item = String>> {
        let imports = self.imports.as_ref()?;
        Some(imports.texts(self.lacking()))
    }

    /// What the deploy has made that its state lacks.
    pub(super) fn lacking(&self) -> impl Iterator<Item = Made> {
        self.of(Kind::NotStored).filter_map(|left| left.made())
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = Left<'_>> + Clone {
        self.left().filter(move |left| left.kind() == kind)
    }
}
