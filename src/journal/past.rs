//! What is left of earlier deploys that no state knows, and when it is settled.

use super::masked::MASK;
use super::record::{Entry, Record, Stand};
use crate::tools::progress::{Action, Fate, PlaceName, Resource};
use crate::tools::stored::Stored;

impl Entry {
    /// Whether something may exist that no state knows, and that the next deploy would make again.
    ///
    /// What was changed or destroyed shows in the next plan. What has failed the tool itself has told,
    /// and has kept what was there of it, where it lived to store its state: see `doubt_failures`.
    pub(crate) fn is_open(&self) -> bool {
        let is_made = matches!(self.resource.action, Action::Create | Action::Replace);
        let may_exist = match self.resource.stage {
            Fate::Complete | Fate::InFlight | Fate::GivenUp | Fate::InDoubt => true,
            Fate::NotBegun | Fate::Failed => false,
        };
        is_made && may_exist && !self.resource.is_gone() && self.is_stored != Some(true)
    }

    /// Takes in what the state has, as it stands before anybody deploys again.
    fn compare(&mut self, stored: &Stored, is_planned: bool) {
        // Another place may have the same address, and even the same id, which may be a mere name.
        if self.resource.unit.is_some() {
            return;
        }
        // Which of several addresses it is that are written alike, the state does not say.
        let address = &self.resource.address;
        if address.contains(MASK) && !stored.0.contains_key(&**address) {
            return;
        }
        // What the state has had once was not lost by the kill: it is gone because somebody wanted that.
        if self.is_stored == Some(true) {
            return;
        }
        // What the state has by now somebody else may have made.
        if self.resource.id.is_none() && self.is_stored == Some(false) {
            return;
        }
        let known = stored.knows(&self.resource, is_planned);
        self.is_stored = known.or(self.is_stored);
        if self.is_stored == Some(true) {
            self.believe();
        }
    }
}

impl Record {
    /// Whether it holds something that no state knows, or something may be missing in it that does.
    pub(crate) fn is_open(&self) -> bool {
        self.entries.iter().any(Entry::is_open) || self.misses_some()
    }

    /// Whether something may be open that is not listed, so that only a person can settle it.
    pub(crate) fn misses_some(&self) -> bool {
        self.dropped > 0 && self.stand != Stand::Settled
    }

    /// Takes in what the state has, as it stands before anybody deploys again.
    pub(crate) fn compare(&mut self, stored: &Stored) {
        for entry in &mut self.entries {
            entry.compare(stored, self.has_plan);
        }
    }

