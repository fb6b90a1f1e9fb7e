//! What earlier deploys have left, against what the state has and what a plan does; and what follows.

use std::slice;

use tracing::warn;

use crate::journal::{Entry, Meant};
use crate::story::remains::listed;
use crate::tools::Job;
use crate::tools::progress::{Action, Fate, Resource, Stored};
use crate::tools::recovering::{Change, Made, Planned, Recovering};

/// What a deploy does where earlier ones have left something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnUnfinished {
    /// Says it, and stops where it would make again what is there.
    #[default]
    Report,
    /// Stops.
    Stop,
    /// Says it, and goes on.
    Ignore,
    /// Imports what can be imported.
    Import,
}

impl OnUnfinished {
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("report", Self::Report),
        ("stop", Self::Stop),
        ("ignore", Self::Ignore),
        ("import", Self::Import),
    ];
}

/// What earlier deploys have left that is not settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// It was made, and the state does not have it.
    pub(crate) missing: Vec<Missing>,
    /// It may have been made, and nobody knows its id.
    pub(crate) may_exist: Vec<String>,
    /// Whether there is something that nobody has listed.
    pub(crate) misses_some: bool,
    /// It is said to have been made, with an id that the state has at another address.
    pub(crate) taken: Vec<Taken>,
}

/// What was made and is not in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) made: Made,
    /// The ids that the state has at its address.
    pub(crate) instead: Vec<String>,
}

/// An id of which the state says that it is another resource's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) made: Made,
    pub(crate) by: String,
}

impl Taken {
    fn tell(&self) {
        warn!(
            "{} is not imported, although a report says that an earlier deploy has made it: {} has \
             this id.",
            name(&self.made),
            self.by
        );
    }
}

impl Unfinished {
    /// What of these is open. Whoever may write a report may have made them up, so nothing is believed of
    /// them but what can do no harm.
    pub(crate) fn of<'a>(
        entries: impl IntoIterator<Item = &'a Entry>,
        stored: &Stored,
        tool: &impl Recovering,
    ) -> Self {
        let mut unfinished = Self::default();
        for entry in entries.into_iter().filter(|entry| entry.is_open()) {
            unfinished.take_in(&entry.resource, stored, tool);
        }
        unfinished.refuse_twins(tool);
        unfinished
    }

    fn take_in(&mut self, resource: &Resource, stored: &Stored, tool: &impl Recovering) {
        let address = &resource.address;
        let Some(known) = known(resource).filter(|_| tool.is_address(address)) else {
            let name = match &resource.unit {
                Some(unit) => format!("[{unit}] {address}"),
                None => address.clone(),
            };
            if !self.may_exist.contains(&name) {
                self.may_exist.push(name);
            }
            return;
        };
        let here = stored.0.get(address);
        let here = here.cloned().unwrap_or_default();
        if here.contains(&known.id) {
            return;
        }
        let holder = stored
            .0
            .iter()
            .find(|(other, ids)| ids.contains(&known.id) && tool.are_of_one_type(other, address));
        if let Some((by, _)) = holder {
            let by = by.clone();
            self.taken.push(Taken { made: known, by });
        } else if !self.missing.iter().any(|missing| missing.made == known) {
            self.missing.push(Missing {
                made: known,
                instead: here,
            });
        }
    }

    /// Of several addresses that claim one id, nobody knows whose it is.
    fn refuse_twins(&mut self, tool: &impl Recovering) {
        let all = self.missing.clone();
        let twin = |one: &Made| {
            let is_twin = |other: &&Missing| {
                other.made.id == one.id
                    && other.made.address != one.address
                    && tool.are_of_one_type(&other.made.address, &one.address)
            };
            all.iter().find(is_twin)
        };
        self.missing.retain(|missing| {
            let made = missing.made.clone();
            let Some(other) = twin(&made) else {
                return true;
            };
            let by = other.made.address.clone();
            self.taken.push(Taken { made, by });
            false
        });
    }

    pub(crate) fn tell(&self) {
        self.taken.iter().for_each(Taken::tell);
        if !self.may_exist.is_empty() {
            warn!(
                "Look whether {} is there, because a deploy may make it again.",
                listed(self.may_exist.iter().cloned())
            );
        }
    }

    /// What follows before anything is planned.
    pub(crate) fn course(&self, wish: OnUnfinished, job: Option<&Job>) -> Course {
        let has_listed = !self.missing.is_empty() || !self.may_exist.is_empty();
        let is_something = has_listed || self.misses_some;
        match (wish, job) {
            (OnUnfinished::Ignore, _) => Course::AsEver,
            (OnUnfinished::Stop, _) if is_something => {
                Course::Stop("what earlier deploys have made, or may have, is not in the state")
            }
            _ if self.missing.is_empty() => Course::AsEver,
            (_, None) => Course::Stop("what earlier deploys have made is not in the state"),
            (_, Some(_)) => Course::LookAhead,
        }
    }
}

