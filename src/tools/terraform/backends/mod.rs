//! Every backend whose locks softstop knows. A new one is a file, and its lines here.
//!
//! Settings are those that Terraform 1.11 to 1.15 and OpenTofu document.

mod azurerm;
mod consul;
mod cos;
mod gcs;
mod http;
mod kubernetes;
mod local;
mod oci;
mod oss;
mod pg;
mod s3;

use std::ffi::OsStr;

use serde_json::Value;

use super::backend::Backend;
use super::known::Known;
use super::schema::{Schema, is_given};
use super::strategy::Strategy;
use crate::environment::Environment;
use crate::tools::error::ToolError;

/// The workspace that is there from the beginning.
const DEFAULT_WORKSPACE: &str = "default";

pub(super) const ALL: &[&Known] = &[
    &local::LOCAL,
    &http::HTTP,
    &s3::S3,
    &gcs::GCS,
    &azurerm::AZURERM,
    &kubernetes::KUBERNETES,
    &pg::PG,
    &consul::CONSUL,
    &oss::OSS,
    &cos::COS,
    &oci::OCI,
];

impl Known {
    /// None for a backend whose locks softstop leaves alone.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|known| known.schema.kind == kind)
    }
}

impl Schema {
    /// None for a backend whose locks softstop leaves alone.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        Known::of(kind).map(|known| &known.schema)
    }
}

impl Backend {
    /// How locks are read and released here, and what that guarantees.
    pub(super) fn strategy(&self) -> Result<Strategy, ToolError> {
        match self.known() {
            Some(known) => Ok((known.strategy)(self)),
            None => Err(ToolError::Unsupported {
                kind: self.kind.clone(),
                advice: match self.kind.as_str() {
                    "cloud" | "remote" => {
                        "Its lock belongs to the remote workspace: unlock it there"
                    }
                    _ => "After a stop, look yourself whether its lock is free",
                },
            }),
        }
    }

    /// Whether the backend is set up to take locks at all.
    pub(super) fn takes_locks(&self) -> bool {
        self.known().is_none_or(|known| (known.takes_locks)(self))
    }

    /// Fails where the backend has no other workspace than the default one, and another one is named.
    /// Terraform refuses it there, so no deploy has ever used it.
    pub(super) fn expect_workspace(&self, workspace: &str) -> Result<(), ToolError> {
        let is_there = workspace == DEFAULT_WORKSPACE;
        if is_there || self.known().is_none_or(|known| known.has_workspaces) {
            return Ok(());
        }
        Err(ToolError::NoState(format!(
            "there is no workspace {workspace:?}: the backend {:?} has none but \
             {DEFAULT_WORKSPACE:?}. Correct its name",
            self.kind
        )))
    }

    /// Whether Terraform needs no `init` where the settings are written down as `init` keeps them.
    pub(super) fn is_flat(&self) -> bool {
        self.known().is_some_and(|known| known.is_flat)
    }

    /// Whether whatever opens the state makes an empty one where there is none, `force-unlock` too.
    pub(super) fn is_made_by_asking(&self) -> bool {
        self.known().is_some_and(|known| known.is_made_by_asking)
    }

    /// What is kept there as the lock of a workspace, for people; none where softstop knows no name of
    /// it.
    pub(super) fn kept_lock(&self, workspace: &str) -> Option<String> {
        (self.known()?.kept_lock)(self, workspace)
    }

    /// The variables that lead to another state where the settings are the same.
    pub(super) fn leading_variables<'a>(
        &self,
        environment: &'a Environment,
    ) -> Vec<(&'a OsStr, &'a OsStr)> {
        let Some(known) = self.known() else {
            return Vec::new();
        };
        let mut leading = environment.beginning_with(known.leading);
        leading.retain(|(name, _)| !known.renewed.iter().any(|renewed| name == renewed));
        leading
    }

    /// Whether a relative path leads to the state, and so to another one in another directory.
    pub(super) fn goes_by_directory(&self, environment: &Environment) -> bool {
        let names = self.known().map_or(&[][..], |known| known.leading_files);
        names.iter().any(|name| {
            let set = environment.text(name).map(Value::from);
            set.iter().chain(self.given(name)).any(holds_relative_path)
        })
    }

    fn known(&self) -> Option<&'static Known> {
        Known::of(&self.kind)
    }

    /// Keeps Terraform from making what is not there.
    pub(super) fn make_nothing(&mut self) {
        for (setting, _) in self.known().map_or(&[][..], |known| known.without_making) {
            self.settings
                .insert((*setting).to_owned(), Value::Bool(true));
        }
    }
}

/// Whether any path in a list, or in a text that has them one behind the other, goes by a directory.
fn holds_relative_path(value: &Value) -> bool {
    let is_relative = |path: &str| !path.is_empty() && !path.starts_with(['/', '~']);
    match value {
        Value::String(paths) => paths.split(':').any(is_relative),
        Value::Array(paths) => paths.iter().any(holds_relative_path),
        _ => false,
    }
}

/// Whether Terraform takes a lock with these settings and variables.
pub(super) fn takes_a_lock(backend: &Backend, environment: &Environment) -> bool {
    match backend.kind.as_str() {
        "http" => {
            is_given(backend, "lock_address") || environment.get("TF_HTTP_LOCK_ADDRESS").is_some()
        }
        _ => backend.takes_locks(),
    }
}
