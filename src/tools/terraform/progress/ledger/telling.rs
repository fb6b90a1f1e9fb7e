//! What the ledger tells to whoever asks: all of it, or what is most needed of it.

use std::cmp::Reverse;

use super::{Entry, Key, Ledger};
use crate::tools::progress::{Action, Fate, Resource, Told};

impl Ledger {
    pub(in super::super) fn told(&self) -> Told {
        Told {
            resources: self.entries.iter().map(resource).collect(),
            dropped: self.dropped + self.dropped_plans,
            has_plan: self.has_plan,
        }
    }

    /// The same, with no more resources than so many, the newest of those that are most needed. Of
    /// several units it is all, because a place may be about one of them alone.
    pub(in super::super) fn told_in_short(&self, most: usize) -> Told {
        if !self.is_of_one_unit() {
            return self.told();
        }
        let entries = self.entries.iter();
        let mut entries: Vec<(&Key, &Entry)> = entries
            .filter(|(_, entry)| entry.action() != Action::Read)
            .collect();
        let more = entries.len().saturating_sub(most);
        if more > 0 {
            let need = |(_, entry): &(&Key, &Entry)| (entry.stage().rank(), Reverse(entry.news));
            // Of those that are needed alike, always the same ones, or a record would change each time.
            entries.select_nth_unstable_by(most, |one, other| {
                need(one).cmp(&need(other)).then_with(|| one.0.cmp(other.0))
            });
            entries.truncate(most);
            entries.sort_unstable_by_key(|(key, _)| *key);
        }
        Told {
            resources: entries.into_iter().map(resource).collect(),
            dropped: self.dropped + self.dropped_plans + more,
            has_plan: self.has_plan,
        }
    }

    /// They are in the order of their units.
    fn is_of_one_unit(&self) -> bool {
        let (first, last) = (self.entries.keys().next(), self.entries.keys().next_back());
        first.map(|(unit, _)| unit) == last.map(|(unit, _)| unit)
    }
}

fn resource(((unit, address), entry): (&Key, &Entry)) -> Resource {
    let id_of = |action| {
        let step = entry.steps.iter().find(|step| step.action == action);
        step.and_then(|step| step.id.as_deref()).map(str::to_owned)
    };
    let destroyed = id_of(Action::Destroy);
    let made = [Action::Create, Action::Update, Action::Import].map(id_of);
    let stage = entry.stage();
    // Of two that were made, the first is destroyed.
    let is_lost = |id: &String| stage == Fate::InDoubt && destroyed.as_ref() == Some(id);
    Resource {
        unit: unit.as_deref().map(str::to_owned),
        address: address.clone().into_string(),
        action: entry.action(),
        stage,
        id: made.into_iter().flatten().next().filter(|id| !is_lost(id)),
        old_id: destroyed,
        begun: entry.steps.first().map(|step| step.begun),
    }
}
