//! No text makes the reader of configurations panic, or see a backend that is not written.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::backend::Backend;
use super::block::{expression, hcl_blocks, json_blocks};
use crate::mutation::{at_least, mutated};
use crate::tools::error::ToolError;

const BLOCKS: &[&str] = &[
    r#"terraform {
  required_version = ">= 1.5"
  required_providers { slow = { source = "example.com/test/slow" } }
  backend "s3" {
    bucket         = "acme-state"
    key            = "deploy/${"state"}.tfstate" # the only one
    region         = "eu-central-1"
    use_lockfile   = true
    max_retries    = 3
    endpoints      = { s3 = "http://localhost:9000", dynamodb = "http://localhost:8000" }
    assume_role { role_arn = "arn:aws:iam::1:role/deploy" }
  }
}
"#,
    r#"terraform {
  backend "http" {
    address = "https://example.com/state" // the lock is beside it
    headers = { for name in ["a", "b"] : name => upper(name) }
  }
}
variable "text" {
  default = <<-END
    terraform { backend "local" {} }
    %{ if true }${1 + 2 * -3}%{ else }no%{ endif }
  END
}
"#,
    r#"terraform {
  cloud {
    organization = "acme"
    workspaces { tags = ["a", "b"] }
  }
}
"#,
    r#"{"terraform": [{"backend": {"pg": {"conn_str": "postgres://u@h/d", "skip_table_creation": null}}}]}"#,
    r#"{"terraform": {"//": "nothing", "cloud": [{"organization": "acme"}]}}"#,
];

/// What may stand beside the backend block, and looks like one.
const DECOYS: &[&str] = &[
    "# terraform { backend \"decoy\" {} }\n",
    "/* terraform {\n backend \"decoy\" {}\n} */\n",
    "locals { text = \"terraform { backend \\\"decoy\\\" {} }\" }\n",
    "locals {\n  text = <<E\nterraform {\n  backend \"decoy\" {}\n}\nE\n}\n",
    "resource \"terraform\" \"backend\" {\n  backend \"decoy\" {}\n}\n",
    "module \"terraform\" {\n  terraform {\n    backend \"decoy\" {}\n  }\n}\n",
    "terraform { required_version = \"1\" }\n",
    "terraform {\n  backend = \"decoy\"\n}\n",
    "terraform {\n  provider_meta \"backend\" {\n    backend \"decoy\" {}\n  }\n}\n",
    "terraform = { backend = { decoy = {} } }\n",
];

/// Far more than reading takes.
const PATIENCE: Duration = Duration::from_secs(5);

fn read_all(text: &str) -> Vec<Backend> {
    hcl_blocks(Path::new("backend.tf"), text).unwrap_or_default()
}

fn read(text: &str) -> Option<Backend> {
    read_all(text).pop()
}

fn read_json(text: &str) -> Vec<Backend> {
    json_blocks(Path::new("backend.tf.json"), text).unwrap_or_default()
}

fn read_value(text: &str) -> Result<Value, ToolError> {
    expression(Path::new("BACKEND_CONFIG x"), text)
}

proptest! {
    #![proptest_config(at_least(512))]

    #[test]
    fn no_mutated_configuration_shows_a_backend_that_is_not_written(text in mutated(BLOCKS)) {
        for backend in read_all(&text).into_iter().chain(read_json(&text)) {
            let is_written = text.contains(&backend.kind) || text.contains('\\');
            prop_assert!(is_written && text.contains("terraform"), "{backend:?}");
            prop_assert!(backend.kind == "cloud" || text.contains("backend"), "{backend:?}");
        }
        let _ = (read_value(&text), read_value(&format!("{{{text}}}")));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = (read(&text), read_json(&text), read_value(&format!("[{text}")));
    }

    #[test]
    fn the_backend_is_the_one_that_is_written_whatever_stands_beside_it(
        before in vec(select(DECOYS), 0..4), after in vec(select(DECOYS), 0..4),
        kind in "[a-z][a-z0-9_]{0,9}", value in "[^\\pC\"\\\\$%]{0,20}",
    ) {
        let block = format!("terraform {{\n  backend \"{kind}\" {{\n    key = \"{value}\"\n  }}\n}}\n");
        let text = [before.concat(), block, after.concat()].concat();
        let backend = Backend { kind, settings: Map::from_iter([("key".to_owned(), Value::from(value))]) };
        prop_assert_eq!(read_all(&text), [backend]);
    }
}

