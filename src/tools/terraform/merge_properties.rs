//! The settings are merged as the real Terraform merges them, which writes down what came of it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::backend::Backend;
use super::configuration::{Configuration, read_initialised};
use super::settings::is_same;
use crate::environment::Environment;

/// How many cases are tried of each backend.
const CASES: usize = 40;
const SIDE_BY_SIDE: usize = 4;

/// Without it, `init` of the backend s3 writes nothing down.
const BUCKET: &str = "merged-settings";

type Settings = BTreeMap<String, Value>;

#[derive(Clone, Debug)]
struct Case {
    kind: &'static str,
    block: Settings,
    is_json: bool,
    given: Vec<(By, Given)>,
    /// What the backend itself reads: it fills what is left open, and nobody writes it down.
    variables: Vec<(&'static str, String)>,
}

/// How a `-backend-config` comes to Terraform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    InitArguments,
    GeneralArguments,
    CommandLine,
}

#[derive(Clone, Debug)]
enum Given {
    Pair(String, Value),
    File(Settings),
    JsonFile(Settings),
}

fn settings(kind: &'static str) -> BoxedStrategy<Settings> {
    let text = || "[a-z${}%\"'\\\\ é=;#]{0,8}x".prop_map(Value::from).boxed();
    let number = || {
        let text = select(vec!["1", "2", "07"]).prop_map(Value::from);
        prop_oneof![Just(json!(1)), Just(json!(2)), text].boxed()
    };
    let switch = || {
        let values = vec![
            json!(true),
            json!(false),
            json!("true"),
            json!("false"),
            json!("1"),
        ];
        select(values).boxed()
    };
    let address = || {
        let addresses = vec!["http://127.0.0.1:9/a", "http://127.0.0.1:9/b?c=${d}"];
        select(addresses).prop_map(Value::from).boxed()
    };
    let endpoints = || {
        let others = vec![
            json!(null),
            json!("http://127.0.0.1:9/a"),
            json!("http://127.0.0.1:9/b"),
        ];
        select(others)
            .prop_map(|other| json!({"s3": aws(), "sts": other}))
            .boxed()
    };
    let files = || select(vec![json!([]), json!(["/dev/null"])]).boxed();
    let of = |names: &[&'static str], value: BoxedStrategy<Value>| {
        let value = prop_oneof![9 => value, 1 => Just(Value::Null)];
        (select(names.to_vec()), value).boxed()
    };
    let one = match kind {
        "http" => prop_oneof![
            of(&["username", "password", "update_method"], text()),
            of(&["lock_address", "unlock_address"], address()),
            of(&["retry_wait_min"], number()),
            of(&["skip_cert_verification"], switch()),
        ]
        .boxed(),
        "s3" => prop_oneof![
            of(&["dynamodb_table", "workspace_key_prefix"], text()),
            of(&["encrypt", "use_lockfile", "skip_s3_checksum"], switch()),
            of(&["max_retries"], number()),
            of(&["endpoints"], endpoints()),
            of(
                &["shared_config_files", "shared_credentials_files"],
                files()
            ),
        ]
        .boxed(),
        "pg" => prop_oneof![
            of(&["schema_name"], schema_name()),
            of(&["skip_index_creation"], switch()),
        ]
        .boxed(),
        _ => of(&["path", "workspace_dir"], text()).boxed(),
    };
    let one = prop_oneof![
        15 => one,
        1 => Just(("use_lock_file", json!(true))),
    ];
    let pair = one.prop_map(|(name, value)| (name.to_owned(), value));
    vec(pair, 0..4)
        .prop_map(|pairs| pairs.into_iter().collect())
        .boxed()
}

/// Each case has a schema of its own: two that are made at once stand in each other's way.
fn schema_name() -> BoxedStrategy<Value> {
    "[a-z]{12}".prop_map(Value::from).boxed()
}

fn aws() -> String {
    format!(
        "http://{}",
        env::var("SOFTSTOP_TEST_AWS").unwrap_or_default()
    )
}

fn variables(kind: &str) -> BoxedStrategy<Vec<(&'static str, String)>> {
    let of = |variables: &[(&'static str, &str)]| {
        let variables = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let variables: Vec<_> = variables.collect();
        let count = variables.len();
        subsequence(variables, 0..=count).boxed()
    };
    match kind {
        "http" => of(&[
            ("TF_HTTP_LOCK_ADDRESS", "http://127.0.0.1:9/v"),
            ("TF_HTTP_RETRY_MAX", "1"),
            ("TF_HTTP_UPDATE_METHOD", "PUT"),
            ("TF_HTTP_USERNAME", "v"),
        ]),
        "s3" => of(&[
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9/v"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_RETRY_MODE", "standard"),
        ]),
        "pg" => "[a-z]{12}"
            .prop_map(|name| vec![("PG_SCHEMA_NAME", name)])
            .boxed(),
        _ => Just(Vec::new()).boxed(),
    }
}

/// What a backend needs, to get as far as writing down its settings.
fn basis(kind: &str) -> Settings {
    let postgres = env::var("SOFTSTOP_TEST_POSTGRES").unwrap_or_default();
    let settings = match kind {
        "http" => json!({"address": "http://127.0.0.1:9/", "retry_max": 0}),
        "s3" => json!({
            "bucket": BUCKET, "key": "k", "region": "us-east-1", "access_key": "test",
            "secret_key": "test", "use_path_style": true, "skip_credentials_validation": true,
            "skip_metadata_api_check": true, "skip_requesting_account_id": true,
            "endpoints": {"s3": aws(), "sts": null},
        }),
        "pg" => json!({
            "conn_str": format!("postgres://postgres@{postgres}/postgres?sslmode=disable"),
        }),
        _ => json!({}),
    };
    settings.as_object().unwrap().clone().into_iter().collect()
}

fn case(kind: &'static str) -> impl Strategy<Value = Case> {
    let by = select(vec![
        By::InitArguments,
        By::GeneralArguments,
        By::CommandLine,
    ]);
    let given = settings(kind).prop_flat_map(|settings| {
        let pairs = settings.clone().into_iter();
        // There is no way to write nothing as NAME=VALUE.
        let pairs = pairs.filter(|(_, value)| !value.is_null());
        let mut forms = vec![Given::File(settings.clone()), Given::JsonFile(settings)];
        forms.extend(pairs.map(|(name, value)| Given::Pair(name, value)));
        select(forms)
    });
    let given = vec((by, given), 0..4);
    (settings(kind), any::<bool>(), given, variables(kind)).prop_map(
        move |(block, is_json, given, variables)| Case {
            kind,
            block: basis(kind).into_iter().chain(block).collect(),
            is_json,
            given,
            variables,
        },
    )
}

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
    let lines = settings.iter().map(|(name, value)| {
        let value = value.to_string().replace("${", "$${").replace("%{", "%%{");
        format!("{name} = {value}\n")
    });
    lines.collect()
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
                Given::Pair(name, value) => return format!("{name}={value}"),
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
        let is_same = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => is_same(&whole(ours), &whole(theirs)),
            (None, None) => true,
            _ => false,
        };
        assert!(is_same, "{self:?}\nours: {ours:?}\ntheirs: {theirs:?}");
    }
}

fn whole(backend: &Backend) -> Value {
    let kind = Map::from_iter([("kind".to_owned(), json!(backend.kind))]);
    Value::Object(kind.into_iter().chain(backend.settings.clone()).collect())
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
