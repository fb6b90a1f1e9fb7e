//! What a stored state has, read object by object: a state may be large, and nothing else of it is kept.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::state_file::{MOST_OF_A_STATE, Resource, index, misread};

/// Whom each object is told, by its address and, where it has one, its id.
type Tell<'a> = &'a mut dyn FnMut(String, Option<String>);

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

/// A state.
struct State<'a>(Tell<'a>);

/// Its resources.
struct Resources<'a>(Tell<'a>);

impl<'de> DeserializeSeed<'de> for State<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for State<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a state")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut has_resources = false;
        while let Some(name) = members.next_key::<String>()? {
            if name == "resources" {
                has_resources = true;
                members.next_value_seed(Resources(&mut *self.0))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        has_resources
            .then_some(())
            .ok_or_else(|| A::Error::missing_field("resources"))
    }
}

impl<'de> DeserializeSeed<'de> for Resources<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Resources<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("resources")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut resources: A) -> Result<(), A::Error> {
        while let Some(mut resource) = resources.next_element::<Resource<Named>>()? {
            for instance in std::mem::take(&mut resource.instances) {
                let address = resource.address(&index(&instance.index_key));
                (self.0)(address, instance.id());
            }
        }
        Ok(())
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

/// Tells each object of what `state pull` shows. Where there is no state, that is nothing. Where it is
/// none, some may have been told.
pub(super) fn tell_each(shown: File, tell: Tell<'_>) -> Result<(), String> {
    tell_each_in(BufReader::new(shown.take(MOST_OF_A_STATE)), tell)
}

fn tell_each_in(mut shown: impl BufRead, tell: Tell<'_>) -> Result<(), String> {
    if is_blank(&mut shown).map_err(|error| error.to_string())? {
        return Ok(());
    }
    let mut deserializer = serde_json::Deserializer::from_reader(shown);
    State(tell)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| misread(&error))
}

/// Whether there is nothing but blanks, which are passed over.
fn is_blank(shown: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = shown.fill_buf()?;
        let (length, blanks) = (bytes.len(), bytes.trim_ascii_start().len());
        let blanks = length - blanks;
        shown.consume(blanks);
        if blanks < length || length == 0 {
            return Ok(length == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ids_shown(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut tell = |address, id| all.entry(address).or_default().extend(id);
        tell_each_in(text.as_bytes(), &mut tell)?;
        Ok(all)
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
        assert!(ids_shown("{}").is_err());
        assert!(ids_shown("{\"resources\": []} {}").is_err());
    }
}
