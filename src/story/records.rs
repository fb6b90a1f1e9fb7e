//! What a journal is told of each place of a deploy: meanwhile, and when all is over.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::bitbucket::insights::MOST_ANNOTATIONS;
use crate::journal::{Entry, Listed, PlaceName, Record, Shares, Stand};
use crate::story::hearing::{HeardSoFar, Unheard};
use crate::story::journal::Own;
use crate::story::past::entries_of;
use crate::story::remains::{Left, Remains};
use crate::tools::progress::{Fate, Resource, Told};

/// What there is to be told of each place.
pub(super) struct Telling {
    pub(super) heard: HeardSoFar,
    /// Where something may be made of which nothing is heard.
    pub(super) unheard: RefCell<HashMap<PlaceName, Unheard>>,
    pub(super) shares: RefCell<Shares>,
    /// What an earlier deploy of this very run has left: its record is the one that is written now.
    pub(super) carried: RefCell<Vec<Record>>,
}

impl Telling {
    pub(super) fn of(heard: HeardSoFar, carried: Vec<Record>) -> Self {
        Self {
            heard,
            unheard: RefCell::default(),
            shares: RefCell::default(),
            carried: RefCell::new(carried),
        }
    }

    /// What is known now of a place.
    pub(super) fn record(&self, own: &Own, place: &PlaceName) -> Record {
        let told = self.shares.borrow().of(place, self.told_now(place));
        let is_unheard = self.is_unheard(place, || told.clone());
        let mut record = record_of(own, place, told);
        // It is not known, which is more than nothing.
        if is_unheard {
            record.dropped = record.dropped.max(1);
        }
        let is_all = record.dropped == 0;
        self.carry_into(&mut record, is_all);
        record
    }

    /// What was told so far, and no more of it than a record holds where all of it is this place's.
    fn told_now(&self, place: &PlaceName) -> Told {
        if self.shares.borrow().are_several() || self.is_carried_to(place) {
            self.heard.told()
        } else {
            self.heard.told_in_short(MOST_ANNOTATIONS)
        }
    }

    /// Whether something may have been made there of which nothing is `told`.
    fn is_unheard(&self, place: &PlaceName, told: impl FnOnce() -> Told) -> bool {
        let unheard = self.unheard.borrow();
        unheard
            .get(place)
            .is_some_and(|unheard| unheard.misses_some(&told()))
    }

    /// The same of `all` that was told.
    pub(super) fn misses_some_of(&self, place: &PlaceName, all: &Told) -> bool {
        self.is_unheard(place, || self.shares.borrow().of(place, all.clone()))
    }

    /// Whether an earlier deploy of this very run has left something there.
    fn is_carried_to(&self, place: &PlaceName) -> bool {
        let carried = self.carried.borrow();
        carried.iter().any(|carried| carried.place == *place)
    }

    /// Adds what an earlier deploy of this very run has left, where the record lists all that was made
    /// since, or not.
    fn carry_into(&self, record: &mut Record, is_all: bool) {
        let (carried, place) = (self.carried.borrow(), record.place.clone());
        for mut carried in carried.iter().filter(|one| one.place == place).cloned() {
            if !is_all {
                carried.note_made_again(None);
            }
            record.carry(&carried);
        }
    }

    /// The same when all is over.
    pub(super) fn last_record(
        &self,
        own: &Own,
        place: &PlaceName,
        remains: &Remains<'_>,
    ) -> Record {
        let shares = self.shares.borrow();
        let told = shares.without_resources(place, &remains.told);
        let is_unheard = self.misses_some_of(place, &remains.told);
        let is_all = told.dropped == 0 && !is_unheard;
        let mut record = record_of(own, place, told);
        let entries = last_entries(&shares, place, remains);
        let left_out = record.list(if self.is_carried_to(place) {
            Listed::all(entries)
        } else {
            entries.collect()
        });
        let is_all_settled = !remains.left().any(|left| left.may_be_made_again());
        if remains.is_plain || remains.state_is_kept && shares.are_several() && is_all_settled {
            record.dropped = 0;
        } else if !remains.state_is_kept && is_unheard {
            record.dropped = record.dropped.max(1);
        }
        // After that, because what this deploy has made is not what the earlier one has left.
        self.carry_into(&mut record, is_all);
        record.end_without(left_out);
        record
    }
}

/// What the deploy has left at a place, one after the other.
fn last_entries<'a>(
    shares: &'a Shares,
    place: &'a PlaceName,
    remains: &'a Remains<'a>,
) -> impl Iterator<Item = Entry> + 'a {
    let is_of_one_unit = remains.told.is_of_one_unit();
    let seen = remains.all().filter_map(move |left| {
        let resource = shares.seen_from(place, left.resource.clone(), is_of_one_unit)?;
        Some(Entry {
            is_stored: is_stored(left, remains),
            ..Entry::of(Resource {
                stage: left.stage,
                ..resource
            })
        })
    });
    seen.chain(early_entries(shares, place, remains, is_of_one_unit))
}

/// What was told before another place was seen. How it stands is known where nothing else was told of it
/// since, which may be about the other one.
fn early_entries(
    shares: &Shares,
    place: &PlaceName,
    remains: &Remains<'_>,
    is_of_one_unit: bool,
) -> Vec<Entry> {
    let mut early = entries_of(shares.early_at(place).cloned().collect());
    if early.is_empty() {
        return early;
    }
    let is_here =
        |left: &Left<'_>| shares.is_at(place, left.resource, is_of_one_unit) == Some(true);
    let here = remains.left().filter(is_here);
    let here = here.map(|left| ((&*left.resource.address, left.news()), left));
    let here: HashMap<_, _> = here.collect();
    for Entry {
        resource,
        is_stored: known,
        ..
    } in &mut early
    {
        if !remains.state_is_kept {
            resource.stage = resource.doubted_stage();
        }
        let left = here.get(&(&*resource.address, resource.news()));
        *known = left.and_then(|left| is_stored(*left, remains));
    }
    early
}

/// A tool that has ended well has stored its state.
fn is_stored(left: Left<'_>, remains: &Remains<'_>) -> Option<bool> {
    match left.stage {
        Fate::Complete if remains.is_plain => Some(true),
        _ => left.is_stored,
    }
}

/// What this run itself has `told` of a place.
fn record_of(own: &Own, place: &PlaceName, told: Told) -> Record {
    Record {
        owner: own.owner.clone(),
        commit: own.commit.clone(),
        place: place.clone(),
        stand: Stand::Running,
        dropped: told.dropped,
        has_plan: told.has_plan,
        // Whoever writes it knows that.
        is_behind: false,
        entries: entries_of(told.resources),
    }
}
