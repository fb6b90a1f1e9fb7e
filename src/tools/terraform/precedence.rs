//! May a state that could not be stored take the place of the stored one?
//!
//! Terraform itself refuses only a lower serial, the same one with other contents, and another
//! lineage. But it counts the serial up with each try, those that fail too, so after a few of them a
//! state passes over what others have stored since.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::state_file::StateFile;
use crate::tools::state_keeping::Since;

/// Terraform tries to store a state for the first time when it ends, or when it was asked to stop, or
/// when so much time has passed since the first change.
const FIRST_TRY: Duration = Duration::from_secs(20);
/// How many are named of each kind of difference.
const NAMED: usize = 10;

/// What a state would lose, or may lose, by another one that takes its place. Resources and outputs are
/// named, and nothing else of them: a state holds secrets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    serials: (u64, u64),
    has_other_lineage: bool,
    only_stored: Vec<String>,
    changed: Vec<String>,
    only_unsaved: Vec<String>,
}

/// By how much one failed try to store a state raises its serial: Terraform 1.11.4 by 1, OpenTofu
/// 1.12.6 by 2, encrypted or not (measured with one refused request each).
pub(super) fn step(is_opentofu: bool) -> u64 {
    if is_opentofu { 2 } else { 1 }
}

/// Whether a run that went on so long, and was not asked to stop, can have tried no more than once to
/// store its state.
pub(super) fn tried_once(undisturbed: Option<Duration>) -> bool {
    undisturbed.is_some_and(|time| time < FIRST_TRY)
}

/// The serial under which `unsaved` may be stored in the place of `stored`, so that nothing that is in
/// that one is lost.
///
/// `step` is by how much one failed try raises the serial.
///
/// That is so where nothing is stored; where the lock of the run has kept all others away; where the run
/// has tried only once to store it and its serial is one step after the stored one, which then is the
/// state from which the run began; and where both have the same. It is not enough that all that is
/// stored is in it unchanged: what only it has may be what others have removed since. Under the serial
/// that comes next, Terraform itself refuses it wherever somebody has stored another one since we have
/// looked.
pub(super) fn serial_to_store(
    stored: &StateFile,
    unsaved: &StateFile,
    since: Since,
    step: u64,
) -> Result<u64, Difference> {
    if stored.is_none() {
        return Ok(unsaved.serial());
    }
    let next = stored.serial() + 1;
    let difference = Difference::between(stored, unsaved);
    // Only the answer was lost.
    if difference.is_none() && stored.serial() == unsaved.serial() {
        return Ok(unsaved.serial());
    }
    let is_newer = unsaved.serial() >= next && !difference.has_other_lineage;
    let is_surely_next = match since {
        Since::Guarded => true,
        Since::TriedOnce => unsaved.serial() == stored.serial() + step || difference.is_none(),
        Since::Unknown => difference.is_none(),
    };
    if is_newer && is_surely_next {
        Ok(next)
    } else {
        Err(difference)
    }
}

impl Difference {
    fn between(stored: &StateFile, unsaved: &StateFile) -> Self {
        let (here, there) = (unsaved.contents(), stored.contents());
        let missing_in = |other: &BTreeMap<String, String>, one: &BTreeMap<String, String>| {
            let names = one.keys().filter(|name| !other.contains_key(*name));
            names.cloned().collect()
        };
        let is_changed = |(name, content): &(&String, &String)| {
            here.get(*name).is_some_and(|other| other != *content)
        };
        Self {
            serials: (stored.serial(), unsaved.serial()),
            has_other_lineage: stored.lineage() != unsaved.lineage(),
            only_stored: missing_in(&here, &there),
            changed: there
                .iter()
                .filter(is_changed)
                .map(|(name, _)| name.clone())
                .collect(),
            only_unsaved: missing_in(&there, &here),
        }
    }
}

