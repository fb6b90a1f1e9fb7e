//! What the log of a step tells that its record does not yet: a log was printed up to the kill, and a
//! record is written some tenths of a second later.
//!
//! A log is a claim as a record is, and a step may have deployed other places before. So what only a log
//! tells is kept as in doubt: people learn of it, and nobody imports it.

use std::collections::HashMap;

use super::masked::MASK;
use super::record::{Claim, Entry, Record, Stand};
use crate::tools::progress::{Action, Fate, Resource, Told};
use crate::tools::recovering::Made;

impl Record {
    /// Whether the log of its step may tell more. Where no plan was told, several places may have been
    /// used at once, of which a log does not say which one it is about.
    pub(crate) fn may_be_behind(&self) -> bool {
        let is_running = self.stand == Stand::Running && self.has_plan;
        let mut entries = self.entries.iter();
        is_running && entries.any(|entry| entry.may_be_behind(self.is_behind))
    }

    /// Takes in what a log tells to be begun or made by now. Only what this record has as begun becomes
    /// complete, and a log that contradicts it is not believed.
    pub(crate) fn catch_up(&mut self, told: Told) {
        let told = told.resources.into_iter();
        let told = told.filter(|one| one.unit.is_none() && one.is_begun());
        let mut told: HashMap<Box<str>, Resource> =
            told.map(|one| (one.address.clone(), one)).collect();
        let is_contradicted = |entry: &Entry| {
            let other = told.get(&entry.resource.address);
            other.is_some_and(|other| entry.is_contradicted_by(other))
        };
        if self.entries.iter().any(is_contradicted) {
            return;
        }
        let is_behind = self.is_behind;
        let entries = self.entries.iter_mut();
        for entry in entries.filter(|one| one.may_be_behind(is_behind)) {
            let Some(told) = told.remove(&entry.resource.address) else {
                continue;
            };
            // A log is read long after it was printed.
            let begun = entry.resource.begun;
            if entry.is_followed_by(&told) {
                entry.resource = Resource { begun, ..told };
            } else if !entry.is_known_to_be_begun() && entry.resource.action == told.action {
                *entry = Entry::by_log(told);
            }
        }
    }

    /// Takes in that a deploy has stopped for these. Gives whether only a log tells of one of them.
    pub(crate) fn heed(&mut self, made: &[Made]) -> bool {
        let mut is_any = false;
        for entry in &mut self.entries {
            let Resource { address, id, .. } = &entry.resource;
            let is_it = |one: &Made| {
                let is_there = *one.address == **address || address.contains(MASK);
                is_there && id.as_deref() == Some(&one.id)
            };
            if entry.claim == Some(Claim::Fresh) && made.iter().any(is_it) {
                entry.claim = Some(Claim::Heeded);
                is_any = true;
            }
        }
        is_any
    }

    /// Lets no deploy stop for what only a log tells.
    pub(crate) fn heed_all(&mut self) {
        let claims = self.entries.iter_mut();
        let claims = claims.filter_map(|entry| entry.claim.as_mut());
        claims.for_each(|claim| *claim = Claim::Heeded);
    }
}

impl Entry {
    /// One of which only the log of its step tells.
    pub(crate) fn by_log(mut resource: Resource) -> Self {
        resource.stage = resource.doubted_stage();
        let entry = Self::of(resource);
        if !entry.is_open() {
            return entry;
        }
        let stage = match entry.resource.stage {
            Fate::Complete => Fate::InDoubt,
            stage => stage,
        };
        Self {
            resource: Resource {
                stage,
                ..entry.resource
            },
            claim: Some(Claim::Fresh),
            ..entry
        }
    }

    /// Takes in that the state has it.
    pub(super) fn believe(&mut self) {
        if self.claim.take().is_some() && self.resource.stage == Fate::InDoubt {
            self.resource.stage = Fate::Complete;
        }
    }

    /// Whether it was told to be begun, and not only to be planned in a record that fell behind.
    fn is_known_to_be_begun(&self) -> bool {
        let Resource { stage, begun, .. } = &self.resource;
        let is_guessed = *stage == Fate::GivenUp && begun.is_none();
        *stage != Fate::NotBegun && !is_guessed
    }

    fn may_be_behind(&self, is_record_behind: bool) -> bool {
        let Resource {
            unit,
            address,
            action,
            stage,
            ..
        } = &self.resource;
        let is_made = matches!(action, Action::Create | Action::Replace);
        let may_go_on = matches!(stage, Fate::InFlight | Fate::NotBegun)
            || is_record_behind && !self.is_known_to_be_begun();
        unit.is_none() && is_made && may_go_on && !address.contains(MASK)
    }

