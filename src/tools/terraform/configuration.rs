//! Finds the backend that a directory of Terraform files uses.
//!
//! Where the deploy has initialised, `.terraform/terraform.tfstate` holds the resolved backend.
//! Before that it has to be read from the configuration and from BACKEND_CONFIG.

use std::fs;
use std::path::{Path, PathBuf};

use hcl::eval::{Context, Evaluate};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::backend::Backend;
use crate::tools::ToolError;

/// The kind of backend that a configuration without a backend block uses.
const DEFAULT_BACKEND: &str = "local";

/// What Terraform keeps of an initialised backend.
#[derive(Deserialize)]
struct Initialised {
    backend: Option<InitialisedBackend>,
}

#[derive(Deserialize)]
struct InitialisedBackend {
    #[serde(rename = "type")]
    kind: String,
    config: Map<String, Value>,
}

/// A directory that holds, or should hold, a configuration.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) directory: PathBuf,
    /// Where Terraform keeps what it initialised: TF_DATA_DIR or `.terraform`.
    pub(super) data_directory: PathBuf,
    /// What is passed to `terraform init -backend-config`.
    pub(super) backend_config: Vec<String>,
    /// Whether the tool is OpenTofu, which reads files that Terraform does not.
    pub(super) is_tofu: bool,
}

impl Configuration {
    /// The backend of this configuration, its paths anchored in its directory.
    pub(super) fn backend(&self) -> Result<Backend, ToolError> {
        let mut backend = match self.initialised()? {
            Some(backend) => backend,
            None => self.written()?,
        };
        backend.anchor_paths(&self.directory);
        Ok(backend)
    }

    /// Whether a backend block, or a `cloud` block, says where the state is.
    pub(super) fn has_backend_block(&self) -> Result<bool, ToolError> {
        Ok(self.block()?.is_some())
    }

