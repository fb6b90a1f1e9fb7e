//! What a deploy has made and not made, as a value: whatever tells of it is a view of this.

use crate::tools::progress::{Action, Fate, Resource};
use crate::tools::recovering::Made;

/// How many resources a line names.
const NAMED: usize = 5;

/// What is known at the end of a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    pub(crate) heard: Heard,
    /// Whether the deploy has ended well, and left nothing that a person has to know of.
    pub(crate) is_plain: bool,
    /// Whether the tool has stored its state at its end, so that it has what there is of what failed.
    pub(crate) state_is_kept: bool,
    /// Whether the state was read after the end.
    pub(crate) state_was_read: bool,
    pub(crate) resources: Vec<Left>,
    /// How many are not among them, because there were too many.
    pub(crate) dropped: usize,
    /// What a person has to do, or can.
    pub(crate) next_steps: Vec<String>,
    /// What brings into the state what it lacks, blocks or commands; empty where it lacks nothing, and
    /// nothing where nobody has looked.
    pub(crate) imports: Option<String>,
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
        } = &self.resource
        else {
            return None;
        };
        Some(Made {
            address: address.clone(),
            id: id.clone(),
        })
    }

    /// The resource, as people know it.
    pub(crate) fn name(&self) -> String {
        match &self.resource.unit {
            Some(unit) => format!("[{unit}] {}", self.resource.address),
            None => self.resource.address.clone(),
        }
    }

    /// The resource, and what else tells it from others: what the state knows of it, where that is not
    /// obvious, and the id where nobody else would know it.
    fn named(&self) -> String {
        let name = self.name();
        let id = self.resource.id.as_deref().map(|id| id.escape_debug());
        match (self.kind(), id, self.is_stored) {
            (Kind::NotStored | Kind::PerhapsStored | Kind::InDoubt, Some(id), _) => {
                format!("{name} (id {id})")
            }
            (Kind::InFlight | Kind::MayExist | Kind::InDoubt, _, Some(true)) => {
                format!("{name} (the state has it)")
            }
            (Kind::InFlight | Kind::MayExist | Kind::InDoubt, _, Some(false)) => {
                format!("{name} (not in the state)")
            }
            _ => name,
        }
    }
}

/// The first of these by name, and how many more there are.
pub(crate) fn names(left: &[&Left]) -> String {
    listed(left.iter().map(|left| left.named()))
}

/// The first of these names, and how many more there are.
pub(crate) fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named: Vec<String> = names.take(NAMED).collect();
    match more {
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

impl Remains {
    /// Of a deploy that has not begun.
    pub(crate) fn of_nothing() -> Self {
        Self {
            heard: Heard::NoPlan,
            is_plain: true,
            state_is_kept: true,
            state_was_read: false,
            resources: Vec::new(),
            dropped: 0,
            next_steps: Vec::new(),
            imports: None,
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Left> {
        self.resources
            .iter()
            .filter(move |left| left.kind() == kind)
    }
}
