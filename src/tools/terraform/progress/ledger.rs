//! What is known of each resource, in bounded memory.
//!
//! A line may be forged: a name, an id or an output can look like one of Terraform's. So nothing is
//! complete that was not begun, what contradicts itself is in doubt, and what was in doubt once is
//! never sure again.

mod telling;

use std::collections::BTreeMap;
use std::mem;

use super::line::Id;
use crate::tools::progress::{Action, Begun, Fate};

/// How many resources are kept.
const MOST_RESOURCES: usize = 10_000;
/// How many complete ones are dropped at once where there are more.
const AT_ONCE: usize = 1_000;
/// How long a name or an id may be.
const LONGEST: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Key, Entry>,
    /// How many are not kept that were begun.
    dropped: usize,
    /// How many are not kept that nobody has begun.
    dropped_plans: usize,
    has_plan: bool,
    /// Whether something was begun that no plan has named, so that nobody has heard of the one that is
    /// applied.
    is_unplanned: bool,
    /// How many changes of a unit are complete that no run has counted at its end.
    uncounted: BTreeMap<Option<Box<str>>, u32>,
    /// How often something was begun or completed.
    news: u32,
    /// Whether an id had a line break in it: any line after it may be a part of it.
    is_cut: bool,
}

/// A resource of a unit. `None` is the unit of a run that has but one.
type Key = (Option<Box<str>>, Box<str>);

/// What was said of one resource.
#[derive(Clone, Debug, Default)]
struct Entry {
    planned: Option<Action>,
    /// The number of the last news of it: what the state most probably has is old.
    news: u32,
    /// In the order in which they were last begun.
    steps: Box<[Step]>,
    /// Whether it was made beside what it replaces, which is not destroyed: a later plan to replace may be
    /// about that one again.
    is_beside: bool,
}

/// One thing that is done with a resource: to be replaced takes two.
#[derive(Clone, Debug)]
struct Step {
    action: Action,
    stage: Fate,
    /// How many were begun and are not complete: a resource may have deposed objects.
    open: u8,
    begun: Begun,
    id: Option<Box<str>>,
}

impl Ledger {
    /// A new plan begins: what an older one had and nobody has begun is no longer meant.
    pub(super) fn begin_plan(&mut self, unit: Option<&str>) {
        self.entries
            .retain(|(of, _), entry| of.as_deref() != unit || !entry.steps.is_empty());
        for ((of, _), entry) in &mut self.entries {
            if of.as_deref() == unit {
                entry.planned = None;
            }
        }
        // Of several units, it is not known whose they were.
        if unit.is_none() {
            self.dropped_plans = 0;
        }
    }

    /// A run has ended well, and says how much it has changed; whether that is all that was complete. What
    /// it does not count is of another one, which has not come to its end.
    pub(super) fn end(&mut self, unit: Option<&str>, changes: u32) -> bool {
        let key = unit.map(Box::from);
        let complete = self.uncounted.remove(&key).unwrap_or_default();
        let left = complete.saturating_sub(changes);
        if left > 0 {
            self.uncounted.insert(key, left);
        }
        left == 0
    }

    fn count(&mut self, unit: Option<&str>, action: Action) {
        let is_change = !matches!(action, Action::Read | Action::Import);
        if is_change && self.uncounted.len() < MOST_RESOURCES {
            let complete = self.uncounted.entry(unit.map(Box::from)).or_default();
            *complete = complete.saturating_add(1);
        }
    }

    /// Forgets a unit whose run has ended well, and has stored its state. Such a run leaves nothing open,
    /// so where something is, another run of the same name goes on beside it, and nothing is forgotten.
    pub(super) fn forget(&mut self, unit: Option<&str>) {
        let is_open = |((of, _), entry): (&Key, &Entry)| {
            let is_over = matches!(
                entry.stage(),
                Fate::Complete | Fate::NotBegun | Fate::Failed
            );
            of.as_deref() == unit && !is_over && entry.action() != Action::Read
        };
        if self.entries.iter().any(is_open) {
            return;
        }
        self.entries.retain(|(of, _), _| of.as_deref() != unit);
        if self.entries.is_empty() {
            *self = Self {
                is_cut: self.is_cut,
                ..Self::default()
            };
        }
    }

