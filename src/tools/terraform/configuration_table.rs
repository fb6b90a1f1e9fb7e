//! Which backend is meant, for every mixture of what is named and what lies around.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::configuration::Configuration;
use super::resolved::{Origin, Resolved};
use crate::environment::Environment;
use crate::tools::error::ToolError;

const PARTIAL: (&str, &str) = ("main.tf", "terraform {\n  backend \"http\" {}\n}\n");
const PROD: (&str, &str) = (
    "prod.hcl",
    "address = \"http://prod\"\nlock_address = \"http://prod/lock\"\n",
);

/// A directory with these files.
pub(super) struct Directory {
    files: TempDir,
    configuration: Configuration,
}

impl Directory {
    pub(super) fn with<const COUNT: usize>(files: [(&str, &str); COUNT]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join(".terraform")).unwrap();
        for (name, text) in files {
            fs::write(scratch.path().join(name), text).unwrap();
        }
        Self {
            configuration: Configuration {
                directory: scratch.path().to_owned(),
                data_directory: scratch.path().join(".terraform"),
                ..Configuration::default()
            },
            files: scratch,
        }
    }

    pub(super) fn keeping(self, kind: &str, settings: &Value) -> Self {
        let kept = json!({"version": 3, "backend": {"type": kind, "config": settings, "hash": 1}});
        let path = self.files.path().join(".terraform/terraform.tfstate");
        fs::write(path, kept.to_string()).unwrap();
        self
    }

    fn given<const COUNT: usize>(mut self, backend_config: [&str; COUNT]) -> Self {
        self.configuration.backend_config = backend_config.map(str::to_owned).to_vec();
        self
    }

    pub(super) fn in_environment<const COUNT: usize>(
        mut self,
        variables: [(&str, &str); COUNT],
    ) -> Self {
        self.configuration.environment = Environment::from(variables);
        self
    }

    pub(super) fn resolve(&self) -> Result<Resolved, ToolError> {
        self.configuration.resolve()
    }

    fn expect(&self, origin: Origin, settings: &Value) -> Resolved {
        let resolved = self.resolve().unwrap();
        assert_eq!(resolved.origin, origin);
        assert_eq!(Value::Object(resolved.backend.settings.clone()), *settings);
        resolved
    }

    fn expect_error(&self, words: &[&str]) {
        let error = self.resolve().unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn what_is_given_later_wins_setting_by_setting() {
    let directory = Directory::with([
        (
            "main.tf",
            "terraform {\n  backend \"http\" {\n    address = \"block\"\n    lock_address = \"block\"\n    username = \"block\"\n    update_method = \"block\"\n  }\n}\n",
        ),
        ("file.hcl", "username = \"file\"\nlock_address = null\n"),
    ])
    .in_environment([
        ("TF_CLI_ARGS", "-backend-config=update_method=general"),
        (
            "TF_CLI_ARGS_init",
            "-backend-config=address=init -backend-config=update_method=init",
        ),
    ])
    .given(["address=given", "file.hcl"]);
    let settings = json!({"address": "given", "username": "file", "update_method": "general"});
    let resolved = directory.expect(Origin::Named, &settings);
    assert!(resolved.notes.is_empty());
}

#[test]
fn a_value_is_text_unless_the_setting_holds_more_than_one() {
    let directory =
        Directory::with([("main.tf", "terraform {\n  backend \"s3\" {}\n}\n")]).given([
            "bucket={b",
            "key=a=b",
            "region=",
            "region=[r",
            "endpoints={ s3 = \"http://h\" }",
            "use_lockfile=true",
        ]);
    directory.expect(
        Origin::Named,
        &json!({
            "bucket": "{b", "key": "a=b", "region": "[r", "use_lockfile": "true",
            "endpoints": {"s3": "http://h"},
        }),
    );
}

#[test]
fn an_only_empty_backend_config_gives_nothing() {
    let block = "terraform {\n  backend \"http\" {\n    address = \"a\"\n    retry = 1\n  }\n}\n";
    let directory = Directory::with([("main.tf", block)]).given([""]);
    let error = directory.resolve().unwrap_err();
    assert!(matches!(error, ToolError::Dropped { .. }), "{error}");
    let lock = "lock_address=a";
    let error = Directory::with([("main.tf", block)])
        .given(["", lock])
        .resolve();
    assert!(matches!(error, Err(ToolError::Unreadable { .. })));
}

#[test]
fn a_byte_order_mark_stands_before_everything() {
    let directory = Directory::with([
        (
            "a.tf",
            "\u{feff}terraform {\n  backend \"http\" {\n  }\n}\n",
        ),
        ("b.tf.json", "\u{feff}{}"),
        ("prod.hcl", "\u{feff}address = \"a\"\n"),
        ("prod.json", "\u{feff}{\"lock_address\": \"b\"}"),
    ])
    .given(["prod.hcl", "prod.json"]);
    directory.expect(Origin::Named, &json!({"address": "a", "lock_address": "b"}));
}

#[test]
fn the_last_override_replaces_the_block_as_a_whole() {
    let block = |value: &str| {
        format!("terraform {{\n  backend \"http\" {{\n    address = \"{value}\"\n  }}\n}}\n")
    };
    let base = block("base\"\n    username = \"base");
    let directory = Directory::with([
        ("z.tf", &base),
        ("my.override.tf", "locals {\n  owner = 1\n}\n"),
        ("backend.prod_override.tf", &block("first")),
        (
            "last_override.tf.json",
            r#"{"terraform": {"backend": {"http": {"address": "last"}}}}"#,
        ),
        (
            "other_override.tf",
            "terraform {\n  required_version = \"1\"\n}\n",
        ),
    ]);
    directory.expect(Origin::Named, &json!({"address": "last"}));
}

#[test]
fn a_second_block_is_refused_as_terraform_refuses_it() {
    let block = "terraform {\n  backend \"http\" {\n    address = \"s3cret\"\n  }\n}\n";
    for files in [
        [("a.tf", block), ("b.tf", block)],
        [("a.tf", block), ("my.override.tf", block)],
        [("a.tf", ""), ("override.tf", &block.repeat(2))],
        [
            ("a.tf", block),
            ("b.tf", "terraform {\n  cloud {\n  }\n}\n"),
        ],
    ] {
        Directory::with(files).expect_error(&["second backend or cloud block"]);
    }
}

#[test]
fn every_form_that_json_allows_is_read() {
    for text in [
        r#"{"terraform": {"backend": {"http": {"address": "a"}}}}"#,
        r#"[{"terraform": [{"backend": [{"http": [{"address": "a", "//": "x"}]}]}]}]"#,
        r#"{"x": 1, "x": {"y": 1e999, "z": "\ud800"}, "terraform": {"x": 1}, "terraform": {"backend": {"http": {"address": "a"}}}}"#,
        r#"{"terraform": {"backend": {"s3": null, "http": {"address": "a"}}, "cloud": null}}"#,
    ] {
        Directory::with([("main.tf.json", text)]).expect(Origin::Named, &json!({"address": "a"}));
    }
    let template = r#"{"terraform": {"backend": {"http": {"address": "a${1 + 1}"}}}}"#;
    Directory::with([("main.tf.json", template)])
        .expect(Origin::Named, &json!({"address": "a${1 + 1}"}));
}

#[test]
fn what_was_kept_fills_what_is_left_open() {
    let kept = json!({"address": "http://prod", "retry_max": 2, "username": null});
    let full = json!({"address": "http://prod", "retry_max": 2});
    let directory = Directory::with([PARTIAL]).keeping("http", &kept);
    let resolved = directory.expect(Origin::Completed { names_host: true }, &full);
    assert_eq!(
        resolved.notes,
        [
            "Only `.terraform` says which state is meant (address = \"http://prod\"), so no credentials of the environment are sent there. Name the one that is meant by BACKEND_CONFIG."
        ]
    );
    // What is written is compared as Terraform takes it.
    let directory = directory.given(["address=http://prod", "retry_max=2.0"]);
    let settings = json!({"address": "http://prod", "retry_max": "2.0"});
    directory.expect(Origin::Named, &settings);
    let directory = directory.given(["address=http://prod"]);
    let resolved = directory.expect(Origin::Completed { names_host: false }, &full);
    assert!(resolved.notes.is_empty());
}

#[test]
fn what_was_kept_counts_for_nothing_where_it_contradicts_what_is_named() {
    let kept = json!({"address": "http://staging", "lock_address": "http://staging/s3cret"});
    let prod = json!({"address": "http://prod", "lock_address": "http://prod/lock"});
    let by_file = Directory::with([PARTIAL, PROD]).given(["prod.hcl"]);
    let by_arguments = Directory::with([PARTIAL, PROD])
        .in_environment([("TF_CLI_ARGS_init", "-upgrade -backend-config prod.hcl")]);
    for directory in [by_file, by_arguments] {
        let directory = directory.keeping("http", &kept);
        let resolved = directory.expect(Origin::Named, &prod);
        assert_eq!(
            resolved.notes,
            [
                "`.terraform` is of another backend than the one that is named (address, lock_address), so what is named is used."
            ]
        );
        let resolved = directory.keeping("s3", &kept).expect(Origin::Named, &prod);
        assert!(resolved.notes[0].contains("(s3 instead of http)"));
    }
    let by_variable = Directory::with([PARTIAL])
        .keeping("http", &kept)
        .in_environment([("TF_HTTP_ADDRESS", "http://prod")]);
    let resolved = by_variable.expect(Origin::Named, &json!({}));
    assert!(resolved.notes[0].contains("(address)"));
    let named_but_not_kept = Directory::with([PARTIAL])
        .keeping("http", &json!({"address": "a"}))
        .given(["address=a", "username=u"]);
    named_but_not_kept.expect(Origin::Named, &json!({"address": "a", "username": "u"}));
}

#[test]
fn what_only_terraform_itself_has_kept_is_told_without_secrets() {
    let kept = json!({
        "conn_str": "postgres://user:s3cret@host/database", "schema_name": "prod",
        "skip_table_creation": true,
    });
    let block = ("main.tf", "terraform {\n  backend \"pg\" {}\n}\n");
    let resolved = Directory::with([block]).keeping("pg", &kept).resolve();
    let notes = resolved.unwrap().notes;
    assert!(
        notes[0].contains("(conn_str, schema_name = \"prod\")"),
        "{notes:?}"
    );
    let kept = json!({"address": "http://user:s3cret@host/"});
    let resolved = Directory::with([PARTIAL]).keeping("http", &kept).resolve();
    let notes = resolved.unwrap().notes;
    assert!(notes[0].contains("(address)"), "{notes:?}");
}

#[test]
fn what_was_kept_is_enough_where_no_block_is_there_and_nothing_contradicts_it() {
    let kept = json!({"address": "http://prod"});
    let directory = Directory::with([]).keeping("http", &kept);
    directory.expect(Origin::Completed { names_host: true }, &kept);
    let directory = directory.given(["address=http://prod"]);
    directory.expect(Origin::Named, &kept);
    let directory = directory.given(["address=http://s3cret"]);
    directory.expect_error(&["no backend block", "another backend", "(address)"]);
    let initialised = directory.configuration.initialised().unwrap().unwrap();
    assert_eq!(Value::Object(initialised.settings), kept);
}

#[test]
fn what_opentofu_takes_from_variables_is_not_what_was_kept_with_other_values() {
    let kept = json!({"address": "http://prod"});
    let block = "terraform {\n  backend \"http\" {\n    address = var.s3cret\n  }\n}\n";
    let json = r#"{"terraform": {"backend": {"http": {"address": "${var.s3cret}"}}}}"#;
    for (name, text) in [("main.tf", block), ("main.tf.json", json)] {
        let directory = Directory::with([(name, text)]);
        let mut directory = directory.keeping("http", &kept);
        directory.configuration.is_tofu = true;
        directory.expect_error(&[name, "\"address\" is no literal value", "BACKEND_CONFIG"]);
    }
}

#[test]
fn an_init_that_was_killed_has_kept_nothing() {
    let directory = Directory::with([(".terraform/terraform.tfstate", "")]);
    assert_eq!(directory.configuration.initialised().unwrap(), None);
    directory.expect_error(&["softstop cannot know where the state is"]);
}

#[test]
fn where_the_state_is_is_unknown_without_a_block_and_without_a_state_file() {
    let block = ("main.tf", "terraform {\n  backend \"local\" {}\n}\n");
    for directory in [Directory::with([]), Directory::with([block])] {
        directory.expect_error(&["softstop cannot know where the state is", "WORKING_DIR"]);
        fs::write(directory.files.path().join("terraform.tfstate"), "").unwrap();
        let resolved = directory.resolve().unwrap();
        assert_eq!(resolved.origin, Origin::LocalFile);
        assert_eq!(resolved.backend.kind, "local");
    }
}

#[test]
fn what_is_missing_is_named_with_the_ways_to_give_it() {
    let directory = Directory::with([PARTIAL]);
    directory.expect_error(&["incomplete", "address", "BACKEND_CONFIG or TF_HTTP_ADDRESS"]);
    let directory = directory.in_environment([("TF_HTTP_ADDRESS", "http://prod")]);
    directory.expect(Origin::Named, &json!({}));
    let s3 = "terraform {\n  backend \"s3\" {\n    key = \"k\"\n  }\n}\n";
    Directory::with([("main.tf", s3)]).expect_error(&["bucket, region", "AWS_REGION"]);
}

#[test]
fn a_mistyped_setting_is_told_and_where_no_lock_is_taken_without_it_nothing_is_known() {
    let s3 = |settings: &str| {
        format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"b\"\n    key = \"k\"\n    region = \"r\"\n    use_lock_file = \"s3cret\"\n{settings}  }}\n}}\n"
        )
    };
    let directory = Directory::with([("main.tf", s3("").as_str())]);
    directory.expect_error(&["knows no setting \"use_lock_file\""]);
    let directory = directory.given(["secret_key=s3cret"]);
    directory.expect_error(&["no setting \"use_lock_file\"", "no lock is taken"]);
    let directory = Directory::with([("main.tf", s3("dynamodb_table = \"t\"\n").as_str())])
        .given(["encrypt=true"]);
    let resolved = directory.resolve().unwrap();
    assert!(resolved.backend.settings.get("use_lock_file").is_none());
    assert!(resolved.notes[0].contains("\"use_lock_file\""));
    assert!(!resolved.notes[0].contains("s3cret"));
    let http = "terraform {\n  backend \"http\" {\n    lock_adress = \"s3cret\"\n  }\n}\n";
    let directory = Directory::with([("main.tf", http)]).given(["address=a"]);
    directory.expect_error(&["\"lock_adress\"", "no lock is taken"]);
    let directory = directory.given(["address=a", "lock_address=b"]);
    assert_eq!(directory.resolve().unwrap().notes.len(), 1);
}

