//! `oci`: Oracle Cloud.

use crate::tools::locking::Guarantee;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const OCI: Known = Known {
    leading: &["OCI_"],
    // It takes every setting of its own by a variable of just that name too.
    credentials: &[
        "config_file_profile",
        "fingerprint",
        "obo_token",
        "private_key",
        "tenancy_ocid",
        "user_ocid",
    ],
    ..Known::new(SCHEMA, strategy)
};

/// It deletes only what it has read.
fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Untaint(Guarantee::Atomic))
}

const SCHEMA: Schema = Schema {
    kind: "oci",
    plain: &[
        "auth",
        "bucket",
        "config_file_profile",
        "fingerprint",
        "key",
        "kms_key_id",
        "namespace",
        "obo_token",
        "private_key",
        "private_key_password",
        "private_key_path",
        "region",
        "sse_customer_algorithm",
        "sse_customer_key",
        "sse_customer_key_sha256",
        "tenancy_ocid",
        "user_ocid",
        "workspace_key_prefix",
    ],
    structured: &[],
    printable: &[
        "bucket",
        "key",
        "namespace",
        "region",
        "workspace_key_prefix",
    ],
    required: &["bucket", "namespace"],
    own_variables: &[
        ("key", &["OCI_key", "key"]),
        (
            "workspace_key_prefix",
            &["OCI_workspace_key_prefix", "workspace_key_prefix"],
        ),
    ],
    shared_variables: &[("region", &["OCI_region", "region"])],
    hosts: &["config_file_profile", "private_key_path"],
};
