//! Azure: the token stands for a client's secret. Where it is, is read by the backend `azurerm` and
//! by the providers alike.

use super::exchange::{Exchange, Place, Variables};

/// A certificate and a secret go before a token, and an identity or a token that is named twice is refused
/// where the two differ.
const BEFORE: [&str; 7] = [
    "ARM_CLIENT_CERTIFICATE",
    "ARM_CLIENT_CERTIFICATE_PASSWORD",
    "ARM_CLIENT_CERTIFICATE_PATH",
    "ARM_CLIENT_ID_FILE_PATH",
    "ARM_CLIENT_SECRET",
    "ARM_CLIENT_SECRET_FILE_PATH",
    "ARM_OIDC_TOKEN",
];

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
        removed: BEFORE.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn azure_is_told_who_asks_and_where_the_token_is_and_nothing_that_goes_before_it() {
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
        let another = [
            "ARM_CLIENT_SECRET",
            "ARM_CLIENT_CERTIFICATE_PATH",
            "ARM_CLIENT_ID_FILE_PATH",
            "ARM_OIDC_TOKEN",
        ];
        for name in another {
            assert!(found.removed.contains(&name), "{name}");
        }
        assert_eq!(variables(&Exchange::default(), &place), None);
    }
}
