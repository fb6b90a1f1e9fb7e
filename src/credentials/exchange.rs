//! What is asked for, and what follows from it for the clouds' SDKs.

use std::env;
use std::path::PathBuf;

/// What is asked for, by the names that Bitbucket's own pipes have for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    /// AWS_OIDC_ROLE_ARN.
    pub(crate) aws_role: Option<String>,
    /// GOOGLE_OIDC_CONFIG_FILE.
    pub(crate) google_configuration: Option<String>,
    /// AZURE_APP_ID.
    pub(crate) azure_application: Option<String>,
    /// AZURE_TENANT_ID.
    pub(crate) azure_tenant: Option<String>,
}

/// Variables of the clouds' SDKs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) set: Vec<(&'static str, String)>,
    /// Those that would go before them.
    pub(crate) removed: Vec<&'static str>,
}

impl Exchange {
    /// The variable that asks for something, if any does.
    pub(super) fn asked_by(&self) -> Result<Option<&'static str>, String> {
        match (&self.azure_application, &self.azure_tenant) {
            (Some(_), None) => {
                return Err("AZURE_APP_ID is set, but AZURE_TENANT_ID is not".to_owned());
            }
            (None, Some(_)) => {
                return Err("AZURE_TENANT_ID is set, but AZURE_APP_ID is not".to_owned());
            }
            _ => {}
        }
        let asked = [
            (&self.aws_role, "AWS_OIDC_ROLE_ARN"),
            (&self.google_configuration, "GOOGLE_OIDC_CONFIG_FILE"),
            (&self.azure_application, "AZURE_APP_ID"),
        ];
        let mut asked = asked.into_iter();
        Ok(asked.find_map(|(value, name)| value.as_ref().map(|_| name)))
    }
}

/// The files beside each other.
pub(super) struct Place {
    pub(super) token: PathBuf,
    pub(super) google: PathBuf,
}

/// The value of a variable. Bitbucket may leave `$NAME` as it is where NAME is not set.
pub(super) fn text(name: &str) -> Option<String> {
    let value = env::var(name).ok()?.trim().to_owned();
    (!value.is_empty() && !value.starts_with('$')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_named_and_half_of_azures_names_is_an_error() {
        let some = || Some("x".to_owned());
        assert_eq!(Exchange::default().asked_by(), Ok(None));
        let azure = Exchange {
            azure_application: some(),
            azure_tenant: some(),
            ..Exchange::default()
        };
        assert_eq!(azure.asked_by(), Ok(Some("AZURE_APP_ID")));
        let both = Exchange {
            aws_role: some(),
            ..azure.clone()
        };
        assert_eq!(both.asked_by(), Ok(Some("AWS_OIDC_ROLE_ARN")));
        let without_tenant = Exchange {
            azure_tenant: None,
            ..azure.clone()
        };
        let error = without_tenant.asked_by().unwrap_err();
        assert!(error.ends_with("AZURE_TENANT_ID is not"), "{error}");
        let without_application = Exchange {
            azure_application: None,
            ..azure
        };
        let error = without_application.asked_by().unwrap_err();
        assert!(error.ends_with("AZURE_APP_ID is not"), "{error}");
    }
}
