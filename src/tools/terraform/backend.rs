//! Which backend a configuration uses, and how locks are read and released there.
//!
//! The strategies below are the one place that says what each backend guarantees.

use std::path::Path;

use serde_json::{Map, Value};

use crate::tools::ToolError;

/// A backend with the settings that were given for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Backend {
    pub(super) kind: String,
    pub(super) settings: Map<String, Value>,
}

/// How the holder of a lock is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookBy {
    /// `force-unlock 0` fails and names the holder. It takes nothing.
    WrongId,
    /// `untaint` of a resource that is not there takes the lock for a moment, or fails and names
    /// the holder.
    Untaint,
    /// A LOCK request of our own.
    Request,
}

/// How a lock is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReleaseBy {
    /// `force-unlock ID`.
    ForceUnlock,
    /// An UNLOCK request of our own, which carries the ID: Terraform's is empty up to 1.15.
    Request,
    /// It cannot be, and need not: it dies with the process that holds it.
    Death,
}

/// How softstop deals with the locks of one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strategy {
    pub(super) look: LookBy,
    pub(super) release: ReleaseBy,
    /// Whether the release of a lock is refused where another one, or none, is there by now.
    pub(super) compares_ids: bool,
    /// Whether Terraform needs no `init` where the settings are written down as `init` keeps them:
    /// there is no nested block among them, which would be kept otherwise where it is not given.
    pub(super) is_flat: bool,
    /// What `force-unlock 0` says, all of it, where nobody holds the lock. Where it says anything
    /// else and names no holder, `untaint` decides.
    pub(super) free_texts: &'static [&'static str],
    /// What `force-unlock ID` says, one of it, where the lock was but half there: that half is free
    /// then, although the command has failed.
    pub(super) half_texts: &'static [&'static str],
    /// Settings that hold paths, which Terraform takes from where it runs.
    path_settings: &'static [&'static str],
    /// Variables that hold paths, likewise.
    pub(super) path_variables: &'static [&'static str],
}

