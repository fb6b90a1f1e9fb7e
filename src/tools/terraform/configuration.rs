//! Finds the backend that a directory of Terraform files uses.
//!
//! What is named beats what lies around: the backend block, with what is given beside it, says
//! where the state is. What `init` has kept in `.terraform` may be of another environment, so it
//! only fills what is left open, and only where it contradicts nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::arguments::{Given, given_by};
use super::backend::{Backend, DEFAULT_BACKEND};
use super::block::blocks_of;
use super::files::{ConfigurationFile, files_of, is_json, malformed, read};
use super::json_text::place;
use super::resolved::{Origin, Resolved};
use super::schema::Schema;
use super::settings::{contradictions, is_same, merge};
use crate::environment::Environment;
use crate::tools::error::ToolError;

/// What Terraform keeps of an initialised backend, in the data directory; beside the configuration,
/// the state of the backend `local`.
const STATE_FILE: &str = "terraform.tfstate";

/// A directory that holds, or should hold, a configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Configuration {
    pub(super) directory: PathBuf,
    /// Where Terraform keeps what it initialised: TF_DATA_DIR or `.terraform`.
    pub(super) data_directory: PathBuf,
    /// What is passed to `terraform init -backend-config`.
    pub(super) backend_config: Vec<String>,
    /// Whether the tool is OpenTofu, which reads files that Terraform does not.
    pub(super) is_tofu: bool,
    /// With which the tool runs here.
    pub(super) environment: Environment,
}

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

impl Configuration {
    /// The files of the configuration, in the order in which they are merged.
    pub(super) fn files(&self) -> Result<Vec<ConfigurationFile>, ToolError> {
        files_of(&self.directory, self.is_tofu)
    }

    /// Which backend is meant here, for a look that has seen no Terraform run.
    pub(super) fn resolve(&self) -> Result<Resolved, ToolError> {
        let resolved = self.resolve_used()?;
        if resolved.origin == Origin::LocalFile {
            expect_local_state(&resolved.backend)?;
        }
        Ok(resolved)
    }

    /// Which backend a Terraform uses here that was seen to run: it may be about to make its state.
    pub(super) fn resolve_used(&self) -> Result<Resolved, ToolError> {
        let kept = self.kept()?;
        let mut resolved = match (self.block()?, kept) {
            (Some(block), kept) => self.named(block, kept)?,
            (None, Some(kept)) => self.kept_alone(kept)?,
            (None, None) => Resolved::named(local()),
        };
        resolved.backend.anchor_paths(&self.directory);
        self.expect_complete(&resolved.backend)?;
        if resolved.backend.kind == DEFAULT_BACKEND {
            resolved.origin = Origin::LocalFile;
        }
        Ok(resolved)
    }

    /// The same, where OpenTofu has said the values of the backend block.
    pub(super) fn resolve_evaluated(&self, mut backend: Backend) -> Result<Resolved, ToolError> {
        backend.anchor_paths(&self.directory);
        // The command may give its variables other values than softstop knows.
        if self.initialised()?.is_some_and(|kept| kept != backend) {
            return Err(ToolError::Unknown {
                reason: format!(
                    "{} was initialised with other settings than its backend block has by the \
                     values that softstop knows. Give these by TF_VAR_ variables, or by \
                     TF_CLI_ARGS_init",
                    self.directory.display()
                ),
            });
        }
        if backend.kind == DEFAULT_BACKEND {
            expect_local_state(&backend)?;
        }
        Ok(Resolved {
            origin: Origin::Evaluated,
            ..Resolved::named(backend)
        })
    }

    /// What `init` has kept here: for a place that was seen in use, that is what was used.
    pub(super) fn initialised(&self) -> Result<Option<Backend>, ToolError> {
        let Some(mut backend) = self.kept()? else {
            return Ok(None);
        };
        backend.anchor_paths(&self.directory);
        Ok(Some(backend))
    }

    /// What is named here, where `init` has kept something else. No command but `init` opens the state
    /// then, unless an `init` was given what is not known here.
    pub(super) fn contradicting(&self) -> Option<Backend> {
        let block = self.block().ok()?.unwrap_or_else(local);
        let kept = self.kept().ok()??;
        let merged = self.merged(block.clone()).ok().map(|(merged, _)| merged);
        let is_kept =
            |named: &Backend| named.kind == kept.kind && contradictions(named, &kept).is_empty();
        let is_one_kept = is_kept(&block) || merged.as_ref().is_some_and(is_kept);
        (!is_one_kept).then_some(merged.unwrap_or(block))
    }

