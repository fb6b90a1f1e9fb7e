//! A place as a journal names it: by what is the same in every clone.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::backend::{Backend, DEFAULT_BACKEND};
use super::place::Terraform;
use super::schema::{Schema, is_given};
use super::settings::contradictions;
use crate::tools::clone::{clone_around, named_clone};
use crate::tools::error::ToolError;
use crate::tools::progress::PlaceName;
use crate::tools::real::real;

/// Below this, Terragrunt runs Terraform in a copy of the directory that the user knows.
const COPIES: &str = ".terragrunt-cache";

/// The directory that the user knows, where this is a copy of it.
pub(super) fn original(directory: &Path) -> PathBuf {
    let is_copy = |part: &Component<'_>| part.as_os_str() == COPIES;
    let parts = directory.components();
    parts.take_while(|part| !is_copy(part)).collect()
}

/// Nothing where the directory is in no clone, or its backend cannot be read.
pub(super) fn place_name(place: &Terraform) -> Option<PlaceName> {
    Some(PlaceName {
        directory: below_clone(&place.directory, named_clone().as_deref())?,
        workspace: place.workspace(),
        backend: backend(place)?,
    })
}

/// Whether other states may have the same name. They have not where the backend block alone says which
/// state is used; what cannot be read may say anything, as a block does in which OpenTofu finds variables.
pub(super) fn is_shared(place: &Terraform) -> bool {
    says_less_than_is_used(place).unwrap_or(true)
}

fn says_less_than_is_used(place: &Terraform) -> Result<bool, ToolError> {
    let configuration = place.configuration();
    let used = match &place.backend {
        Some(seen) => Some(seen.clone()),
        None => configuration.initialised()?,
    };
    let Some(mut block) = configuration.block()? else {
        return Ok(used.is_some_and(|used| used.kind != DEFAULT_BACKEND));
    };
    let schema = Schema::of(&block.kind);
    let names_place = |name: &str| schema.is_none_or(|schema| schema.names_place(name));
    let leaves_open = schema.is_some_and(|schema| schema.is_left_open(&block, &place.environment));
    let given = configuration.given()?;
    // A file may hold any setting.
    let mut given = given.iter().map(|given| given.text.split_once('='));
    block.anchor_paths(&place.directory);
    let of_this_kind = used.filter(|used| used.kind == block.kind);
    Ok(leaves_open
        || given.any(|pair| pair.is_none_or(|(name, _)| names_place(name.trim())))
        || of_this_kind.is_some_and(|used| is_more_than(&used, &block, names_place)))
}

/// Whether an `init` was given more of what names the state than the block, or something else: what it has
/// kept has both.
fn is_more_than(used: &Backend, block: &Backend, names_place: impl Fn(&str) -> bool) -> bool {
    // Blocks that are not there are kept as empty lists.
    let is_empty = |value: &Value| matches!(value, Value::Array(items) if items.is_empty());
    let mut settings = used.settings.iter();
    let contradictions = contradictions(block, used);
    contradictions.iter().any(|name| names_place(name))
        || settings
            .any(|(name, value)| names_place(name) && !is_given(block, name) && !is_empty(value))
}

/// The directory as seen from the clone, symbolic links followed: a tool that is seen is seen in the
/// real one.
fn below_clone(directory: &Path, clone: Option<&Path>) -> Option<String> {
    let (directory, clone) = (real(directory), clone_around(directory, clone)?);
    let below = original(directory.strip_prefix(clone).ok()?);
    Some(match below.to_str()? {
        "" => ".".to_owned(),
        below => below.to_owned(),
    })
}

