//! What a plan does, by what `show -json` says of it.

use serde::Deserialize;
use serde_json::Value;

use crate::tools::progress::Action;
use crate::tools::recovering::{Change, Planned};

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    resource_changes: Vec<ResourceChange>,
}

#[derive(Deserialize)]
struct ResourceChange {
    address: String,
    /// What is only to be destroyed, since something else has its address.
    deposed: Option<String>,
    change: Described,
}

#[derive(Deserialize)]
struct Described {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    importing: Option<Importing>,
}

#[derive(Deserialize)]
struct Importing {
    id: Option<String>,
}

/// Reads it. Says where it is not understood, and not what stands there.
pub(super) fn planned(text: &str) -> Result<Planned, String> {
    // A warning about the CLI configuration may stand before it.
    let json = text.find('{').map_or("", |begin| &text[begin..]);
    let shown: Shown = serde_json::from_str(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("no plan as Terraform and OpenTofu show it, by line {line}, column {column}")
    })?;
    let current = shown.resource_changes.into_iter();
    let current = current.filter(|change| change.deposed.is_none());
    Ok(Planned(
        current
            .map(
                |ResourceChange {
                     address, change, ..
                 }| (address, change.into()),
            )
            .collect(),
    ))
}

impl From<Described> for Change {
    fn from(described: Described) -> Self {
        let actions: Vec<&str> = described.actions.iter().map(String::as_str).collect();
        Self {
            action: match actions.as_slice() {
                ["no-op"] => None,
                ["read"] => Some(Action::Read),
                ["create"] => Some(Action::Create),
                ["update"] => Some(Action::Update),
                ["delete" | "forget"] => Some(Action::Destroy),
                // Whatever else there is makes another object.
                _ => Some(Action::Replace),
            },
            id: described.before["id"].as_str().map(str::to_owned),
            imported: described.importing.and_then(|importing| importing.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_does_is_told_by_address() {
        let text = r#"Warning: {}
            {"format_version": "1.2", "resource_changes": [
            {"address": "a.made", "change": {"actions": ["create"], "before": null}},
            {"address": "a.same", "change": {"actions": ["no-op"], "importing": {"id": "1"}}},
            {"address": "a.other", "change": {"actions": ["update"], "before": {"id": "3"},
                                             "importing": {"id": "2"}}},
            {"address": "a.again", "change": {"actions": ["create", "delete"], "importing": {}}},
            {"address": "a.same", "deposed": "0a1b2c3d", "change": {"actions": ["delete"]}},
            {"address": "a.gone", "change": {"actions": ["forget"]}},
            {"address": "a.new", "change": {"actions": ["create", "forget"]}}
        ]}"#;
        let text = text.replacen("{}", "", 1);
        let change = |action, imported: Option<&str>| Change {
            action,
            id: (imported == Some("2")).then(|| "3".to_owned()),
            imported: imported.map(str::to_owned),
        };
        let expected = [
            ("a.again", change(Some(Action::Replace), None)),
            ("a.gone", change(Some(Action::Destroy), None)),
            ("a.made", change(Some(Action::Create), None)),
            ("a.new", change(Some(Action::Replace), None)),
            ("a.other", change(Some(Action::Update), Some("2"))),
            ("a.same", change(None, Some("1"))),
        ];
        let expected = expected.map(|(address, change)| (address.to_owned(), change));
        assert_eq!(planned(&text).unwrap().0, expected.into());
    }

    #[test]
    fn what_is_no_plan_is_refused_without_being_quoted() {
        for text in ["", "s3cret", "{\"resource_changes\": \"s3cret\"}", "[]"] {
            let error = planned(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
