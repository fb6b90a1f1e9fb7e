//! `http`: A server of anybody's own: a strict one compares the ID that we send, a lax one unlocks whatever
//! is locked.

use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::{Schema, is_given};
use crate::tools::terraform::strategy::Strategy;

const LOCK_ADDRESS: &str = "TF_HTTP_LOCK_ADDRESS";

pub(super) const HTTP: Known = Known {
    takes_locks: |backend, environment| {
        is_given(backend, "lock_address") || environment.get(LOCK_ADDRESS).is_some()
    },
    has_workspaces: false,
    leading: &["TF_HTTP_"],
    renewed: &["TF_HTTP_PASSWORD"],
    ..Known::new(SCHEMA, strategy)
};

fn strategy(_: &Backend) -> Strategy {
    Strategy::ByRequests
}

const SCHEMA: Schema = Schema {
    kind: "http",
    plain: &[
        "address",
        "client_ca_certificate_pem",
        "client_certificate_pem",
        "client_private_key_pem",
        "lock_address",
        "lock_method",
        "password",
        "retry_max",
        "retry_wait_max",
        "retry_wait_min",
        "skip_cert_verification",
        "unlock_address",
        "unlock_method",
        "update_method",
        "username",
    ],
    structured: &["headers"],
    printable: &["address", "lock_address", "unlock_address"],
    required: &["address"],
    own_variables: &[
        ("address", &["TF_HTTP_ADDRESS"]),
        ("lock_address", &[LOCK_ADDRESS]),
        ("lock_method", &["TF_HTTP_LOCK_METHOD"]),
        ("unlock_address", &["TF_HTTP_UNLOCK_ADDRESS"]),
        ("unlock_method", &["TF_HTTP_UNLOCK_METHOD"]),
    ],
    shared_variables: &[],
    hosts: &[
        "address",
        "client_ca_certificate_pem",
        "lock_address",
        "skip_cert_verification",
        "unlock_address",
    ],
};
