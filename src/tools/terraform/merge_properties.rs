//! The settings are merged as the real Terraform merges them, which writes down what came of it.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::backend::Backend;
use super::configuration::{Configuration, read_initialised};
use super::merge_cases_table::{BUCKET, By, Case, Given, Settings, aws, case};
use super::settings::contradictions;
use crate::environment::Environment;

/// How many cases are tried of each backend.
const CASES: usize = 40;
const SIDE_BY_SIDE: usize = 4;

fn make_bucket() {
    let aws = env::var("SOFTSTOP_TEST_AWS").unwrap();
    let authorization = "AWS4-HMAC-SHA256 \
         Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none";
    ureq::put(format!("http://{aws}/{BUCKET}"))
        .header("Authorization", authorization)
        .send_empty()
        .unwrap();
}

/// What all schemas of a database share, which each `init` makes where it is not there.
fn make_sequence() {
    let address = env::var("SOFTSTOP_TEST_POSTGRES").unwrap();
    let made = Command::new("psql")
        .args(["--no-psqlrc", "--quiet"])
        .arg(format!("postgres://postgres@{address}/postgres"))
        .args([
            "--command",
            "create sequence if not exists public.global_states_id_seq as bigint",
        ])
        .status()
        .unwrap();
    assert!(made.success());
}

/// As HCL, which is JSON but for the names and the templates.
fn hcl(settings: &Settings) -> String {
    let lines = settings.iter();
    let lines = lines.map(|(name, value)| format!("{name} = {}\n", expression(value)));
    lines.collect()
}

fn expression(value: &Value) -> String {
    value.to_string().replace("${", "$${").replace("%{", "%%{")
}

fn json_text(settings: &Settings) -> String {
    json!(settings).to_string()
}

/// A word of a variable.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Case {
    fn write(&self, directory: &Path) {
        if self.is_json {
            let document = json!({"terraform": {"backend": {self.kind: self.block}}});
            fs::write(directory.join("main.tf.json"), document.to_string()).unwrap();
        } else {
            let block = format!("backend \"{}\" {{\n{}}}\n", self.kind, hcl(&self.block));
            let text = format!("terraform {{\n{block}}}\n");
            fs::write(directory.join("main.tf"), text).unwrap();
        }
    }

    /// What is given in this way, its files written.
    fn given(&self, by: By, directory: &Path) -> Vec<String> {
        let numbered = self.given.iter().enumerate();
        let mine = numbered.filter(|(_, (given_by, _))| *given_by == by);
        mine.map(|(number, (_, given))| {
            let (name, text) = match given {
                Given::Pair(name, Value::String(value)) => return format!("{name}={value}"),
                Given::Pair(name, value) => return format!("{name}={}", expression(value)),
                Given::File(settings) => (format!("{number}.hcl"), hcl(settings)),
                Given::JsonFile(settings) => (format!("{number}.json"), json_text(settings)),
            };
            fs::write(directory.join(&name), text).unwrap();
            name
        })
        .collect()
    }

    fn variable(&self, by: By, directory: &Path) -> String {
        let given = self.given(by, directory).into_iter();
        let words: Vec<_> = given
            .map(|given| quoted(&format!("-backend-config={given}")))
            .collect();
        words.join(" ")
    }

    /// What Terraform writes down, or nothing where it refuses.
    fn by_terraform(&self, terraform: &str, directory: &Path) -> Option<Backend> {
        let given = self.given(By::CommandLine, directory).into_iter();
        let output = Command::new(terraform)
            .args(["init", "-input=false", "-no-color"])
            .args(given.map(|given| format!("-backend-config={given}")))
            .current_dir(directory)
            .env_clear()
            .env("HOME", directory)
            .env("CHECKPOINT_DISABLE", "1")
            // Where the case gives no endpoint, it is not the real one that is asked.
            .env("AWS_ENDPOINT_URL_S3", aws())
            .env("AWS_ENDPOINT_URL_STS", aws())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(
                "TF_CLI_ARGS_init",
                self.variable(By::InitArguments, directory),
            )
            .env(
                "TF_CLI_ARGS",
                self.variable(By::GeneralArguments, directory),
            )
            .output()
            .unwrap();
        let kept = directory.join(".terraform/terraform.tfstate");
        if !kept.exists() {
            let said = String::from_utf8_lossy(&output.stderr);
            // A case that fails for any other reason tells nothing.
            assert!(said.contains("use_lock_file"), "{self:?}: {said}");
            return None;
        }
        Some(read_initialised(&kept).unwrap())
    }

    fn by_softstop(&self, directory: &Path) -> Option<Backend> {
        let init = self.variable(By::InitArguments, directory);
        let general = self.variable(By::GeneralArguments, directory);
        let configuration = Configuration {
            directory: directory.to_owned(),
            backend_config: self.given(By::CommandLine, directory),
            environment: self.environment(&init, &general),
            ..Configuration::default()
        };
        let block = configuration.block().unwrap().unwrap();
        configuration.merged(block).ok().map(|(backend, _)| backend)
    }

    fn environment(&self, init: &str, general: &str) -> Environment {
        let words = [("TF_CLI_ARGS_init", init), ("TF_CLI_ARGS", general)];
        let given = self.variables.iter();
        let given = given.map(|(name, value)| (*name, value.as_str()));
        let entries = words.into_iter().chain(given);
        let entries: Vec<String> = entries
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Environment::parse(entries.join("\0").as_bytes())
    }

    fn check(&self, terraform: &str) {
        let scratch = tempfile::tempdir().unwrap();
        self.write(scratch.path());
        let theirs = self.by_terraform(terraform, scratch.path());
        let ours = self.by_softstop(scratch.path());
        let is_alike = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => is_alike(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        assert!(is_alike, "{self:?}\nours: {ours:?}\ntheirs: {theirs:?}");
    }
}

fn is_alike(ours: &Backend, theirs: &Backend) -> bool {
    let is_known =
        |(name, value): (&String, &Value)| value.is_null() || ours.settings.contains_key(name);
    ours.kind == theirs.kind
        && contradictions(ours, theirs).is_empty()
        && theirs.settings.iter().all(is_known)
}

#[test]
fn settings_are_merged_as_the_real_terraform_merges_them() {
    // Without it, these are the tests that need no Terraform.
    let Ok(terraform) = env::var("SOFTSTOP_TEST_TERRAFORM") else {
        return;
    };
    make_bucket();
    make_sequence();
    let mut runner = TestRunner::default();
    let mut cases = Vec::new();
    for kind in ["http", "s3", "pg", "local"] {
        for _ in 0..CASES {
            cases.push(case(kind).new_tree(&mut runner).unwrap().current());
        }
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    case.check(&terraform);
                }
            });
        }
    });
}
