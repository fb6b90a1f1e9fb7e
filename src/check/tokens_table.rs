//! Releases that need the token of their step.

use super::rules_table::{PIPE, expect, findings};

const ROLE: &str = "AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN";

/// A deploy in a step with this line, by these variables, and its release in a `final:` with these.
fn with_final(line: &str, deploy: &str, last: &str, release: &str) -> String {
    format!(
        "pipelines:\n  default:\n    - step:\n        {line}\n        script:\n          {PIPE}\n            \
         variables: {{AWS_REGION: eu-west-1, {deploy}}}\n    - final:\n        {last}\n        script:\n          \
         {PIPE}\n            variables: {{MODE: release, AWS_REGION: eu-west-1, {release}}}\n"
    )
}

#[test]
fn a_release_after_a_deploy_by_the_token_of_its_step_needs_one_too() {
    const OTHER: &str = "name: Other";
    const OIDC: &str = "oidc: true";
    const KEY: &str = "AWS_ACCESS_KEY_ID: $KEY";
    const NO_TOKEN: &[&str] = &["11:13 this release exchanges the token of its step"];
    const NOTHING: &[&str] = &["(11:13 the deploy in line 6 gets its credentials by the token"];
    let rows: [(&str, &str, &str, &str, &[&str]); 10] = [
        (OIDC, ROLE, OIDC, ROLE, &[]),
        (OIDC, ROLE, OTHER, ROLE, NO_TOKEN),
        (OIDC, ROLE, OTHER, "SOFTSTOP_AZURE_APP_ID: $ID", NO_TOKEN),
        (
            OIDC,
            ROLE,
            "oidc: false",
            "GOOGLE_OIDC_CONFIG_FILE: a.json",
            NO_TOKEN,
        ),
        (OIDC, ROLE, OTHER, "TF_LOG: info", NOTHING),
        (OIDC, ROLE, OTHER, KEY, &[]),
        (
            OIDC,
            "BACKEND_CONFIG: [key=a], AWS_OIDC_ROLE_ARN: $ROLE",
            OTHER,
            "BACKEND_CONFIG: [key=a]",
            NOTHING,
        ),
        (
            OIDC,
            "BACKEND_CONFIG: [password=$PASSWORD], AWS_OIDC_ROLE_ARN: $ROLE",
            OTHER,
            "BACKEND_CONFIG: [password=$PASSWORD]",
            &[],
        ),
        (OIDC, "TF_LOG: info", OTHER, "TF_LOG: info", &[]),
        (OTHER, KEY, OTHER, KEY, &[]),
    ];
    for (line, deploy, last, release, expected) in rows {
        expect(&with_final(line, deploy, last, release), expected);
    }
}

#[test]
fn a_token_that_the_script_hands_on_and_a_call_by_name_count_too() {
    let of = |last: &str| {
        format!(
            "pipelines:
  default:
    - step:
        oidc: true
        script:
          - echo $BITBUCKET_STEP_OIDC_TOKEN > ../token
          - export AWS_ROLE_ARN=$ROLE
          - exec softstop deploy
    - final:
{last}"
        )
    };
    let without = of("        script:\n          - softstop release\n");
    expect(
        &without,
        &["(11:13 the deploy in line 8 gets its credentials"],
    );
    let fix = findings(&without).remove(0).fix;
    expect(
        &of(&fix.replace('\n', "\n        ").replacen("", "        ", 1)),
        &[],
    );
    let by_option = of("        script:\n          - softstop release --aws-oidc-role-arn $ROLE\n");
    expect(
        &by_option,
        &["11:13 this release exchanges the token of its step"],
    );
}

#[test]
fn a_scheduled_release_needs_the_token_of_whatever_it_cleans_up_after() {
    let of = |directory: &str| {
        let deploys = with_final("oidc: true", ROLE, "oidc: true", ROLE);
        format!(
            "{deploys}  custom:\n    release:\n      - step:\n          script:\n            {PIPE}\n              \
             variables: {{MODE: release, WORKING_DIR: {directory}}}\n"
        )
    };
    expect(
        &of("."),
        &["(17:15 the deploy in line 6 gets its credentials"],
    );
    expect(&of("elsewhere"), &[]);
}
