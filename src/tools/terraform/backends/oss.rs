//! `oss`: Alibaba Cloud, with a table of Tablestore.

use crate::tools::locking::Guarantee;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const OSS: Known = Known {
    takes_locks: |backend| backend.has("tablestore_table"),
    leading: &["ALICLOUD_"],
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
    required: &["bucket"],
    own_variables: &[],
    shared_variables: &[],
    hosts: &[
        "endpoint",
        "profile",
        "shared_credentials_file",
        "sts_endpoint",
        "tablestore_endpoint",
    ],
};
