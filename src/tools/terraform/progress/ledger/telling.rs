//! What the ledger tells to whoever asks: all of it, or what is most needed of it.

use std::cmp::Reverse;
use std::mem;

use super::{Entry, Key, Ledger, Step};
use crate::tools::progress::{Action, Fate, Resource, Told};

impl Ledger {
    pub(in super::super) fn told(&self) -> Told {
        self.with(self.entries.iter().map(copied).collect(), 0)
    }

    pub(in super::super) fn into_told(mut self) -> Told {
        let entries = mem::take(&mut self.entries);
        self.with(entries.into_iter().map(resource).collect(), 0)
    }

    /// What is told of these resources, and that so many more were left out.
    fn with(&self, resources: Vec<Resource>, more: usize) -> Told {
        Told {
            resources,
            dropped: self.dropped + self.dropped_plans + more,
            has_plan: self.has_plan && !self.is_unplanned,
            is_unended: !self.uncounted.is_empty(),
        }
    }

    /// The same, with no more resources than so many, the newest of those that are most needed. Of
    /// several units it is all, because a place may be about one of them alone.
    pub(in super::super) fn told_in_short(&self, most: usize) -> Told {
        if !self.is_of_one_unit() {
            return self.told();
        }
        let (mut needed, mut more) = (Vec::new(), 0);
        for one in &self.entries {
            if one.1.action() != Action::Read {
                needed.push(one);
            }
            // There may be very many.
            if needed.len() == 2 * most {
                more += leave_out(&mut needed, most);
            }
        }
        more += leave_out(&mut needed, most);
        needed.sort_unstable_by_key(|(key, _)| *key);
        self.with(needed.into_iter().map(copied).collect(), more)
    }

    /// They are in the order of their units.
    fn is_of_one_unit(&self) -> bool {
        let (first, last) = (self.entries.keys().next(), self.entries.keys().next_back());
        first.map(|(unit, _)| unit) == last.map(|(unit, _)| unit)
    }
}

impl Entry {
    pub(super) fn action(&self) -> Action {
        let has = |action| self.steps.iter().any(|step| step.action == action);
        match (self.planned, has(Action::Create), has(Action::Destroy)) {
            (_, true, true) => Action::Replace,
            (Some(planned), false, true) if has(planned) => planned,
            // Nothing but the old one, or one that was left over, was touched: what was planned beside
            // that was not begun.
            (_, false, true) => Action::Destroy,
            // What was made is there whatever a later plan does with it.
            (Some(planned), true, false) if planned != Action::Replace && !has(planned) => {
                Action::Create
            }
            (Some(planned), ..) => planned,
            (None, true, false) => Action::Create,
            (None, false, false) => {
                let last = self.steps.last();
                last.map_or(Action::Read, |step| step.action)
            }
        }
    }

    /// The stage of the whole: the one that says most. A replacement is complete when both of its
    /// halves are.
    pub(super) fn stage(&self) -> Fate {
        let by_weight = [
            Fate::InDoubt,
            Fate::GivenUp,
            Fate::InFlight,
            Fate::Failed,
            Fate::Complete,
        ];
        let has = |stage: &Fate| self.steps.iter().any(|step| step.stage == *stage);
        let stage = by_weight.into_iter().find(has).unwrap_or(Fate::NotBegun);
        let steps = match self.planned {
            Some(Action::Replace) => 2,
            _ => 1,
        };
        if stage == Fate::Complete && self.steps.len() < steps {
            Fate::InFlight
        } else {
            stage
        }
    }

    /// Whether several were begun to be made of which none has told its end: of whatever is there now
    /// nobody knows which one it is.
    fn is_twice_in_flight(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| {
            step.action == Action::Create
                && step.stage == Fate::InDoubt
                && step.id.is_none()
                && step.open > 1
        })
    }

    /// Whether something was made after something was destroyed.
    fn is_made_last(&self) -> bool {
        let last = self.last_made_or_destroyed();
        last.is_some_and(|step| step.action == Action::Create)
    }

    /// Whether a plan has named this. It names one action, beside which an old object is destroyed, or
    /// something imported before.
    pub(super) fn is_planned(&self, action: Action) -> bool {
        match action {
            Action::Create => matches!(self.planned, Some(Action::Create | Action::Replace)),
            Action::Update => self.planned == Some(Action::Update),
            _ => self.planned.is_some(),
        }
    }

    /// Whether what was here is destroyed, and nothing was made since. An id may tell that it was not what
    /// was made here that is destroyed.
    pub(super) fn is_destroyed(&self) -> bool {
        let last = self.last_made_or_destroyed();
        let gone =
            last.filter(|step| (step.action, step.stage) == (Action::Destroy, Fate::Complete));
        let Some(gone) = gone else {
            return false;
        };
        let made = self.steps.iter().find(|step| step.action == Action::Create);
        let ids = made.and_then(|made| made.id.as_ref().zip(gone.id.as_ref()));
        ids.is_none_or(|(made, gone)| made == gone)
    }

    fn last_made_or_destroyed(&self) -> Option<&Step> {
        let mut steps = self.steps.iter().rev();
        steps.find(|step| matches!(step.action, Action::Create | Action::Destroy))
    }
}

/// Leaves out all but so many of those that are most needed, and tells how many that are.
fn leave_out(entries: &mut Vec<(&Key, &Entry)>, most: usize) -> usize {
    let more = entries.len().saturating_sub(most);
    if more > 0 {
        let need = |(_, entry): &(&Key, &Entry)| (entry.stage().rank(), Reverse(entry.news));
        // Of those that are needed alike, always the same ones, or a record would change each time.
        entries.select_nth_unstable_by(most, |one, other| {
            need(one).cmp(&need(other)).then_with(|| one.0.cmp(other.0))
        });
        entries.truncate(most);
    }
    more
}

fn copied((key, entry): (&Key, &Entry)) -> Resource {
    resource((key.clone(), entry.clone()))
}

fn resource(((unit, address), mut entry): (Key, Entry)) -> Resource {
    let (action, stage) = (entry.action(), entry.stage());
    let is_twice_in_flight = entry.is_twice_in_flight();
    let mut id_of = |action| entry.step(action)?.id.take();
    let destroyed = id_of(Action::Destroy);
    let made = [Action::Create, Action::Update, Action::Import].map(id_of);
    // Of two that were made, the first is destroyed.
    let is_lost = |id: &str| stage == Fate::InDoubt && destroyed.as_deref() == Some(id);
    let id = made.into_iter().flatten().next().filter(|id| !is_lost(id));
    // What is made in the place of something may have its id.
    let is_kept = |old: &str| entry.is_made_last() && id.as_deref() == Some(old);
    Resource {
        unit,
        address,
        action,
        stage,
        old_id: destroyed.filter(|old| !is_kept(old) && !is_twice_in_flight),
        begun: entry.steps.iter().map(|step| step.begun).min(),
        id,
    }
}
