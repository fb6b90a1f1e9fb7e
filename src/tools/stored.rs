//! What the stored state has, and what it knows of what a deploy has told.

use std::collections::BTreeMap;

use super::progress::{Action, Fate, Resource};

/// What the stored state has: the ids of each resource, those of objects that were replaced too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored(pub(crate) BTreeMap<String, Vec<String>>);

/// The same of these resources alone, of which there may be very many: nothing of a state is kept.
pub(crate) struct Comparison<'a> {
    resources: &'a [Resource],
    /// What there is of each.
    there: Vec<There>,
    /// Their places, in the order of their addresses.
    by_address: Vec<usize>,
}

/// What the stored state has at the address of a resource.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is what was seen of one state, and they go together in any way"
)]
#[derive(Clone, Copy, Default)]
struct There {
    is_any: bool,
    /// Whether it has its id.
    has_id: bool,
    /// Whether it has the id of what was in its place.
    has_old_id: bool,
    /// Whether it has another one than that.
    has_other_id: bool,
}

impl Stored {
    /// Whether the state knows what has become of a resource, where that can be seen in it. Unless it
    /// `is_planned` as told, a creation may be the new half of a replacement.
    pub(crate) fn knows(&self, resource: &Resource, is_planned: bool) -> Option<bool> {
        let mut there = There::default();
        if let Some(ids) = self.0.get(&*resource.address) {
            there.is_any = true;
            for id in ids {
                there.take_in_id(resource, id);
            }
        }
        there.knows(resource, is_planned)
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn of(resources: &'a [Resource]) -> Self {
        let mut by_address: Vec<usize> = (0..resources.len()).collect();
        by_address.sort_unstable_by_key(|place| &resources[*place].address);
        Self {
            there: vec![There::default(); resources.len()],
            resources,
            by_address,
        }
    }

    /// Takes in that the state has this.
    pub(crate) fn take_in(&mut self, address: &str, id: Option<&str>) {
        let address_of = |place: &usize| &*self.resources[*place].address;
        let begin = self
            .by_address
            .partition_point(|place| address_of(place) < address);
        let places = self.by_address[begin..].iter();
        for place in places.take_while(|place| address_of(place) == address) {
            let there = &mut self.there[*place];
            there.is_any = true;
            if let Some(id) = id {
                there.take_in_id(&self.resources[*place], id);
            }
        }
    }

    /// Whether the state knows what has become of each, where that can be seen in it.
    pub(crate) fn known(self, is_planned: bool) -> Vec<Option<bool>> {
        let both = self.there.iter().zip(self.resources);
        both.map(|(there, resource)| there.knows(resource, is_planned))
            .collect()
    }
}

impl There {
    fn take_in_id(&mut self, resource: &Resource, id: &str) {
        let is_old = resource.old_id.as_deref() == Some(id);
        self.has_id |= resource.id.as_deref() == Some(id);
        self.has_old_id |= is_old;
        self.has_other_id |= !is_old;
    }

    fn knows(self, resource: &Resource, is_planned: bool) -> Option<bool> {
        match (resource.action, &resource.id, &resource.old_id) {
            // Under its address may stand what was to be replaced.
            (Action::Replace, None, None) if self.is_any => None,
            (Action::Replace, None, Some(_)) => Some(self.has_other_id),
            // The same, by a plan that nobody has heard. Or there may be two of them.
            (Action::Create, None, _)
                if self.is_any && (!is_planned || resource.stage == Fate::InDoubt) =>
            {
                None
            }
            _ => self.knows_by_id(resource),
        }
    }

    fn knows_by_id(self, resource: &Resource) -> Option<bool> {
        match resource.action {
            Action::Create | Action::Replace | Action::Import => match &resource.id {
                Some(_) => Some(self.has_id),
                None => Some(self.is_any),
            },
            // Where it was a deposed object, its resource is there.
            Action::Destroy if resource.stage == Fate::Complete => match &resource.old_id {
                Some(_) => Some(!self.has_old_id),
                None => Some(!self.is_any),
            },
            Action::Destroy | Action::Update | Action::Read => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_destroyed_is_gone_from_the_state_though_what_took_its_place_is_there() {
        let destroyed = |old: Option<&str>| Resource {
            action: Action::Destroy,
            old_id: old.map(Box::from),
            ..Resource::created("a.b", Fate::Complete, None)
        };
        let stored = |ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Stored(BTreeMap::from([("a.b".to_owned(), ids)]))
        };
        for (stored, old, is_gone) in [
            (Stored::default(), Some("1"), true),
            (Stored::default(), None, true),
            (stored(&["2"]), Some("1"), true),
            (stored(&["2", "1"]), Some("1"), false),
            (stored(&["1"]), None, false),
        ] {
            let known = stored.knows(&destroyed(old), true);
            assert_eq!(known, Some(is_gone), "{stored:?} {old:?}");
        }
    }

    #[test]
    fn a_state_that_is_told_object_by_object_knows_the_same() {
        let state = [
            ("a.a", None),
            ("a.b", Some("1")),
            ("a.b", Some("2")),
            ("a.c", Some("1")),
        ];
        let mut stored = Stored::default();
        for (address, id) in state {
            let ids = stored.0.entry(address.to_owned()).or_default();
            ids.extend(id.map(str::to_owned));
        }
        let mut resources = Vec::new();
        // In another order than that of their addresses, and one of two units.
        for (unit, address) in [
            ("x", "a.c"),
            ("x", "a.b"),
            ("y", "a.b"),
            ("y", "a.a"),
            ("y", "b"),
        ] {
            for action in [
                Action::Create,
                Action::Update,
                Action::Replace,
                Action::Destroy,
            ] {
                for stage in [Fate::Complete, Fate::InFlight] {
                    for id in [None, Some("1"), Some("3")] {
                        for old_id in [None, Some("2"), Some("3")] {
                            resources.push(Resource {
                                unit: Some(unit.into()),
                                action,
                                old_id: old_id.map(Box::from),
                                ..Resource::created(address, stage, id)
                            });
                        }
                    }
                }
            }
        }
        let known = |is_planned| -> Vec<Option<bool>> {
            let mut comparison = Comparison::of(&resources);
            for (address, id) in state {
                comparison.take_in(address, id);
            }
            let each = resources.iter().map(|one| stored.knows(one, is_planned));
            let known = each.collect();
            assert_eq!(comparison.known(is_planned), known);
            known
        };
        let known = [known(false), known(true)].concat();
        for answer in [None, Some(true), Some(false)] {
            assert!(known.contains(&answer), "{answer:?}");
        }
    }
}
