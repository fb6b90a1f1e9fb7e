//! `consul`: Consul.

use serde_json::Value;

use crate::tools::locking::Guarantee;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const CONSUL: Known = Known {
    takes_locks: |backend, _| !matches!(backend.settings.get("lock"), Some(Value::Bool(false))),
    leading: &["CONSUL_"],
    renewed: &["CONSUL_HTTP_TOKEN"],
    ..Known::new(SCHEMA, strategy)
};

/// The ID is a session, which is destroyed, and then the keys are deleted without any condition:
/// safe only right after a look that saw the same session.
fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Untaint(Guarantee::Blind))
}

const SCHEMA: Schema = Schema {
    kind: "consul",
    plain: &[
        "access_token",
        "address",
        "ca_file",
        "cert_file",
        "datacenter",
        "gzip",
        "http_auth",
        "key_file",
        "lock",
        "path",
        "scheme",
    ],
    structured: &[],
    printable: &["address", "path"],
    required: &["path"],
    own_variables: &[("address", &["CONSUL_HTTP_ADDR"])],
    shared_variables: &[],
    hosts: &["address", "ca_file", "scheme"],
};
