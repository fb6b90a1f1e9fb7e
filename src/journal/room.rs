//! Which resources a report has room for: those that are most needed afterwards.

use std::cmp::Reverse;
use std::mem;

use super::form::kept;
use super::record::{Entry, Record, Stand};
use crate::bitbucket::insights::MOST_ANNOTATIONS;
use crate::tools::progress::{Fate, Resource};

/// How many more are gathered before those that are needed least are left out again.
const GATHERED: usize = MOST_ANNOTATIONS / 4;

/// Resources for which there is room, gathered one by one: of very many, never more than these are kept.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    entries: Vec<Entry>,
    left_out: LeftOut,
}

/// How many there is no room for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeftOut {
    all: usize,
    open: usize,
}

impl Listed {
    /// The same without the limit.
    pub(crate) fn all(entries: impl Iterator<Item = Entry>) -> Self {
        Self {
            entries: entries.collect(),
            left_out: LeftOut::default(),
        }
    }

    /// Leaves out what does not fit, and of the rest what is needed least.
    fn cut(&mut self) {
        let Self { entries, left_out } = self;
        for entry in entries.extract_if(.., |entry| !fits(entry)) {
            left_out.count(&entry);
        }
        if entries.len() > MOST_ANNOTATIONS {
            // Of those that are alike the state most probably has the oldest.
            entries.sort_by_key(|entry| (rank(entry), Reverse(entry.resource.begun)));
            for entry in entries.drain(MOST_ANNOTATIONS..) {
                left_out.count(&entry);
            }
        }
    }
}

impl From<Vec<Entry>> for Listed {
    fn from(entries: Vec<Entry>) -> Self {
        let mut listed = Self::all(entries.into_iter());
        listed.cut();
        listed
    }
}

impl FromIterator<Entry> for Listed {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut listed = Self::default();
        for entry in entries {
            listed.entries.push(entry);
            if listed.entries.len() == MOST_ANNOTATIONS + GATHERED {
                listed.cut();
            }
        }
        listed.cut();
        listed
    }
}

impl LeftOut {
    fn count(&mut self, entry: &Entry) {
        self.all += 1;
        self.open += usize::from(entry.is_open());
    }
}

impl Record {
    /// Lists these, and gives how many it does not list, which are to be counted once its end is known.
    pub(crate) fn list(&mut self, listed: Listed) -> LeftOut {
        self.entries = listed.entries;
        self.entries.shrink_to_fit();
        listed.left_out
    }

    /// How it stands once its deploy is over, which has left so many beside those that it lists.
    pub(crate) fn end_without(&mut self, left_out: LeftOut) {
        self.end();
        if left_out.open > 0 {
            self.stand = Stand::Unfinished;
        }
        self.count(left_out);
    }

    /// With no more entries than a report can have; the others are counted.
    pub(super) fn limited(mut self) -> Self {
        let entries = mem::take(&mut self.entries);
        let left_out = self.list(Listed::from(entries));
        self.count(left_out);
        self
    }

    fn count(&mut self, left_out: LeftOut) {
        self.dropped += match self.stand {
            Stand::Unfinished => left_out.open,
            Stand::Running | Stand::Settled => left_out.all,
        };
    }
}

/// What may be there and is not known to the state comes first.
fn rank(entry: &Entry) -> u8 {
    let resource = &entry.resource;
    match (resource.stage, entry.is_stored) {
        _ if !resource.leaves_something() => 4,
        (Fate::Complete | Fate::Failed, Some(true)) => 3,
        (Fate::Complete | Fate::Failed, Some(false)) => 0,
        (stage, _) => stage.rank(),
    }
}

fn fits(entry: &Entry) -> bool {
    // So short it is whatever it is made of, since no byte takes more than six in JSON.
    const SHORT: usize = 300;
    let Resource { unit, address, .. } = &entry.resource;
    address.len() + unit.as_deref().map_or(0, str::len) <= SHORT || kept(entry).is_some()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::past;
    use super::*;
    use crate::tools::progress::Begun;

    #[test]
    fn what_is_gathered_one_by_one_is_listed_and_counted_as_if_it_was_all_there() {
        let made = |number: i64, stage, is_stored| Entry {
            is_stored,
            ..Entry::of(Resource {
                begun: Some(Begun::from(Timestamp::from_second(number % 700).unwrap())),
                ..Resource::created(&format!("a.b{number}"), stage, None)
            })
        };
        let stored = (Fate::Complete, Some(true));
        for stages in [
            &[stored][..],
            &[stored, (Fate::NotBegun, None)],
            &[stored, (Fate::NotBegun, None), (Fate::InFlight, None)],
            &[(Fate::Complete, Some(false)), (Fate::Failed, Some(false))],
        ] {
            for many in [900, 1_001, 1_251, 3_000] {
                let stages = stages.iter().cycle();
                let all = (0..many).zip(stages);
                let all = all.map(|(number, (stage, stored))| made(number, *stage, *stored));
                let mut at_once = past::tests::record(all.clone().collect());
                at_once.end();
                let mut gathered = past::tests::record(Vec::new());
                let left_out = gathered.list(all.collect());
                gathered.end_without(left_out);
                assert_eq!(gathered, at_once.limited(), "{many}");
            }
        }
    }
}
