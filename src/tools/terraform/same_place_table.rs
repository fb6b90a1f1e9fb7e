//! Which places are one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::backend::tests::backend;
use super::place::Terraform;
use super::sighting::sight;
use crate::environment::Environment;
use crate::supervisor::SeenTool;
use crate::tools::locking::Locking;
use crate::tools::processes::Sighting;

fn place(kind: &str, settings: &Value, variable: (&str, &str)) -> Terraform {
    Terraform {
        binary: PathBuf::from("terraform"),
        is_opentofu: false,
        held: None,
        obstacle: None,
        directory: PathBuf::from("/here"),
        backend_config: Vec::new(),
        workspace: Some("default".to_owned()),
        environment: Environment::from([variable]),
        is_seen: true,
        is_removed: false,
        seen_values: None,
        backend: Some(backend(kind, settings)),
    }
}

#[test]
fn what_a_relative_path_leads_to_is_another_place_in_another_directory() {
    for (kind, settings, variable, is_same) in [
        (
            "kubernetes",
            json!({"config_path": "kubeconfig"}),
            ("X", ""),
            false,
        ),
        (
            "kubernetes",
            json!({"config_path": "/kubeconfig"}),
            ("X", ""),
            true,
        ),
        (
            "kubernetes",
            json!({"config_path": "~/.kube/config"}),
            ("X", ""),
            true,
        ),
        (
            "kubernetes",
            json!({"config_paths": ["/a", "b"]}),
            ("X", ""),
            false,
        ),
        (
            "kubernetes",
            json!({}),
            ("KUBE_CONFIG_PATH", "../kubeconfig"),
            false,
        ),
        (
            "kubernetes",
            json!({}),
            ("KUBE_CONFIG_PATHS", "/a:b"),
            false,
        ),
        (
            "kubernetes",
            json!({}),
            ("KUBE_CONFIG_PATHS", "/a:/b"),
            true,
        ),
        (
            "s3",
            json!({"shared_config_files": ["aws"]}),
            ("X", ""),
            false,
        ),
        (
            "s3",
            json!({"shared_credentials_file": "aws"}),
            ("X", ""),
            false,
        ),
        (
            "s3",
            json!({"key": "a/b"}),
            ("AWS_CONFIG_FILE", "aws"),
            false,
        ),
        (
            "s3",
            json!({"key": "a/b"}),
            ("AWS_CONFIG_FILE", "/aws"),
            true,
        ),
        (
            "s3",
            json!({"key": "a/b"}),
            ("KUBE_CONFIG_PATH", "kubeconfig"),
            true,
        ),
        ("consul", json!({"path": "a/b"}), ("X", ""), true),
    ] {
        let [here, mut there] = [(); 2].map(|()| place(kind, &settings, variable));
        assert!(here.is_same_place(&there), "{kind} {settings} {variable:?}");
        there.directory = PathBuf::from("/there");
        assert_eq!(
            here.is_same_place(&there),
            is_same,
            "{kind} {settings} {variable:?}"
        );
    }
}

#[test]
fn a_session_that_is_had_anew_makes_no_other_place_and_another_endpoint_does() {
    let settings = json!({"bucket": "states", "key": "state"});
    for (kind, variable, is_same) in [
        ("s3", "TF_VAR_count", true),
        ("s3", "AWS_SESSION_TOKEN", true),
        ("s3", "AWS_ACCESS_KEY_ID", true),
        ("s3", "AWS_PROFILE", false),
        ("s3", "AWS_ENDPOINT_URL_S3", false),
        ("s3", "PGHOST", true),
        ("pg", "PGPASSWORD", true),
        // Where no database is named, it is called like the user.
        ("pg", "PGUSER", false),
        ("http", "AWS_PROFILE", true),
    ] {
        let [one, other] = ["1", "2"].map(|value| place(kind, &settings, (variable, value)));
        assert_eq!(one.is_same_place(&other), is_same, "{kind} {variable}");
    }
}

/// What this call in the directory says of the place, with this data directory.
fn sighted(directory: &Path, call: &str, data_directory: &str) -> Sighting<Terraform> {
    let named = place("http", &json!({}), ("X", ""));
    let words = ["terraform"].into_iter().chain(call.split(' '));
    let seen = SeenTool {
        program: PathBuf::from("terraform"),
        arguments: words.map(str::to_owned).collect(),
        directory: directory.to_owned(),
        environment: Environment::from([("TF_DATA_DIR", data_directory)]),
        held: None,
        is_heard: true,
    };
    sight(&named, &seen)
}

#[test]
fn an_init_that_changes_nothing_has_set_up_what_was_kept_and_no_other_data_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path();
    let block = "terraform {\n  backend \"http\" {\n    address = \"http://here\"\n  }\n}\n";
    fs::write(directory.join("main.tf"), block).unwrap();
    for (name, host) in [(".terraform", "http://here"), (".old", "http://there")] {
        fs::create_dir(directory.join(name)).unwrap();
        let kept = json!({"backend": {"type": "http", "config": {"address": host}, "hash": 1}});
        let file = directory.join(name).join("terraform.tfstate");
        fs::write(file, kept.to_string()).unwrap();
    }
    let Sighting::Unproved(_, elsewhere, _) = sighted(directory, "plan", ".old") else {
        panic!("nothing that was seen has set it up");
    };
    let Sighting::Place(here) = sighted(directory, "plan", ".terraform") else {
        panic!("its configuration names it");
    };
    for call in ["init", "init -reconfigure"] {
        let Sighting::Initialising(set_up) = sighted(directory, call, ".terraform") else {
            panic!("{call}");
        };
        assert!(set_up.is_set_up_for(&here), "{call}");
        assert!(!set_up.is_set_up_for(&elsewhere), "{call}");
    }
    // It may be set up anew before the deploy has ended.
    let Sighting::Initialising(set_up) = sighted(directory, "init", ".terraform") else {
        panic!("it brings nothing anywhere");
    };
    fs::remove_dir_all(directory.join(".terraform")).unwrap();
    fs::rename(directory.join(".old"), directory.join(".terraform")).unwrap();
    assert!(set_up.is_same_place(&here));
}
