//! What earlier deploys have left, against what a plan does; and what follows.

use std::slice;

use tracing::{info, warn};

use crate::journal::Meant;
use crate::story::remains::listed;
use crate::story::unfinished::{Missing, OnUnfinished, Taken, name};
use crate::tools::Job;
use crate::tools::progress::Action;
use crate::tools::recovering::{Change, Made, Planned, Recovering};

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
        for Missing { made, instead, .. } in &self.doubled {
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

    /// What a deploy stops for.
    pub(crate) fn standing_in_the_way(&self) -> Vec<Missing> {
        [&*self.again, &self.doubled, &self.hidden].concat()
    }

    /// What follows from it.
    pub(crate) fn next(&self, wish: OnUnfinished, job: &Job, imports: bool) -> Next {
        let wish = match wish {
            OnUnfinished::Import if self.again.iter().any(|missing| missing.is_claimed) => {
                info!(
                    "Nothing is imported, because a log does not say which place it is about: what it \
                     tells may be of another state."
                );
                OnUnfinished::Report
            }
            wish => wish,
        };
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
