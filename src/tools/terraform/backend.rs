//! A backend, with the settings that a configuration gives it.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

/// The kind of backend that a configuration without a backend block uses.
pub(super) const DEFAULT_BACKEND: &str = "local";

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
    /// Makes the paths of a local state independent of where Terraform runs: a lock of the operating
    /// system is on the file itself, and beside it lies what Terraform says of the holder.
    pub(super) fn anchor_paths(&mut self, directory: &Path) {
        if self.kind != DEFAULT_BACKEND {
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

    /// What is given for a setting, or for one within another (`endpoints.s3`).
    pub(super) fn given(&self, setting: &str) -> Option<&Value> {
        let mut names = setting.split('.');
        let outer = self.settings.get(names.next()?)?;
        let given = names.try_fold(outer, |value, name| value.get(name))?;
        (!given.is_null()).then_some(given)
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
    use crate::environment::Environment;

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
        let takes = |kind, settings: &Value| {
            backend(kind, settings).takes_locks(&Environment::from([("X", "")]))
        };
        assert!(!takes("s3", &json!({"use_lockfile": false})));
        assert!(!takes("oss", &json!({"tablestore_endpoint": "e"})));
        assert!(!takes("consul", &json!({"lock": false})));
        assert!(takes("s3", &json!({"use_lockfile": "true"})));
        assert!(takes("s3", &json!({"dynamodb_table": "x"})));
        // So Terraform 0.12 names the table, too.
        assert!(takes(
            "s3",
            &json!({"dynamodb_table": "", "lock_table": "x"})
        ));
        assert!(!takes(
            "s3",
            &json!({"dynamodb_table": null, "lock_table": null})
        ));
        assert!(takes("gcs", &json!({})));
    }

    #[test]
    fn a_lock_that_is_a_part_of_the_state_itself_is_not_deleted() {
        let settings = json!({
            "container_name": "states", "key": "a b.tfstate", "storage_account_name": "acme",
        });
        let removal = backend("azurerm", &settings).removal("stage").unwrap();
        assert_eq!(
            removal,
            "break the lease of the blob a b.tfstateenv:stage in the container states, and delete nothing: \
             `az storage blob lease break --blob-name 'a b.tfstateenv:stage' --container-name states \
             --account-name acme`"
        );
        let settings = json!({"bucket": "b", "key": "k", "lock_table": "t"});
        assert_eq!(
            backend("s3", &settings).removal("default").unwrap(),
            "delete the item with the LockID b/k in the DynamoDB table t"
        );
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