fn backend(place: &Terraform) -> Option<String> {
    if let Some(backend) = &place.backend {
        return Some(backend.kind.clone());
    }
    let configuration = place.configuration();
    let kept = configuration.initialised().ok()?.map(|kept| kept.kind);
    if place.is_seen && kept.is_some() {
        return kept;
    }
    let named = configuration.block().ok()?.map(|block| block.kind);
    Some(named.or(kept).unwrap_or_else(|| DEFAULT_BACKEND.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;
    use crate::environment::Environment;

    /// A place with this block, in which `init` has kept these settings.
    fn is_shared_with(kind: &str, block: &str, variable: &str, kept: Option<&Value>) -> bool {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().to_owned();
        let text = format!("terraform {{\n  backend \"{kind}\" {{\n{block}\n}}\n}}\n");
        fs::write(directory.join("main.tf"), text).unwrap();
        if let Some(kept) = kept {
            let kept = json!({"version": 3, "backend": {"type": kind, "config": kept, "hash": 1}});
            fs::create_dir(directory.join(".terraform")).unwrap();
            fs::write(
                directory.join(".terraform/terraform.tfstate"),
                kept.to_string(),
            )
            .unwrap();
        }
        is_shared(&Terraform {
            binary: PathBuf::from("terraform"),
            is_opentofu: true,
            held: None,
            obstacle: None,
            directory,
            backend_config: Vec::new(),
            workspace: None,
            environment: Environment::from([(variable, "x")]),
            is_seen: false,
            is_removed: false,
            seen_values: None,
            backend: None,
        })
    }

    #[test]
    fn a_name_is_of_one_state_alone_where_the_block_alone_says_which_one_is_used() {
        const S3: &str = "bucket = \"b\"\nkey = \"k\"";
        const HTTP: &str = "address = \"http://x\"";
        for (kind, block, variable, is_shared) in [
            ("http", HTTP, "TF_HTTP_ADDRESS", false),
            ("http", HTTP, "TF_HTTP_PASSWORD", false),
            ("http", HTTP, "TF_HTTP_LOCK_ADDRESS", true),
            ("http", HTTP, "TF_HTTP_LOCK_METHOD", false),
            ("http", "", "TF_HTTP_ADDRESS", true),
            ("s3", S3, "AWS_REGION", false),
            ("s3", S3, "AWS_ENDPOINT_URL_S3", true),
            ("s3", "bucket = \"b\"", "X", true),
            ("s3", "bucket = \"b\"\nkey = var.key", "X", true),
            ("pg", "conn_str = \"postgres://x\"", "PG_CONN_STR", false),
            ("pg", "conn_str = \"postgres://x\"", "PG_SCHEMA_NAME", true),
            ("pg", "", "PGHOST", true),
            (
                "kubernetes",
                "secret_suffix = \"x\"",
                "KUBE_NAMESPACE",
                true,
            ),
            ("local", "", "X", false),
        ] {
            let found = is_shared_with(kind, block, variable, None);
            assert_eq!(found, is_shared, "{kind} {block} {variable}");
        }
        let endpoints = format!("{S3}\nendpoints = {{ s3 = \"http://x\" }}");
        assert!(!is_shared_with(
            "s3",
            &endpoints,
            "AWS_ENDPOINT_URL_S3",
            None
        ));
    }

    #[test]
    fn a_name_is_shared_where_an_init_was_given_more_than_the_block_or_something_else() {
        let s3 =
            |kept: &Value| is_shared_with("s3", "bucket = \"b\"\nkey = \"k\"", "X", Some(kept));
        let same = json!({"bucket": "b", "key": "k", "region": null, "assume_role": []});
        assert!(!s3(&same));
        assert!(s3(&json!({"bucket": "b", "key": "eu"})));
        assert!(s3(&json!({"bucket": "b", "key": "k", "profile": "eu"})));
        assert!(!s3(&json!({"bucket": "b", "key": "k", "encrypt": true})));
        let local = |kept: &Value| is_shared_with("local", "", "X", Some(kept));
        assert!(!local(&json!({"path": null})));
        assert!(local(&json!({"path": "eu.tfstate"})));
    }

    #[test]
    fn a_directory_is_named_as_seen_from_the_clone() {
        let scratch = tempfile::tempdir().unwrap();
        let clone = scratch.path().join("clone");
        fs::create_dir_all(clone.join("infra/.terragrunt-cache/a/b/module")).unwrap();
        symlink("infra", clone.join("link")).unwrap();
        for submodule in ["eu", "us"] {
            fs::create_dir(clone.join(submodule)).unwrap();
            let text = format!("gitdir: ../.git/modules/{submodule}");
            fs::write(clone.join(submodule).join(".git"), text).unwrap();
        }
        let name = |directory: &str| below_clone(&clone.join(directory), Some(&clone));
        for (directory, expected) in [
            ("", "."),
            ("infra", "infra"),
            ("link", "infra"),
            ("eu", "eu"),
            ("us", "us"),
            ("infra/.terragrunt-cache/a/b/module", "infra"),
            ("infra/gone", "infra/gone"),
        ] {
            assert_eq!(name(directory).as_deref(), Some(expected), "{directory}");
        }
    }

    #[test]
    fn where_no_variable_names_the_clone_git_does() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        assert_eq!(below_clone(&scratch.path().join("a/b"), None), None);
        fs::create_dir(scratch.path().join(".git")).unwrap();
        let named = below_clone(&scratch.path().join("a/b"), None);
        assert_eq!(named.as_deref(), Some("a/b"));
    }
}