    /// Whether this is the end of what was to be done with it.
    fn is_followed_by(&self, made: &Resource) -> bool {
        let Resource {
            action,
            old_id,
            stage,
            ..
        } = &self.resource;
        // What was only planned may be another deploy's of the same step, in the log.
        let is_begun = *stage == Fate::InFlight;
        let is_made = made.stage == Fate::Complete && made.id.is_some();
        // What is made in the place of something may have its id.
        let old = made.old_id.as_ref().or(made.id.as_ref());
        let is_same = made.action == *action && (old_id.is_none() || old == old_id.as_ref());
        is_begun && is_made && is_same
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
    use crate::tools::stored::Stored;

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
        let replaced = |old: Option<&str>, stage, id: Option<&str>| Resource {
            action: Action::Replace,
            old_id: old.map(Box::from),
            ..Resource::created("a.b", stage, id)
        };
        let of_a_unit = |resource| Resource {
            unit: Some("other".into()),
            ..resource
        };
        for (kept, logged, is_raised) in [
            (begun(), made("a.b", "1"), true),
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
                replaced(Some("1"), Fate::InFlight, None),
                replaced(None, Fate::Complete, Some("1")),
                true,
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
    fn what_a_record_has_as_planned_alone_is_in_doubt_where_a_log_tells_of_it_and_never_complete() {
        use Action::{Create, Replace, Update};
        use Fate::{Complete, Failed, GivenUp, InDoubt, InFlight, NotBegun};
        let planned = || Resource::created("a.b", NotBegun, None);
        let of = |action, stage, id: Option<&str>| Resource {
            action,
            ..Resource::created("a.b", stage, id)
        };
        let rows = [
            (
                planned(),
                of(Create, Complete, Some("1")),
                Some((InDoubt, Some("1"))),
            ),
            // Bitbucket hides a secret in it.
            (planned(), of(Create, Complete, None), Some((InDoubt, None))),
            (
                planned(),
                of(Create, InFlight, None),
                Some((InFlight, None)),
            ),
            (planned(), of(Create, Failed, None), Some((GivenUp, None))),
            (planned(), of(Create, NotBegun, None), None),
            (planned(), of(Replace, Complete, Some("1")), None),
            (
                of(Update, NotBegun, None),
                of(Update, Complete, Some("1")),
                None,
            ),
            (
                of(Replace, NotBegun, None),
                of(Replace, Complete, Some("1")),
                Some((InDoubt, Some("1"))),
            ),
            (
                Resource::created("a.b", InFlight, None),
                of(Create, InDoubt, Some("1")),
                None,
            ),
        ];
        for (kept, logged, expected) in rows {
            let mut record = record(vec![kept.clone()]);
            record.catch_up(told(vec![logged.clone()]));
            let case = format!("{kept:?} {logged:?}");
            let entry = &record.entries[0];
            let Some((stage, id)) = expected else {
                assert_eq!(*entry, Entry::of(kept), "{case}");
                continue;
            };
            assert_eq!(entry.resource.stage, stage, "{case}");
            assert_eq!(entry.resource.id.as_deref(), id, "{case}");
            assert_eq!(entry.claim, Some(Claim::Fresh), "{case}");
            assert!(entry.is_open(), "{case}");
        }
    }

    #[test]
    fn what_a_log_tells_counts_as_complete_once_the_state_has_it() {
        for (id, expected) in [
            ("1", (Some(true), Fate::Complete, None)),
            ("2", (Some(false), Fate::InDoubt, Some(Claim::Fresh))),
        ] {
            let mut record = record(Vec::new());
            record.entries = vec![Entry::by_log(made("a.b", "1"))];
            let all = [("a.b".to_owned(), vec![id.to_owned()])];
            record.compare(&Stored(all.into()));
            let entry = &record.entries[0];
            let found = (entry.is_stored, entry.resource.stage, entry.claim);
            assert_eq!(found, expected, "{id}");
        }
    }

    #[test]
    fn a_deploy_stops_once_for_what_it_was_told_of_and_for_nothing_else() {
        let one = |address: &str, id: &str| Made {
            address: address.to_owned(),
            id: id.to_owned(),
        };
        for (address, stopped_for, is_heeded) in [
            ("a.b", one("a.b", "1"), true),
            ("a.b", one("a.b", "2"), false),
            ("a.b", one("a.c", "1"), false),
            // A secret is hidden in it.
            ("a.b[\"***\"]", one("a.b[\"hunter2\"]", "1"), true),
        ] {
            let mut record = record(vec![made("a.told", "1")]);
            record.entries.push(Entry::by_log(made(address, "1")));
            let case = format!("{address} {stopped_for:?}");
            assert_eq!(record.heed(&[stopped_for]), is_heeded, "{case}");
            let claim = if is_heeded {
                Claim::Heeded
            } else {
                Claim::Fresh
            };
            assert_eq!(record.entries[1].claim, Some(claim), "{case}");
            assert_eq!(record.entries[0].claim, None, "{case}");
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
        assert!(record(vec![Resource::created("a.b", Fate::NotBegun, None)]).may_be_behind());
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
