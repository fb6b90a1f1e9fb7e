//! What others copy from us is valid by Bitbucket's own schema, safe, and of this version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::documents::pages;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: impl AsRef<Path>) -> String {
    fs::read_to_string(repository().join(name)).unwrap()
}

/// Every file below the examples.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![repository().join("examples")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

fn files_named(name: &str) -> Vec<PathBuf> {
    let mut files = files();
    files.retain(|file| file.ends_with(name));
    assert!(!files.is_empty());
    files
}

/// The pipelines files and steps that the documents show, each in a file of its own.
fn shown(directory: &TempDir) -> Vec<PathBuf> {
    let documents = files()
        .into_iter()
        .filter(|file| file.extension().is_some_and(|end| end == "md"));
    let mut shown = Vec::new();
    for document in documents.chain(pages()) {
        for block in read(&document).split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let file = directory.path().join(format!("{}.yml", shown.len()));
            if block.contains("pipelines:") {
                fs::write(&file, block).unwrap();
                shown.push(file);
            } else if block.starts_with("- step:") {
                let steps = block.replace('\n', "\n    ");
                fs::write(&file, format!("pipelines:\n  default:\n    {steps}\n")).unwrap();
                shown.push(file);
            }
        }
    }
    shown
}

#[track_caller]
fn expect_success(output: &Output) {
    let words = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}{errors}");
}

#[test]
fn every_pipelines_file_is_valid_by_bitbuckets_own_schema() {
    let directory = tempfile::tempdir().unwrap();
    let program = "target/test-tools/check-jsonschema/bin/check-jsonschema";
    let checked = Command::new(repository().join(program))
        .args(["--builtin-schema", "vendor.bitbucket-pipelines"])
        .arg(repository().join("bitbucket-pipelines.yml"))
        .args(files_named("bitbucket-pipelines.yml"))
        .args(shown(&directory))
        .output()
        .unwrap();
    expect_success(&checked);
}

/// Without the note, no later step knows whose state it is.
#[test]
fn whoever_keeps_a_state_that_could_not_be_stored_keeps_the_note_beside_it() {
    let mut kept = 0;
    for file in files().into_iter().chain(pages()) {
        for line in read(&file).lines() {
            let Some((_, paths)) = line.split_once("paths: [\"") else {
                continue;
            };
            let (path, others) = paths.split_once('"').unwrap();
            if path.ends_with("errored.tfstate") {
                let note = format!("\"{path}.softstop.json\"");
                assert!(others.contains(&note), "{}: {line}", file.display());
                kept += 1;
            }
        }
    }
    assert!(kept > 5);
}

#[test]
fn every_example_is_safe_to_stop() {
    for file in files_named("bitbucket-pipelines.yml") {
        let checked = Command::new(env!("CARGO_BIN_EXE_softstop"))
            .arg("check")
            .arg(&file)
            .output()
            .unwrap();
        expect_success(&checked);
        let words = String::from_utf8(checked.stderr).unwrap();
        assert!(
            words.contains("nothing is missing for a safe stop"),
            "{words}"
        );
    }
}

#[test]
fn every_configuration_of_the_examples_is_valid_and_formatted() {
    let terraform = |directory: &Path, data: &Path, arguments: &[&str]| {
        let done = Command::new("terraform")
            .args(arguments)
            .current_dir(directory)
            .env("TF_DATA_DIR", data)
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .unwrap();
        expect_success(&done);
    };
    for file in files_named("main.tf") {
        let data = tempfile::tempdir().unwrap();
        let directory = file.parent().unwrap();
        terraform(directory, data.path(), &["fmt", "-check", "-diff"]);
        terraform(
            directory,
            data.path(),
            &["init", "-input=false", "-backend=false"],
        );
        terraform(directory, data.path(), &["validate"]);
    }
}

#[test]
fn whatever_names_an_image_of_ours_names_this_version() {
    let ours = ["RELEASING.md", "Dockerfile", "listing.json", "pipe.yml"];
    let mut named = 0;
    let others = pages().into_iter().chain(files());
    for file in ours.iter().map(PathBuf::from).chain(others) {
        for image in read(&file).split("softstop/softstop:").skip(1) {
            assert!(image.starts_with(VERSION), "{}: {image}", file.display());
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
    assert!(read("Dockerfile").contains(&format!("\nARG VERSION={VERSION}\n")));
}

#[test]
fn the_listing_says_what_the_pipe_says_and_has_a_snippet_of_known_variables() {
    let pipe: Value = serde_yaml::from_str(&read("pipe.yml")).unwrap();
    let listing: Value = serde_json::from_str(&read("listing.json")).unwrap();
    for field in ["name", "description", "vendor", "maintainer"] {
        assert_eq!(listing[field], pipe[field], "{field}");
    }
    assert_eq!(listing["logo"], pipe["icon"]);
    assert_eq!(listing["version"], VERSION);
    let path = listing["repositoryPath"].as_str().unwrap();
    assert!(pipe["repository"].as_str().unwrap().ends_with(path));
    assert_eq!(pipe["image"], format!("{path}:{VERSION}"));

    let snippet = listing["yml"].as_str().unwrap();
    // All variables are optional, so they are comments.
    let snippet: Value = serde_yaml::from_str(&snippet.replace("    # ", "    ")).unwrap();
    assert_eq!(snippet[0]["pipe"], format!("{path}:{VERSION}"));
    let known = pipe["variables"].as_array().unwrap();
    for name in snippet[0]["variables"].as_object().unwrap().keys() {
        assert!(
            known.iter().any(|variable| variable["name"] == **name),
            "{name}"
        );
    }
}
