//! `oss`: Alibaba Cloud, with a table of Tablestore.

use crate::tools::locking::Guarantee;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const OSS: Known = Known {
    takes_locks: |backend, _| backend.has("tablestore_table"),
    leading: &["ALIBABA_CLOUD_", "ALICLOUD_", "OSS_ENDPOINT"],
    ..Known::new(SCHEMA, strategy)
};

/// The ID is checked by a read before an unconditional delete.
fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Untaint(Guarantee::Compared))
}

const SCHEMA: Schema = Schema {
    kind: "oss",
    plain: &[
        "access_key",
        "acl",
        "assume_role_policy",
        "assume_role_role_arn",
        "assume_role_session_expiration",
        "assume_role_session_name",
        "bucket",
        "ecs_role_name",
        "encrypt",
        "endpoint",
        "key",
        "prefix",
        "profile",
        "region",
        "secret_key",
        "security_token",
        "shared_credentials_file",
        "sts_endpoint",
        "tablestore_endpoint",
        "tablestore_instance_name",
        "tablestore_table",
    ],
    structured: &["assume_role"],
    printable: &["bucket", "endpoint", "key", "prefix", "region"],
    required: &["bucket"],
    own_variables: &[
        (
            "endpoint",
            &[
                "ALICLOUD_OSS_ENDPOINT",
                "ALIBABA_CLOUD_OSS_ENDPOINT",
                "OSS_ENDPOINT",
            ],
        ),
        (
            "tablestore_endpoint",
            &[
                "ALICLOUD_TABLESTORE_ENDPOINT",
                "ALIBABA_CLOUD_TABLESTORE_ENDPOINT",
            ],
        ),
    ],
    shared_variables: &[(
        "region",
        &[
            "ALICLOUD_REGION",
            "ALIBABA_CLOUD_REGION",
            "ALICLOUD_DEFAULT_REGION",
        ],
    )],
    hosts: &[
        "endpoint",
        "profile",
        "shared_credentials_file",
        "sts_endpoint",
        "tablestore_endpoint",
    ],
};
