//! Terraform's state files: what one says of the state, and how it gets another serial.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::quoted_text::escaped;

/// How long a state may be that is read.
pub(super) const MOST_OF_A_STATE: u64 = 64 * 1024 * 1024;
/// How Terraform begins the line of the serial: deeper ones are indented further, and no text has a
/// line break in it.
const SERIAL: &str = "\n  \"serial\": ";
/// What of a state file says which state it is, and what it has.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct StateFile {
    serial: u64,
    lineage: String,
    resources: Vec<Resource<Instance>>,
    #[serde(default)]
    outputs: BTreeMap<String, Value>,
}

/// Which version of which state a file is. It stands there in plain text in an encrypted one too.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct StateVersion {
    pub(super) serial: u64,
    pub(super) lineage: String,
}

/// What of a state file names what it has. A state may be large, and nothing else of it is kept.
#[derive(Deserialize)]
struct Ids {
    resources: Vec<Resource<Named>>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Resource<I> {
    #[serde(default)]
    module: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    instances: Vec<I>,
}

/// An instance, as its key, and all that the state says of it.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Value")]
struct Instance {
    index: String,
    deposed: Option<String>,
    content: String,
}

/// An instance, as its key, and its id where it has one.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    index_key: Value,
    #[serde(default)]
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    id: Value,
}

impl From<Value> for Instance {
    fn from(instance: Value) -> Self {
        Self {
            index: index(&instance["index_key"]),
            deposed: instance["deposed"].as_str().map(str::to_owned),
            content: instance.to_string(),
        }
    }
}

impl Named {
    fn id(self) -> Option<String> {
        match self.attributes?.id {
            Value::String(id) => Some(id),
            _ => None,
        }
    }
}

/// The key of an instance, as Terraform prints it behind a name.
fn index(key: &Value) -> String {
    match key {
        Value::Null => String::new(),
        Value::String(key) => format!("[\"{}\"]", escaped(key)),
        index => format!("[{index}]"),
    }
}

impl<I> Resource<I> {
    /// The address of an instance, as Terraform prints it.
    fn address(&self, index: &str) -> String {
        let module = match self.module.as_str() {
            "" => String::new(),
            module => format!("{module}."),
        };
        let data = if self.mode == "data" { "data." } else { "" };
        let (kind, name) = (&self.kind, &self.name);
        format!("{module}{data}{kind}.{name}{index}")
    }
}

/// Says where a text is not understood, and not what stands there.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("no state as Terraform and OpenTofu write it, by line {line}, column {column}")
    })
}

impl StateVersion {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        read(text)
    }
}

impl StateFile {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        read(text)
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

    /// What can be lost with it, by name. What a data source has read can be read again.
    pub(super) fn contents(&self) -> BTreeMap<String, String> {
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|(name, value)| (format!("output.{name}"), value.to_string()));
        let managed = self.resources.iter();
        managed
            .filter(|resource| resource.mode == "managed")
            .flat_map(|resource| {
                let instances = resource.instances.iter();
                instances.map(|instance| {
                    let deposed = match &instance.deposed {
                        Some(deposed) => format!(" (deposed {deposed})"),
                        None => String::new(),
                    };
                    let name = resource.address(&instance.index) + &deposed;
                    (name, instance.content.clone())
                })
            })
            .chain(outputs)
            .collect()
    }
}

impl Ids {
    fn by_address(self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for mut resource in self.resources {
            for instance in mem::take(&mut resource.instances) {
                let address = resource.address(&index(&instance.index_key));
                all.entry(address).or_default().extend(instance.id());
            }
        }
        all
    }
}

/// The ids by address in what `state pull` shows. Where there is no state, that is nothing.
pub(super) fn ids_shown(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    read(text).map(Ids::by_address)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            "outputs": {"address": {"value": "x", "type": "string"}},
        });
        let state = StateFile::read(&state.to_string()).unwrap();
        let name = "module.m[\"e\"].thing.a";
        assert_eq!(
            state.contents().into_keys().collect::<Vec<_>>(),
            [
                name.to_owned(),
                format!("{name} (deposed 0a1b)"),
                format!("{name}[\"k\\\"x\"]"),
                format!("{name}[0]"),
                "output.address".to_owned(),
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
    fn a_state_has_the_addresses_that_terraform_prints() {
        let text = r#"{"version": 4, "serial": 1, "lineage": "x", "resources": [
            {"mode": "managed", "type": "a", "name": "b", "instances": [
                {"attributes": {"id": "1"}}, {"deposed": "1a2b3c4d", "attributes": {"id": "0"}},
                {"attributes": {"id": 7}}, {"attributes": null}]},
            {"module": "module.m[\"x y\"]", "mode": "managed", "type": "a", "name": "c",
             "instances": [{"index_key": 0, "attributes": {"id": "2"}},
                           {"index_key": "it's \"q\" ${x}", "attributes": {"name": "3"}}]},
            {"mode": "data", "type": "a", "name": "d", "instances": [{"attributes": {"id": "-"}}]}
        ]}"#;
        let stored = ids_shown(text).unwrap();
        let entries: Vec<(&str, Vec<&str>)> = stored
            .iter()
            .map(|(address, ids)| (address.as_str(), ids.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            entries,
            [
                ("a.b", vec!["1", "0"]),
                ("data.a.d", vec!["-"]),
                (r#"module.m["x y"].a.c["it's \"q\" $${x}"]"#, vec![]),
                (r#"module.m["x y"].a.c[0]"#, vec!["2"]),
            ]
        );
    }

    #[test]
    fn no_state_has_nothing_and_no_text_is_taken_for_one() {
        assert_eq!(ids_shown("\n").unwrap(), BTreeMap::new());
        assert!(ids_shown("{").is_err());
        assert!(ids_shown("[]").is_err());
    }
}