    /// From where to where an `init` here would bring the state: from what was kept to what is named.
    pub(super) fn moves(&self) -> Result<Option<(Backend, Backend)>, ToolError> {
        let mut named = match self.block()? {
            Some(block) => self.merged(block)?.0,
            None => local(),
        };
        let kept = self.kept()?;
        let is_first = kept.is_none();
        let mut kept = kept.unwrap_or_else(local);
        if named.kind == kept.kind && self.differing(&named, &kept).is_empty() {
            return Ok(None);
        }
        named.anchor_paths(&self.directory);
        kept.anchor_paths(&self.directory);
        let is_nothing_there = is_first && expect_local_state(&kept).is_err();
        Ok((!is_nothing_there).then_some((kept, named)))
    }

    /// Whether a backend block, or a `cloud` block, says where the state is.
    pub(super) fn has_backend_block(&self) -> Result<bool, ToolError> {
        Ok(self.block()?.is_some())
    }

    /// The backend block. One in an override file replaces the others as a whole, and of those the
    /// last one counts.
    pub(super) fn block(&self) -> Result<Option<Backend>, ToolError> {
        let mut found = None;
        for file in self.files()? {
            for (count, block) in blocks_of(&file.path)?.into_iter().enumerate() {
                if self.is_tofu && is_json(&file.path) {
                    expect_no_template(&file.path, &block)?;
                }
                let is_second = found.is_some() && !(file.is_override && count == 0);
                if is_second {
                    let reason = "it holds a second backend or cloud block. Leave one";
                    return Err(malformed(&file.path, reason));
                }
                found = Some(block);
            }
        }
        Ok(found)
    }

    /// The block with what is given over it, and the names of the settings that Terraform drops.
    pub(super) fn merged(&self, mut block: Backend) -> Result<(Backend, Vec<String>), ToolError> {
        let dropped = merge(&mut block, &self.given()?, &self.directory)?;
        Ok((block, dropped))
    }

    fn named(&self, block: Backend, kept: Option<Backend>) -> Result<Resolved, ToolError> {
        let (named, dropped) = self.merged(block)?;
        let mut resolved = self.completed(named, kept);
        for name in &dropped {
            resolved.notes.push(format!(
                "The backend {:?} knows no setting {name:?}: {} drops it in silence, because a -backend-config is given. Correct its name.",
                resolved.backend.kind,
                if self.is_tofu { "OpenTofu" } else { "Terraform" }
            ));
        }
        if !dropped.is_empty() && !resolved.backend.takes_locks(&self.environment) {
            return Err(ToolError::Dropped {
                names: quoted_names(&dropped),
                kind: resolved.backend.kind,
            });
        }
        Ok(resolved)
    }

    /// What `.terraform` has where no block is there, which a command of the user's own may write.
    fn kept_alone(&self, kept: Backend) -> Result<Resolved, ToolError> {
        let (named, _) = self.merged(Backend {
            kind: kept.kind.clone(),
            settings: Map::new(),
        })?;
        let differing = self.differing(&named, &kept);
        if differing.is_empty() {
            return Ok(self.completed(named, Some(kept)));
        }
        Err(ToolError::Unknown {
            reason: format!(
                "no backend block says where the state is, and `.terraform` is of another backend than the settings that are given ({}). Run `init`, or write the backend block",
                differing.join(", ")
            ),
        })
    }

    /// Fills what is left open from what was kept, where that contradicts nothing.
    fn completed(&self, named: Backend, kept: Option<Backend>) -> Resolved {
        let Some(kept) = kept else {
            return Resolved::named(named);
        };
        let differing = if named.kind == kept.kind {
            self.differing(&named, &kept)
        } else {
            vec![format!("{} instead of {}", kept.kind, named.kind)]
        };
        if !differing.is_empty() {
            let note = format!(
                "`.terraform` is of another backend than the one that is named ({}), so what is named is used.",
                differing.join(", ")
            );
            return Resolved {
                notes: vec![note],
                ..Resolved::named(named)
            };
        }
        Resolved::named(named).completed_by(kept)
    }

