//! The backend that a directory uses, and from where that is known.

use serde_json::Value;

use super::backend::Backend;
use super::plain::told;
use super::schema::Schema;

/// Which backend a configuration uses, and how that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resolved {
    /// Its paths are anchored in the directory.
    pub(super) backend: Backend,
    /// What a person should know, without any value that may be a secret.
    pub(super) notes: Vec<String>,
    pub(super) origin: Origin,
}

/// Who says where the state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration, what is given beside it, and the environment.
    Named,
    /// They leave something open, which `.terraform` fills.
    Completed {
        /// Whether it fills in which host is asked, or how it is asked. The credentials of the
        /// environment are not meant for that host.
        names_host: bool,
    },
    /// OpenTofu, of a block that holds variables.
    Evaluated,
    /// Nobody, but the state of the backend `local` lies there.
    LocalFile,
}

impl Resolved {
    pub(super) fn named(backend: Backend) -> Self {
        Self {
            backend,
            notes: Vec::new(),
            origin: Origin::Named,
        }
    }

    /// Fills what is left open from what was kept, which contradicts nothing.
    pub(super) fn completed_by(mut self, kept: Backend) -> Self {
        let schema = Schema::of(&self.backend.kind);
        let mut filled = Vec::new();
        for (name, value) in kept.settings {
            if self.backend.settings.contains_key(&name) {
                continue;
            }
            // `init` writes that down where a block is not there.
            let is_empty = matches!(&value, Value::Array(items) if items.is_empty());
            let names_host = !is_empty && schema.is_none_or(|schema| schema.names_host(&name));
            self.origin = Origin::Completed {
                names_host: names_host || self.gets_no_credentials(),
            };
            if !is_empty && schema.is_none_or(|schema| schema.names_place(&name)) {
                filled.push(told(&name, &value));
            }
            self.backend.settings.insert(name, value);
        }
        if !filled.is_empty() {
            let consequence = if self.gets_no_credentials() {
                ", so no credentials of the environment are sent there"
            } else {
                ""
            };
            self.notes.push(format!(
                "Only `.terraform` says which state is meant ({}){consequence}. Name the one that is \
                 meant by BACKEND_CONFIG.",
                filled.join(", ")
            ));
        }
        self
    }

    /// Whether nobody but `.terraform` names the host.
    pub(super) fn gets_no_credentials(&self) -> bool {
        self.origin == Origin::Completed { names_host: true }
    }
}
