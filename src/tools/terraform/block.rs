//! Reads the block that says where the state is, and files of settings.

use std::path::Path;

use hcl::eval::{Context, Evaluate};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::backend::Backend;
use super::files::{is_json, malformed, read};
use super::hcl_text::{BlockText, state_blocks};
use super::json_text::{each, members, place};
use crate::tools::error::ToolError;

/// No block that says where a state is, is longer: a text beyond that is not parsed.
const LONGEST_BLOCK: usize = 256 * 1024;

/// The `backend` and `cloud` blocks of a file of a configuration.
pub(super) fn blocks_of(path: &Path) -> Result<Vec<Backend>, ToolError> {
    let text = read(path)?;
    if is_json(path) {
        json_blocks(path, &text)
    } else {
        hcl_blocks(path, &text)
    }
}

pub(super) fn hcl_blocks(path: &Path, text: &str) -> Result<Vec<Backend>, ToolError> {
    let blocks = state_blocks(text);
    blocks.iter().map(|block| hcl_block(path, block)).collect()
}

fn hcl_block(path: &Path, block: &BlockText) -> Result<Backend, ToolError> {
    let body = parse(path, block.text, block.lines_before)?;
    let block = body.blocks().next();
    let (kind, body) = match block.map(|block| (block.identifier(), block.labels(), block.body())) {
        Some(("backend", [label], body)) => (label.as_str(), body),
        Some(("cloud", [], body)) => ("cloud", body),
        _ => {
            return Err(malformed(
                path,
                "a backend block needs one name, a cloud block none",
            ));
        }
    };
    // A `cloud` block is not looked into: its lock is left alone.
    let settings = match kind {
        "cloud" => Map::new(),
        _ => settings_of(path, body)?,
    };
    Ok(Backend {
        kind: kind.to_owned(),
        settings,
    })
}

/// In JSON, every block may be written as one object or as a list of them, and a name may stand in
/// an object more than once.
pub(super) fn json_blocks(path: &Path, text: &str) -> Result<Vec<Backend>, ToolError> {
    let unreadable = |error| malformed(path, place(&error));
    let document: &RawValue = serde_json::from_str(text).map_err(unreadable)?;
    let mut blocks = Vec::new();
    for terraform in members(document, "terraform").map_err(unreadable)? {
        for (name, value) in each(terraform).map_err(unreadable)? {
            match name.as_str() {
                "backend" => blocks.extend(json_backends(path, value)?),
                "cloud" if value.get() != "null" => blocks.push(Backend {
                    kind: "cloud".to_owned(),
                    settings: Map::new(),
                }),
                _ => {}
            }
        }
    }
    Ok(blocks)
}

fn json_backends(path: &Path, labels: &RawValue) -> Result<Vec<Backend>, ToolError> {
    // The place is not told: it would be counted from the block.
    let unreadable = |_| malformed(path, "its backend block is none");
    let mut backends = Vec::new();
    for (kind, blocks) in each(labels).map_err(unreadable)? {
        let blocks: Value = serde_json::from_str(blocks.get()).map_err(unreadable)?;
        let blocks = match blocks {
            Value::Null => Vec::new(),
            Value::Array(blocks) => blocks,
            block => vec![block],
        };
        for block in blocks {
            let mut settings = match block {
                Value::Object(settings) => settings,
                _ => Map::new(),
            };
            settings.remove("//");
            let kind = kind.clone();
            backends.push(Backend { kind, settings });
        }
    }
    Ok(backends)
}

/// Reads a file of settings, as `terraform init -backend-config=FILE` takes it.
pub(super) fn read_settings(path: &Path) -> Result<Map<String, Value>, ToolError> {
    let text = read(path)?;
    if !is_json(path) {
        return settings_of(path, &parse(path, &text, 0)?);
    }
    let unreadable = |error| malformed(path, place(&error));
    let settings: Value = serde_json::from_str(&text).map_err(unreadable)?;
    let objects = match settings {
        Value::Array(objects) => objects,
        object => vec![object],
    };
    let mut settings = Map::new();
    for object in objects {
        match object {
            Value::Object(members) => settings.extend(members),
            _ => return Err(malformed(path, "it holds no object of settings")),
        }
    }
    settings.remove("//");
    Ok(settings)
}

/// The value of NAME=VALUE where it is a list or an object. `given` says where it was given, for an
/// error.
pub(super) fn expression(given: &Path, value: &str) -> Result<Value, ToolError> {
    let settings = settings_of(given, &parse(given, &format!("value = {value}"), 0)?)?;
    Ok(settings.get("value").cloned().unwrap_or_default())
}

fn settings_of(path: &Path, body: &hcl::Body) -> Result<Map<String, Value>, ToolError> {
    let mut settings = Map::new();
    for attribute in body.attributes() {
        let value = literal(path, attribute.key(), attribute.expr())?;
        settings.insert(attribute.key().to_owned(), value);
    }
    for block in body.blocks() {
        let value = Value::Object(settings_of(path, block.body())?);
        match settings
            .entry(block.identifier())
            .or_insert_with(|| Value::Array(Vec::new()))
        {
            Value::Array(blocks) => blocks.push(value),
            other => *other = value,
        }
    }
    Ok(settings)
}

/// Parses without ever quoting the text in an error, because it may hold secrets.
fn parse(path: &Path, text: &str, lines_before: usize) -> Result<hcl::Body, ToolError> {
    if text.len() > LONGEST_BLOCK {
        return Err(malformed(path, "its settings are too long"));
    }
    hcl::parse(text).map_err(|error| match error {
        hcl::Error::Parse(error) => {
            let place = error.location();
            let line = lines_before + place.line();
            malformed(path, format!("line {line}, column {}", place.column()))
        }
        _ => malformed(path, "its settings are no HCL"),
    })
}

/// The value of a setting, which must be a literal as Terraform wants it.
fn literal(path: &Path, setting: &str, expression: &hcl::Expression) -> Result<Value, ToolError> {
    let value = expression.evaluate(&Context::new()).ok();
    value
        .and_then(|value| serde_json::to_value(value).ok())
        .ok_or_else(|| ToolError::NoLiteral {
            path: path.to_owned(),
            setting: setting.to_owned(),
        })
}
