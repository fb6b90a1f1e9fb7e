//! What of all that a deploy has told belongs to which of its places.
//!
//! Two places may have the same addresses, and only a wrapper says before each line which of them it
//! is about. So of several places without a wrapper, only what was told before the second one was
//! seen is known to be of the first; the rest is nobody's, and is counted at each of them.
//!
//! What is known to be of a place is kept under its address alone. What a wrapper calls by a name that
//! may be of this place or of another one keeps that name: it is told to people, and neither compared
//! with a state nor imported.

use std::collections::HashSet;

use crate::tools::progress::{PlaceName, Resource, Told};

/// The places of one deploy.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// In the order in which they were seen; nothing for one that has no name.
    places: Vec<Option<PlaceName>>,
    /// What was told before the second one was seen.
    of_the_first: Told,
}

impl Shares {
    /// Takes in that this place is used, and what was told so far.
    pub(crate) fn note(&mut self, place: Option<PlaceName>, told: impl FnOnce() -> Told) {
        if place.is_some() && self.places.contains(&place) {
            return;
        }
        if self.places.len() == 1 {
            self.of_the_first = told();
        }
        self.places.push(place);
    }

    /// What of all that was told is about this place, or may be.
    pub(crate) fn of(&self, place: &PlaceName, told: Told) -> Told {
        let is_of_one_unit = told.is_of_one_unit();
        let rest = self.without_resources(place, &told);
        let told = told.resources.into_iter();
        let seen = told.filter_map(|one| self.seen_from(place, one, is_of_one_unit));
        let mut resources: Vec<Resource> = seen.collect();
        resources.extend(self.early_at(place).cloned());
        Told { resources, ..rest }
    }

    /// The same but for the resources, each of which can be `seen_from` there, or was told `early_at` it.
    pub(crate) fn without_resources(&self, place: &PlaceName, told: &Told) -> Told {
        if self.are_elsewhere(place) {
            return Told::default();
        }
        let nobodys = if self.are_several() {
            self.count_nobodys(told)
        } else {
            0
        };
        Told {
            resources: Vec::new(),
            dropped: told.dropped + nobodys,
            has_plan: told.has_plan && !self.are_several(),
            is_unended: told.is_unended,
        }
    }

    /// What is surely of this place because no other one was seen by then.
    pub(crate) fn early_at(&self, place: &PlaceName) -> impl Iterator<Item = &Resource> {
        let is_first = self.are_several() && self.places[0].as_ref() == Some(place);
        let early = self.of_the_first.resources.iter();
        early.filter(move |early| is_first && early.unit.is_none())
    }

    /// Whether there are others beside one.
    pub(crate) fn are_several(&self) -> bool {
        self.places.len() > 1
    }

    /// Whether the only one is not this one.
    fn are_elsewhere(&self, place: &PlaceName) -> bool {
        matches!(self.places.as_slice(), [only] if only.as_ref() != Some(place))
    }

    /// How much was begun that any of the places may have made.
    fn count_nobodys(&self, told: &Told) -> usize {
        // What has come further since may be another place's of the same address.
        let of_the_first: HashSet<&Resource> = self.of_the_first.resources.iter().collect();
        let is_nobodys = |resource: &&Resource| {
            let may_be_there = resource.is_begun() && resource.leaves_something();
            resource.unit.is_none() && may_be_there && !of_the_first.contains(*resource)
        };
        told.resources.iter().filter(is_nobodys).count()
    }

    /// A resource as this place has it, where it is of this place or may be. Of several places, what has no
    /// unit is nobody's.
    pub(crate) fn seen_from(
        &self,
        place: &PlaceName,
        mut resource: Resource,
        of_one_unit: bool,
    ) -> Option<Resource> {
        let is_nobodys = self.are_several() && resource.unit.is_none();
        if is_nobodys || self.are_elsewhere(place) {
            return None;
        }
        if self.is_at(place, &resource, of_one_unit)? {
            resource.unit = None;
        }
        Some(resource)
    }