#[test]
fn every_decoy_leaves_the_backend_what_it_is() {
    for decoy in DECOYS {
        let text = format!("{decoy}terraform {{\n  backend \"s3\" {{}}\n}}\n");
        assert_eq!(
            read(&text).map(|backend| backend.kind).as_deref(),
            Some("s3"),
            "{decoy}"
        );
    }
}

/// A stack that overflowed would end the program.
#[test]
fn what_is_nested_too_deep_is_refused() {
    // A reader that recursed would have no stack left long before.
    const DEEP: usize = 20_000;
    for (open, middle, close) in [
        ("[", "", "]"),
        ("(", "1", ")"),
        ("{ a = ", "1", "}"),
        ("\"${", "1", "}\""),
        ("\"%{ if true }${", "1", "}%{ endif }\""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("true ? ", "1", " : 1"),
        ("f(", "", ")"),
        ("a[", "0", "]"),
        ("[for a in ", "b", " : a]"),
        ("1 + ", "1", ""),
        ("a.", "a", ""),
        ("a.*.", "a", ""),
    ] {
        for close in [close, ""] {
            let value = format!("{}{middle}{}", open.repeat(DEEP), close.repeat(DEEP));
            let text = format!("terraform {{\n  backend \"s3\" {{\n    key = {value}\n  }}\n}}\n");
            let read = hcl_blocks(Path::new("backend.tf"), &text);
            assert!(read.is_err(), "{open}{close}");
            let _ = read_value(&format!("[{value}]"));
        }
    }
    for open in [
        "a {\n",
        "a \"b\" {\n",
        "terraform {\n",
        "a = <<E\n${",
        "a = \"%{ if ",
        "/*",
        "[",
        "{",
    ] {
        let _ = read_all(&open.repeat(DEEP));
        let _ = read_all(&(open.repeat(DEEP) + &"}\n".repeat(DEEP)));
    }
    for open in ["[", "{\"terraform\":", "{\"backend\":[", "\""] {
        let read = json_blocks(Path::new("x"), &open.repeat(DEEP));
        assert!(read.is_err(), "{open}");
    }
}

/// A value in a backend block costs no time that grows out of measure, at whatever depth.
#[test]
fn what_is_nested_in_a_block_is_read_in_time() {
    for (open, middle, close) in [
        ("[", "", "]"),
        ("(", "1", ")"),
        ("{ a = ", "1", "}"),
        ("\"${", "1", "}\""),
        ("\"%{ if true }${", "1", "}%{ endif }\""),
        ("f(", "", ")"),
        ("[for a in ", "b", " : a]"),
        ("true ? ", "1", " : 1"),
        ("1 + ", "1", ""),
        ("!", "true", ""),
    ] {
        for depth in [5, 10, 20, 30, 40, 60, 80, 120, 200] {
            for close in [close, ""] {
                let value = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
                let text =
                    format!("terraform {{\n  backend \"s3\" {{\n    key = {value}\n  }}\n}}\n");
                let began = Instant::now();
                let _ = read(&text);
                assert!(began.elapsed() < PATIENCE, "{depth} {open}{close}");
            }
        }
    }
}

#[test]
fn a_block_of_any_length_is_read_in_time() {
    const LONG: usize = 64 * 1024;
    for piece in [
        "a = 1\n",
        "a {\n}\n",
        "a = \"x\"\n",
        "\n",
        "# x\n",
        "/* x */",
        "x",
        " ",
        "[",
        "(",
        "\"a\" ",
        "a = [",
        "a = {",
        "a = \"${",
        "\\\"",
        "a = <<E\n",
        "a.",
        "1 + ",
        "f(",
        "-",
        "!",
        "[],",
        "a = <<E\nE\n",
    ] {
        let text = piece.repeat(LONG / piece.len());
        for (begin, end) in [
            ("", "\n"),
            ("a = [", "]\n"),
            ("a = \"", "\"\n"),
            ("a = ", "\n"),
        ] {
            let block = format!("terraform {{\nbackend \"a\" {{\n{begin}{text}{end}}}\n}}\n");
            let began = Instant::now();
            let _ = (read(&block), read_value(&format!("{begin}{text}{end}")));
            assert!(
                began.elapsed() < PATIENCE,
                "{begin}{piece}: {:?}",
                began.elapsed()
            );
        }
    }
}
