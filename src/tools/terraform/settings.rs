//! Merges settings as `terraform init` does, and compares them with what it has kept.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::arguments::Given;
use super::backend::Backend;
use super::backend_config::no_setting;
use super::block::{expression, read_settings};
use super::files::malformed;
use super::plain::{is_plain_path, name_of_setting};
use super::schema::Schema;
use crate::tools::error::ToolError;

/// What a `-backend-config` gives.
struct Override {
    settings: Map<String, Value>,
    /// The file, or which variable gives which setting, for errors: a value may be a secret.
    source: PathBuf,
}

/// Puts what is given over the settings of the block, the later over the earlier. Returns the
/// settings of the block that Terraform does not know.
///
/// Terraform 1.11 refuses those where nothing is given, and drops them in silence where anything
/// is, if only an empty `-backend-config=`.
pub(super) fn merge(
    backend: &mut Backend,
    given: &[Given],
    directory: &Path,
) -> Result<Vec<String>, ToolError> {
    let schema = Schema::of(&backend.kind);
    let knows = |name: &str| schema.is_none_or(|schema| schema.knows(name));
    let names = backend.settings.keys().cloned();
    let dropped: Vec<String> = names.filter(|name| !knows(name)).collect();
    if let (Some(name), true) = (dropped.first(), given.is_empty()) {
        return Err(unknown_setting(directory, &backend.kind, name));
    }
    backend.settings.retain(|name, _| knows(name));
    // The only one that is empty takes all away that was given, and there is nothing.
    let given = match given {
        [only] if only.text.is_empty() => &[],
        given => given,
    };
    for given in given {
        let Override { settings, source } = read_given(given, schema, directory)?;
        if let Some(name) = settings.keys().find(|name| !knows(name)) {
            return Err(unknown_setting(&source, &backend.kind, name));
        }
        backend.settings.extend(settings);
    }
    backend.settings.retain(|_, value| !value.is_null());
    Ok(dropped)
}

fn read_given(
    given: &Given,
    schema: Option<&Schema>,
    directory: &Path,
) -> Result<Override, ToolError> {
    let Some((name, value)) = given.text.split_once('=') else {
        let source = directory.join(&given.text);
        if !is_plain_path(&given.text) && !source.is_file() {
            return Err(malformed(Path::new(given.by), no_setting(&given.text)));
        }
        let settings = read_settings(&source)?;
        return Ok(Override { settings, source });
    };
    let told = name_of_setting(name).unwrap_or("…");
    let source = PathBuf::from(format!("{} {told}", given.by));
    let is_structured = match schema {
        Some(schema) => schema.is_structured(name),
        None => value.starts_with(['{', '[']),
    };
    let value = if is_structured {
        expression(&source, value)?
    } else {
        Value::from(value)
    };
    let settings = Map::from_iter([(name.to_owned(), value)]);
    Ok(Override { settings, source })
}

fn unknown_setting(source: &Path, kind: &str, name: &str) -> ToolError {
    let setting = match name_of_setting(name) {
        Some(_) => format!("setting {name:?}"),
        None => "setting of such a name, which is not shown, because it may be a secret".to_owned(),
    };
    let reason = format!(
        "the backend {kind:?} knows no {setting}, so `init` fails or drops it. Correct its name"
    );
    malformed(source, reason)
}

/// The settings that are named and that `.terraform` has otherwise, or not at all.
pub(super) fn contradictions(named: &Backend, kept: &Backend) -> Vec<String> {
    let differs = |name: &&String| {
        let kept = kept.settings.get(*name).unwrap_or(&Value::Null);
        !is_same(&known(&named.settings[*name], kept), kept)
    };
    named.settings.keys().filter(differs).cloned().collect()
}

/// Whether what was kept leads to a host, or to a way there, that is not the named one.
pub(super) fn leads_elsewhere(named: &Backend, kept: &Backend) -> bool {
    let schema = Schema::of(&kept.kind);
    let names_host = |name: &str| schema.is_none_or(|schema| schema.names_host(name));
    let is_named = |name: &String, value: &Value| {
        let named = named.settings.get(name).unwrap_or(&Value::Null);
        is_same(named, value)
    };
    let mut kept_settings = kept.settings.iter();
    named.kind != kept.kind
        || kept_settings.any(|(name, value)| names_host(name) && !is_named(name, value))
}

/// What Terraform knows of a setting: of an object it drops in silence what it does not know, and keeps
/// all else, if only as null (`settings_are_merged_as_the_real_terraform_merges_them`).
fn known(written: &Value, kept: &Value) -> Value {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            let mut known = written.clone();
            known.retain(|name, _| kept.contains_key(name));
            Value::Object(known)
        }
        _ => written.clone(),
    }
}