    pub(super) fn plan(&mut self, unit: Option<&str>, address: &str, action: Action) {
        self.has_plan = true;
        let Some(entry) = self.entry(unit, address) else {
            self.dropped_plans += 1;
            return;
        };
        // Beside what becomes of a resource, a plan tells that a deposed object of it is destroyed, which
        // `-json` does not tell apart.
        if action != Action::Destroy || entry.planned.is_none() {
            entry.planned = Some(action);
        }
    }

    pub(super) fn begin(&mut self, unit: Option<&str>, address: &str, action: Action, id: &Id) {
        let is_cut = self.note_cut(id);
        let news = self.next_news();
        let known = self.known(unit, address);
        match known.map(|entry| entry.is_planned(action)) {
            Some(true) => {}
            // A plan names all that is begun, so it was one of these.
            None if self.dropped_plans > 0 => self.dropped_plans -= 1,
            _ => self.is_unplanned |= action != Action::Read && self.dropped_plans == 0,
        }
        let begun = if is_cut {
            Fate::InDoubt
        } else {
            Fate::InFlight
        };
        let Some(entry) = self.entry(unit, address) else {
            self.dropped += 1;
            return;
        };
        entry.news = news;
        // Nothing is made again before what was made is destroyed, or is to be.
        let is_destroyed = entry.is_destroyed();
        let is_to_go = entry.planned == Some(Action::Replace);
        let is_replaced = is_destroyed || is_to_go && !entry.is_beside;
        if action == Action::Create {
            entry.is_beside = is_to_go && !is_destroyed;
        }
        let Some(step) = entry.step_again(action) else {
            entry.push(Step {
                action,
                stage: begun,
                open: 1,
                begun: Begun::now(),
                id: text_of(id),
            });
            return;
        };
        // What has failed is not going on beside what begins now.
        if step.stage == Fate::Failed {
            step.open = 0;
        }
        step.open = step.open.saturating_add(1);
        if action == Action::Create && is_replaced {
            step.id = None;
        }
        match step.stage {
            Fate::Complete if action == Action::Create && !is_replaced => {
                step.stage = Fate::InDoubt;
            }
            // It was killed or given up, and may be there beside what is made now.
            Fate::InFlight | Fate::GivenUp if action == Action::Create => {
                step.stage = Fate::InDoubt;
            }
            Fate::InDoubt => {}
            _ => step.stage = begun,
        }
        if let Some(id) = text_of(id) {
            step.id = Some(id);
        }
    }

    pub(super) fn go_on(&mut self, unit: Option<&str>, address: &str, action: Action) {
        let Some(entry) = self.known(unit, address) else {
            return;
        };
        match entry.step(action) {
            Some(step) if step.stage == Fate::Complete => step.stage = Fate::InDoubt,
            Some(_) => {}
            None => entry.push(Step {
                action,
                stage: Fate::InDoubt,
                open: 1,
                begun: Begun::now(),
                id: None,
            }),
        }
    }

    pub(super) fn complete(&mut self, unit: Option<&str>, address: &str, action: Action, id: &Id) {
        let is_cut = self.note_cut(id) || *id == Id::Cut;
        let news = self.next_news();
        self.count(unit, action);
        let Some(entry) = self.known(unit, address) else {
            return;
        };
        entry.news = news;
        entry.is_beside &= action != Action::Destroy;
        let Some(step) = entry.step(action) else {
            entry.push(Step {
                action,
                stage: Fate::InDoubt,
                open: 0,
                begun: Begun::now(),
                id: text_of(id),
            });
            return;
        };
        let told = text_of(id);
        let was_in_doubt = step.stage == Fate::InDoubt;
        match step.stage {
            Fate::InFlight => {
                step.open = step.open.saturating_sub(1);
                if step.open == 0 {
                    step.stage = if is_cut {
                        Fate::InDoubt
                    } else {
                        Fate::Complete
                    };
                }
            }
            // The same line twice is a line that passes twice.
            Fate::Complete if told == step.id || action == Action::Destroy => {}
            _ => step.stage = Fate::InDoubt,
        }
        // That something is gone is told without its id. Of two that were made, the state has the later
        // one, and nobody else knows of the first, which need not have come to an id.
        let is_first = step.id.is_none() && step.open < 2;
        if told.is_some() && (is_first || !was_in_doubt) {
            step.id = told;
        }
    }

    /// What was begun there has failed.
    pub(super) fn fail(&mut self, unit: Option<&str>, address: &str, is_canceled: bool) {
        if let Some(entry) = self.known(unit, address) {
            entry.fail(is_canceled);
        }
    }

