//! Which settings each backend knows, as Terraform 1.11 to 1.15 and OpenTofu document them.

use serde_json::Value;

use super::backend::Backend;
use crate::environment::Environment;

/// What is known of the settings of one backend.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) kind: &'static str,
    /// Those that hold one value each.
    plain: &'static [&'static str],
    /// Those that hold a list or an object.
    structured: &'static [&'static str],
    /// Those without which nobody knows which state is meant.
    required: &'static [&'static str],
    /// The settings that a variable of the backend's own gives where they are left open. Terraform
    /// does not keep in `.terraform` what a variable gives.
    own_variables: &'static [(&'static str, &'static str)],
    /// The same, by variables that are there for others too, so that they name no place.
    shared_variables: &'static [(&'static str, &'static [&'static str])],
    /// Those that say which host is asked, or how credentials for it are had.
    hosts: &'static [&'static str],
}

impl Schema {
    /// None for a backend whose locks softstop leaves alone.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.kind == kind)
    }

    pub(super) fn knows(&self, setting: &str) -> bool {
        self.plain.contains(&setting) || self.is_structured(setting)
    }

    /// Whether Terraform takes NAME=VALUE of this setting for an expression.
    pub(super) fn is_structured(&self, setting: &str) -> bool {
        self.structured.contains(&setting)
    }

    pub(super) fn names_host(&self, setting: &str) -> bool {
        self.hosts.contains(&setting)
    }

    /// The settings that variables of the backend's own give, with what they give.
    pub(super) fn by_variables(
        &self,
        environment: &Environment,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let variables = self.own_variables.iter();
        variables.filter_map(|(setting, variable)| Some((*setting, environment.text(variable)?)))
    }

    /// The required settings that neither a setting nor a variable gives.
    pub(super) fn missing(
        &self,
        backend: &Backend,
        environment: &Environment,
    ) -> Vec<&'static str> {
        let is_set = |variable: &&str| environment.get(variable).is_some();
        let is_open = |setting: &&str| {
            !is_given(backend, setting) && !self.variables_for(setting).any(|name| is_set(&name))
        };
        self.required.iter().copied().filter(is_open).collect()
    }

    /// The variables by which this setting can be given.
    pub(super) fn variables_for(&self, setting: &str) -> impl Iterator<Item = &'static str> {
        let own = self.own_variables.iter();
        let own = own.filter(move |(name, _)| *name == setting);
        let shared = self.shared_variables.iter();
        let shared = shared.filter(move |(name, _)| *name == setting);
        own.map(|(_, variable)| *variable)
            .chain(shared.flat_map(|(_, variables)| variables.iter().copied()))
    }
}

/// Whether Terraform takes a lock with these settings and variables.
pub(super) fn takes_a_lock(backend: &Backend, environment: &Environment) -> bool {
    match backend.kind.as_str() {
        "http" => {
            is_given(backend, "lock_address") || environment.get("TF_HTTP_LOCK_ADDRESS").is_some()
        }
        "oss" => is_given(backend, "tablestore_table"),
        _ => backend.locks(),
    }
}

