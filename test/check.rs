//! A pipelines file is checked without running anything.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const README: &str = include_str!("../README.md");

const UNSAFE: &str = "\
pipelines:
  branches:
    main:
      - step:
          script:
            - pipe: docker://softstop/softstop:0.1.0
              variables:
                WORKING_DIR: infrastructure
";

fn check(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_softstop"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("NO_COLOR", "1")
        .env("SOFTSTOP_MODE", "check")
        .output()
        .unwrap()
}

fn holding(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("bitbucket-pipelines.yml"), text).unwrap();
    directory
}

fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn what_is_found_has_its_place_and_what_to_paste_makes_the_stop_safe() {
    let directory = holding(UNSAFE);
    let found = check(directory.path(), &["check"]);
    assert_eq!(found.status.code(), Some(1));
    let words = words(&found);
    assert!(words.starts_with("ERROR: bitbucket-pipelines.yml:3:5: the pipeline `branches: main`"));
    let last = words.lines().last().unwrap();
    assert_eq!(
        last,
        "✖ bitbucket-pipelines.yml: a stop is not safe: 1 error and 0 warnings."
    );

    let fix = words.split("\n\n").nth(1).unwrap();
    let mended = holding(&format!("{UNSAFE}{fix}\n"));
    let found = check(mended.path(), &["check"]);
    assert_eq!(found.status.code(), Some(0));
    assert_eq!(
        self::words(&found),
        "✔ bitbucket-pipelines.yml: nothing is missing for a safe stop.\n"
    );
}

#[test]
fn what_is_found_is_json_for_machines() {
    let found = check(holding(UNSAFE).path(), &["check", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&found.stdout).unwrap();
    let finding = &findings.as_array().unwrap()[0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(
        (&finding["line"], &finding["column"]),
        (&3.into(), &5.into())
    );
    assert!(finding["fix"].as_str().unwrap().contains("MODE: release"));
}

#[test]
fn warnings_alone_are_no_failure() {
    let text = "pipelines: {default: {import: shared:main:deploy}}";
    let found = check(holding(text).path(), &["check"]);
    assert_eq!(found.status.code(), Some(0));
    assert!(words(&found).ends_with("no error, but 1 warning.\n"));
}

#[test]
fn a_file_that_is_no_pipelines_file_is_refused() {
    let rows = [
        ("a: [b", "line 1, column 4: "),
        ("a: b", "it has no `pipelines`"),
        ("", "it is empty"),
    ];
    for (text, reason) in rows {
        let found = check(holding(text).path(), &["check"]);
        assert_eq!(found.status.code(), Some(2));
        let words = words(&found);
        assert!(words.starts_with("✖ bitbucket-pipelines.yml: is no "));
        assert!(words.contains(reason), "{words}");
    }
    let nowhere = holding("");
    let found = check(nowhere.path(), &["check", "no-such-file"]);
    assert_eq!(found.status.code(), Some(2));
    assert!(words(&found).starts_with("✖ no-such-file: cannot be read: "));
    let endless = check(nowhere.path(), &["check", "/dev/zero"]);
    assert_eq!(endless.status.code(), Some(2));
}

#[test]
fn the_mode_can_be_a_variable() {
    let found = check(holding(UNSAFE).path(), &[]);
    assert_eq!(found.status.code(), Some(1));
}

#[test]
fn every_pipelines_file_of_the_readme_is_safe() {
    let blocks = README.split("```yaml\n").skip(1);
    let files: Vec<&str> = blocks
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| block.contains("pipelines:"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let found = check(holding(file).path(), &["check"]);
        assert!(words(&found).ends_with("nothing is missing for a safe stop.\n"));
    }
}
