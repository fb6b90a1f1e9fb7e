//! Credentials for a cloud, in exchange for the token that Bitbucket signs for a step.
//!
//! The token lies in a file that only we can read, outside of the clone, and variables lead the clouds'
//! SDKs there. Each program exchanges it by itself when it is started, so a release that comes late
//! has fresh credentials for as long as the token is valid.

mod aws;
mod azure;
mod google;

use std::env;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::private;

/// The token of a step that says `oidc: true`.
const TOKEN: &str = "BITBUCKET_STEP_OIDC_TOKEN";

/// What is asked for, by the names that Bitbucket's own pipes have for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
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

/// What leads to the token, for as long as this lives.
pub(crate) struct Federation {
    pub(crate) variables: Variables,
    #[expect(dead_code, reason = "its end removes the token")]
    directory: TempDir,
}

impl Federation {
    /// Lays the token out where something is asked for, or says what stands in the way.
    pub(crate) fn lay_out(wanted: &Wanted) -> Result<Option<Self>, String> {
        let Some(asked_by) = wanted.asked_by()? else {
            return Ok(None);
        };
        let Some(token) = text(TOKEN) else {
            return Err(format!(
                "{asked_by} is set, but the step has no token to exchange: write `oidc: true` into \
                 the step"
            ));
        };
        let unwritable = |problem| {
            format!(
                "the token for {asked_by} cannot be written to a file: {problem}; point TMPDIR at a writable directory"
            )
        };
        let directory = private::directory().map_err(unwritable)?;
        expect_outside_of_the_clone(directory.path())?;
        let place = Place {
            token: directory.path().join("token"),
            google: directory.path().join("google.json"),
        };
        private::write(&place.token, &token).map_err(unwritable)?;
        let mut variables = Variables::default();
        for more in [
            aws::variables(wanted, &place),
            google::variables(wanted, &place)?,
            azure::variables(wanted, &place),
        ]
        .into_iter()
        .flatten()
        {
            variables.set.extend(more.set);
            variables.removed.extend(more.removed);
        }
        Ok(Some(Self {
            variables,
            directory,
        }))
    }
}

impl Wanted {
    /// The variable that asks for something, if any does.
    fn asked_by(&self) -> Result<Option<&'static str>, String> {
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
struct Place {
    token: PathBuf,
    google: PathBuf,
}

/// What lies in the clone, an artifact may take along.
fn expect_outside_of_the_clone(directory: &Path) -> Result<(), String> {
    match env::var_os("BITBUCKET_CLONE_DIR") {
        Some(clone) if !clone.is_empty() && directory.starts_with(&clone) => Err(
            "TMPDIR lies in the clone, where an artifact could take the step's token along: point it \
             elsewhere"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// The value of a variable. Bitbucket may leave `$NAME` as it is where NAME is not set.
fn text(name: &str) -> Option<String> {
    let value = env::var(name).ok()?.trim().to_owned();
    (!value.is_empty() && !value.starts_with('$')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_named_and_half_of_azures_names_is_an_error() {
        let some = || Some("x".to_owned());
        assert_eq!(Wanted::default().asked_by(), Ok(None));
        let azure = Wanted {
            azure_application: some(),
            azure_tenant: some(),
            ..Wanted::default()
        };
        assert_eq!(azure.asked_by(), Ok(Some("AZURE_APP_ID")));
        let both = Wanted {
            aws_role: some(),
            ..azure.clone()
        };
        assert_eq!(both.asked_by(), Ok(Some("AWS_OIDC_ROLE_ARN")));
        let without_tenant = Wanted {
            azure_tenant: None,
            ..azure.clone()
        };
        let error = without_tenant.asked_by().unwrap_err();
        assert!(error.ends_with("AZURE_TENANT_ID is not"), "{error}");
        let without_application = Wanted {
            azure_application: None,
            ..azure
        };
        let error = without_application.asked_by().unwrap_err();
        assert!(error.ends_with("AZURE_APP_ID is not"), "{error}");
    }

    #[test]
    fn azure_is_told_who_asks_and_where_the_token_is() {
        let wanted = Wanted {
            azure_application: Some("application".to_owned()),
            azure_tenant: Some("tenant".to_owned()),
            ..Wanted::default()
        };
        let place = Place {
            token: PathBuf::from("/private/token"),
            google: PathBuf::from("/private/google.json"),
        };
        let variables = azure::variables(&wanted, &place).unwrap();
        let set = [
            ("ARM_USE_OIDC", "true"),
            ("ARM_CLIENT_ID", "application"),
            ("ARM_TENANT_ID", "tenant"),
            ("ARM_OIDC_TOKEN_FILE_PATH", "/private/token"),
        ];
        let set = set.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(variables.set, set);
        assert_eq!(azure::variables(&Wanted::default(), &place), None);
    }
}
