//! A pipelines file is checked without running anything.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::documents::pages;

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

pub(crate) fn check(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_softstop"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("NO_COLOR", "1")
        .env("SOFTSTOP_MODE", "check")
        .output()
        .unwrap()
}

pub(crate) fn holding(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("bitbucket-pipelines.yml"), text).unwrap();
    directory
}

pub(crate) fn words(output: &Output) -> String {
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
fn every_pipelines_file_of_the_documents_is_safe() {
    let pages = pages();
    let texts: Vec<String> = pages
        .iter()
        .map(|page| fs::read_to_string(page).unwrap())
        .collect();
    let files: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split("```yaml\n").skip(1))
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| block.contains("pipelines:"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let found = check(holding(file).path(), &["check"]);
        assert!(words(&found).ends_with("nothing is missing for a safe stop.\n"));
    }
}

const SAFE: &str = "pipelines: {default: [{step: {script: [make]}}]}";

#[test]
fn of_several_files_the_worst_counts() {
    let directory = holding(SAFE);
    for (name, text) in [
        ("unsafe.yml", UNSAFE),
        ("refused.yml", REFUSED[0].0),
        ("broken.yml", "a: ["),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let safe = "bitbucket-pipelines.yml";
    for (files, code) in [
        (vec![safe, safe], 0),
        (vec![safe, "unsafe.yml"], 1),
        (vec!["refused.yml", "unsafe.yml", safe], 2),
        (vec!["unsafe.yml", "broken.yml"], 2),
    ] {
        let arguments: Vec<&str> = ["check"].into_iter().chain(files.iter().copied()).collect();
        let found = check(directory.path(), &arguments);
        assert_eq!(found.status.code(), Some(code), "{files:?}");
        for file in files {
            assert!(words(&found).contains(file), "{file}");
        }
    }
    let found = check(directory.path(), &["check", "--json", safe, "unsafe.yml"]);
    let findings: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(findings[0]["file"], "unsafe.yml");
}

/// What Bitbucket refuses, and in which line that is said.
const REFUSED: [(&str, u64); 13] = [
    (
        "pipelines:\n  default:\n    - step:\n      script:\n        - make\n",
        4,
    ),
    (
        "pipelines:\n  default:\n    - step:\n        script: [make]\n      trigger: manual\n",
        5,
    ),
    (
        "pipelines:\n  default:\n    - parallel:\n        - step:\n            script: [make]\n          name: A\n",
        6,
    ),
    (
        "pipelines:\n  default:\n    - parallel:\n        fail-fast: true\n",
        3,
    ),
    (
        "pipelines:\n  default:\n    - step:\n        script: make\n",
        4,
    ),
    (
        "pipelines:\n  default:\n    - step:\n        script: [make]\n        caches: node\n",
        5,
    ),
    (
        "pipelines:\n  default:\n    - step:\n        script: [make]\n        max-time: 30m\n",
        5,
    ),
    (
        "options:\n  max-time: 0\npipelines:\n  default:\n    - step:\n        script: [make]\n",
        2,
    ),
    (
        "pipelines:\n  branches:\n    - main:\n        - step:\n            script: [make]\n",
        2,
    ),
    (
        "pipelines:\n  default:\n    step:\n      script: [make]\n",
        2,
    ),
    (
        "pipelines:\n  default:\n    - step:\n        script:\n          - pipe: acme/a:1\n            variables:\n              - A: b\n",
        6,
    ),
    (
        "pipelines:\n  default:\n    - step:\n        trigger: later\n        script: [make]\n",
        4,
    ),
    (
        "pipelines:\n  default:\n    - step: {script: [make]}\n    - final:\n        deployment: test\n        script: [make]\n",
        5,
    ),
];

/// What Bitbucket takes, although it is unusual.
const TAKEN: [&str; 4] = [
    "pipelines:\n  default:\n    - step:\n        script: [make]\n        unknown: 1\n",
    "pipelines:\n  default:\n    - parallel:\n        steps:\n          - step: {script: [make]}\n",
    "pipelines:\n  custom:\n    a:\n      - variables: [{name: A}]\n      - step: {script: [make], caches: [node]}\n",
    "pipelines:\n  default:\n    - step: {type: pipeline, custom: a}\n  custom:\n    a:\n      - step: {script: [make]}\n",
];

#[test]
fn what_bitbuckets_own_schema_refuses_is_refused_and_nothing_else() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-tools/check-jsonschema/bin/check-jsonschema");
    let is_valid = |directory: &TempDir| {
        let checked = Command::new(&program)
            .args([
                "--builtin-schema",
                "vendor.bitbucket-pipelines",
                "bitbucket-pipelines.yml",
            ])
            .current_dir(directory.path())
            .output()
            .unwrap();
        checked.status.success()
    };
    for (text, line) in REFUSED {
        let directory = holding(text);
        assert!(!is_valid(&directory), "{text}");
        let found = check(directory.path(), &["check", "--json"]);
        assert_eq!(found.status.code(), Some(2), "{text}");
        let findings: Value = serde_json::from_slice(&found.stdout).unwrap();
        assert_eq!(findings.as_array().unwrap().len(), 1, "{findings}");
        assert_eq!(findings[0]["line"], line, "{findings}");
        assert_eq!(findings[0]["severity"], "error");
    }
    for text in TAKEN {
        let directory = holding(text);
        assert!(is_valid(&directory), "{text}");
        let found = check(directory.path(), &["check"]);
        assert_eq!(found.status.code(), Some(0), "{text}: {}", words(&found));
    }
}
