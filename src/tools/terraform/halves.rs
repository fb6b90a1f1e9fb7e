//! What TF_CLI_ARGS_apply and TF_CLI_ARGS say to an apply, for the plan and the apply of that plan into
//! which it is taken apart.

use semver::Version;

use super::arguments::{joined, options_of};
use crate::environment::Environment;
use crate::tools::error::ToolError;

/// Those that `plan` does not know.
const OF_APPLY: [&str; 4] = [
    "auto-approve",
    "backup",
    "state-out",
    "suppress-forget-errors",
];
/// Those that decide nothing, and mean the same to `plan` and to the apply of a plan. Of a file that both
/// write, the apply, which comes last, is what is left.
const OF_BOTH: [&str; 10] = [
    "compact-warnings",
    "deprecation",
    "input",
    "json",
    "json-into",
    "lock",
    "lock-timeout",
    "no-color",
    "parallelism",
    "show-sensitive",
];
/// Those that give values to variables, which are in the plan.
const OF_VARIABLES: [&str; 2] = ["var", "var-file"];

/// Whether a program of this version lets the apply of a plan be given variables. Terraform refuses them
/// before 1.10, and OpenTofu before 1.11; what is ephemeral, which is in no plan, needs them since.
pub(super) fn takes_variables(version: &str, is_opentofu: bool) -> bool {
    let since = if is_opentofu { (1, 11) } else { (1, 10) };
    Version::parse(version).is_ok_and(|version| (version.major, version.minor) >= since)
}

/// The words of both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Halves {
    /// What decides what is planned.
    pub(super) plan: String,
    /// What is left for the apply of that plan, which refuses what would decide it anew.
    pub(super) apply: String,
    /// What is left for it of what every command is told. Of what else decides a plan, `init` refuses all
    /// but `-target`, which the apply of a plan does not mind.
    pub(super) every: String,
}

impl Halves {
    /// Where the apply of a plan takes variables, or does not.
    pub(super) fn of(environment: &Environment, takes_variables: bool) -> Result<Self, ToolError> {
        let is_variable = |name: &str| OF_VARIABLES.contains(&name);
        let (mut plan, mut apply, mut every) = (Vec::new(), Vec::new(), Vec::new());
        for option in options_of(environment, "TF_CLI_ARGS_apply")? {
            let is_of_both = OF_BOTH.contains(&option.name.as_str())
                || takes_variables && is_variable(&option.name);
            let is_of_apply = OF_APPLY.contains(&option.name.as_str());
            if !is_of_apply {
                plan.extend(option.words.clone());
            }
            if is_of_apply || is_of_both {
                apply.extend(option.words);
            }
        }
        for option in options_of(environment, "TF_CLI_ARGS")? {
            if takes_variables || !is_variable(&option.name) {
                every.extend(option.words);
            }
        }
        Ok(Self {
            plan: joined(&plan),
            apply: joined(&apply),
            every: joined(&every),
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
            (
                "-json-into=apply.json",
                "'-json-into=apply.json'",
                "'-json-into=apply.json'",
            ),
        ] {
            let halves =
                Halves::of(&Environment::from([("TF_CLI_ARGS_apply", text)]), false).unwrap();
            let expected = Halves {
                plan: plan.to_owned(),
                apply: apply.to_owned(),
                every: String::new(),
            };
            assert_eq!(halves, expected, "{text}");
        }
    }

    #[test]
    fn the_apply_of_a_plan_is_told_of_variables_where_it_takes_them() {
        let text = "-var-file=x.tfvars -no-color -var 'a=b c' --var-file y";
        let all = "'-var-file=x.tfvars' '-no-color' '-var' 'a=b c' '--var-file' 'y'";
        for (version, is_opentofu, apply) in [
            ("1.9.8", false, "'-no-color'"),
            ("0.15.0", false, "'-no-color'"),
            ("", false, "'-no-color'"),
            ("1.10.0", false, all),
            ("1.11.4", false, all),
            ("1.10.9", true, "'-no-color'"),
            ("1.11.0", true, all),
        ] {
            let environment =
                Environment::from([("TF_CLI_ARGS", text), ("TF_CLI_ARGS_apply", text)]);
            let halves = Halves::of(&environment, takes_variables(version, is_opentofu)).unwrap();
            assert_eq!(halves.every, apply, "{version}");
            assert_eq!((halves.plan.as_str(), halves.apply.as_str()), (all, apply));
        }
    }
}
