//! Terraform's state files: may one that could not be stored take the place of the stored one?
//!
//! Terraform itself refuses only a lower serial, the same one with other contents, and another
//! lineage. But it counts the serial up with each try, those that fail too, so after a few of them a
//! state passes over what others have stored since.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::tools::Since;

/// Terraform tries to store a state for the first time when it ends, or when it was asked to stop, or
/// when so much time has passed since the first change.
const FIRST_TRY: Duration = Duration::from_secs(20);
/// How Terraform begins the line of the serial: deeper ones are indented further, and no text has a
/// line break in it.
const SERIAL: &str = "\n  \"serial\": ";
/// How many resources are named of each kind of difference.
const NAMED: usize = 10;

/// What of a state file says which state it is, and what it has.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct StateFile {
    serial: u64,
    lineage: String,
    resources: Vec<Resource>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Resource {
    #[serde(default)]
    module: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    instances: Vec<Instance>,
}

/// An instance, as its key and all that the state says of it.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Value")]
struct Instance {
    key: String,
    content: String,
}

impl From<Value> for Instance {
    fn from(instance: Value) -> Self {
        let index = match &instance["index_key"] {
            Value::Null => String::new(),
            index => format!("[{index}]"),
        };
        let deposed = match instance["deposed"].as_str() {
            Some(deposed) => format!(" (deposed {deposed})"),
            None => String::new(),
        };
        Self {
            key: index + &deposed,
            content: instance.to_string(),
        }
    }
}

/// What a state would lose, or may lose, by another one that takes its place. Resources are named, and
/// nothing else of them: a state holds secrets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    serials: (u64, u64),
    has_other_lineage: bool,
    only_stored: Vec<String>,
    changed: Vec<String>,
    only_unsaved: Vec<String>,
}

/// Whether a run that went on so long, and was not asked to stop, can have tried no more than once to
/// store its state.
pub(super) fn tried_once(undisturbed: Option<Duration>) -> bool {
    undisturbed.is_some_and(|time| time < FIRST_TRY)
}

impl StateFile {
    /// Says where it is not understood, and not what stands there.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("no state as Terraform and OpenTofu write it, by line {line}, column {column}")
        })
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn lineage(&self) -> &str {
        &self.lineage
    }

    /// Where nothing is stored, Terraform shows a state that nobody has begun.
    pub(super) fn is_none(&self) -> bool {
        self.lineage.is_empty() && self.resources.is_empty()
    }

    /// What can be lost with it. What a data source has read can be read again, and outputs are made
    /// anew by each apply.
    fn instances(&self) -> BTreeMap<String, &str> {
        let managed = self.resources.iter();
        managed
            .filter(|resource| resource.mode == "managed")
            .flat_map(|resource| {
                let module = match resource.module.as_str() {
                    "" => String::new(),
                    module => format!("{module}."),
                };
                let name = format!("{module}{}.{}", resource.kind, resource.name);
                let instances = resource.instances.iter();
                instances.map(move |one| (format!("{name}{}", one.key), one.content.as_str()))
            })
            .collect()
    }
}

/// The serial under which `unsaved` may be stored in the place of `stored`, so that nothing that is in
/// that one is lost.
///
/// That is so where nothing is stored; where the lock of the run has kept all others away; where the run
/// has tried only once to store it and its serial comes right after the stored one, which then is the
/// state from which the run began; and where both have the same. It is not enough that all that is
/// stored is in it unchanged: what only it has may be what others have removed since. Under the serial
/// that comes next, Terraform itself refuses it wherever somebody has stored another one since we have
/// looked.
pub(super) fn serial_to_store(
    stored: &StateFile,
    unsaved: &StateFile,
    since: Since,
) -> Result<u64, Difference> {
    if stored.is_none() {
        return Ok(unsaved.serial);
    }
    let next = stored.serial + 1;
    let difference = Difference::between(stored, unsaved);
    // Only the answer was lost.
    if difference.is_none() && stored.serial == unsaved.serial {
        return Ok(unsaved.serial);
    }
    let is_newer = unsaved.serial >= next && !difference.has_other_lineage;
    let is_surely_next = match since {
        Since::Guarded => true,
        Since::TriedOnce => unsaved.serial == next || difference.is_none(),
        Since::Unknown => difference.is_none(),
    };
    if is_newer && is_surely_next {
        Ok(next)
    } else {
        Err(difference)
    }
}

/// Whether a file is a state that OpenTofu has encrypted.
pub(super) fn is_encrypted(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Encrypted {
        #[expect(dead_code, reason = "it is only looked for")]
        encrypted_data: IgnoredAny,
    }
    serde_json::from_str::<Encrypted>(text).is_ok()
}

/// The text of a state with this serial in the place of its own, and all else as it stands.
pub(super) fn with_serial(text: &str, serial: u64) -> serde_json::Result<String> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    members.insert("serial".to_owned(), to_raw_value(&serial)?);
    serde_json::to_string(&members)
}

/// Where in the text of a state file its serial stands, and what to write there so that it becomes
/// this smaller one and all else stays where it is.
pub(super) fn lowered(text: &str, serial: u64) -> Option<(Range<usize>, String)> {
    let begin = text.find(SERIAL)? + SERIAL.len();
    let length = text[begin..].find(|sign: char| !sign.is_ascii_digit())?;
    let padded = format!("{serial:>length$}");
    (padded.len() == length).then_some((begin..begin + length, padded))
}

