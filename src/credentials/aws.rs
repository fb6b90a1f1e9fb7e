//! AWS: a role is assumed by `AssumeRoleWithWebIdentity`.

use super::exchange::{Exchange, Place, Variables, text};

/// Keys go before a token, in every SDK of AWS.
const KEYS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];
const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
/// AWS takes no longer name.
const LONGEST_SESSION_NAME: usize = 64;

pub(super) fn variables(wanted: &Exchange, place: &Place) -> Option<Variables> {
    let role = wanted.aws_role.clone()?;
    let session = text(SESSION_NAME).unwrap_or_else(|| {
        session_name(
            text("BITBUCKET_BUILD_NUMBER").as_deref(),
            text("BITBUCKET_STEP_UUID").as_deref(),
        )
    });
    Some(Variables {
        set: vec![
            ("AWS_ROLE_ARN", role),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                place.token.display().to_string(),
            ),
            (SESSION_NAME, session),
        ],
        removed: KEYS.to_vec(),
    })
}

/// The name under which the calls stand in CloudTrail: that of the step.
fn session_name(build: Option<&str>, step: Option<&str>) -> String {
    let parts = [Some("softstop"), build, step].into_iter().flatten();
    let name = parts.collect::<Vec<_>>().join("-");
    name.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "+=,.@-_".contains(*letter))
        .take(LONGEST_SESSION_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_name_of_the_step_in_letters_that_aws_takes() {
        let step = "{11111111-2222-3333-4444-555555555555}";
        assert_eq!(
            session_name(Some("42"), Some(step)),
            "softstop-42-11111111-2222-3333-4444-555555555555"
        );
        assert_eq!(session_name(None, None), "softstop");
        let long = "7".repeat(100);
        assert_eq!(session_name(Some(&long), None).len(), LONGEST_SESSION_NAME);
    }
}