/// What is known to be there. A replacement whose old object is still being destroyed has its id too.
/// What contradicts itself has none, and a wrapper's address is not one of this place.
fn known(resource: &Resource) -> Option<Made> {
    let is_made = match resource.stage {
        Fate::Complete => true,
        Fate::InFlight | Fate::GivenUp => resource.action == Action::Replace,
        Fate::InDoubt | Fate::NotBegun | Fate::Failed => false,
    };
    let id = resource.id.clone()?;
    (is_made && resource.unit.is_none() && !resource.is_gone()).then(|| Made {
        address: resource.address.clone(),
        id,
    })
}

/// What these have made.
pub(crate) fn made(missing: &[Missing]) -> Vec<Made> {
    missing.iter().map(|missing| missing.made.clone()).collect()
}

/// What a deploy does before it knows its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Course {
    /// What it would do without a past.
    #[default]
    AsEver,
    /// It plans, looks, and goes on from there.
    LookAhead,
    /// Nothing, for this reason.
    Stop(&'static str),
}

/// What a plan does about what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// It makes it again.
    pub(crate) again: Vec<Missing>,
    /// It makes it again, and it cannot be imported: its address has another object that is still
    /// there, or more than one is missing at it.
    pub(crate) doubled: Vec<Missing>,
    /// It leaves another object at its address.
    pub(crate) beside: Vec<Missing>,
    /// It does nothing at its address.
    pub(crate) not_meant: Vec<Missing>,
    /// By now the state has its id at another address.
    pub(crate) taken: Vec<Taken>,
    /// It does something at several addresses that a journal, which hides secrets, does not tell apart.
    pub(crate) hidden: Vec<Missing>,
}

impl Ahead {
    /// What it imports itself is no longer missing, nor what has come into the state since.
    /// What is meant by an address in which a journal hides a secret, `meant` tells.
    pub(crate) fn of(
        missing: &[Missing],
        planned: &Planned,
        tool: &impl Recovering,
        meant: &impl Fn(&str) -> Meant,
    ) -> Self {
        let mut ahead = Self::default();
        let mut missing = missing.to_vec();
        missing.retain_mut(|one| match meant(&one.made.address) {
            Meant::Written => true,
            Meant::One(address) => {
                one.made.address = address;
                true
            }
            Meant::OneOf(_) => {
                ahead.hidden.push(one.clone());
                false
            }
        });
        for one in &missing {
            let Made { address, id } = &one.made;
            let is_there = |change: &Change| change.id.as_ref() == Some(id);
            let holder = planned.0.iter().find(|(other, change)| {
                *other != address && is_there(change) && tool.are_of_one_type(other, address)
            });
            if let Some((by, _)) = holder {
                let (made, by) = (one.made.clone(), by.clone());
                ahead.taken.push(Taken { made, by });
                continue;
            }
            let of_address = |other: &&Missing| other.made.address == *address;
            let is_alone = missing.iter().filter(of_address).count() == 1;
            let change = planned.0.get(address);
            let list = match change.map(|change| (change.action, &change.imported)) {
                None => &mut ahead.not_meant,
                Some(_) if is_imported(&one.made, planned) => continue,
                Some(_) if change.is_some_and(is_there) => continue,
                Some((Some(Action::Create), _)) if is_alone => &mut ahead.again,
                Some((Some(Action::Create | Action::Replace), _)) => &mut ahead.doubled,
                Some(_) => &mut ahead.beside,
            };
            list.push(one.clone());
        }
        ahead
    }

