//! `gcs`: Google Cloud Storage.

use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{Strategy, WrongId};

pub(super) const GCS: Known = Known {
    removal,
    is_made_by_asking: true,
    leading: &["GOOGLE_", "STORAGE_EMULATOR_HOST"],
    renewed: &["GOOGLE_OAUTH_ACCESS_TOKEN"],
    ..Known::new(SCHEMA, strategy)
};

/// The ID is a generation number, and the delete is conditional on it. OpenTofu tells of the
/// refused delete alone where there is no lock to read; whatever else keeps it from reading the
/// lock makes that a list of two.
fn strategy(_: &Backend) -> Strategy {
    Strategy::wrong_id(WrongId {
        is_atomic: true,
        free_texts: &["storage: object doesn't exist"],
        free_texts_of_opentofu: &["Failed to unlock state: storage: Delete: empty conditions"],
        ..WrongId::UNWORDED
    })
}

fn removal(backend: &Backend, workspace: &str) -> Option<String> {
    let bucket = backend.text("bucket")?;
    let prefix = backend.text("prefix").unwrap_or_default();
    let name = format!("{}/{workspace}.tflock", prefix.trim_matches('/'));
    let name = name.trim_start_matches('/');
    Some(format!("delete the object {name} in the bucket {bucket}"))
}

const SCHEMA: Schema = Schema {
    kind: "gcs",
    plain: &[
        "access_token",
        "bucket",
        "credentials",
        "encryption_key",
        "impersonate_service_account",
        "kms_encryption_key",
        "prefix",
        "storage_custom_endpoint",
        "universe_domain",
    ],
    structured: &["impersonate_service_account_delegates"],
    printable: &["bucket", "prefix"],
    required: &["bucket"],
    own_variables: &[
        (
            "storage_custom_endpoint",
            &[
                "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT",
                "GOOGLE_STORAGE_CUSTOM_ENDPOINT",
            ],
        ),
        ("universe_domain", &["GOOGLE_BACKEND_UNIVERSE_DOMAIN"]),
    ],
    shared_variables: &[],
    hosts: &["credentials", "storage_custom_endpoint", "universe_domain"],
};
