//! Azure: the token stands for a client's secret. Where it is, is read by the backend `azurerm` and
//! by the providers alike.

use super::{Place, Variables, Wanted};

pub(super) fn variables(wanted: &Wanted, place: &Place) -> Option<Variables> {
    let (application, tenant) = (
        wanted.azure_application.clone()?,
        wanted.azure_tenant.clone()?,
    );
    Some(Variables {
        set: vec![
            ("ARM_USE_OIDC", "true".to_owned()),
            ("ARM_CLIENT_ID", application),
            ("ARM_TENANT_ID", tenant),
            (
                "ARM_OIDC_TOKEN_FILE_PATH",
                place.token.display().to_string(),
            ),
        ],
        removed: Vec::new(),
    })
}
