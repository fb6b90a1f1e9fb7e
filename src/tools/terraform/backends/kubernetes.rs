//! `kubernetes`: A lease in a cluster.

use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{Strategy, WrongId};

pub(super) const KUBERNETES: Known = Known {
    removal,
    is_made_by_asking: true,
    blocks: &["exec"],
    leading: &["KUBE"],
    renewed: &["KUBE_TOKEN"],
    leading_files: &[
        "config_path",
        "config_paths",
        "KUBE_CONFIG_PATH",
        "KUBE_CONFIG_PATHS",
    ],
    credentials: &["KUBE_CONFIG_PATH"],
    ..Known::new(SCHEMA, strategy)
};

/// The lease is updated only where its version is the one that was read.
fn strategy(_: &Backend) -> Strategy {
    Strategy::wrong_id(WrongId {
        is_atomic: true,
        free_texts: &["state is already unlocked"],
        free_texts_of_opentofu: &["state is already unlocked"],
        ..WrongId::UNWORDED
    })
}

fn removal(backend: &Backend, workspace: &str) -> Option<String> {
    let suffix = backend.text("secret_suffix")?;
    let namespace = backend.text("namespace").unwrap_or("default");
    Some(format!(
        "delete the lease lock-tfstate-{workspace}-{suffix} in the namespace {namespace}"
    ))
}

const SCHEMA: Schema = Schema {
    kind: "kubernetes",
    plain: &[
        "client_certificate",
        "client_key",
        "cluster_ca_certificate",
        "config_context",
        "config_context_auth_info",
        "config_context_cluster",
        "config_path",
        "host",
        "in_cluster_config",
        "insecure",
        "load_config_file",
        "namespace",
        "password",
        "proxy_url",
        "secret_suffix",
        "token",
        "username",
    ],
    structured: &["config_paths", "exec", "labels"],
    printable: &["namespace", "secret_suffix"],
    required: &["secret_suffix"],
    own_variables: &[
        ("config_context", &["KUBE_CTX"]),
        ("config_context_cluster", &["KUBE_CTX_CLUSTER"]),
        ("config_path", &["KUBE_CONFIG_PATH"]),
        ("host", &["KUBE_HOST"]),
        ("in_cluster_config", &["KUBE_IN_CLUSTER_CONFIG"]),
        ("namespace", &["KUBE_NAMESPACE"]),
    ],
    shared_variables: &[],
    hosts: &[
        "cluster_ca_certificate",
        "config_context",
        "config_context_cluster",
        "config_path",
        "config_paths",
        "exec",
        "host",
        "insecure",
        "proxy_url",
    ],
};
