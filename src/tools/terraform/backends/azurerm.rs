//! `azurerm`: Azure.

use crate::tools::locking::Guarantee;
use crate::tools::quoted::quoted;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const AZURERM: Known = Known {
    removal,
    is_made_by_asking: true,
    leading: &["ARM_"],
    credentials: &[
        "ACTIONS_ID_TOKEN_REQUEST_",
        "AZURE_",
        "IDENTITY_",
        "MSI_",
        "SYSTEM_ACCESSTOKEN",
    ],
    renewed: &[
        "ARM_ACCESS_KEY",
        "ARM_OIDC_REQUEST_TOKEN",
        "ARM_OIDC_TOKEN",
        "ARM_SAS_TOKEN",
    ],
    ..Known::new(SCHEMA, strategy)
};

/// The ID is a lease, which the service checks. The lease is taken before the lock info is written
/// and given back after it is deleted, so no lock info is not yet no lock; and where a person has
/// broken the lease, the info stays and locks nobody out.
fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Untaint(Guarantee::Atomic))
}

/// The lock is a lease of the state itself, which must not be deleted.
fn removal(backend: &Backend, workspace: &str) -> Option<String> {
    let (container, key) = (backend.text("container_name")?, backend.text("key")?);
    let account = backend.text("storage_account_name")?;
    let blob = match workspace {
        "default" => key.to_owned(),
        workspace => format!("{key}env:{workspace}"),
    };
    let [name, of_container, of_account] = [&*blob, container, account].map(quoted);
    Some(format!(
        "break the lease of the blob {blob} in the container {container}, and delete nothing: \
         `az storage blob lease break --blob-name {name} --container-name {of_container} \
         --account-name {of_account}`"
    ))
}

const SCHEMA: Schema = Schema {
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
    printable: &[
        "container_name",
        "endpoint",
        "key",
        "resource_group_name",
        "storage_account_name",
    ],
    required: &["container_name", "key", "storage_account_name"],
    own_variables: &[
        ("environment", &["ARM_ENVIRONMENT"]),
        (
            "metadata_host",
            &["ARM_METADATA_HOSTNAME", "ARM_METADATA_HOST"],
        ),
    ],
    shared_variables: &[],
    hosts: &[
        "endpoint",
        "environment",
        "metadata_host",
        "msi_endpoint",
        "oidc_request_url",
        "storage_account_name",
    ],
};
