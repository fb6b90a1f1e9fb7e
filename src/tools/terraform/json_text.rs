//! Reads of a JSON text no more than what is asked for.
//!
//! What is not asked for is passed over without a look at it: a number of any size, a text with half
//! a character, any depth. All that Terraform takes is taken.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order, those of the same name included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The members of an object, or of all objects of a list. Anything else has none.
pub(super) fn each(value: &RawValue) -> serde_json::Result<Vec<(String, &RawValue)>> {
    let objects: Vec<&RawValue> = match value.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(value.get())?,
        _ => vec![value],
    };
    let mut all = Vec::new();
    for object in objects {
        if object.get().starts_with('{') {
            let Members(members) = serde_json::from_str(object.get())?;
            all.extend(members);
        }
    }
    Ok(all)
}

/// The values of all members of this name.
pub(super) fn members<'a>(
    value: &'a RawValue,
    name: &str,
) -> serde_json::Result<Vec<&'a RawValue>> {
    let members = each(value)?.into_iter();
    Ok(members
        .filter(|(member, _)| member == name)
        .map(|(_, value)| value)
        .collect())
}

/// Where a text is wrong, without a word of it: serde quotes values.
pub(super) fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}
