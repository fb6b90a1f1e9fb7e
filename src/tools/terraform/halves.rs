//! What TF_CLI_ARGS_apply says to an apply, for the plan and the apply of that plan into which it is
//! taken apart.

use super::arguments::{joined, told_apart, words};
use crate::environment::Environment;
use crate::tools::error::ToolError;

const VARIABLE: &str = "TF_CLI_ARGS_apply";
/// Those that `plan` does not know.
const OF_APPLY: [&str; 4] = [
    "auto-approve",
    "backup",
    "state-out",
    "suppress-forget-errors",
];
/// Those that decide nothing, and mean the same to `plan` and to the apply of a plan.
const OF_BOTH: [&str; 9] = [
    "compact-warnings",
    "deprecation",
    "input",
    "json",
    "lock",
    "lock-timeout",
    "no-color",
    "parallelism",
    "show-sensitive",
];

/// The words of both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Halves {
    /// What decides what is planned.
    pub(super) plan: String,
    /// What is left for the apply of that plan, which refuses what would decide it anew.
    pub(super) apply: String,
}

impl Halves {
    pub(super) fn of(environment: &Environment) -> Result<Self, ToolError> {
        let text = environment.text(VARIABLE).unwrap_or_default();
        let words = words(&text).ok_or(ToolError::BadArguments { variable: VARIABLE })?;
        let (mut plan, mut apply) = (Vec::new(), Vec::new());
        for option in told_apart(words).0 {
            let is_of_both = OF_BOTH.contains(&option.name.as_str());
            let is_of_apply = OF_APPLY.contains(&option.name.as_str());
            if !is_of_apply {
                plan.extend(option.words.clone());
            }
            if is_of_apply || is_of_both {
                apply.extend(option.words);
            }
        }
        Ok(Self {
            plan: joined(&plan),
            apply: joined(&apply),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_apply_is_told_is_told_to_its_plan_or_to_the_apply_of_that() {
        for (text, plan, apply) in [
            ("", "", ""),
            ("-target=module.network", "'-target=module.network'", ""),
            (
                "-var-file x.tfvars -parallelism 2 --replace 'a.b[\"x\"]'",
                r#"'-var-file' 'x.tfvars' '-parallelism' '2' '--replace' 'a.b["x"]'"#,
                "'-parallelism' '2'",
            ),
            (
                "-auto-approve -lock=false -backup x -json",
                "'-lock=false' '-json'",
                "'-auto-approve' '-lock=false' '-backup' 'x' '-json'",
            ),
        ] {
            let halves = Halves::of(&Environment::from([("TF_CLI_ARGS_apply", text)])).unwrap();
            let expected = Halves {
                plan: plan.to_owned(),
                apply: apply.to_owned(),
            };
            assert_eq!(halves, expected, "{text}");
        }
    }
}