#[test]
fn the_lock_table_that_only_an_old_terraform_knows_is_a_setting_like_any_other() {
    let text = "terraform {\n  backend \"s3\" {\n    bucket = \"b\"\n    key = \"k\"\n    region = \"r\"\n    lock_table = \"t\"\n  }\n}\n";
    let in_block = Directory::with([("main.tf", text)]);
    let beside_more = Directory::with([("main.tf", text)]).given(["encrypt=true"]);
    let bare = text.replace("    lock_table = \"t\"\n", "");
    let beside = Directory::with([("main.tf", bare.as_str())]).given(["lock_table=t"]);
    for directory in [in_block, beside_more, beside] {
        let resolved = directory.resolve().unwrap();
        assert_eq!(resolved.notes, [""; 0]);
        assert!(resolved.backend.takes_locks(&Environment::default()));
    }
}

#[test]
fn no_error_quotes_a_value_or_a_line_of_a_file() {
    for (name, text) in [
        ("broken.hcl", "address = \"a\"\npassword = \"s3cret\n"),
        (
            "broken.json",
            "{\"address\": \"a\", \"password\": s3cret\"}",
        ),
        ("list.json", "[\"s3cret\"]"),
        ("unknown.hcl", "pasword = \"s3cret\"\n"),
        ("variable.hcl", "password = var.s3cret\n"),
        ("missing/s3.hcl", ""),
    ] {
        let directory = Directory::with([PARTIAL]).given([name]);
        if !name.contains('/') {
            fs::write(directory.files.path().join(name), text).unwrap();
        }
        directory.expect_error(&[name]);
    }
    let directory = Directory::with([PARTIAL]).given(["pasword=s3cret"]);
    directory.expect_error(&["BACKEND_CONFIG pasword", "\"pasword\""]);
    let directory = Directory::with([PARTIAL]).given(["headers={ a = s3cret }"]);
    directory.expect_error(&["BACKEND_CONFIG headers"]);
    let block = "terraform {\n  backend \"http\" {\n\n    password = \"s3cret\n  }\n}\n";
    Directory::with([("main.tf", block)]).expect_error(&["main.tf", "line 4"]);
    let block = "terraform {\n  backend \"http\" {\n\n    password = = \"s3cret\"\n  }\n}\n";
    Directory::with([("main.tf", block)]).expect_error(&["main.tf", "line 4"]);
    let kept = Directory::with([
        PARTIAL,
        (".terraform/terraform.tfstate", "{\"backend\": \"s3cret\"}"),
    ]);
    kept.expect_error(&["terraform.tfstate", "line 1"]);
}
