//! Which resources a state has, by the addresses that Terraform prints, and with which ids.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use crate::tools::ToolError;
use crate::tools::progress::Stored;

#[derive(Deserialize)]
struct State {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    module: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    index_key: Value,
    #[serde(default)]
    attributes: Value,
}

/// Reads what `state pull` shows. Where there is no state, that is nothing.
pub(super) fn read(text: &str, program: &str) -> Result<Stored, ToolError> {
    let mut stored = Stored::default();
    if text.trim().is_empty() {
        return Ok(stored);
    }
    let state: State = serde_json::from_str(text).map_err(|error| ToolError::NotComparable {
        reason: format!("what {program} state pull shows is no state: {error}"),
    })?;
    for resource in &state.resources {
        for instance in &resource.instances {
            let ids = stored.0.entry(resource.address(instance)).or_default();
            ids.extend(instance.attributes["id"].as_str().map(str::to_owned));
        }
    }
    Ok(stored)
}

impl Resource {
    fn address(&self, instance: &Instance) -> String {
        let mut address = String::new();
        for part in [
            self.module.as_str(),
            if self.mode == "data" { "data" } else { "" },
        ] {
            if !part.is_empty() {
                address.push_str(part);
                address.push('.');
            }
        }
        // Nothing goes wrong where one writes to a text.
        let _ = write!(address, "{}.{}", self.kind, self.name);
        match &instance.index_key {
            Value::Number(number) => {
                let _ = write!(address, "[{number}]");
            }
            Value::String(key) => {
                let _ = write!(address, "[\"{}\"]", escaped(key));
            }
            _ => {}
        }
        address
    }
}

/// A key as HCL has it, and as Terraform prints it.
fn escaped(key: &str) -> String {
    let mut escaped = String::new();
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '"' | '\\' => escaped.extend(['\\', letter]),
            '$' | '%' if letters.peek() == Some(&'{') => escaped.extend([letter, letter]),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_the_addresses_that_terraform_prints() {
        let text = r#"{"version": 4, "resources": [
            {"mode": "managed", "type": "a", "name": "b", "instances": [
                {"attributes": {"id": "1"}}, {"deposed": "1a2b3c4d", "attributes": {"id": "0"}}]},
            {"module": "module.m[\"x y\"]", "mode": "managed", "type": "a", "name": "c",
             "instances": [{"index_key": 0, "attributes": {"id": "2"}},
                           {"index_key": "it's \"q\" ${x}", "attributes": {"name": "3"}}]},
            {"mode": "data", "type": "a", "name": "d", "instances": [{"attributes": {"id": "-"}}]}
        ]}"#;
        let stored = read(text, "terraform").unwrap().0;
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
        assert_eq!(read("\n", "terraform").unwrap(), Stored::default());
        assert!(read("{", "terraform").is_err());
        assert!(read("[]", "terraform").is_err());
    }
}
