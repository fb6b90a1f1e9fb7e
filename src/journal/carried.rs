//! What an earlier deploy of the same run has left at a place, in the record of a later one.

use super::record::{Entry, Record};

impl Record {
    /// Adds what was left.
    pub(crate) fn carry(&mut self, left: &Self) {
        if left.misses_some() {
            self.dropped += left.dropped;
        }
        for entry in left.entries.iter().filter(|entry| entry.is_open()) {
            self.carry_one(entry);
        }
    }

    /// Adds one resource, also in the place of the same one where nothing is open about that. Where
    /// something is, and both are known not to be the same object, the one that was left is counted:
    /// a record lists an address once.
    fn carry_one(&mut self, left: &Entry) {
        let (unit, address, id) = (
            &left.resource.unit,
            &left.resource.address,
            &left.resource.id,
        );
        let is_same =
            |entry: &&mut Entry| entry.resource.unit == *unit && entry.resource.address == *address;
        match self.entries.iter_mut().find(is_same) {
            Some(entry) if entry.is_open() && entry.resource.id != *id => self.dropped += 1,
            // What the state has at this address, the later one may have made.
            Some(entry) if entry.is_open() && id.is_none() => entry.is_stored = Some(false),
            Some(entry) if entry.is_open() => {}
            Some(entry) => {
                *entry = left.clone();
                if id.is_none() {
                    entry.is_stored = Some(false);
                }
            }
            None => self.entries.push(left.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::past;
    use super::*;
    use crate::tools::progress::{Fate, Resource};

    #[test]
    fn of_two_objects_by_one_address_none_is_forgotten() {
        let made = |id| Resource::created("a.b", Fate::Complete, Some(id));
        let begun = || Resource::created("a.b", Fate::InFlight, None);
        let record = |resource, is_stored| {
            let entry = Entry {
                is_stored,
                ..Entry::of(resource)
            };
            past::tests::record(vec![entry])
        };
        for (left, since, is_stored, kept, dropped) in [
            (begun(), made("2"), None, (made("2"), None), 1),
            (made("1"), begun(), None, (begun(), None), 1),
            (
                made("1"),
                made("2"),
                Some(false),
                (made("2"), Some(false)),
                1,
            ),
            (made("1"), made("1"), None, (made("1"), None), 0),
            (begun(), begun(), None, (begun(), Some(false)), 0),
            // Of the later one nothing is open.
            (begun(), made("2"), Some(true), (begun(), Some(false)), 0),
            (made("1"), made("2"), Some(true), (made("1"), None), 0),
        ] {
            let mut later = record(since.clone(), is_stored);
            later.carry(&record(left.clone(), None));
            let (resource, is_stored) = kept;
            let kept = Entry {
                is_stored,
                ..Entry::of(resource)
            };
            assert_eq!(later.entries, [kept], "{left:?} {since:?}");
            assert_eq!(later.dropped, dropped, "{left:?} {since:?}");
            later.end();
            assert!(later.is_open(), "{left:?} {since:?}");
        }
    }
}
