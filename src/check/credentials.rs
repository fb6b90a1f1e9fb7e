//! How a step gets its credentials, to be pasted into another one.

use super::document::Node;
use super::remedy::quoted;

const TOKEN: &str = "BITBUCKET_STEP_OIDC_TOKEN";
/// What the names of variables begin with that hold credentials of a backend.
const BEGINNINGS: [&str; 10] = [
    "ARM_",
    "AWS_",
    "AZURE_",
    "CONSUL_",
    "GOOGLE_",
    "KUBE",
    "PG",
    "SOFTSTOP_AWS_",
    "SOFTSTOP_GOOGLE_",
    "TF_HTTP_",
];

/// What a step does for its credentials.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// Whether it asks for a token.
    pub(super) asks_for_token: bool,
    /// The items of its script that write the token somewhere.
    pub(super) handing_on: Vec<String>,
    /// Those that give credentials to what runs in the script, which a pipe does not see.
    pub(super) exports: Vec<String>,
}

impl Credentials {
    pub(super) fn read(step: &Node) -> Self {
        let script = step.get("script").map(Node::items).unwrap_or_default();
        let items: Vec<&str> = script.iter().filter_map(|item| item.text()).collect();
        let pasted = |is_wanted: fn(&str) -> bool| {
            let wanted = items.iter().filter(|item| is_wanted(item));
            wanted.map(|item| format!("- {}", quoted(item))).collect()
        };
        Self {
            asks_for_token: step.get("oidc").and_then(Node::text) == Some("true"),
            handing_on: pasted(hands_on),
            exports: pasted(|item| is_export(item) && !hands_on(item)),
        }
    }
}

/// What calls softstop is no preparation.
fn hands_on(item: &str) -> bool {
    item.contains(TOKEN) && !item.contains(env!("CARGO_PKG_NAME"))
}

fn is_export(item: &str) -> bool {
    let mut names = item.strip_prefix("export ").unwrap_or_default().split(' ');
    names.any(|name| {
        BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
    }) && !item.contains([';', '&', '\n'])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PIPE, findings, pipeline};

    /// What is to be pasted for the first finding.
    fn pasted(text: &str) -> String {
        findings(text).into_iter().next().unwrap().fix
    }

    #[test]
    fn a_final_step_is_pasted_with_the_token_and_the_credentials_of_the_deploy() {
        let step =
            "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n          ";
        let pipe = pasted(&format!(
            "{step}- export AWS_REGION=x\n          {PIPE}\n            variables:\n              \
             AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN\n"
        ));
        assert!(
            pipe.contains("\n        oidc: true\n        script:"),
            "{pipe}"
        );
        assert!(
            pipe.contains("AWS_OIDC_ROLE_ARN: \"$AWS_OIDC_ROLE_ARN\""),
            "{pipe}"
        );
        assert!(
            !pipe.contains("AWS_REGION"),
            "a pipe does not see it: {pipe}"
        );

        let token = "(umask 077 && echo $BITBUCKET_STEP_OIDC_TOKEN > ../token)";
        let command = pasted(&format!(
            "{step}- {token}\n          - export AWS_ROLE_ARN=$ROLE\n          - export LEVEL=3\n          \
             - exec softstop deploy -- make deploy\n"
        ));
        let script = format!(
            "script:\n          - \"{token}\"\n          - \"export AWS_ROLE_ARN=$ROLE\"\n          - softstop \
             release"
        );
        assert!(command.contains(&script), "{command}");

        let none = pasted(&pipeline(PIPE, ""));
        assert!(!none.contains("oidc"), "{none}");
    }
}
