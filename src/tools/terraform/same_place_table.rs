//! Which places are one.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::backend::tests::backend;
use super::place::Terraform;
use crate::environment::Environment;
use crate::tools::locking::Locking;

fn place(kind: &str, settings: &Value, variable: (&str, &str)) -> Terraform {
    Terraform {
        binary: PathBuf::from("terraform"),
        is_opentofu: false,
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
