//! Which backend a configuration uses, and how locks are read and released there.
//!
//! The strategies below are the one place that says what each backend guarantees.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

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
    /// The same, in OpenTofu's words.
    pub(super) free_texts_of_opentofu: &'static [&'static str],
    /// Whether Terraform says the same of a lock of which nothing is kept as of no lock: there
    /// `untaint` decides.
    pub(super) hides_unnamed: bool,
    /// What `force-unlock ID` says, one of it, where the lock was but half there: that half is free
    /// then, although the command has failed.
    pub(super) half_texts: &'static [&'static str],
}

impl Backend {
    /// How locks are read and released here, and what that guarantees.
    pub(super) fn strategy(&self) -> Result<Strategy, ToolError> {
        let strategy = match self.kind.as_str() {
            // The ID is checked, but by a read before an unconditional delete: a window of
            // milliseconds stays open between the two.
            "s3" => self.strategy_of_s3(),
            // The ID is a generation number, and the delete is conditional on it. OpenTofu tells of
            // the refused delete alone where there is no lock to read; whatever else keeps it from
            // reading the lock makes that a list of two.
            "gcs" => Strategy {
                free_texts: &["storage: object doesn't exist"],
                free_texts_of_opentofu: &[
                    "Failed to unlock state: storage: Delete: empty conditions",
                ],
                ..WRONG_ID
            },
            // The lease is updated only where its version is the one that was read.
            "kubernetes" => Strategy {
                free_texts: &["state is already unlocked"],
                free_texts_of_opentofu: &["state is already unlocked"],
                ..WRONG_ID
            },
            // oss and cos check the ID by a read before an unconditional delete; oci deletes only
            // what it has read.
            // On azurerm the ID is a lease, which the service checks. The lease is taken before the lock info
            // is written and given back after it is deleted, so no lock info is not yet no lock; and
            // where a person has broken the lease, the info stays and locks nobody out.
            "azurerm" | "oss" | "cos" | "oci" => Strategy {
                compares_ids: true,
                ..UNTAINT
            },
            // The ID is a session, which is destroyed, and then the keys are deleted without any
            // condition: safe only right after a look that saw the same session.
            "consul" => Strategy { ..UNTAINT },
            // The server decides: a strict one compares the ID that we send, a lax one unlocks
            // whatever is locked.
            "http" => Strategy {
                look: LookBy::Request,
                release: ReleaseBy::Request,
                ..UNTAINT
            },
            // A lock of the database session, where force-unlock says "successfully unlocked" and
            // unlocks nothing, and one of the operating system on an open file.
            "pg" | "local" => Strategy {
                release: ReleaseBy::Death,
                is_flat: true,
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
            "oss" => self.has("tablestore_table"),
            "consul" => !matches!(self.settings.get("lock"), Some(Value::Bool(false))),
            _ => true,
        }
    }

    /// Whether whatever opens the state makes an empty one where there is none, `force-unlock` too.
    pub(super) fn is_made_by_asking(&self) -> bool {
        ["azurerm", "gcs", "kubernetes"].contains(&self.kind.as_str())
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

    /// Keeps Terraform from making what is not there: pg would make a schema, a table and an index.
    pub(super) fn create_nothing(&mut self) {
        if self.kind == "pg" {
            for part in ["schema", "table", "index"] {
                let setting = format!("skip_{part}_creation");
                self.settings.insert(setting, Value::Bool(true));
            }
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

    fn has(&self, setting: &str) -> bool {
        self.text(setting).is_some()
    }

    fn strategy_of_s3(&self) -> Strategy {
        const LOCK_FILE: &str = "NoSuchKey";
        // Terraform says the same of an item that does not say who holds the lock.
        const ITEM: &str = "unexpected end of JSON input";
        const ITEM_OF_OPENTOFU: &str = "no lock info found for: ";
        let (free_texts, free_texts_of_opentofu): (&[&str], &[&str]) =
            match (self.is_on("use_lockfile"), self.has("dynamodb_table")) {
                (true, true) => (&[LOCK_FILE, ITEM], &[LOCK_FILE, ITEM_OF_OPENTOFU]),
                (true, false) => (&[LOCK_FILE], &[LOCK_FILE]),
                (false, true) => (&[ITEM], &[ITEM_OF_OPENTOFU]),
                (false, false) => (&[], &[]),
            };
        Strategy {
            is_flat: true,
            free_texts,
            free_texts_of_opentofu,
            // An item without `Info` reads like no item.
            hides_unnamed: self.has("dynamodb_table"),
            half_texts: &HALF_TEXTS_OF_S3,
            ..WRONG_ID
        }
    }
}

impl Strategy {
    /// Whether what `force-unlock 0` said, which names no holder, says that there is none.
    pub(super) fn says_free(&self, words: &str, is_opentofu: bool) -> bool {
        let texts = if is_opentofu {
            self.free_texts_of_opentofu
        } else {
            self.free_texts
        };
        let names_somebody = words.contains("Lock Info:");
        !texts.is_empty() && !names_somebody && texts.iter().all(|text| words.contains(text))
    }
}

/// With a lock file and DynamoDB, `force-unlock` tries both. Terraform names the one that it could not
/// unlock, and OpenTofu says of the other one that it was released; where neither could be unlocked,
/// both say something else.
const HALF_TEXTS_OF_S3: [&str; 4] = [
    "failed to unlock S3: ",
    "failed to unlock DynamoDB: ",
    "dynamoDB lock released but s3 failed: ",
    "s3 lock released but dynamoDB failed: ",
];

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
    hides_unnamed: false,
    free_texts_of_opentofu: &[],
    half_texts: &[],
};

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
    fn every_backend_of_the_table_has_its_strategy() {
        let rows = [
            ("s3", LookBy::WrongId, ReleaseBy::ForceUnlock),
            ("gcs", LookBy::WrongId, ReleaseBy::ForceUnlock),
            ("azurerm", LookBy::Untaint, ReleaseBy::ForceUnlock),
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
    fn each_program_has_its_own_words_for_free() {
        const TERRAFORM: bool = false;
        const OPENTOFU: bool = true;
        let table = json!({"dynamodb_table": "locks"});
        let both = json!({"use_lockfile": true, "dynamodb_table": "locks"});
        let none = json!({});
        let item = "Error: Failed to unlock state: failed to retrieve lock info: no lock info \
                    found for: \"b/k\" within the DynamoDB table: locks";
        let file = "Error: Failed to unlock state: failed to retrieve s3 lock info: NoSuchKey";
        let empty = "failed to retrieve lock info for lock ID \"0\": unexpected end of JSON input";
        let alone = "Error: Failed to unlock state: storage: Delete: empty conditions\n";
        let list = "Error: Failed to unlock state: 2 errors occurred:\n\
                    \t* storage: Delete: empty conditions\n\t* storage: forbidden\n";
        let terraforms = "* storage: Delete: empty conditions\n* storage: object doesn't exist\n";
        let nameless = format!("{alone}Lock Info:\n  ID:        \n");
        let neither = format!("{file}\n{item}");
        let rows = [
            ("s3", &table, OPENTOFU, item, true),
            ("s3", &table, OPENTOFU, empty, false),
            ("s3", &table, TERRAFORM, empty, true),
            ("s3", &both, OPENTOFU, neither.as_str(), true),
            ("s3", &both, OPENTOFU, item, false),
            ("s3", &both, OPENTOFU, file, false),
            ("gcs", &none, OPENTOFU, alone, true),
            ("gcs", &none, TERRAFORM, alone, false),
            ("gcs", &none, OPENTOFU, list, false),
            ("gcs", &none, OPENTOFU, nameless.as_str(), false),
            ("gcs", &none, TERRAFORM, terraforms, true),
            ("azurerm", &none, OPENTOFU, alone, false),
        ];
        for (kind, settings, is_opentofu, words, is_free) in rows {
            let strategy = backend(kind, settings).strategy().unwrap();
            assert_eq!(
                strategy.says_free(words, is_opentofu),
                is_free,
                "{kind}: {words}"
            );
        }
    }

    #[test]
    fn a_backend_that_takes_no_lock_is_known() {
        assert!(!backend("s3", &json!({"use_lockfile": false})).locks());
        assert!(!backend("oss", &json!({"tablestore_endpoint": "e"})).locks());
        assert!(!backend("consul", &json!({"lock": false})).locks());
        assert!(backend("s3", &json!({"use_lockfile": "true"})).locks());
        assert!(backend("gcs", &json!({})).locks());
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
