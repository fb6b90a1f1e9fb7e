//! Credentials that have expired, as those say it who refuse them.

use jiff::Timestamp;

use super::essence::Secrets;
use crate::tools::error::ToolError;

/// What is said of expired credentials; all words of a row together.
///
/// A bare `invalid_grant` may also mean a wrong audience, and says so then.
const SIGNS: [&[&str]; 12] = [
    // S3, and with `Exception` behind it DynamoDB and STS.
    &["ExpiredToken"],
    &["RequestExpired"],
    // Google.
    &["invalid_grant", "is stale to sign-in"],
    &["invalid_grant", "expired"],
    &["invalid_grant", "\"Bad Request\""],
    // Azure: a token that stands for a secret, a secret, a login, an access token, a signed address.
    &["AADSTS700024"],
    &["AADSTS7000222"],
    &["AADSTS700082"],
    &["Lifetime validation failed"],
    &["ExpiredAuthenticationToken"],
    &["Signature not valid in the specified time frame"],
    // Alibaba Cloud.
    &["SecurityTokenExpired"],
];
/// What stands before the seconds since 1970 at which a token of STS has expired.
const SECONDS_OF_STS: &str = "must be before the expiration date/time";
/// What stands before the time at which a token for Azure has expired.
const TIME_OF_AZURE: &str = "expiry time of assertion";

/// The error of a command that has said that its credentials have expired.
pub(super) fn expired(command: &str, said: &str, secrets: &Secrets) -> Option<ToolError> {
    // Terraform breaks lines where it likes.
    let words: Vec<&str> = said.split_whitespace().collect();
    let text = words.join(" ");
    let is_said = |sign: &&[&str]| sign.iter().all(|word| text.contains(word));
    SIGNS.iter().any(is_said).then(|| ToolError::Expired {
        since: end(&text).map_or_else(String::new, |end| format!(" since {end}")),
        command: command.to_owned(),
        output: secrets.essence(said),
    })
}

/// The error of a command that has failed.
pub(super) fn failed(command: String, said: &str, secrets: &Secrets) -> ToolError {
    expired(&command, said, secrets).unwrap_or_else(|| ToolError::Failed {
        command,
        output: secrets.essence(said),
    })
}

/// When they have expired, where that is said.
fn end(text: &str) -> Option<Timestamp> {
    if let Some((_, rest)) = text.split_once(SECONDS_OF_STS) {
        let digits = rest
            .trim_start()
            .split(|letter: char| !letter.is_ascii_digit());
        return Timestamp::from_second(digits.into_iter().next()?.parse().ok()?).ok();
    }
    let (_, rest) = text.split_once(TIME_OF_AZURE)?;
    let time = rest.split_whitespace().next()?;
    time.trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    /// What was said, and since when the credentials have expired, where that is said.
    const SAID: [(&str, Option<&str>); 9] = [
        (
            "Error: Failed to unlock state: failed to retrieve lock info: operation error S3:\n\
             GetObject, https response error StatusCode: 400, RequestID: 4358PTXS48AJM7TC, api\n\
             error ExpiredToken: The provided token has expired.",
            None,
        ),
        (
            "operation error DynamoDB: GetItem, https response error StatusCode: 400, api error\n\
             ExpiredTokenException: The security token included in the request is expired",
            None,
        ),
        (
            "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400,\n\
             api error ExpiredTokenException: Token expired: current date/time 1626271164 must be\n\
             before the expiration date/time1626191469",
            Some("2021-07-13T15:51:09Z"),
        ),
        (
            "oauth2/google: status code 400: {\"error\":\"invalid_grant\",\"error_description\":\
             \"ID Token issued at 1700000000 is stale to sign-in.\"}",
            None,
        ),
        (
            "oauth2: cannot fetch token: 400 Bad Request\nResponse: {\n  \"error\": \
             \"invalid_grant\",\n  \"error_description\": \"Bad Request\"\n}",
            None,
        ),
        (
            "received HTTP status 401 with response: {\"error\":\"invalid_client\",\
             \"error_description\":\"AADSTS700024: Client assertion is not within its valid time\n\
             range. Current time: 2025-09-03T17:59:55.3046782Z, assertion valid from\n\
             2025-09-03T17:04:47.0000000Z, expiry time of assertion\n2025-09-03T17:09:47.0000000Z. \
             Review the documentation",
            Some("2025-09-03T17:09:47Z"),
        ),
        (
            "AADSTS7000222: The provided client secret keys for app 'x' are expired.",
            None,
        ),
        (
            "InvalidAuthenticationInfo: IDX10223: Lifetime validation failed. The token is expired.",
            None,
        ),
        (
            "AuthenticationFailed: Signature not valid in the specified time frame",
            None,
        ),
    ];

    fn none() -> Secrets {
        Secrets::of(&Environment::default(), None)
    }

    #[test]
    fn what_each_cloud_says_of_expired_credentials_is_understood_with_its_time() {
        for (said, time) in SAID {
            let error = expired("terraform force-unlock", said, &none());
            let since = match &error {
                Some(ToolError::Expired { since, .. }) => since.as_str(),
                _ => panic!("{said}"),
            };
            let expected = time.map_or_else(String::new, |time| format!(" since {time}"));
            assert_eq!(since, expected, "{said}");
        }
    }

    #[test]
    fn other_refusals_are_not_called_expired() {
        for said in [
            "",
            "api error AccessDenied: User is not authorized to perform: sts:AssumeRole",
            "api error InvalidIdentityToken: No OpenIDConnect provider found in your account",
            "{\"error\":\"invalid_grant\",\"error_description\":\"The audience in ID Token does \
             not match the expected audience.\"}",
            "AADSTS700213: No matching federated identity record found for presented assertion",
            "No valid credential sources found",
        ] {
            assert!(expired("terraform init", said, &none()).is_none(), "{said}");
            let error = failed("terraform init".to_owned(), said, &none());
            assert!(matches!(error, ToolError::Failed { .. }), "{said}");
        }
    }
}
