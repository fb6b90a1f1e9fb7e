//! Azure: the token stands for a client's secret. Where it is, is read by the backend `azurerm` and
//! by the providers alike.

use super::exchange::{Exchange, Place, Variables};

pub(super) fn variables(wanted: &Exchange, place: &Place) -> Option<Variables> {
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn azure_is_told_who_asks_and_where_the_token_is() {
        let wanted = Exchange {
            azure_application: Some("application".to_owned()),
            azure_tenant: Some("tenant".to_owned()),
            ..Exchange::default()
        };
        let place = Place {
            token: PathBuf::from("/private/token"),
            google: PathBuf::from("/private/google.json"),
        };
        let found = variables(&wanted, &place).unwrap();
        let set = [
            ("ARM_USE_OIDC", "true"),
            ("ARM_CLIENT_ID", "application"),
            ("ARM_TENANT_ID", "tenant"),
            ("ARM_OIDC_TOKEN_FILE_PATH", "/private/token"),
        ];
        let set = set.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(found.set, set);
        assert_eq!(variables(&Exchange::default(), &place), None);
    }
}
