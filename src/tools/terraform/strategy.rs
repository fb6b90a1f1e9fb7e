//! How softstop asks about the locks of a backend, and how it releases them. What would take somebody's
//! lock away cannot be written down here.

use crate::tools::locking::{End, Guarantee};

/// How softstop deals with the locks of one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// LOCK and UNLOCK requests of our own: Terraform's UNLOCK carries no ID up to 1.15.
    ByRequests,
    /// Terraform is asked, in a shadow of the user's directory.
    ByTerraform(ByTerraform),
}

/// How Terraform is asked for the holder of a lock, and for its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByTerraform {
    /// `force-unlock 0` fails and names the holder. It takes nothing, where whoever releases compares
    /// the ID; so does `force-unlock ID`, which releases.
    WrongId(WrongId),
    /// `untaint` of a resource that is not there takes the lock for a moment, or fails and names
    /// the holder. `force-unlock ID` releases, and guarantees this.
    Untaint(Guarantee),
    /// By `untaint` too. It cannot be released, and need not: it dies with the process that holds it.
    Watch,
}

/// What `force-unlock` does and says where it compares the ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongId {
    /// Whether the backend itself compares: Terraform else reads, and then deletes.
    pub(super) is_atomic: bool,
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

impl Strategy {
    pub(super) fn wrong_id(wrong_id: WrongId) -> Self {
        Self::ByTerraform(ByTerraform::WrongId(wrong_id))
    }
}

impl ByTerraform {
    pub(super) fn end(self) -> End {
        match self {
            Self::WrongId(wrong_id) if wrong_id.is_atomic => End::Release(Guarantee::Atomic),
            Self::WrongId(_) => End::Release(Guarantee::Compared),
            Self::Untaint(guarantee) => End::Release(guarantee),
            Self::Watch => End::Death,
        }
    }

    /// Whether what a release said, by which it has failed, says that one half of the lock is free.
    pub(super) fn says_half(self, words: &str) -> bool {
        match self {
            Self::WrongId(wrong_id) => wrong_id.half_texts.iter().any(|text| words.contains(text)),
            Self::Untaint(_) | Self::Watch => false,
        }
    }

    /// Whether what `force-unlock` said, which names no holder, says that there is none.
    pub(super) fn says_free(self, words: &str, is_opentofu: bool) -> bool {
        match self {
            Self::WrongId(wrong_id) => wrong_id.says_free(words, is_opentofu),
            Self::Untaint(_) | Self::Watch => false,
        }
    }
}

impl WrongId {
    /// Where nothing is known of what is said.
    pub(super) const UNWORDED: Self = Self {
        is_atomic: false,
        free_texts: &[],
        free_texts_of_opentofu: &[],
        hides_unnamed: false,
        half_texts: &[],
    };

    /// Whether what `force-unlock 0` said, which names no holder, says that there is none.
    pub(super) fn says_free(self, words: &str, is_opentofu: bool) -> bool {
        let texts = if is_opentofu {
            self.free_texts_of_opentofu
        } else {
            self.free_texts
        };
        let names_somebody = words.contains("Lock Info:");
        !texts.is_empty() && !names_somebody && texts.iter().all(|text| words.contains(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::backend::tests::backend;
    use super::super::backends::tests::kinds;
    use super::*;

    fn by_terraform(kind: &str, settings: &Value) -> ByTerraform {
        match backend(kind, settings).strategy().unwrap() {
            Strategy::ByTerraform(by_terraform) => by_terraform,
            Strategy::ByRequests => panic!("{kind}"),
        }
    }

    fn is_by_wrong_id(kind: &str) -> bool {
        matches!(by_terraform(kind, &json!({})), ByTerraform::WrongId(_))
    }

    #[test]
    fn every_backend_of_the_table_has_its_strategy() {
        use Guarantee::{Atomic, Blind, Compared};
        let rows = [
            ("s3", true, End::Release(Compared)),
            ("gcs", true, End::Release(Atomic)),
            ("azurerm", false, End::Release(Atomic)),
            ("kubernetes", true, End::Release(Atomic)),
            ("oss", false, End::Release(Compared)),
            ("cos", false, End::Release(Compared)),
            ("oci", false, End::Release(Atomic)),
            ("consul", false, End::Release(Blind)),
            ("pg", false, End::Death),
            ("local", false, End::Death),
        ];
        for (kind, by_wrong_id, end) in rows {
            assert_eq!(is_by_wrong_id(kind), by_wrong_id, "{kind}");
            assert_eq!(by_terraform(kind, &json!({})).end(), end, "{kind}");
        }
        let http = backend("http", &json!({})).strategy().unwrap();
        assert_eq!(http, Strategy::ByRequests);
        let mut named = rows.map(|(kind, ..)| kind).to_vec();
        named.push("http");
        named.sort_unstable();
        assert_eq!(named, kinds());
    }

    #[test]
    fn only_where_the_release_compares_the_id_is_no_second_look_needed() {
        for kind in ["s3", "gcs", "azurerm", "kubernetes", "oss", "cos", "oci"] {
            let end = by_terraform(kind, &json!({})).end();
            assert!(matches!(end, End::Release(_)) && !end.is_blind(), "{kind}");
        }
        assert!(by_terraform("consul", &json!({})).end().is_blind());
    }

    #[test]
    fn locks_where_a_wrong_id_would_unlock_are_never_asked_about_by_a_wrong_id() {
        for kind in ["consul", "pg"] {
            assert!(!is_by_wrong_id(kind), "{kind}");
        }
    }

    #[test]
    fn s3_with_two_locks_is_free_only_where_both_say_so() {
        let both = json!({"use_lockfile": true, "dynamodb_table": "locks"});
        match by_terraform("s3", &both) {
            ByTerraform::WrongId(wrong_id) => assert_eq!(
                wrong_id.free_texts,
                ["NoSuchKey", "unexpected end of JSON input"]
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_program_has_its_own_words_for_free() {
        const TERRAFORM: bool = false;
        const OPENTOFU: bool = true;
        let table = json!({"dynamodb_table": "locks"});
        let both = json!({"use_lockfile": true, "dynamodb_table": "locks"});
        let old_table = json!({"lock_table": "locks"});
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
            ("s3", &old_table, TERRAFORM, empty, true),
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
            let strategy = by_terraform(kind, settings);
            assert_eq!(
                strategy.says_free(words, is_opentofu),
                is_free,
                "{kind}: {words}"
            );
        }
    }
}