impl Backend {
    /// How locks are read and released here, and what that guarantees.
    pub(super) fn strategy(&self) -> Result<Strategy, ToolError> {
        let strategy = match self.kind.as_str() {
            // The ID is checked, but by a read before an unconditional delete: a window of
            // milliseconds stays open between the two.
            "s3" => Strategy {
                is_flat: true,
                free_texts: self.free_texts_of_s3(),
                half_texts: &HALF_TEXTS_OF_S3,
                path_settings: &[
                    "custom_ca_bundle",
                    "shared_config_files",
                    "shared_credentials_file",
                    "shared_credentials_files",
                ],
                path_variables: &[
                    "AWS_CA_BUNDLE",
                    "AWS_CONFIG_FILE",
                    "AWS_SHARED_CREDENTIALS_FILE",
                    "AWS_WEB_IDENTITY_TOKEN_FILE",
                ],
                ..WRONG_ID
            },
            // The ID is a generation number, and the delete is conditional on it.
            "gcs" => Strategy {
                free_texts: &["storage: object doesn't exist"],
                path_settings: &["credentials"],
                path_variables: &[
                    "GOOGLE_APPLICATION_CREDENTIALS",
                    "GOOGLE_BACKEND_CREDENTIALS",
                    "GOOGLE_CREDENTIALS",
                ],
                ..WRONG_ID
            },
            // The ID is a lease, which the service checks. The lease is taken before the lock info
            // is written and given back after it is deleted, so no lock info is not yet no lock.
            "azurerm" => Strategy {
                path_settings: &[
                    "client_certificate_path",
                    "client_id_file_path",
                    "client_secret_file_path",
                    "oidc_token_file_path",
                ],
                path_variables: &[
                    "ARM_CLIENT_CERTIFICATE_PATH",
                    "ARM_OIDC_TOKEN_FILE_PATH",
                    "AZURE_FEDERATED_TOKEN_FILE",
                ],
                ..WRONG_ID
            },
            // The lease is updated only where its version is the one that was read.
            "kubernetes" => Strategy {
                free_texts: &["state is already unlocked"],
                path_settings: &["config_path", "config_paths"],
                path_variables: &["KUBECONFIG", "KUBE_CONFIG_PATH", "KUBE_CONFIG_PATHS"],
                ..WRONG_ID
            },
            // oss and cos check the ID by a read before an unconditional delete; oci deletes only
            // what it has read.
            "oss" => Strategy {
                compares_ids: true,
                path_settings: &["shared_credentials_file"],
                ..UNTAINT
            },
            "cos" => Strategy {
                compares_ids: true,
                ..UNTAINT
            },
            "oci" => Strategy {
                compares_ids: true,
                path_settings: &["private_key_path"],
                ..UNTAINT
            },
            // The ID is a session, which is destroyed, and then the keys are deleted without any
            // condition: safe only right after a look that saw the same session.
            "consul" => Strategy {
                path_settings: &["ca_file", "cert_file", "key_file"],
                path_variables: &["CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY"],
                ..UNTAINT
            },
            // The server decides: a strict one compares the ID that we send, a lax one unlocks
            // whatever is locked.
            "http" => Strategy {
                look: LookBy::Request,
                release: ReleaseBy::Request,
                ..UNTAINT
            },
            // A lock of the database session: force-unlock says "successfully unlocked" and
            // unlocks nothing.
            "pg" => Strategy {
                release: ReleaseBy::Death,
                is_flat: true,
                path_variables: &["PGPASSFILE", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT"],
                ..UNTAINT
            },
            // A lock of the operating system on an open file.
            "local" => Strategy {
                release: ReleaseBy::Death,
                is_flat: true,
                path_settings: &["path", "workspace_dir"],
                ..UNTAINT
            },
            kind => {
                return Err(ToolError::Unsupported {
                    kind: kind.to_owned(),
                    advice: match kind {
                        "cloud" | "remote" => {
                            "Its lock belongs to the remote workspace: unlock it there"
                        }
                        _ => "After a stop, look yourself whether its lock is free",
                    },
                });
            }
        };
        Ok(strategy)
    }

    /// Whether the backend is set up to take locks at all.
    pub(super) fn locks(&self) -> bool {
        match self.kind.as_str() {
            "s3" => self.is_on("use_lockfile") || self.has("dynamodb_table"),
            "consul" => !matches!(self.settings.get("lock"), Some(Value::Bool(false))),
            _ => true,
        }
    }

    /// Makes every path among the settings independent of where Terraform runs.
    pub(super) fn anchor_paths(&mut self, directory: &Path) -> Result<(), ToolError> {
        let strategy = self.strategy()?;
        if self.kind == "local" {
            for (setting, default) in [
                ("path", "terraform.tfstate"),
                ("workspace_dir", "terraform.tfstate.d"),
            ] {
                self.settings
                    .entry(setting)
                    .or_insert_with(|| Value::from(default));
            }
        }
        for setting in strategy.path_settings {
            match self.settings.get_mut(*setting) {
                Some(Value::String(path)) => anchor(path, directory, self.kind == "local"),
                Some(Value::Array(paths)) => {
                    for path in paths {
                        if let Value::String(path) = path {
                            anchor(path, directory, false);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
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

    fn has(&self, setting: &str) -> bool {
        self.text(setting).is_some()
    }

    fn free_texts_of_s3(&self) -> &'static [&'static str] {
        match (self.is_on("use_lockfile"), self.has("dynamodb_table")) {
            (true, true) => &["NoSuchKey", "unexpected end of JSON input"],
            (true, false) => &["NoSuchKey"],
            (false, true) => &["unexpected end of JSON input"],
            (false, false) => &[],
        }
    }
}

/// Makes `path` absolute where it is a relative path. A value that may be something else, such as
/// the credentials themselves, counts as a path only where a file is there.
fn anchor(path: &mut String, directory: &Path, is_surely_a_path: bool) {
    let anchored = directory.join(&*path);
    if is_surely_a_path || anchored.exists() {
        *path = anchored.to_string_lossy().into_owned();
    }
}

/// With a lock file and DynamoDB, `force-unlock` tries both and names the one that it could not
/// unlock; where it could unlock neither, it says "both S3 and DynamoDB".
const HALF_TEXTS_OF_S3: [&str; 2] = ["failed to unlock S3: ", "failed to unlock DynamoDB: "];

const WRONG_ID: Strategy = Strategy {
    look: LookBy::WrongId,
    compares_ids: true,
    ..UNTAINT
};

const UNTAINT: Strategy = Strategy {
    look: LookBy::Untaint,
    release: ReleaseBy::ForceUnlock,
    compares_ids: false,
    is_flat: false,
    free_texts: &[],
    half_texts: &[],
    path_settings: &[],
    path_variables: &[],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backend(kind: &str, settings: &Value) -> Backend {
        Backend {
            kind: kind.to_owned(),
            settings: settings.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn every_backend_of_the_table_has_its_strategy() {
        let rows = [
            ("s3", LookBy::WrongId, ReleaseBy::ForceUnlock),
            ("gcs", LookBy::WrongId, ReleaseBy::ForceUnlock),
            ("azurerm", LookBy::WrongId, ReleaseBy::ForceUnlock),
            ("kubernetes", LookBy::WrongId, ReleaseBy::ForceUnlock),
            ("oss", LookBy::Untaint, ReleaseBy::ForceUnlock),
            ("cos", LookBy::Untaint, ReleaseBy::ForceUnlock),
            ("oci", LookBy::Untaint, ReleaseBy::ForceUnlock),
            ("consul", LookBy::Untaint, ReleaseBy::ForceUnlock),
            ("http", LookBy::Request, ReleaseBy::Request),
            ("pg", LookBy::Untaint, ReleaseBy::Death),
            ("local", LookBy::Untaint, ReleaseBy::Death),
        ];
        for (kind, look, release) in rows {
            let strategy = backend(kind, &json!({})).strategy().unwrap();
            assert_eq!((strategy.look, strategy.release), (look, release), "{kind}");
        }
    }

    #[test]
    fn only_where_the_release_compares_the_id_is_no_second_look_needed() {
        let compares = |kind| backend(kind, &json!({})).strategy().unwrap().compares_ids;
        for kind in ["s3", "gcs", "azurerm", "kubernetes", "oss", "cos", "oci"] {
            assert!(compares(kind), "{kind}");
        }
        for kind in ["http", "consul", "pg", "local"] {
            assert!(!compares(kind), "{kind}");
        }
    }

    #[test]
    fn locks_where_a_wrong_id_would_unlock_are_never_asked_about_by_a_wrong_id() {
        for kind in ["http", "consul", "pg"] {
            let strategy = backend(kind, &json!({})).strategy().unwrap();
            assert_ne!(strategy.look, LookBy::WrongId, "{kind}");
        }
    }

    #[test]
    fn an_unknown_backend_is_refused() {
        for kind in ["cloud", "remote", "inmem", "swift", ""] {
            assert!(backend(kind, &json!({})).strategy().is_err(), "{kind}");
        }
    }

    #[test]
    fn s3_with_two_locks_is_free_only_where_both_say_so() {
        let both = json!({"use_lockfile": true, "dynamodb_table": "locks"});
        assert_eq!(
            backend("s3", &both).strategy().unwrap().free_texts,
            ["NoSuchKey", "unexpected end of JSON input"]
        );
    }

    #[test]
    fn a_backend_that_takes_no_lock_is_known() {
        assert!(!backend("s3", &json!({"use_lockfile": false})).locks());
        assert!(!backend("consul", &json!({"lock": false})).locks());
        assert!(backend("s3", &json!({"use_lockfile": "true"})).locks());
        assert!(backend("gcs", &json!({})).locks());
    }

    #[test]
    fn paths_are_taken_from_the_directory_of_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key.json"), "{}").unwrap();
        let here = |name: &str| json!(directory.path().join(name));

        let mut gcs = backend(
            "gcs",
            &json!({"credentials": "key.json", "bucket": "key.json"}),
        );
        gcs.anchor_paths(directory.path()).unwrap();
        assert_eq!(gcs.settings["credentials"], here("key.json"));
        assert_eq!(gcs.settings["bucket"], json!("key.json"));

        let mut local = backend("local", &json!({"path": "state/x.tfstate"}));
        local.anchor_paths(directory.path()).unwrap();
        assert_eq!(local.settings["path"], here("state/x.tfstate"));
        assert_eq!(local.settings["workspace_dir"], here("terraform.tfstate.d"));
    }
}
