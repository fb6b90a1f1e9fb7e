//! What of all that a deploy has told belongs to which of its places.
//!
//! Two places may have the same addresses, and only a wrapper says before each line which of them it
//! is about. So of several places without a wrapper, only what was told before the second one was
//! seen is known to be of the first; the rest is nobody's.

use std::path::Path;

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

    /// What of all that was told is known to be about this place.
    pub(crate) fn of(&self, place: &PlaceName, told: Told) -> Told {
        let is_first = |known: &Option<PlaceName>| known.as_ref() == Some(place);
        match self.places.as_slice() {
            [] => told,
            [only] if is_first(only) => told,
            [_] => Told::default(),
            [first, ..] => {
                let by_unit = |resource: &Resource| {
                    let unit = resource.unit.as_deref();
                    unit.is_some_and(|unit| self.is_of_alone(unit, place))
                };
                let mut resources = told.resources;
                resources.retain(by_unit);
                if is_first(first) {
                    let early = self.of_the_first.resources.iter();
                    resources.extend(early.filter(|early| early.unit.is_none()).cloned());
                }
                Told {
                    resources,
                    dropped: 0,
                    has_plan: false,
                }
            }
        }
    }

    /// Whether a wrapper's unit is this place and no other one.
    fn is_of_alone(&self, unit: &str, place: &PlaceName) -> bool {
        let named = self.places.iter().flatten();
        let mut meant = named.filter(|known| is_of(unit, known));
        meant.next() == Some(place) && meant.next().is_none()
    }
}

/// A wrapper names a unit by its directory, as seen from wherever it was started, or from the root.
fn is_of(unit: &str, place: &PlaceName) -> bool {
    let (unit, directory) = (unit.trim_start_matches("./"), place.directory.as_str());
    if Path::new(unit).is_absolute() {
        return !matches!(directory, "" | ".") && Path::new(unit).ends_with(directory);
    }
    !unit.is_empty() && Path::new(directory).ends_with(unit)
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
                unit: unit.map(|unit| unit.trim_matches(['[', ']']).to_owned()),
                address: address.to_owned(),
                action: Action::Create,
                stage: Fate::InFlight,
                id: None,
                old_id: None,
            }
        };
        Told {
            resources: names.iter().map(resource).collect(),
            dropped: 0,
            has_plan: true,
        }
    }

    fn addresses(told: &Told) -> Vec<&str> {
        told.resources
            .iter()
            .map(|one| one.address.as_str())
            .collect()
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
    fn a_wrapper_tells_its_units_apart_where_one_place_alone_is_meant() {
        let mut shares = Shares::default();
        let all = || told(&["[/build/live/net] x", "[./live/app] x", "[app] y", "z"]);
        for directory in ["live/net", "live/app", "test/app"] {
            shares.note(Some(PlaceName::on_s3(directory)), Told::default);
        }
        assert_eq!(
            addresses(&shares.of(&PlaceName::on_s3("live/net"), all())),
            ["x"]
        );
        assert_eq!(
            addresses(&shares.of(&PlaceName::on_s3("live/app"), all())),
            ["x"]
        );
        assert_eq!(
            addresses(&shares.of(&PlaceName::on_s3("test/app"), all())),
            [""; 0]
        );
    }
}