/// Whether a setting as it is written is the one that Terraform has kept, which has turned it into
/// what the backend wants: a text, a number, a switch, a block or a list of them.
pub(super) fn is_same(written: &Value, kept: &Value) -> bool {
    match (written, kept) {
        (Value::Array(written), Value::Array(kept)) => {
            // A set has no order.
            let has = |all: &[Value], one: &Value| all.iter().any(|other| is_same(one, other));
            let is_kept = written.iter().all(|one| has(kept, one));
            is_kept && written.len() == kept.len()
        }
        (Value::Array(blocks), Value::Object(_)) => match blocks.as_slice() {
            [block] => is_same(block, kept),
            _ => false,
        },
        (Value::Object(written), Value::Object(kept)) => {
            let mut names = written.keys().chain(kept.keys());
            let of = |all: &Map<String, Value>, name: &String| all.get(name).cloned();
            names.all(|name| {
                is_same(
                    &of(written, name).unwrap_or_default(),
                    &of(kept, name).unwrap_or_default(),
                )
            })
        }
        (Value::Array(blocks), Value::Null) | (Value::Null, Value::Array(blocks)) => {
            blocks.is_empty()
        }
        (written, kept) => is_same_value(written, kept),
    }
}

/// Terraform takes `"1"` for the number and for a switch that is on.
fn is_same_value(written: &Value, kept: &Value) -> bool {
    match (written, kept) {
        (Value::String(text), Value::Bool(on)) | (Value::Bool(on), Value::String(text)) => {
            let names = if *on { ["true", "1"] } else { ["false", "0"] };
            names.contains(&text.as_str())
        }
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            text.parse::<f64>().ok() == number.as_f64()
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (written, kept) => written == kept,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::backend::tests::backend;
    use super::*;

    #[test]
    fn what_terraform_drops_of_an_object_contradicts_nothing() {
        let contradicted = |named: &Value| {
            let kept = json!({"endpoints": {"s3": "x", "sts": null}});
            !contradictions(&backend("s3", named), &backend("s3", &kept)).is_empty()
        };
        assert!(!contradicted(&json!({"endpoints": {"s3": "x"}})));
        assert!(!contradicted(
            &json!({"endpoints": {"s3": "x", "typo": "y"}})
        ));
        assert!(contradicted(&json!({"endpoints": {"typo": "y"}})));
        assert!(contradicted(&json!({"endpoints": {"s3": "x", "sts": "y"}})));
    }

    #[test]
    fn what_is_written_is_compared_as_terraform_keeps_it() {
        for (written, kept, same) in [
            (json!("a"), json!("a"), true),
            (json!("a"), json!("b"), false),
            (json!("a"), json!(null), false),
            (json!(""), json!(null), false),
            (json!(null), json!(null), true),
            (json!("true"), json!(true), true),
            (json!("1"), json!(true), true),
            (json!("false"), json!(true), false),
            (json!(true), json!("true"), true),
            (json!("007"), json!(7), true),
            (json!(7), json!("7"), true),
            (json!(7.0), json!(7), true),
            (json!("x"), json!(7), false),
            (json!(["a", "b"]), json!(["b", "a"]), true),
            (json!(["a"]), json!(["b", "a"]), false),
            (json!({"s3": "x"}), json!({"s3": "x", "sts": null}), true),
            (json!({"s3": "x"}), json!({"s3": "x", "sts": "y"}), false),
            (json!({"s3": "x", "sts": null}), json!({"s3": "x"}), true),
            (json!([{"a": "1"}]), json!({"a": 1}), true),
            (json!([{"a": "1"}, {}]), json!({"a": 1}), false),
            (json!([]), json!(null), true),
        ] {
            assert_eq!(is_same(&written, &kept), same, "{written} {kept}");
        }
    }

    #[test]
    fn what_was_given_without_a_name_is_no_name_to_be_told() {
        let said_of = |given: &str| {
            let mut backend = backend("pg", &json!({}));
            let given = Given {
                by: "BACKEND_CONFIG",
                text: given.to_owned(),
            };
            let error = merge(&mut backend, &[given], Path::new("/"));
            error.unwrap_err().to_string()
        };
        for given in [
            "postgres://user:s3cret@host/database?sslmode=disable",
            "postgres://user:s3cret@host/database",
            "S3cret==",
            "S3cret",
            "password s3cret",
            "password:s3cret",
        ] {
            let said = said_of(given);
            assert!(!said.to_lowercase().contains("s3cret"), "{said}");
            assert!(said.starts_with("BACKEND_CONFIG "), "{said}");
        }
        let said = said_of("con_str=s3cret");
        assert!(said.starts_with("BACKEND_CONFIG con_str cannot"), "{said}");
        assert!(said.contains("knows no setting \"con_str\""), "{said}");
    }
}