    /// The files of the configuration, overrides last, as they are merged.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, ToolError> {
        let unreadable = |source| ToolError::Unreadable {
            path: self.directory.clone(),
            source,
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if self.is_configuration(&path) {
                files.push(path);
            }
        }
        files.sort_by_key(|path| (is_override(path), path.clone()));
        Ok(files)
    }

    fn is_configuration(&self, path: &Path) -> bool {
        let name = name_of(path);
        let stem = name.strip_suffix(".json").unwrap_or(&name);
        let known = match stem.rsplit_once('.') {
            Some((_, "tf")) => true,
            Some((_, "tofu")) => self.is_tofu,
            _ => false,
        };
        known && path.is_file() && !name.starts_with('.')
    }

    /// The backend that was initialised here, where one was.
    pub(super) fn initialised(&self) -> Result<Option<Backend>, ToolError> {
        let path = self.data_directory.join("terraform.tfstate");
        // Terraform empties the file before it writes it, so an `init` that is killed in between
        // leaves it empty, and nothing initialised.
        if fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            read_initialised(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    fn written(&self) -> Result<Backend, ToolError> {
        let Some(mut backend) = self.block()? else {
            return Ok(Backend {
                kind: DEFAULT_BACKEND.to_owned(),
                settings: Map::new(),
            });
        };
        for given in &self.backend_config {
            if let Some((name, value)) = given.split_once('=') {
                let value = pair_value(&given_pair(given), value)?;
                backend.settings.insert(name.trim().to_owned(), value);
            } else {
                let path = self.directory.join(given);
                backend.settings.extend(read_settings(&path)?);
            }
        }
        Ok(backend)
    }

    /// The backend block; the last one counts, because overrides come last.
    fn block(&self) -> Result<Option<Backend>, ToolError> {
        let mut found = None;
        for path in self.files()? {
            let text = read(&path)?;
            let block = if is_json(&path) {
                json_block(&text).map_err(|reason| malformed(&path, &reason))?
            } else {
                hcl_block(&path, &text)?
            };
            found = block.or(found);
        }
        Ok(found)
    }
}

/// Reads what Terraform keeps of an initialised backend.
pub(super) fn read_initialised(path: &Path) -> Result<Backend, ToolError> {
    let initialised: Initialised =
        serde_json::from_str(&read(path)?).map_err(|reason| malformed(path, &reason))?;
    Ok(match initialised.backend {
        None => Backend {
            kind: DEFAULT_BACKEND.to_owned(),
            settings: Map::new(),
        },
        Some(backend) => Backend {
            kind: backend.kind,
            settings: backend
                .config
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        },
    })
}

pub(super) fn hcl_block(path: &Path, text: &str) -> Result<Option<Backend>, ToolError> {
    let body = parse(path, text)?;
    for terraform in body
        .blocks()
        .filter(|block| block.identifier() == "terraform")
    {
        for block in terraform.body().blocks() {
            let kind = match (block.identifier(), block.labels()) {
                ("backend", [label]) => label.as_str(),
                ("cloud", []) => "cloud",
                _ => continue,
            };
            return Ok(Some(Backend {
                kind: kind.to_owned(),
                settings: settings_of(path, block.body())?,
            }));
        }
    }
    Ok(None)
}

pub(super) fn json_block(text: &str) -> serde_json::Result<Option<Backend>> {
    let document: Value = serde_json::from_str(text)?;
    for terraform in each(document.get("terraform")) {
        for labels in each(terraform.get("backend")) {
            for (kind, settings) in labels.as_object().into_iter().flatten() {
                if let Some(settings) = each(Some(settings)).iter().next() {
                    return Ok(Some(Backend {
                        kind: kind.clone(),
                        settings: settings.as_object().cloned().unwrap_or_default(),
                    }));
                }
            }
        }
        if terraform.get("cloud").is_some() {
            return Ok(Some(Backend {
                kind: "cloud".to_owned(),
                settings: Map::new(),
            }));
        }
    }
    Ok(None)
}

/// In JSON, a block may be written as one object or as a list of them.
fn each(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
    }
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

/// Reads a file of settings, as `terraform init -backend-config=FILE` takes it.
fn read_settings(path: &Path) -> Result<Map<String, Value>, ToolError> {
    let text = read(path)?;
    if is_json(path) {
        return serde_json::from_str(&text).map_err(|reason| malformed(path, &reason));
    }
    settings_of(path, &parse(path, &text)?)
}

/// The value of `-backend-config=NAME=VALUE`: a text, or an expression where it is a list or an
/// object.
pub(super) fn pair_value(given: &Path, value: &str) -> Result<Value, ToolError> {
    if !value.starts_with(['{', '[']) {
        return Ok(Value::from(value));
    }
    let settings = settings_of(given, &parse(given, &format!("value = {value}"))?)?;
    Ok(settings.get("value").cloned().unwrap_or_default())
}

/// A pair may hold a secret after its `=`, so an error names the part before it.
fn given_pair(given: &str) -> PathBuf {
    let name = given.split('=').next().unwrap_or_default();
    PathBuf::from(format!("BACKEND_CONFIG {name}"))
}

/// Parses without ever quoting the text in an error, because a backend block may hold secrets.
fn parse(path: &Path, text: &str) -> Result<hcl::Body, ToolError> {
    hcl::parse(text).map_err(|error| match error {
        hcl::Error::Parse(error) => {
            let place = error.location();
            let reason = format!("line {}, column {}", place.line(), place.column());
            malformed(path, &reason)
        }
        error => malformed(path, &error),
    })
}

/// The value of a setting, which must be a literal as Terraform wants it. OpenTofu allows
/// variables too; those are only known once the deploy has initialised.
fn literal(path: &Path, setting: &str, expression: &hcl::Expression) -> Result<Value, ToolError> {
    let value = expression.evaluate(&Context::new()).ok();
    value
        .and_then(|value| serde_json::to_value(value).ok())
        .ok_or_else(|| {
            malformed(
                path,
                &format!("the setting {setting:?} is no literal value"),
            )
        })
}

fn read(path: &Path) -> Result<String, ToolError> {
    fs::read_to_string(path).map_err(|source| ToolError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn malformed(path: &Path, reason: &dyn std::fmt::Display) -> ToolError {
    ToolError::Malformed {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

fn is_override(path: &Path) -> bool {
    let name = name_of(path);
    let stem = name.split('.').next().unwrap_or_default();
    stem == "override" || stem.ends_with("_override")
}
