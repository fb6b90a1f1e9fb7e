//! What the log of a step tells that its record does not yet: a log was printed up to the kill, and a
//! record is written some tenths of a second later.
//!
//! A log is a claim as a record is, and a step may have deployed other places before.

use std::collections::HashMap;

use super::masked::MASK;
use super::record::{Entry, Record, Stand};
use crate::tools::progress::{Action, Fate, Resource, Told};

impl Record {
    /// Whether the log of its step may tell more. Where no plan was told, several places may have been
    /// used at once, of which a log does not say which one it is about.
    pub(crate) fn may_be_behind(&self) -> bool {
        let is_running = self.stand == Stand::Running && self.has_plan;
        is_running && self.entries.iter().any(Entry::may_be_behind)
    }

    /// Takes in what a log tells to be made by now. Nothing becomes complete that this record does not
    /// have, and a log that contradicts it is not believed.
    pub(crate) fn catch_up(&mut self, told: Told) {
        let told = told.resources.into_iter();
        let told = told.filter(|one| one.unit.is_none() && one.is_begun());
        let mut told: HashMap<String, Resource> =
            told.map(|one| (one.address.clone(), one)).collect();
        let is_contradicted = |entry: &Entry| {
            let other = told.get(&entry.resource.address);
            other.is_some_and(|other| entry.is_contradicted_by(other))
        };
        if self.entries.iter().any(is_contradicted) {
            return;
        }
        for entry in self.entries.iter_mut().filter(|one| one.may_be_behind()) {
            let made = told.remove(&entry.resource.address);
            if let Some(made) = made.filter(|made| entry.is_followed_by(made)) {
                // A log is read long after it was printed.
                let begun = entry.resource.begun;
                entry.resource = Resource { begun, ..made };
            }
        }
    }
}

impl Entry {
    fn may_be_behind(&self) -> bool {
        let Resource {
            unit,
            address,
            action,
            stage,
            ..
        } = &self.resource;
        let is_made = matches!(action, Action::Create | Action::Replace);
        // What was only planned may be another deploy's of the same step, in the log.
        let goes_on = *stage == Fate::InFlight;
        unit.is_none() && is_made && goes_on && !address.contains(MASK)
    }

    /// Whether this is the end of what was to be done with it.
    fn is_followed_by(&self, made: &Resource) -> bool {
        let Resource { action, old_id, .. } = &self.resource;
        let is_made = made.stage == Fate::Complete && made.id.is_some();
        let is_same = made.action == *action && (old_id.is_none() || made.old_id == *old_id);
        is_made && is_same
    }

    /// Whether another object was made here, or more than one.
    fn is_contradicted_by(&self, other: &Resource) -> bool {
        let known = self.resource.id.as_ref().filter(|id| !id.contains(MASK));
        let is_made = self.resource.unit.is_none() && self.resource.stage == Fate::Complete;
        let is_another = other.id.is_some() && other.id.as_ref() != known;
        is_made && known.is_some() && (is_another || other.stage == Fate::InDoubt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::past;
    use super::*;
    use crate::tools::progress::Begun;

    fn record(resources: Vec<Resource>) -> Record {
        past::tests::record(resources.into_iter().map(Entry::of).collect())
    }

    fn told(resources: Vec<Resource>) -> Told {
        Told {
            resources,
            ..Told::default()
        }
    }

    fn made(address: &str, id: &str) -> Resource {
        Resource::created(address, Fate::Complete, Some(id))
    }

    #[test]
    fn what_a_log_tells_to_be_made_is_complete_where_the_record_has_it() {
        let begun = || Resource::created("a.b", Fate::InFlight, None);
        let planned = || Resource::created("a.b", Fate::NotBegun, None);
        let replaced = |old: Option<&str>, stage, id: Option<&str>| Resource {
            action: Action::Replace,
            old_id: old.map(str::to_owned),
            ..Resource::created("a.b", stage, id)
        };
        let of_a_unit = |resource| Resource {
            unit: Some("other".to_owned()),
            ..resource
        };
        for (kept, logged, is_raised) in [
            (begun(), made("a.b", "1"), true),
            (planned(), made("a.b", "1"), false),
            (begun(), made("a.c", "1"), false),
            (begun(), begun(), false),
            (
                begun(),
                Resource::created("a.b", Fate::InDoubt, Some("1")),
                false,
            ),
            // Bitbucket hides a secret in it.
            (
                begun(),
                Resource::created("a.b", Fate::Complete, None),
                false,
            ),
            (begun(), of_a_unit(made("a.b", "1")), false),
            (of_a_unit(begun()), made("a.b", "1"), false),
            (
                Resource::created("a.b", Fate::GivenUp, None),
                made("a.b", "1"),
                false,
            ),
            (
                replaced(Some("0"), Fate::InFlight, None),
                replaced(Some("0"), Fate::Complete, Some("1")),
                true,
            ),
            (
                replaced(Some("0"), Fate::InFlight, None),
                replaced(Some("7"), Fate::Complete, Some("1")),
                false,
            ),
            (
                replaced(None, Fate::InFlight, None),
                made("a.b", "1"),
                false,
            ),
            (
                Resource::created("a.b[\"***\"]", Fate::InFlight, None),
                made("a.b[\"***\"]", "1"),
                false,
            ),
        ] {
            let mut record = record(vec![kept.clone()]);
            record.catch_up(told(vec![logged.clone()]));
            let expected = if is_raised { &logged } else { &kept };
            assert_eq!(record.entries[0].resource, *expected, "{kept:?} {logged:?}");
        }
    }

    #[test]
    fn what_was_begun_is_as_old_as_before_and_not_as_the_reading_of_the_log() {
        let begun = Some(Begun::now());
        let kept = Resource {
            begun,
            ..Resource::created("a.b", Fate::InFlight, None)
        };
        let mut record = record(vec![kept]);
        record.catch_up(told(vec![made("a.b", "1")]));
        assert_eq!(record.entries[0].resource.begun, begun);
        assert_eq!(record.entries[0].resource.stage, Fate::Complete);
    }

    #[test]
    fn a_log_that_contradicts_a_record_is_not_believed() {
        for (here, is_raised) in [
            (made("a.made", "1"), true),
            (Resource::created("a.made", Fate::Complete, None), true),
            (made("a.made", "2"), false),
            (Resource::created("a.made", Fate::InDoubt, Some("1")), false),
        ] {
            let begun = Resource::created("a.b", Fate::InFlight, None);
            let mut record = record(vec![made("a.made", "1"), begun]);
            record.catch_up(told(vec![here.clone(), made("a.b", "3")]));
            assert_eq!(
                record.entries[1].resource.id.is_some(),
                is_raised,
                "{here:?}"
            );
        }
    }

    #[test]
    fn only_what_is_left_open_by_a_kill_asks_for_a_log() {
        let begun = || Resource::created("a.b", Fate::InFlight, None);
        assert!(record(vec![begun()]).may_be_behind());
        assert!(!record(vec![made("a.b", "1")]).may_be_behind());
        for (stand, has_plan) in [(Stand::Unfinished, true), (Stand::Running, false)] {
            let record = Record {
                stand,
                has_plan,
                ..record(vec![begun()])
            };
            assert!(!record.may_be_behind(), "{stand:?} {has_plan}");
        }
    }
}
