//! The token by which Bitbucket is asked.

use secrecy::SecretString;

use super::options::General;
use crate::bitbucket::api::{Api, Credentials};
use crate::pipe::not_replaced::is_not_replaced;
use crate::pipe::variables::{self, Variables};

impl General {
    /// Bitbucket, as far as there are credentials to ask it with.
    pub(super) fn api(&self, variables: Variables<'_>) -> Result<Option<Api>, String> {
        let Some(credentials) = credentials(|name| variables.text(name))? else {
            return Ok(None);
        };
        Api::new(&self.bitbucket_api_url, &credentials)
            .map(Some)
            .map_err(|reason| {
                format!("BITBUCKET_API_URL or the token for Bitbucket cannot be used: {reason}")
            })
    }
}

fn credentials(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Credentials>, &'static str> {
    let named = |name| variables::given(variable(name)).map(|value| value.trim().to_owned());
    let given = |name| named(name).filter(|value| !is_not_replaced(value));
    if let Some(token) = given("BITBUCKET_ACCESS_TOKEN") {
        return Ok(Some(Credentials::AccessToken(SecretString::from(token))));
    }
    let halves = ["ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN"];
    // A pipeline may name what is set for another deployment or branch alone.
    if halves
        .iter()
        .filter_map(|name| named(name))
        .any(|value| is_not_replaced(&value))
    {
        return Ok(None);
    }
    let [email, token] = halves.map(named);
    match (email, token) {
        (Some(email), Some(token)) => Ok(Some(Credentials::ApiToken {
            email,
            token: SecretString::from(token),
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err("ATLASSIAN_ACCOUNT_EMAIL is set, but ATLASSIAN_API_TOKEN is not"),
        (None, Some(_)) => Err("ATLASSIAN_API_TOKEN is set, but ATLASSIAN_ACCOUNT_EMAIL is not"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials_of(variables: &[(&str, &str)]) -> Result<Option<Credentials>, &'static str> {
        credentials(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_access_token_goes_before_an_api_token() {
        let email = ("ATLASSIAN_ACCOUNT_EMAIL", "anna@acme.example");
        let token = ("ATLASSIAN_API_TOKEN", "secret");
        let access = ("BITBUCKET_ACCESS_TOKEN", "secret");
        assert!(
            credentials_of(&[("BITBUCKET_ACCESS_TOKEN", " ")])
                .unwrap()
                .is_none()
        );
        let not_set = ("BITBUCKET_ACCESS_TOKEN", "$BITBUCKET_ACCESS_TOKEN");
        assert!(matches!(
            credentials_of(&[email, token, not_set]),
            Ok(Some(Credentials::ApiToken { .. }))
        ));
        assert!(matches!(
            credentials_of(&[email, token]),
            Ok(Some(Credentials::ApiToken { .. }))
        ));
        assert!(matches!(
            credentials_of(&[email, token, access]),
            Ok(Some(Credentials::AccessToken(_)))
        ));
    }

    #[test]
    fn half_of_the_credentials_may_be_set_elsewhere_alone() {
        let (email, token) = ("ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN");
        for (half, other) in [(email, token), (token, email)] {
            let not_set = format!("${other}");
            let credentials = credentials_of(&[(half, "x"), (other, &not_set)]);
            assert!(matches!(credentials, Ok(None)), "{half}");
        }
    }

    #[test]
    fn half_of_the_credentials_are_none() {
        for half in ["ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN"] {
            assert!(
                credentials_of(&[(half, "x")])
                    .unwrap_err()
                    .starts_with(half)
            );
        }
    }
}