    /// Whether it is sure that a resource is of this place by its unit, or it has none. Nothing where it is
    /// of another one. Whether all that was told is `of_one_unit` matters where only one place was seen:
    /// then that unit is it, whatever it is called.
    pub(crate) fn is_at(
        &self,
        place: &PlaceName,
        resource: &Resource,
        of_one_unit: bool,
    ) -> Option<bool> {
        match &resource.unit {
            Some(unit) => self.is_surely_at(place, unit, of_one_unit),
            None => Some(true),
        }
    }

    /// Whether it is sure that this place is meant by a unit. Nothing where it is another one.
    fn is_surely_at(&self, place: &PlaceName, unit: &str, of_one_unit: bool) -> Option<bool> {
        let named = self.places.iter().flatten();
        let meant: Vec<&PlaceName> = named.filter(|known| known.may_be_called(unit)).collect();
        match meant.as_slice() {
            [] => Some(of_one_unit && self.places.len() == 1),
            [only] if *only == place => Some(true),
            several if several.contains(&place) => Some(false),
            _ => None,
        }
    }

    /// What of all that was told is not known to be of another place.
    pub(crate) fn perhaps_of<'a>(&self, place: &PlaceName, told: &'a Told) -> Vec<&'a Resource> {
        let is_of_one_unit = told.is_of_one_unit();
        let seen = |one: &&Resource| self.is_at(place, one, is_of_one_unit).is_some();
        told.resources.iter().filter(seen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::progress::{Action, Fate};

    /// Each as `[unit] address`, or without a unit.
    fn told(names: &[&str]) -> Told {
        let resource = |name: &&str| {
            let (unit, address) = match name.split_once(' ') {
                Some((unit, address)) => (Some(unit), address),
                None => (None, *name),
            };
            Resource {
                unit: unit.map(|unit| unit.trim_matches(['[', ']']).into()),
                address: address.into(),
                action: Action::Create,
                stage: Fate::InFlight,
                id: None,
                old_id: None,
                begun: None,
            }
        };
        Told {
            resources: names.iter().map(resource).collect(),
            dropped: 0,
            has_plan: true,
            is_unended: false,
        }
    }

    fn addresses(told: &Told) -> Vec<&str> {
        told.resources.iter().map(|one| &*one.address).collect()
    }

    #[test]
    fn all_is_about_the_only_place() {
        let mut shares = Shares::default();
        assert_eq!(
            shares.of(&PlaceName::on_s3("a"), told(&["x"])),
            told(&["x"])
        );
        shares.note(Some(PlaceName::on_s3("a")), || unreachable!());
        shares.note(Some(PlaceName::on_s3("a")), || unreachable!());
        assert_eq!(
            shares.of(&PlaceName::on_s3("a"), told(&["x"])),
            told(&["x"])
        );
        assert_eq!(
            shares.of(&PlaceName::on_s3("b"), told(&["x"])),
            Told::default()
        );
    }

    #[test]
    fn of_several_places_only_what_came_before_the_second_is_surely_of_the_first() {
        for second in [Some(PlaceName::on_s3("b")), None] {
            let mut shares = Shares::default();
            shares.note(Some(PlaceName::on_s3("a")), Told::default);
            shares.note(second, || told(&["x"]));
            shares.note(Some(PlaceName::on_s3("c")), || unreachable!());
            let all = || told(&["x", "y"]);
            let first = shares.of(&PlaceName::on_s3("a"), all());
            assert_eq!(addresses(&first), ["x"]);
            assert!(
                !first.has_plan,
                "what is not listed may be planned all the same"
            );
            for other in ["b", "c"] {
                assert_eq!(
                    addresses(&shares.of(&PlaceName::on_s3(other), all())),
                    [""; 0]
                );
            }
        }
    }

    #[test]
    fn what_was_begun_and_is_nobodys_is_counted_at_each_place() {
        let mut shares = Shares::default();
        shares.note(Some(PlaceName::on_s3("net")), Told::default);
        let mut all = told(&["x", "y", "[app] z", "[other] z"]);
        assert_eq!(shares.of(&PlaceName::on_s3("net"), all.clone()).dropped, 0);
        shares.note(Some(PlaceName::on_s3("app")), || told(&["x"]));
        for place in ["net", "app"] {
            let counted = |told: Told| shares.of(&PlaceName::on_s3(place), told).dropped;
            assert_eq!(counted(all.clone()), 1, "y");
        }
        // The second place has the same address.
        all.resources[0].stage = Fate::Complete;
        assert_eq!(shares.of(&PlaceName::on_s3("app"), all.clone()).dropped, 2);
        all.resources[1].stage = Fate::NotBegun;
        assert_eq!(shares.of(&PlaceName::on_s3("app"), all).dropped, 1);
    }

    /// What is kept at these places of what a wrapper has told, each as in `told`.
    fn kept(directories: &[&str], all: &[&str], of: &str) -> Vec<String> {
        let mut shares = Shares::default();
        for directory in directories {
            shares.note(Some(PlaceName::on_s3(directory)), Told::default);
        }
        let kept = shares.of(&PlaceName::on_s3(of), told(all)).resources;
        let names = kept.into_iter().map(|one| match one.unit {
            Some(unit) => format!("[{unit}] {}", one.address),
            None => one.address.into(),
        });
        names.collect()
    }

    #[test]
    fn a_wrapper_tells_its_units_apart() {
        let places = ["live/net", "live/app"];
        let all = ["[/build/live/net] x", "[./live/app] x", "[../app] y", "z"];
        assert_eq!(kept(&places, &all, "live/net"), ["x"]);
        assert_eq!(kept(&places, &all, "live/app"), ["x", "y"]);
    }

    #[test]
    fn what_may_be_of_several_places_keeps_its_unit_at_each_of_them() {
        let places = ["live/vpc", "live/eu/vpc", "live/app"];
        for (all, of, expected) in [
            ("[vpc] x", "live/vpc", &["[vpc] x"][..]),
            ("[vpc] x", "live/eu/vpc", &["[vpc] x"]),
            ("[vpc] x", "live/app", &[]),
            ("[eu/vpc] x", "live/vpc", &[]),
            ("[eu/vpc] x", "live/eu/vpc", &["x"]),
            // That is called like no place that was seen.
            ("[other] x", "live/vpc", &["[other] x"]),
            ("[other] x", "live/app", &["[other] x"]),
        ] {
            assert_eq!(kept(&places, &[all], of), expected, "{all} {of}");
        }
    }

    #[test]
    fn of_one_place_a_unit_is_it_by_its_name_or_because_there_is_no_other() {
        for (all, expected) in [
            (&["[a] x", "[a] y"][..], &["x", "y"][..]),
            (&["[production] x", "[production] y"], &["x", "y"]),
            (&["[a] x", "[b] x"], &["x", "[b] x"]),
            (&["[production] x", "y"], &["[production] x", "y"]),
        ] {
            assert_eq!(kept(&["live/a"], all, "live/a"), expected, "{all:?}");
        }
    }

    #[test]
    fn what_is_known_to_be_of_another_place_is_nothing_that_this_one_may_have_made() {
        let mut shares = Shares::default();
        for directory in ["live/a", "live/b"] {
            shares.note(Some(PlaceName::on_s3(directory)), Told::default);
        }
        let all = told(&["[a] x", "[b] y", "[c] z", "w"]);
        let perhaps = shares.perhaps_of(&PlaceName::on_s3("live/a"), &all);
        let perhaps: Vec<&str> = perhaps.iter().map(|one| &*one.address).collect();
        assert_eq!(perhaps, ["x", "z", "w"]);
    }
}