    /// The settings in which what is named, by variables too, contradicts what was kept.
    fn differing(&self, named: &Backend, kept: &Backend) -> Vec<String> {
        let mut differing = contradictions(named, kept);
        let schema = Schema::of(&named.kind);
        let variables = schema.map(|schema| schema.by_variables(&self.environment));
        for (setting, value) in variables.into_iter().flatten() {
            let is_named = named.given(setting).is_some();
            let kept = kept.given(setting);
            if !is_named && kept.is_some_and(|kept| !is_same(&Value::from(value), kept)) {
                differing.push(setting.to_owned());
            }
        }
        differing
    }

    /// What is given beside the block. The words of a command line stand behind those of the
    /// variables, and BACKEND_CONFIG is what the default command's `init` has there.
    pub(super) fn given(&self) -> Result<Vec<Given>, ToolError> {
        let mut given = given_by(&self.environment)?;
        given.extend(self.backend_config.iter().map(|text| Given {
            by: "BACKEND_CONFIG",
            text: text.clone(),
        }));
        Ok(given)
    }

    fn expect_complete(&self, backend: &Backend) -> Result<(), ToolError> {
        let schema = Schema::of(&backend.kind);
        let missing = schema.map(|schema| schema.missing(backend, &self.environment));
        let missing = missing.unwrap_or_default();
        if missing.is_empty() {
            return Ok(());
        }
        let mut ways = vec!["BACKEND_CONFIG".to_owned()];
        for setting in &missing {
            let variables = schema
                .iter()
                .flat_map(|schema| schema.variables_for(setting));
            ways.extend(variables.take(1).map(str::to_owned));
        }
        Err(ToolError::Incomplete {
            kind: backend.kind.clone(),
            missing: missing.join(", "),
            ways: ways.join(" or "),
        })
    }

    fn kept(&self) -> Result<Option<Backend>, ToolError> {
        let path = self.data_directory.join(STATE_FILE);
        // Terraform empties the file before it writes it, so an `init` that is killed in between
        // leaves it empty, and nothing initialised.
        if fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            read_kept(&path)
        } else {
            Ok(None)
        }
    }
}

/// Reads what Terraform keeps of an initialised backend.
pub(super) fn read_initialised(path: &Path) -> Result<Backend, ToolError> {
    Ok(read_kept(path)?.unwrap_or_else(local))
}

/// What is used where nothing is named.
fn local() -> Backend {
    Backend {
        kind: DEFAULT_BACKEND.to_owned(),
        settings: Map::new(),
    }
}

fn read_kept(path: &Path) -> Result<Option<Backend>, ToolError> {
    let initialised: Initialised =
        serde_json::from_str(&read(path)?).map_err(|error| malformed(path, place(&error)))?;
    Ok(initialised.backend.map(|backend| {
        let settings = backend.config.into_iter();
        Backend {
            kind: backend.kind,
            settings: settings.filter(|(_, value)| !value.is_null()).collect(),
        }
    }))
}

/// A state that is kept beside the configuration is there, or it is somewhere else: in the clone of
/// another step, or in a place that nobody has named.
fn expect_local_state(backend: &Backend) -> Result<(), ToolError> {
    let exists = |setting| {
        let path = backend.text(setting);
        path.is_some_and(|path| Path::new(path).exists())
    };
    if exists("path") || exists("workspace_dir") {
        return Ok(());
    }
    Err(ToolError::Unknown {
        reason:
            "softstop cannot know where the state is: no backend but `local` is named, and no state \
                 file lies here. Name the directory by WORKING_DIR, or write a backend block"
                .to_owned(),
    })
}

/// OpenTofu takes a text in JSON for a template.
fn expect_no_template(path: &Path, block: &Backend) -> Result<(), ToolError> {
    let is_template = |value: &Value| {
        let text = value.to_string();
        text.contains("${") || text.contains("%{")
    };
    match block.settings.iter().find(|(_, value)| is_template(value)) {
        Some((setting, _)) => Err(ToolError::NoLiteral {
            path: path.to_owned(),
            setting: setting.clone(),
        }),
        None => Ok(()),
    }
}

fn quoted_names(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}
