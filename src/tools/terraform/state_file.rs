//! Terraform's state files: what one says of the state, and how it gets another serial.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::quoted_text::escaped;
use crate::supervisor::text_of_output;

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

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Resource<I> {
    #[serde(default)]
    module: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    pub(super) instances: Vec<I>,
}

/// An instance, as its key, and all that the state says of it.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Value")]
struct Instance {
    index: String,
    deposed: Option<String>,
    content: String,
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

/// The key of an instance, as Terraform prints it behind a name.
pub(super) fn index(key: &Value) -> String {
    match key {
        Value::Null => String::new(),
        Value::String(key) => format!("[\"{}\"]", escaped(key)),
        index => format!("[{index}]"),
    }
}

impl<I> Resource<I> {
    /// The address of an instance, as Terraform prints it.
    pub(super) fn address(&self, index: &str) -> String {
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
    serde_json::from_str(text).map_err(|error| misread(&error))
}

pub(super) fn misread(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    format!("no state as Terraform and OpenTofu write it, by line {line}, column {column}")
}

/// The text of a state that a program has shown.
pub(super) fn shown_text(shown: File) -> io::Result<String> {
    text_of_output(shown, MOST_OF_A_STATE)
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
}