impl Difference {
    fn between(stored: &StateFile, unsaved: &StateFile) -> Self {
        let (here, there) = (unsaved.instances(), stored.instances());
        let missing_in = |other: &BTreeMap<String, &str>, one: &BTreeMap<String, &str>| {
            let names = one.keys().filter(|name| !other.contains_key(*name));
            names.cloned().collect()
        };
        let is_changed = |(name, content): &(&String, &&str)| {
            here.get(*name).is_some_and(|other| other != *content)
        };
        Self {
            serials: (stored.serial, unsaved.serial),
            has_other_lineage: stored.lineage != unsaved.lineage,
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
    use serde_json::json;

    use super::*;

    /// A state with these resources, each with its one attribute.
    fn state(serial: u64, lineage: &str, resources: &[(&str, &str)]) -> StateFile {
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
        });
        StateFile::read(&state.to_string()).unwrap()
    }

    const A: (&str, &str) = ("a", "old");
    const NEW_A: (&str, &str) = ("a", "new");
    const B: (&str, &str) = ("b", "");

    /// What a run that began with serial 1 and the resource A has left in the place of another state.
    fn answer(
        stored: (u64, &[(&str, &str)]),
        unsaved: (u64, &[(&str, &str)]),
        since: Since,
    ) -> Option<u64> {
        let [stored, unsaved] =
            [stored, unsaved].map(|(serial, resources)| state(serial, "x", resources));
        serial_to_store(&stored, &unsaved, since).ok()
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
        assert_eq!(answer(began, (5, &[A])), Some(2), "only outputs differ");
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
            assert_eq!(serial_to_store(&none, &unsaved, since), Ok(4));
            assert!(serial_to_store(&state(3, "y", &[A]), &unsaved, since).is_err());
        }
    }

    #[test]
    fn a_difference_names_resources_and_nothing_else_of_them() {
        let stored = state(2, "x", &[("mine", "1"), ("both", "s3cret")]);
        let unsaved = state(5, "x", &[("both", "older"), ("yours", "2")]);
        let difference = serial_to_store(&stored, &unsaved, Since::Unknown).unwrap_err();
        assert_eq!(
            difference.to_string(),
            "the stored one has serial 2 and this one 5; only the stored one has thing.mine; \
             both have, and not alike, thing.both; only this one has thing.yours"
        );
    }

    #[test]
    fn of_many_resources_the_first_are_named_and_the_rest_is_counted() {
        let names: Vec<String> = (10..40).map(|number| format!("r{number}")).collect();
        let resources: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let stored = state(2, "x", &resources);
        let difference =
            serial_to_store(&stored, &state(3, "y", &[]), Since::TriedOnce).unwrap_err();
        let text = difference.to_string();
        assert!(text.contains("and of another lineage; "), "{text}");
        assert!(text.ends_with("thing.r18, thing.r19 and 20 more"), "{text}");
    }

    #[test]
    fn instances_are_told_apart_as_terraform_does_and_data_is_left_out() {
        let instances = json!([
            {"index_key": 0}, {"index_key": "k\"x"}, {"deposed": "0a1b"}, {},
        ]);
        let resource = |mode: &str| {
            json!({
                "module": "module.m[\"e\"]", "mode": mode, "type": "thing", "name": "a",
                "instances": instances,
            })
        };
        let state = json!({
            "serial": 1, "lineage": "x", "resources": [resource("managed"), resource("data")],
        });
        let state = StateFile::read(&state.to_string()).unwrap();
        let name = "module.m[\"e\"].thing.a";
        assert_eq!(
            state.instances().into_keys().collect::<Vec<_>>(),
            [
                name.to_owned(),
                format!("{name} (deposed 0a1b)"),
                format!("{name}[\"k\\\"x\"]"),
                format!("{name}[0]"),
            ]
        );
    }

    #[test]
    fn the_serial_is_lowered_in_its_place() {
        let text = "{\n  \"version\": 4,\n  \"serial\": 12,\n  \"lineage\": \"x\",\n  \
             \"resources\": [],\n  \"outputs\": {\n    \"serial\": 1\n  }\n}\n";
        let (place, serial) = lowered(text, 3).unwrap();
        let mut after = text.to_owned();
        after.replace_range(place, &serial);
        assert_eq!(after.len(), text.len());
        assert_eq!(after, text.replace("\"serial\": 12,", "\"serial\":  3,"));
        assert_eq!(StateFile::read(&after).unwrap().serial, 3);
        assert_eq!(lowered(text, 123), None, "there is no room for more");
        assert_eq!(lowered("{\"serial\":12}", 3), None);
    }

    #[test]
    fn a_decrypted_state_gets_another_serial_and_keeps_all_else() {
        let text = r#"{"version":4,"serial":7,"lineage":"x","resources":[],"big":12345678901234567890.10,"outputs":{"serial":1}}"#;
        let after = with_serial(text, 3).unwrap();
        assert_eq!(StateFile::read(&after).unwrap().serial, 3);
        assert!(
            after.contains(r#""big":12345678901234567890.10"#),
            "{after}"
        );
        assert!(after.contains(r#""outputs":{"serial":1}"#), "{after}");
        assert!(!is_encrypted(text));
        assert!(is_encrypted(r#"{"serial":7,"encrypted_data":"x"}"#));
    }

    #[test]
    fn what_is_no_state_is_refused_without_being_quoted() {
        let error = StateFile::read("{\"serial\": \"s3cret\"}").unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(StateFile::read("").is_err());
    }

    #[test]
    fn only_a_short_run_that_nobody_disturbed_has_surely_tried_once() {
        let after = |seconds| tried_once(Some(Duration::from_secs(seconds)));
        assert!(after(19));
        assert!(!after(20));
        assert!(!tried_once(None));
    }
}
