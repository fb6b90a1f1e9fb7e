//! `cos`: Tencent Cloud.

use crate::tools::locking::Guarantee;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const COS: Known = Known {
    leading: &["TENCENTCLOUD_"],
    ..Known::new(SCHEMA, strategy)
};

/// The ID is checked by a read before an unconditional delete.
fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Untaint(Guarantee::Compared))
}

const SCHEMA: Schema = Schema {
    kind: "cos",
    plain: &[
        "accelerate",
        "acl",
        "bucket",
        "cam_role_name",
        "domain",
        "encrypt",
        "endpoint",
        "key",
        "prefix",
        "profile",
        "region",
        "secret_id",
        "secret_key",
        "security_token",
        "shared_credentials_dir",
    ],
    structured: &["assume_role"],
    printable: &["bucket", "endpoint", "key", "prefix", "region"],
    required: &["bucket", "region"],
    own_variables: &[
        ("domain", &["TENCENTCLOUD_DOMAIN"]),
        ("endpoint", &["TENCENTCLOUD_ENDPOINT"]),
    ],
    shared_variables: &[("region", &["TENCENTCLOUD_REGION"])],
    hosts: &["domain", "endpoint", "profile", "shared_credentials_dir"],
};