impl Difference {
    fn is_none(&self) -> bool {
        let names = [&self.only_stored, &self.changed, &self.only_unsaved];
        !self.has_other_lineage && names.iter().all(|names| names.is_empty())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stored, unsaved) = self.serials;
        let lineage = if self.has_other_lineage {
            ", and of another lineage"
        } else {
            ""
        };
        write!(
            formatter,
            "the stored one has serial {stored} and this one {unsaved}{lineage}"
        )?;
        for (what, names) in [
            ("only the stored one has", &self.only_stored),
            ("both have, and not alike,", &self.changed),
            ("only this one has", &self.only_unsaved),
        ] {
            if names.is_empty() {
                continue;
            }
            let named = &names[..names.len().min(NAMED)];
            write!(formatter, "; {what} {}", named.join(", "))?;
            if let more @ 1.. = names.len() - named.len() {
                write!(formatter, " and {more} more")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A state with these resources, each with its one attribute. What begins with `output.` is one.
    fn state(serial: u64, lineage: &str, contents: &[(&str, &str)]) -> StateFile {
        let (outputs, resources): (Vec<_>, Vec<_>) = contents
            .iter()
            .partition(|(name, _)| name.starts_with("output."));
        let outputs = outputs.iter().map(|(name, value)| {
            let name = name.trim_start_matches("output.").to_owned();
            (name, json!({"value": value, "type": "string"}))
        });
        let outputs: serde_json::Map<String, Value> = outputs.collect();
        let resources: Vec<Value> = resources
            .iter()
            .map(|(name, password)| {
                json!({
                    "mode": "managed", "type": "thing", "name": name,
                    "provider": "provider[\"example.com/test/slow\"]",
                    "instances": [{"attributes": {"id": "none", "password": password}}],
                })
            })
            .collect();
        let state = json!({
            "version": 4, "serial": serial, "lineage": lineage, "resources": resources,
            "outputs": outputs,
        });
        StateFile::read(&state.to_string()).unwrap()
    }

    const A: (&str, &str) = ("a", "old");
    const NEW_A: (&str, &str) = ("a", "new");
    const B: (&str, &str) = ("b", "");
    const OUTPUT: (&str, &str) = ("output.address", "old");
    const NEW_OUTPUT: (&str, &str) = ("output.address", "new");

    /// What a run that began with serial 1 and the resource A has left in the place of another state.
    fn answer(
        stored: (u64, &[(&str, &str)]),
        unsaved: (u64, &[(&str, &str)]),
        since: Since,
    ) -> Option<u64> {
        let [stored, unsaved] =
            [stored, unsaved].map(|(serial, resources)| state(serial, "x", resources));
        serial_to_store(&stored, &unsaved, since, step(false)).ok()
    }

    const SINCE: [Since; 3] = [Since::Guarded, Since::TriedOnce, Since::Unknown];

    #[test]
    fn after_one_try_a_state_is_stored_in_the_place_of_the_one_from_which_its_run_began() {
        let answer = |stored, unsaved| answer(stored, unsaved, Since::TriedOnce);
        let began = (1, &[A][..]);
        assert_eq!(answer(began, (2, &[A, B])), Some(2), "added");
        assert_eq!(answer(began, (2, &[NEW_A])), Some(2), "changed");
        assert_eq!(answer(began, (2, &[])), Some(2), "destroyed");
        assert_eq!(answer((2, &[A, B]), (2, &[A])), None, "others have stored");
        assert_eq!(answer((3, &[A]), (2, &[A, B])), None, "and others again");
        assert_eq!(answer((0, &[A]), (2, &[])), None, "it was set back");
    }

    #[test]
    fn a_state_that_is_stored_already_may_be_stored_again() {
        let stored = (2, &[A, B][..]);
        for since in SINCE {
            assert_eq!(answer(stored, (2, &[A, B]), since), Some(2));
            assert_eq!(answer(stored, (2, &[A]), since), None, "it lacks something");
        }
    }

    #[test]
    fn after_many_tries_a_state_is_stored_where_it_has_just_what_is_stored() {
        let answer = |stored, unsaved| answer(stored, unsaved, Since::Unknown);
        let began = (1, &[A][..]);
        assert_eq!(answer(began, (5, &[A])), Some(2), "nothing differs");
        let outputs = answer((1, &[A, NEW_OUTPUT]), (5, &[A, OUTPUT]));
        assert_eq!(outputs, None, "others have stored an output");
        assert_eq!(answer(began, (5, &[A, B])), None, "or B was removed since");
        assert_eq!(answer(began, (5, &[NEW_A])), None, "changed, by whom?");
        assert_eq!(answer(began, (5, &[B])), None, "destroyed, by whom?");
        assert_eq!(answer(began, (2, &[])), None, "it need not be the second");
        assert_eq!(answer((2, &[A, B]), (5, &[A])), None, "others have stored");
        assert_eq!(answer((7, &[A]), (5, &[A])), None, "it is older");
    }

    #[test]
    fn under_the_lock_of_its_own_run_a_state_takes_the_place_of_any_older_one() {
        let answer = |stored, unsaved| answer(stored, unsaved, Since::Guarded);
        let began = (1, &[A][..]);
        for unsaved in [&[A, B][..], &[NEW_A], &[B], &[]] {
            assert_eq!(answer(began, (5, unsaved)), Some(2));
        }
        assert_eq!(answer((7, &[A]), (5, &[A])), None, "it is older");
    }

    #[test]
    fn where_nothing_is_stored_nothing_is_lost_and_strangers_never_follow_each_other() {
        for since in SINCE {
            let unsaved = state(4, "x", &[A]);
            let none = state(0, "", &[]);
            assert_eq!(serial_to_store(&none, &unsaved, since, step(false)), Ok(4));
            assert!(serial_to_store(&state(3, "y", &[A]), &unsaved, since, step(false)).is_err());
        }
    }

    #[test]
    fn a_difference_names_resources_and_outputs_and_nothing_else_of_them() {
        let stored = state(2, "x", &[("mine", "1"), ("both", "s3cret"), NEW_OUTPUT]);
        let unsaved = state(5, "x", &[("both", "older"), ("yours", "2"), OUTPUT]);
        let difference =
            serial_to_store(&stored, &unsaved, Since::Unknown, step(false)).unwrap_err();
        assert_eq!(
            difference.to_string(),
            "the stored one has serial 2 and this one 5; only the stored one has thing.mine; \
             both have, and not alike, output.address, thing.both; only this one has thing.yours"
        );
    }

    #[test]
    fn of_many_resources_the_first_are_named_and_the_rest_is_counted() {
        let names: Vec<String> = (10..40).map(|number| format!("r{number}")).collect();
        let resources: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let stored = state(2, "x", &resources);
        let difference =
            serial_to_store(&stored, &state(3, "y", &[]), Since::TriedOnce, step(false))
                .unwrap_err();
        let text = difference.to_string();
        assert!(text.contains("and of another lineage; "), "{text}");
        assert!(text.ends_with("thing.r18, thing.r19 and 20 more"), "{text}");
    }

    #[test]
    fn only_a_short_run_that_nobody_disturbed_has_surely_tried_once() {
        let after = |seconds| tried_once(Some(Duration::from_secs(seconds)));
        assert!(after(19));
        assert!(!after(20));
        assert!(!tried_once(None));
    }
}
