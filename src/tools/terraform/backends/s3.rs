//! `s3`: S3 with a lock file, a table of DynamoDB, or both.

use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{Strategy, WrongId};

const LOCK_FILE: &str = "NoSuchKey";
/// Terraform says the same of an item that does not say who holds the lock.
const ITEM: &str = "unexpected end of JSON input";
const ITEM_OF_OPENTOFU: &str = "no lock info found for: ";

/// With a lock file and DynamoDB, `force-unlock` tries both. Terraform names the one that it could not
/// unlock, and OpenTofu says of the other one that it was released; where neither could be unlocked,
/// both say something else.
const HALF_TEXTS: [&str; 4] = [
    "failed to unlock S3: ",
    "failed to unlock DynamoDB: ",
    "dynamoDB lock released but s3 failed: ",
    "s3 lock released but dynamoDB failed: ",
];

const S3_ENDPOINT: &[&str] = &["AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT"];
const DYNAMODB_ENDPOINT: &[&str] = &["AWS_ENDPOINT_URL_DYNAMODB", "AWS_DYNAMODB_ENDPOINT"];

pub(super) const S3: Known = Known {
    takes_locks: |backend, _| backend.is_on("use_lockfile") || table(backend).is_some(),
    // So it says of a state that the table has not heard of.
    unread_texts: &["state data in S3 does not have the expected content"],
    removal,
    is_flat: true,
    leading: &["AWS_"],
    renewed: &[
        "AWS_ACCESS_KEY_ID",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_EXPIRATION",
        "AWS_SESSION_TOKEN",
    ],
    leading_files: &[
        "shared_config_files",
        "shared_credentials_file",
        "shared_credentials_files",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
    ],
    ..Known::new(SCHEMA, strategy)
};

/// The table of DynamoDB, which Terraform 0.12 takes from `lock_table` where the other setting is empty.
fn table(backend: &Backend) -> Option<&str> {
    let given = backend.text("dynamodb_table");
    given.or_else(|| backend.text("lock_table"))
}

/// The ID is checked, but by a read before an unconditional delete: a window of milliseconds stays
/// open between the two.
fn strategy(backend: &Backend) -> Strategy {
    let (free_texts, free_texts_of_opentofu): (&[&str], &[&str]) =
        match (backend.is_on("use_lockfile"), table(backend).is_some()) {
            (true, true) => (&[LOCK_FILE, ITEM], &[LOCK_FILE, ITEM_OF_OPENTOFU]),
            (true, false) => (&[LOCK_FILE], &[LOCK_FILE]),
            (false, true) => (&[ITEM], &[ITEM_OF_OPENTOFU]),
            (false, false) => (&[], &[]),
        };
    Strategy::wrong_id(WrongId {
        free_texts,
        free_texts_of_opentofu,
        // An item without `Info` reads like no item.
        hides_unnamed: table(backend).is_some(),
        half_texts: &HALF_TEXTS,
        ..WrongId::UNWORDED
    })
}

fn removal(backend: &Backend, workspace: &str) -> Option<String> {
    let (bucket, key) = (backend.text("bucket")?, backend.text("key")?);
    let prefix = backend.text("workspace_key_prefix").unwrap_or("env:");
    let key = match workspace {
        "default" => key.to_owned(),
        workspace => format!("{prefix}/{workspace}/{key}"),
    };
    let file = backend.is_on("use_lockfile");
    let file = file.then(|| format!("the object {key}.tflock in the bucket {bucket}"));
    let item = table(backend).map(|table| {
        format!("the item with the LockID {bucket}/{key} in the DynamoDB table {table}")
    });
    let kept: Vec<String> = file.into_iter().chain(item).collect();
    (!kept.is_empty()).then(|| format!("delete {}", kept.join(" and ")))
}

const SCHEMA: Schema = Schema {
    kind: "s3",
    plain: &[
        "access_key",
        "acl",
        "assume_role_duration_seconds",
        "assume_role_policy",
        "bucket",
        "custom_ca_bundle",
        "dynamodb_endpoint",
        "dynamodb_table",
        "ec2_metadata_service_endpoint",
        "ec2_metadata_service_endpoint_mode",
        "encrypt",
        "endpoint",
        "external_id",
        "force_path_style",
        "http_proxy",
        "https_proxy",
        "iam_endpoint",
        "insecure",
        "key",
        "kms_key_id",
        "lock_table",
        "max_retries",
        "no_proxy",
        "profile",
        "region",
        "retry_mode",
        "role_arn",
        "secret_key",
        "session_name",
        "shared_credentials_file",
        "skip_credentials_validation",
        "skip_metadata_api_check",
        "skip_region_validation",
        "skip_requesting_account_id",
        "skip_s3_checksum",
        "sse_customer_key",
        "sts_endpoint",
        "sts_region",
        "token",
        "use_dualstack_endpoint",
        "use_fips_endpoint",
        "use_lockfile",
        "use_path_style",
        "workspace_key_prefix",
    ],
    structured: &[
        "allowed_account_ids",
        "assume_role",
        "assume_role_policy_arns",
        "assume_role_tags",
        "assume_role_transitive_tag_keys",
        "assume_role_with_web_identity",
        "endpoints",
        "forbidden_account_ids",
        "lock_tags",
        "shared_config_files",
        "shared_credentials_files",
        "state_tags",
    ],
    printable: &[
        "bucket",
        "dynamodb_endpoint",
        "dynamodb_table",
        "endpoint",
        "endpoints",
        "key",
        "lock_table",
        "region",
        "workspace_key_prefix",
    ],
    required: &["bucket", "key", "region"],
    own_variables: &[
        ("dynamodb_endpoint", DYNAMODB_ENDPOINT),
        ("endpoint", S3_ENDPOINT),
        ("endpoints.dynamodb", DYNAMODB_ENDPOINT),
        ("endpoints.s3", S3_ENDPOINT),
    ],
    shared_variables: &[
        ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
        ("skip_metadata_api_check", &["AWS_EC2_METADATA_DISABLED"]),
    ],
    hosts: &[
        "assume_role",
        "assume_role_with_web_identity",
        "custom_ca_bundle",
        "dynamodb_endpoint",
        "ec2_metadata_service_endpoint",
        "endpoint",
        "endpoints",
        "http_proxy",
        "https_proxy",
        "iam_endpoint",
        "insecure",
        "profile",
        "shared_config_files",
        "shared_credentials_file",
        "shared_credentials_files",
        "sts_endpoint",
    ],
};
