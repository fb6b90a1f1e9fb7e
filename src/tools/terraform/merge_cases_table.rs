//! Settings of backends in every form in which they may be given, of which a test needs many.

use std::collections::BTreeMap;
use std::env;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// Without it, `init` of the backend s3 writes nothing down.
pub(super) const BUCKET: &str = "merged-settings";

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";
const POLICY: &str = "arn:aws:iam::123456789012:policy/b";
const OTHER_POLICY: &str = "arn:aws:iam::123456789012:policy/a";

pub(super) type Settings = BTreeMap<String, Value>;

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) kind: &'static str,
    pub(super) block: Settings,
    pub(super) is_json: bool,
    pub(super) given: Vec<(By, Given)>,
    /// What the backend itself reads: it fills what is left open, and nobody writes it down.
    pub(super) variables: Vec<(&'static str, String)>,
}

/// How a `-backend-config` comes to Terraform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    InitArguments,
    GeneralArguments,
    CommandLine,
}

#[derive(Clone, Debug)]
pub(super) enum Given {
    Pair(String, Value),
    File(Settings),
    JsonFile(Settings),
}

fn settings(kind: &'static str) -> BoxedStrategy<Settings> {
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
            1 => of(&["dynamodb_table", "workspace_key_prefix"], text()),
            1 => of(&["encrypt", "use_lockfile", "skip_s3_checksum"], switch()),
            1 => of(&["max_retries"], number()),
            2 => of(&["endpoints"], endpoints()),
            2 => of(&["assume_role"], assumed_role()),
            1 => of(&["assume_role_with_web_identity"], role_by_token()),
            1 => of(
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

fn text() -> BoxedStrategy<Value> {
    "[a-z${}%\"'\\\\ é=;#]{0,8}x".prop_map(Value::from).boxed()
}

/// Of an object Terraform drops in silence what it does not know.
fn object(
    always: Value,
    sometimes: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> BoxedStrategy<Value> {
    let given = sometimes.into_iter().chain([("unknown", text())]);
    let given: Vec<_> = given
        .map(|(name, value)| (Just(name), prop_oneof![2 => Just(None), 2 => value.prop_map(Some), 1 => Just(Some(Value::Null))]))
        .collect();
    given
        .prop_map(move |given| {
            let mut all = always.clone();
            for (name, value) in given {
                if let Some(value) = value {
                    all[name] = value;
                }
            }
            all
        })
        .boxed()
}

fn endpoints() -> BoxedStrategy<Value> {
    let other = || {
        select(vec![
            json!("http://127.0.0.1:9/a"),
            json!("http://127.0.0.1:9/b"),
        ])
        .boxed()
    };
    // The others are asked.
    let sts = Just(json!(aws())).boxed();
    object(
        json!({"s3": aws()}),
        vec![("sts", sts), ("iam", other()), ("sso", other())],
    )
}

fn assumed_role() -> BoxedStrategy<Value> {
    let policies = select(vec![
        json!([]),
        json!([POLICY]),
        json!([POLICY, OTHER_POLICY]),
    ]);
    let tags = object(json!({}), vec![("a", text()), ("b c", text())]);
    let keys = select(vec![json!([]), json!(["b", "a"])]).boxed();
    let mut settings = settings_of_a_role();
    settings.extend([
        ("external_id", word()),
        ("policy", Just(json!("{\"Statement\": []}")).boxed()),
        ("policy_arns", policies.boxed()),
        ("source_identity", word()),
        ("tags", tags),
        ("transitive_tag_keys", keys),
    ]);
    object(json!({"role_arn": ROLE}), settings)
}

fn role_by_token() -> BoxedStrategy<Value> {
    object(
        json!({"role_arn": ROLE, "web_identity_token": "token"}),
        settings_of_a_role(),
    )
}

fn settings_of_a_role() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let durations = select(vec![json!("15m"), json!("1h0m")]);
    vec![("duration", durations.boxed()), ("session_name", word())]
}

fn word() -> BoxedStrategy<Value> {
    "[a-z]{2,8}".prop_map(Value::from).boxed()
}

/// Each case has a schema of its own: two that are made at once stand in each other's way.
fn schema_name() -> BoxedStrategy<Value> {
    "[a-z]{12}".prop_map(Value::from).boxed()
}

pub(super) fn aws() -> String {
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

pub(super) fn case(kind: &'static str) -> impl Strategy<Value = Case> {
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
