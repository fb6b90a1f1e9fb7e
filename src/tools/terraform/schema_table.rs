//! What is asked of known settings, for each variable by which a backend takes one.

use serde_json::{Map, Value, json};

use super::configuration_table::Directory;
use super::resolved::Origin;
use super::schema::Schema;

/// The variables by which each backend takes what names the place.
const NAMING: [(&str, &str, &str); 34] = [
    ("azurerm", "environment", "ARM_ENVIRONMENT"),
    ("azurerm", "metadata_host", "ARM_METADATA_HOSTNAME"),
    ("azurerm", "metadata_host", "ARM_METADATA_HOST"),
    ("consul", "address", "CONSUL_HTTP_ADDR"),
    ("cos", "domain", "TENCENTCLOUD_DOMAIN"),
    ("cos", "endpoint", "TENCENTCLOUD_ENDPOINT"),
    (
        "gcs",
        "storage_custom_endpoint",
        "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT",
    ),
    (
        "gcs",
        "storage_custom_endpoint",
        "GOOGLE_STORAGE_CUSTOM_ENDPOINT",
    ),
    ("gcs", "universe_domain", "GOOGLE_BACKEND_UNIVERSE_DOMAIN"),
    ("http", "address", "TF_HTTP_ADDRESS"),
    ("http", "lock_address", "TF_HTTP_LOCK_ADDRESS"),
    ("http", "lock_method", "TF_HTTP_LOCK_METHOD"),
    ("http", "unlock_address", "TF_HTTP_UNLOCK_ADDRESS"),
    ("http", "unlock_method", "TF_HTTP_UNLOCK_METHOD"),
    ("kubernetes", "config_context", "KUBE_CTX"),
    ("kubernetes", "config_context_cluster", "KUBE_CTX_CLUSTER"),
    ("kubernetes", "config_path", "KUBE_CONFIG_PATH"),
    ("kubernetes", "host", "KUBE_HOST"),
    ("kubernetes", "in_cluster_config", "KUBE_IN_CLUSTER_CONFIG"),
    ("kubernetes", "namespace", "KUBE_NAMESPACE"),
    ("oci", "key", "OCI_key"),
    ("oci", "workspace_key_prefix", "OCI_workspace_key_prefix"),
    ("oss", "endpoint", "ALICLOUD_OSS_ENDPOINT"),
    ("oss", "endpoint", "ALIBABA_CLOUD_OSS_ENDPOINT"),
    ("oss", "endpoint", "OSS_ENDPOINT"),
    ("oss", "tablestore_endpoint", "ALICLOUD_TABLESTORE_ENDPOINT"),
    (
        "oss",
        "tablestore_endpoint",
        "ALIBABA_CLOUD_TABLESTORE_ENDPOINT",
    ),
    ("pg", "conn_str", "PG_CONN_STR"),
    ("pg", "schema_name", "PG_SCHEMA_NAME"),
    ("pg", "table_name", "PG_TABLE_NAME"),
    ("s3", "dynamodb_endpoint", "AWS_ENDPOINT_URL_DYNAMODB"),
    ("s3", "endpoint", "AWS_ENDPOINT_URL_S3"),
    ("s3", "endpoints.dynamodb", "AWS_DYNAMODB_ENDPOINT"),
    ("s3", "endpoints.s3", "AWS_ENDPOINT_URL_S3"),
];

#[test]
fn what_was_kept_counts_for_nothing_where_a_variable_of_the_backend_contradicts_it() {
    for (kind, setting, variable) in NAMING {
        let required = Schema::of(kind).unwrap().required.iter();
        let required = required.filter(|required| **required != setting);
        let named: Map<String, Value> = required
            .map(|name| ((*name).to_owned(), json!("x")))
            .collect();
        let block = json!({"terraform": {"backend": {kind: named.clone()}}}).to_string();
        let mut kept = named;
        match setting.split_once('.') {
            Some((outer, inner)) => kept.insert(outer.to_owned(), json!({inner: "staging"})),
            None => kept.insert(setting.to_owned(), json!("staging")),
        };
        let directory = Directory::with([("main.tf.json", block.as_str())]);
        let directory = directory.keeping(kind, &Value::Object(kept));
        let with = |directory: Directory, value| {
            let directory = directory.in_environment([(variable, value)]);
            let resolved = directory.resolve().unwrap();
            (
                resolved.notes.concat().contains(&format!("({setting})")),
                resolved.origin,
                directory,
            )
        };
        let (is_told, origin, directory) = with(directory, "prod");
        assert!(is_told && origin == Origin::Named, "{variable}: {origin:?}");
        let (_, origin, _) = with(directory, "staging");
        assert!(
            matches!(origin, Origin::Completed { .. }),
            "{variable}: {origin:?}"
        );
    }
}