/// An empty text gives nothing.
fn is_given(backend: &Backend, setting: &str) -> bool {
    match backend.settings.get(setting) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

const SCHEMAS: [Schema; 11] = [
    Schema {
        kind: "local",
        plain: &["path", "workspace_dir"],
        structured: &[],
        required: &[],
        own_variables: &[],
        shared_variables: &[],
        hosts: &[],
    },
    Schema {
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
        required: &["address"],
        own_variables: &[
            ("address", "TF_HTTP_ADDRESS"),
            ("lock_address", "TF_HTTP_LOCK_ADDRESS"),
            ("lock_method", "TF_HTTP_LOCK_METHOD"),
            ("unlock_address", "TF_HTTP_UNLOCK_ADDRESS"),
            ("unlock_method", "TF_HTTP_UNLOCK_METHOD"),
        ],
        shared_variables: &[],
        hosts: &[
            "address",
            "client_ca_certificate_pem",
            "lock_address",
            "skip_cert_verification",
            "unlock_address",
        ],
    },
    Schema {
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
        required: &["bucket", "key", "region"],
        own_variables: &[],
        shared_variables: &[("region", &["AWS_REGION", "AWS_DEFAULT_REGION"])],
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
    },
    Schema {
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
        required: &["bucket"],
        own_variables: &[],
        shared_variables: &[],
        hosts: &["credentials", "storage_custom_endpoint", "universe_domain"],
    },
    Schema {
        kind: "azurerm",
        plain: &[
            "access_key",
            "ado_pipeline_service_connection_id",
            "ado_service_connection_id",
            "client_certificate",
            "client_certificate_password",
            "client_certificate_path",
            "client_id",
            "client_id_file_path",
            "client_secret",
            "client_secret_file_path",
            "container_name",
            "customer_provided_key",
            "encryption_scope",
            "endpoint",
            "environment",
            "key",
            "lookup_blob_endpoint",
            "metadata_host",
            "msi_endpoint",
            "oidc_request_token",
            "oidc_request_url",
            "oidc_token",
            "oidc_token_file_path",
            "resource_group_name",
            "sas_token",
            "snapshot",
            "storage_account_name",
            "subscription_id",
            "tenant_id",
            "timeout_seconds",
            "use_aks_workload_identity",
            "use_azuread_auth",
            "use_cli",
            "use_msi",
            "use_oidc",
        ],
        structured: &[],
        required: &["container_name", "key", "storage_account_name"],
        own_variables: &[],
        shared_variables: &[],
        hosts: &[
            "endpoint",
            "environment",
            "metadata_host",
            "msi_endpoint",
            "oidc_request_url",
            "storage_account_name",
        ],
    },
    Schema {
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
        required: &["secret_suffix"],
        own_variables: &[],
        shared_variables: &[],
        hosts: &[
            "cluster_ca_certificate",
            "config_path",
            "config_paths",
            "exec",
            "host",
            "insecure",
            "proxy_url",
        ],
    },
    Schema {
        kind: "pg",
        plain: &[
            "conn_str",
            "index_name",
            "schema_name",
            "skip_index_creation",
            "skip_schema_creation",
            "skip_table_creation",
            "table_name",
        ],
        structured: &[],
        required: &["conn_str"],
        own_variables: &[
            ("conn_str", "PG_CONN_STR"),
            ("schema_name", "PG_SCHEMA_NAME"),
        ],
        // Without a conn_str, the database is the one that the variables of PostgreSQL name.
        shared_variables: &[(
            "conn_str",
            &["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"],
        )],
        hosts: &["conn_str"],
    },
    Schema {
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
        required: &["path"],
        own_variables: &[],
        shared_variables: &[],
        hosts: &["address", "ca_file", "scheme"],
    },
    Schema {
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
    },
    Schema {
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
        required: &["bucket", "region"],
        own_variables: &[],
        shared_variables: &[("region", &["TENCENTCLOUD_REGION"])],
        hosts: &["domain", "endpoint", "profile", "shared_credentials_dir"],
    },
    Schema {
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
        required: &["bucket", "namespace"],
        own_variables: &[],
        shared_variables: &[],
        hosts: &["config_file_profile", "private_key_path"],
    },
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backend(kind: &str, settings: &Value) -> Backend {
        Backend {
            kind: kind.to_owned(),
            settings: settings.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn every_setting_that_a_schema_speaks_of_is_one_that_it_knows_once() {
        for schema in &SCHEMAS {
            let named = [schema.required, schema.hosts].concat();
            let own = schema.own_variables.iter().map(|(setting, _)| *setting);
            let shared = schema.shared_variables.iter().map(|(setting, _)| *setting);
            for setting in named.into_iter().chain(own).chain(shared) {
                assert!(schema.knows(setting), "{} {setting}", schema.kind);
            }
            let mut all = [schema.plain, schema.structured].concat();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{}", schema.kind);
            assert!(backend(schema.kind, &json!({})).strategy().is_ok());
        }
    }

    #[test]
    fn what_is_missing_is_what_neither_a_setting_nor_a_variable_gives() {
        let missing = |kind, settings: &Value, variables: [(&str, &str); 1]| {
            let schema = Schema::of(kind).unwrap();
            schema.missing(&backend(kind, settings), &Environment::from(variables))
        };
        let none = [("X", "")];
        assert_eq!(missing("http", &json!({}), none), ["address"]);
        assert_eq!(missing("http", &json!({"address": ""}), none), ["address"]);
        assert!(missing("http", &json!({}), [("TF_HTTP_ADDRESS", "x")]).is_empty());
        assert_eq!(
            missing("s3", &json!({"key": null}), [("AWS_REGION", "x")]),
            ["bucket", "key"]
        );
        assert_eq!(missing("pg", &json!({}), none), ["conn_str"]);
        assert!(missing("pg", &json!({}), [("PGHOST", "x")]).is_empty());
        assert!(missing("local", &json!({}), none).is_empty());
    }

    #[test]
    fn whether_a_lock_is_taken_is_known_of_http_too() {
        let takes = |settings: &Value, variables: [(&str, &str); 1]| {
            takes_a_lock(&backend("http", settings), &Environment::from(variables))
        };
        assert!(!takes(&json!({"address": "x"}), [("X", "")]));
        assert!(!takes(&json!({"lock_address": ""}), [("X", "")]));
        assert!(takes(&json!({"lock_address": "x"}), [("X", "")]));
        assert!(takes(&json!({}), [("TF_HTTP_LOCK_ADDRESS", "x")]));
    }
}