    pub(crate) fn tell(&self) {
        for Missing { made, instead } in &self.doubled {
            let other = if instead.is_empty() {
                "more than one object is missing at its address".to_owned()
            } else {
                format!(
                    "the state has {} at its address, which is still there",
                    listed(instead.iter().cloned())
                )
            };
            warn!(
                "{} cannot be imported: {other}. Find out which one is meant before you destroy the other.",
                name(made)
            );
        }
        for Missing { made, .. } in &self.hidden {
            warn!(
                "{} cannot be imported: a secret in its address is hidden, and several of the plan's are \
                 written like it. Import it by hand, or say with `softstop resolve` that it needs nothing.",
                name(made)
            );
        }
        for Missing { made, .. } in &self.beside {
            warn!(
                "{} is not imported, because its address has another object, which stays. Find out which \
                 one is meant before you destroy the other.",
                name(made)
            );
        }
        self.taken.iter().for_each(Taken::tell);
        for Missing { made, .. } in &self.not_meant {
            warn!(
                "{} is not imported, because the plan does nothing at its address: the configuration \
                 no longer has it, or it was left out. Destroy what nobody needs.",
                name(made)
            );
        }
    }

    /// What follows from it.
    pub(crate) fn next(&self, wish: OnUnfinished, job: &Job, imports: bool) -> Next {
        let cannot_be_imported = !self.doubled.is_empty() || !self.hidden.is_empty();
        if self.again.is_empty() && !cannot_be_imported {
            return Next::GoOn;
        }
        let is_plan = matches!(job, Job::Plan(_));
        let again = Next::Stop("its plan would make again what earlier deploys have made");
        // What is gone is still in the state, and a block for its address would be passed over in
        // silence.
        let refreshes = self.again.iter().any(|missing| !missing.instead.is_empty());
        match (wish, job) {
            (OnUnfinished::Import, Job::ApplyPlan(_)) => again,
            (OnUnfinished::Import, _) if imports => match () {
                () if cannot_be_imported => again,
                () if refreshes && is_plan => Next::Stop(
                    "only a deploy stores that an object is gone, in whose place another one was made",
                ),
                () => Next::Import { refreshes },
            },
            _ if is_plan => Next::GoOn,
            _ => again,
        }
    }
}

/// What a deploy does once it knows its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// What the plan says.
    GoOn,
    /// It plans anew, to import what the plan would make again.
    Import {
        /// Whether what is gone has to leave the state before.
        refreshes: bool,
    },
    /// Nothing, for this reason.
    Stop(&'static str),
}

/// Why what was to be imported is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotImported,
    /// The plan would do this to it. It may destroy what it has just imported, and end well.
    WouldBe(Action),
}

impl Refusal {
    pub(crate) fn words_about(self, made: &Made) -> String {
        let name = name(made);
        match self {
            Self::NotImported => format!("The plan does not import {name}."),
            Self::WouldBe(action) => format!(
                "The plan would import {name}, and {} it at once: it differs from what the \
                 configuration says. Import it by hand, or destroy it.",
                action.word()
            ),
        }
    }
}

/// What of all this a plan does not import, or does more to than change it where it is.
pub(crate) fn refused<'a>(made: &'a [Made], planned: &Planned) -> Vec<(&'a Made, Refusal)> {
    let refusal = |made: &Made| {
        let change = planned.0.get(&made.address);
        match change.map(|change| (change.action, change.imported.as_ref())) {
            Some((None | Some(Action::Update), Some(id))) if *id == made.id => None,
            Some((Some(action), Some(id))) if *id == made.id => Some(Refusal::WouldBe(action)),
            _ => Some(Refusal::NotImported),
        }
    };
    made.iter()
        .filter_map(|made| Some((made, refusal(made)?)))
        .collect()
}

fn is_imported(made: &Made, planned: &Planned) -> bool {
    refused(slice::from_ref(made), planned).is_empty()
}

/// What was made, as people know it.
fn name(made: &Made) -> String {
    format!("{} (id {})", made.address, made.id.escape_debug())
}

/// Some of these by name, and how many more there are.
pub(crate) fn names(made: &[Made]) -> String {
    listed(made.iter().map(name))
}
