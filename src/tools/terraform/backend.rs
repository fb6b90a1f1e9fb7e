//! A backend, with the settings that a configuration gives it.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::backends::Known;
use super::strategy::Strategy;
use crate::tools::ToolError;

/// A backend with the settings that were given for it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) kind: String,
    pub(super) settings: Map<String, Value>,
}

/// Its settings hold secrets, so they are never printed.
impl fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "backend {:?}", self.kind)
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

    /// Whether Terraform needs no `init` where the settings are written down as `init` keeps them.
    pub(super) fn is_flat(&self) -> bool {
        self.known().is_some_and(|known| known.is_flat)
    }

    /// Whether whatever opens the state makes an empty one where there is none, `force-unlock` too.
    pub(super) fn is_made_by_asking(&self) -> bool {
        self.known().is_some_and(|known| known.is_made_by_asking)
    }

    fn known(&self) -> Option<&'static Known> {
        Known::of(&self.kind)
    }

    /// Makes the paths of a local state independent of where Terraform runs: a lock of the operating
    /// system is on the file itself, and beside it lies what Terraform says of the holder.
    pub(super) fn anchor_paths(&mut self, directory: &Path) {
        if self.kind != "local" {
            return;
        }
        for (setting, default) in [
            ("path", "terraform.tfstate"),
            ("workspace_dir", "terraform.tfstate.d"),
        ] {
            let path = directory.join(self.text(setting).unwrap_or(default));
            let path = Value::from(path.to_string_lossy());
            self.settings.insert(setting.to_owned(), path);
        }
    }

    /// Keeps Terraform from making what is not there.
    pub(super) fn make_nothing(&mut self) {
        for setting in self.known().map_or(&[][..], |known| known.without_making) {
            self.settings
                .insert((*setting).to_owned(), Value::Bool(true));
        }
    }

    /// A setting that is a text.
    pub(super) fn text(&self, setting: &str) -> Option<&str> {
        self.settings
            .get(setting)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A setting that is a switch, whichever way it was written.
    pub(super) fn is_on(&self, setting: &str) -> bool {
        match self.settings.get(setting) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => text == "true" || text == "1",
            _ => false,
        }
    }

    pub(super) fn has(&self, setting: &str) -> bool {
        self.text(setting).is_some()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn backend(kind: &str, settings: &Value) -> Backend {
        Backend {
            kind: kind.to_owned(),
            settings: settings.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn an_unknown_backend_is_refused() {
        for kind in ["cloud", "remote", "inmem", "swift", ""] {
            assert!(backend(kind, &json!({})).strategy().is_err(), "{kind}");
        }
    }

    #[test]
    fn a_backend_that_takes_no_lock_is_known() {
        assert!(!backend("s3", &json!({"use_lockfile": false})).takes_locks());
        assert!(!backend("oss", &json!({"tablestore_endpoint": "e"})).takes_locks());
        assert!(!backend("consul", &json!({"lock": false})).takes_locks());
        assert!(backend("s3", &json!({"use_lockfile": "true"})).takes_locks());
        assert!(backend("gcs", &json!({})).takes_locks());
    }

    #[test]
    fn a_local_state_is_found_from_everywhere() {
        let mut local = backend("local", &json!({"path": "state/x.tfstate"}));
        local.anchor_paths(Path::new("/repository"));
        assert_eq!(local.text("path"), Some("/repository/state/x.tfstate"));
        assert_eq!(
            local.text("workspace_dir"),
            Some("/repository/terraform.tfstate.d")
        );
    }
}
