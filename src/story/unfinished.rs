//! What earlier deploys have left, against what the state has; and what follows.

use tracing::{info, warn};

use crate::journal::{Claim, Entry};
use crate::story::remains::listed;
use crate::tools::Job;
use crate::tools::progress::{Action, Fate, Resource};
use crate::tools::recovering::{Made, Recovering};
use crate::tools::stored::Stored;

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
    /// Whether only the log of a step tells of it, for which nobody has stopped yet.
    pub(crate) is_claimed: bool,
}

/// An id of which the state says that it is another resource's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) made: Made,
    pub(crate) by: String,
}

impl Taken {
    pub(super) fn tell(&self) {
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
            unfinished.take_in(entry, stored, tool);
        }
        unfinished.refuse_twins(tool);
        unfinished
    }

    fn take_in(&mut self, entry: &Entry, stored: &Stored, tool: &impl Recovering) {
        let resource = &entry.resource;
        let address = &resource.address;
        let is_claimed = entry.claim == Some(Claim::Fresh);
        let Some(known) = known(resource, entry.claim).filter(|_| tool.is_address(address)) else {
            let name = match &resource.unit {
                Some(unit) => format!("[{unit}] {address}"),
                None => address.to_string(),
            };
            if !self.may_exist.contains(&name) {
                self.may_exist.push(name);
            }
            return;
        };
        let here = stored.0.get(&**address);
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
            return;
        }
        match self.missing.iter_mut().find(|one| one.made == known) {
            Some(missing) => missing.is_claimed &= is_claimed,
            None => self.missing.push(Missing {
                made: known,
                instead: here,
                is_claimed,
            }),
        }
    }

    /// Of several addresses that claim one id, nobody knows whose it is.
    fn refuse_twins(&mut self, tool: &impl Recovering) {
        let all = self.missing.clone();
        let twin = |Missing {
                        made, is_claimed, ..
                    }: &Missing| {
            let is_twin = |other: &&Missing| {
                other.made.id == made.id
                    && other.made.address != made.address
                    && (*is_claimed || !other.is_claimed)
                    && tool.are_of_one_type(&other.made.address, &made.address)
            };
            all.iter().find(is_twin)
        };
        self.missing.retain(|missing| {
            let Some(other) = twin(missing) else {
                return true;
            };
            let made = missing.made.clone();
            let by = other.made.address.clone();
            self.taken.push(Taken { made, by });
            false
        });
    }

    pub(crate) fn tell(&self) {
        self.taken.iter().for_each(Taken::tell);
        let claimed = self.missing.iter().filter(|missing| missing.is_claimed);
        let claimed: Vec<String> = claimed.map(|missing| name(&missing.made)).collect();
        if !claimed.is_empty() {
            warn!(
                "Look whether {} is of this place, because only the log of a step tells of it.",
                listed(claimed.into_iter())
            );
        }
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
/// What contradicts itself has none, and a wrapper's address is not one of this place. What only a log
/// tells is in doubt, and nothing is known of it once a deploy has stopped for it.
fn known(resource: &Resource, claim: Option<Claim>) -> Option<Made> {
    let is_made = match resource.stage {
        _ if claim == Some(Claim::Heeded) => false,
        Fate::Complete => true,
        Fate::InFlight | Fate::GivenUp => resource.action == Action::Replace,
        Fate::InDoubt => claim.is_some(),
        Fate::NotBegun | Fate::Failed => false,
    };
    let id = resource.id.as_deref()?;
    (is_made && resource.unit.is_none() && !resource.is_gone()).then(|| Made {
        address: resource.address.to_string(),
        id: id.to_owned(),
    })
}

/// What these have made.
pub(crate) fn made(missing: &[Missing]) -> Vec<Made> {
    missing.iter().map(|missing| missing.made.clone()).collect()
}

/// Says that who has stopped for these does so once, where only a log tells of one of them.
pub(crate) fn tell_of_claims(missing: &[Missing]) {
    if missing.iter().any(|missing| missing.is_claimed) {
        info!("The next deploy does not stop any more for what only a log tells.");
    }
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

/// What was made, as people know it.
pub(super) fn name(made: &Made) -> String {
    format!("{} (id {})", made.address, made.id.escape_debug())
}

/// Some of these by name, and how many more there are.
pub(crate) fn names(made: &[Made]) -> String {
    listed(made.iter().map(name))
}