    /// Takes in what a deploy after it has `told`, or that it may have made more than was heard. What that
    /// has made is not what this record lacks, though the state has it at the same address.
    pub(crate) fn note_made_again(&mut self, told: Option<&[&Resource]>) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_open()) {
            let Resource {
                unit, address, id, ..
            } = &entry.resource;
            let is_again = |other: &&Resource| {
                other.address == *address
                    && other.is_begun()
                    && matches!(other.action, Action::Create | Action::Replace)
            };
            let may_be_made = told.is_none_or(|told| told.iter().any(is_again));
            if id.is_none() && unit.is_none() && may_be_made {
                entry.is_stored = Some(false);
            }
        }
    }

    /// Takes in what a state has that need not be the one of this record: there only an id tells that
    /// it is the same object, and nothing tells that it is none.
    pub(crate) fn compare_by_id(&mut self, stored: &Stored) {
        for entry in &mut self.entries {
            let is_known = entry.resource.id.is_none() || entry.is_stored == Some(true);
            if !is_known {
                entry.compare(stored, self.has_plan);
            }
        }
    }

    /// Whether it is of a deploy that may just have begun.
    pub(crate) fn has_told_nothing(&self) -> bool {
        self.stand == Stand::Running && self.entries.is_empty() && !self.has_plan
    }

    /// How it stands once its deploy is over.
    pub(crate) fn end(&mut self) {
        self.stand = if self.is_open() {
            Stand::Unfinished
        } else {
            Stand::Settled
        };
    }

    /// Whether it tells something of this place that is not settled. One in which nothing was told may
    /// be of a deploy that has just begun.
    pub(crate) fn is_left_at(&self, place: &PlaceName) -> bool {
        self.place == *place && self.stand != Stand::Settled
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lock::Owner;

    pub(in crate::journal) fn resource(
        action: Action,
        stage: Fate,
        id: Option<&str>,
        old: Option<&str>,
    ) -> Resource {
        Resource {
            unit: None,
            address: "x.y".into(),
            action,
            stage,
            id: id.map(Box::from),
            old_id: old.map(Box::from),
            begun: None,
        }
    }

    pub(in crate::journal) fn entry(resource: Resource, is_stored: Option<bool>) -> Entry {
        Entry {
            is_stored,
            ..Entry::of(resource)
        }
    }

    /// What a deploy that has planned has told, and is not over.
    pub(in crate::journal) fn record(entries: Vec<Entry>) -> Record {
        let stamp = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
            22222222-2222-4222-8222-222222222222/1/0123456789ab";
        Record {
            owner: Owner::parse(stamp).unwrap(),
            commit: "0123456789ab".to_owned(),
            place: PlaceName::on_s3("."),
            stand: Stand::Running,
            entries,
            dropped: 0,
            has_plan: true,
            is_behind: false,
        }
    }

    fn stored(ids: &[&str]) -> Stored {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let all = if ids.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([("x.y".to_owned(), ids)])
        };
        Stored(all)
    }

    #[test]
    fn what_was_made_and_is_destroyed_again_is_no_more() {
        let of = |id, old| entry(resource(Action::Replace, Fate::Complete, id, old), None);
        assert!(!of(Some("1"), Some("1")).is_open());
        assert!(of(Some("2"), Some("1")).is_open());
        assert!(of(None, None).is_open());
    }

    #[test]
    fn what_may_exist_and_is_in_no_state_is_open() {
        use Action::{Create, Destroy, Import, Read, Replace, Update};
        use Fate::{Complete, Failed, GivenUp, InDoubt, InFlight, NotBegun};
        for (action, stage, is_stored, is_open) in [
            (Create, Complete, None, true),
            (Create, Complete, Some(false), true),
            (Create, Complete, Some(true), false),
            (Create, InFlight, None, true),
            (Replace, InFlight, Some(false), true),
            (Create, GivenUp, None, true),
            (Create, InDoubt, None, true),
            (Create, Failed, Some(false), false),
            (Create, NotBegun, None, false),
            (Update, InFlight, None, false),
            (Destroy, InFlight, None, false),
            (Import, Complete, Some(false), false),
            (Read, Complete, None, false),
        ] {
            let entry = entry(resource(action, stage, None, None), is_stored);
            assert_eq!(entry.is_open(), is_open, "{entry:?}");
        }
    }

    #[test]
    fn a_state_settles_what_it_has_by_address_and_id() {
        use Action::{Create, Replace};
        use Fate::{Complete, InFlight};
        for (action, stage, (id, old), before, ids, expected) in [
            (
                Create,
                Complete,
                (Some("1"), None),
                None,
                &["1"][..],
                Some(true),
            ),
            (
                Create,
                Complete,
                (Some("1"), None),
                None,
                &["2"],
                Some(false),
            ),
            (Create, Complete, (Some("1"), None), None, &[], Some(false)),
            (
                Create,
                Complete,
                (Some("1"), None),
                Some(false),
                &["1"],
                Some(true),
            ),
            (Create, InFlight, (None, None), None, &["1"], Some(true)),
            (Create, InFlight, (None, None), None, &[], Some(false)),
            // Somebody has made it since.
            (
                Create,
                InFlight,
                (None, None),
                Some(false),
                &["1"],
                Some(false),
            ),
            (
                Replace,
                InFlight,
                (None, Some("1")),
                None,
                &["1"],
                Some(false),
            ),
            (
                Replace,
                InFlight,
                (None, Some("1")),
                None,
                &["1", "2"],
                Some(true),
            ),
            (Replace, InFlight, (None, Some("1")), None, &[], Some(false)),
            (Replace, InFlight, (None, None), None, &["1"], None),
            (Replace, InFlight, (None, None), None, &[], Some(false)),
        ] {
            let mut record = record(vec![entry(resource(action, stage, id, old), before)]);
            record.compare(&stored(ids));
            assert_eq!(record.entries[0].is_stored, expected, "{record:?} {ids:?}");
        }
    }

    #[test]
    fn without_a_plan_an_address_settles_nothing_that_may_take_the_place_of_something() {
        for (stage, id, ids, expected) in [
            (Fate::InFlight, None, &["1"][..], None),
            (Fate::InFlight, None, &[], Some(false)),
            (Fate::Complete, Some("2"), &["1"], Some(false)),
            (Fate::Complete, Some("2"), &["1", "2"], Some(true)),
        ] {
            let created = entry(resource(Action::Create, stage, id, None), None);
            let mut record = Record {
                has_plan: false,
                ..record(vec![created])
            };
            record.compare(&stored(ids));
            assert_eq!(record.entries[0].is_stored, expected, "{record:?} {ids:?}");
        }
    }

    #[test]
    fn what_a_later_deploy_makes_again_does_not_settle_what_was_in_flight() {
        let made = |stage, id| entry(resource(Action::Create, stage, id, None), None);
        let again = resource(Action::Create, Fate::Complete, Some("2"), None);
        for (left, told, is_open) in [
            (made(Fate::InFlight, None), Some(&[&again][..]), true),
            (made(Fate::InFlight, None), Some(&[]), false),
            (made(Fate::InFlight, None), None, true),
            (made(Fate::Complete, Some("2")), None, false),
        ] {
            let mut record = record(vec![left]);
            record.note_made_again(told);
            record.compare(&stored(&["2"]));
            assert_eq!(record.is_open(), is_open, "{record:?} {told:?}");
            record.end();
            assert_eq!(record.stand == Stand::Unfinished, is_open);
        }
    }

    #[test]
    fn no_state_settles_what_may_be_of_another_place() {
        for (id, ids) in [(Some("1"), &["1"][..]), (None, &["1"]), (Some("1"), &[])] {
            let resource = Resource {
                unit: Some("other".into()),
                ..resource(Action::Create, Fate::Complete, id, None)
            };
            let mut record = record(vec![entry(resource, None)]);
            record.compare(&stored(ids));
            assert_eq!(record.entries[0].is_stored, None, "{id:?} {ids:?}");
            assert!(record.is_open());
        }
    }

    #[test]
    fn a_state_that_may_be_another_one_settles_by_id_alone_and_opens_nothing_again() {
        let made = |id| resource(Action::Create, Fate::Complete, id, None);
        let in_flight = || resource(Action::Create, Fate::InFlight, None, None);
        for (resource, before, ids, after) in [
            (made(Some("1")), None, &["1"][..], Some(true)),
            (made(Some("1")), Some(false), &["1"], Some(true)),
            (made(Some("1")), None, &["2"], Some(false)),
            (made(Some("1")), Some(true), &[], Some(true)),
            (made(None), None, &["1"], None),
            (in_flight(), None, &["1"], None),
            (in_flight(), Some(false), &["1"], Some(false)),
        ] {
            let mut record = record(vec![entry(resource, before)]);
            record.compare_by_id(&stored(ids));
            assert_eq!(record.entries[0].is_stored, after, "{record:?} {ids:?}");
        }
    }

    #[test]
    fn a_record_is_left_at_its_own_place_until_it_is_settled() {
        let mut record = record(Vec::new());
        assert!(record.is_left_at(&PlaceName::on_s3(".")));
        assert!(!record.is_left_at(&PlaceName::on_s3("other")));
        record.stand = Stand::Settled;
        assert!(!record.is_left_at(&PlaceName::on_s3(".")));
    }
}