    /// The same for every resource of the unit that this is true of.
    pub(super) fn fail_each(
        &mut self,
        unit: Option<&str>,
        is_meant: impl Fn(&str) -> bool,
        is_canceled: bool,
    ) {
        for ((of, address), entry) in &mut self.entries {
            if of.as_deref() == unit && is_meant(address) {
                entry.fail(is_canceled);
            }
        }
    }

    /// About how much memory all of it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        const BLOCK: usize = 16;
        let of_entry = |((unit, address), entry): (&Key, &Entry)| {
            let steps = entry.steps.len() * size_of::<Step>() + BLOCK;
            let ids = entry.steps.iter().filter_map(|step| step.id.as_deref());
            let ids: usize = ids.map(|id| id.len() + BLOCK).sum();
            let unit = unit.as_deref().map_or(0, |unit| unit.len() + BLOCK);
            // A node of a tree is two thirds full.
            let node = size_of::<(Key, Entry)>() * 3 / 2;
            node + unit + address.len() + BLOCK + steps + ids
        };
        self.entries.iter().map(of_entry).sum()
    }

    /// Takes note of an id that goes on in the next line, and tells whether one did before.
    fn note_cut(&mut self, id: &Id) -> bool {
        let was_cut = self.is_cut;
        self.is_cut |= *id == Id::Cut;
        was_cut
    }

    fn next_news(&mut self) -> u32 {
        self.news = self.news.saturating_add(1);
        self.news
    }

    fn known(&mut self, unit: Option<&str>, address: &str) -> Option<&mut Entry> {
        self.entries.get_mut(&key(unit, address))
    }

    /// The entry of a resource, which is a new one where it was not heard of. Nothing where there is
    /// no room for another one.
    fn entry(&mut self, unit: Option<&str>, address: &str) -> Option<&mut Entry> {
        let key = key(unit, address);
        if !self.entries.contains_key(&key) {
            let is_long = unit.map_or(0, str::len) + address.len() > LONGEST;
            if is_long || self.entries.len() >= MOST_RESOURCES && !self.make_room() {
                return None;
            }
        }
        Some(self.entries.entry(key).or_default())
    }

    /// Drops the oldest complete ones, or else what nobody has begun.
    fn make_room(&mut self) -> bool {
        for least in [Fate::Complete, Fate::NotBegun] {
            let before = self.entries.len();
            let of_least = self.entries.values().filter(|one| one.stage() == least);
            let mut news: Vec<u32> = of_least.map(|entry| entry.news).collect();
            news.sort_unstable();
            let newest = news.get(AT_ONCE - 1).copied().unwrap_or(u32::MAX);
            let mut left = AT_ONCE;
            self.entries.retain(|_, entry| {
                let goes = left > 0 && entry.stage() == least && entry.news <= newest;
                left -= usize::from(goes);
                !goes
            });
            let gone = before - self.entries.len();
            match least {
                Fate::NotBegun => self.dropped_plans += gone,
                _ => self.dropped += gone,
            }
            if gone > 0 {
                return true;
            }
        }
        false
    }
}

impl Entry {
    fn step(&mut self, action: Action) -> Option<&mut Step> {
        self.steps.iter_mut().find(|step| step.action == action)
    }

    /// The step that is begun again, which is the last one from now on.
    fn step_again(&mut self, action: Action) -> Option<&mut Step> {
        let index = self.steps.iter().position(|step| step.action == action)?;
        self.steps[index..].rotate_left(1);
        self.steps.last_mut()
    }

    /// Most resources have one step, and there are many resources.
    fn push(&mut self, step: Step) {
        let mut steps = mem::take(&mut self.steps).into_vec();
        steps.reserve_exact(1);
        steps.push(step);
        self.steps = steps.into_boxed_slice();
    }

    fn fail(&mut self, is_canceled: bool) {
        for step in &mut self.steps {
            let canceled = is_canceled && step.stage == Fate::Failed;
            if step.stage == Fate::InFlight || canceled {
                step.stage = if is_canceled {
                    Fate::GivenUp
                } else {
                    Fate::Failed
                };
            }
        }
    }
}

fn key(unit: Option<&str>, address: &str) -> Key {
    (unit.map(Box::from), Box::from(address))
}

fn text_of(id: &Id) -> Option<Box<str>> {
    match id {
        Id::Whole(id) if id.len() <= LONGEST => Some(Box::from(id.as_str())),
        Id::Whole(_) | Id::None | Id::Cut => None,
    }
}
