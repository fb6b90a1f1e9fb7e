//! What is taken out of a configuration, and what of it depends on where it stands.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::configuration::Configuration;
use super::static_part::{ENCRYPTION_VARIABLE, StaticPart};
use crate::environment::Environment;

fn part(files: &[(&str, &str)]) -> (StaticPart, TempDir) {
    part_with("", files)
}

/// The same, with this in TF_ENCRYPTION.
fn part_with(encryption: &str, files: &[(&str, &str)]) -> (StaticPart, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let configuration = Configuration {
        directory: directory.path().to_owned(),
        is_tofu: true,
        environment: Environment::from([(ENCRYPTION_VARIABLE, encryption), ("X", "")]),
        ..Configuration::default()
    };
    (StaticPart::of(&configuration).unwrap(), directory)
}

#[test]
fn what_is_evaluated_first_is_written_where_it_stood_and_nothing_else() {
    let (part, directory) = part(&[
        (
            "main.tf",
            "variable \"a\" {}\nresource \"x\" \"y\" {}\nterraform {\n backend \"s3\" {\n }\n \
             required_version = \"1\"\n encryption {\n x = local.b\n }\n}\nlocals {\n b = var.a\n}\n",
        ),
        (
            "more.tf.json",
            r#"{"locals": {"c": 1}, "output": {}, "terraform": [{"encryption": {"d": 1}}]}"#,
        ),
        ("plain.tf", "output \"z\" {}\n"),
        ("x.auto.tfvars", "a = 1\n"),
    ]);
    let shadow = tempfile::tempdir().unwrap();
    let written = |name: &str| fs::read_to_string(shadow.path().join(name)).ok();
    let without = part.clone().of_encryption();
    assert!(part.has_encryption() && part.place_of_backend().is_none());
    without.write(directory.path(), shadow.path()).unwrap();
    assert_eq!(
        written("main.tf").unwrap(),
        "variable \"a\" {}\n\nlocals {\n b = var.a\n}\n\nterraform {\nencryption {\n x = local.b\n }\n}\n"
    );
    let json: serde_json::Value = serde_json::from_str(&written("more.tf.json").unwrap()).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{"locals": {"c": 1}}, {"terraform": {"encryption": {"d": 1}}}])
    );
    assert_eq!(written("plain.tf"), None);
    assert_eq!(written("x.auto.tfvars").unwrap(), "a = 1\n");
}

#[test]
fn what_depends_on_where_it_stands_is_found_through_locals() {
    let backend =
        |value: &str| format!("terraform {{\n backend \"s3\" {{\n key = {value}\n }}\n}}\n");
    for (value, locals, expected) in [
        ("var.a", "x = path.cwd", None),
        ("local.b", "x = path.cwd", Some("path.cwd")),
        ("local.b", "b = \"x\"", None),
        ("basename(path . cwd)", "", Some("path.cwd")),
        ("\"x\"\n path = var.a", "", None),
        ("trimspace(file(\"x\"))", "", Some("file")),
        ("basename(abspath(\".\"))", "", Some("abspath")),
        ("\"filed/${var.abspaths}\"", "", None),
    ] {
        let locals = format!("locals {{\n {locals}\n}}\n");
        let (part, _) = part(&[("main.tf", &(backend(value) + &locals))]);
        assert_eq!(part.place_of_backend().as_deref(), expected, "{value}");
    }
}

#[test]
fn encryption_may_read_files_but_not_ask_where_it_is() {
    for (value, expected) in [
        ("file(\"key\")", None),
        ("\"${path.module}/key\"", None),
        ("\"${path.cwd}/key\"", Some("path.cwd")),
    ] {
        let text = format!("terraform {{\n encryption {{\n x = {value}\n }}\n}}\n");
        let (part, _) = part(&[("main.tf", &text)]);
        assert_eq!(part.place_of_encryption().as_deref(), expected, "{value}");
    }
}

#[test]
fn what_the_environment_says_of_the_encryption_has_what_it_names() {
    let files = [(
        "main.tf",
        "variable \"p\" {}\nlocals {\n x = path.cwd\n}\nterraform {\n backend \"gcs\" {\n }\n}\n",
    )];
    for (encryption, names_nothing, place) in [
        ("passphrase = \"plain\"", true, None),
        ("passphrase = var.p", false, None),
        ("{\"passphrase\": \"${var.p}\"}", false, None),
        ("passphrase = local.x", false, Some("path.cwd")),
        ("passphrase = \"${path.cwd}\"", true, Some("path.cwd")),
    ] {
        let (part, _) = part_with(encryption, &files);
        assert!(part.has_encryption() && part.is_made_by_asking());
        assert_eq!(part.place_of_encryption().as_deref(), place, "{encryption}");
        assert_eq!(
            part.of_encryption().is_empty(),
            names_nothing,
            "{encryption}"
        );
    }
    assert!(!part(&files).0.has_encryption());
}

#[test]
fn a_shell_cuts_out_what_is_written_into_a_shadow() {
    let (part, directory) = part(&[
        (
            "a.tf",
            "variable \"a\" {\n}\n# b\nterraform {\n  encryption {\n    x = 1\n  }\n}\n",
        ),
        (
            "it's.tf.json",
            "\u{feff}{\"variable\": {\"b\": {\"default\": \"ü\"}},\n \"terraform\": [{\"encryption\": {\"d\": 1}}]}",
        ),
        (
            "z.tf.json",
            r#"{"locals": {"c": 1}, "output": {"x": {"value": "ü"}}}"#,
        ),
    ]);
    let (private, shadow) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    part.write(directory.path(), shadow.path()).unwrap();
    let status = Command::new("/bin/sh")
        .args(["-ec", &(part.cut_out_by_hand() + "true")])
        .current_dir(directory.path())
        .env("private", private.path())
        .status();
    assert!(status.unwrap().success());
    let words = |directory: &TempDir, name: &str| {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for name in ["a.tf", "it's.tf.json", "z.tf.json"] {
        assert_eq!(words(&private, name), words(&shadow, name), "{name}");
    }
}
