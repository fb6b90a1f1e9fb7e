//! Reads one call of Terraform, as it was seen.

use std::path::PathBuf;

use super::arguments::{CallOption, told_apart, values_of, words_given};
use crate::supervisor::SeenTool;

/// What a subcommand does with the lock of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It opens no state, or takes no lock.
    None,
    /// It takes the lock.
    Locks,
    /// It applies a saved plan, which may be of another backend and workspace than the directory.
    Applies,
    /// It sets the backend up, and may move a state to it under a lock.
    Initialises,
    /// It makes or removes the workspace that it names.
    MakesWorkspace,
    RemovesWorkspace,
}

/// One call of Terraform.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) directory: Option<PathBuf>,
    /// The subcommand, and the one below it.
    pub(super) words: Vec<String>,
    /// What it is given, by variables too.
    options: Vec<CallOption>,
    /// What is neither.
    pub(super) operands: Vec<String>,
}

impl Call {
    pub(super) fn read(seen: &SeenTool) -> Self {
        let mut call = Self::default();
        let mut rest = seen.arguments.get(1..).unwrap_or_default();
        while let [word, behind @ ..] = rest {
            if !word.starts_with('-') {
                if !call.words.is_empty() && !call.is_group() {
                    break;
                }
                call.words.push(word.clone());
            } else if !call.words.is_empty() {
                break;
            } else if let Some(directory) = word.trim_start_matches('-').strip_prefix("chdir=") {
                call.directory = Some(PathBuf::from(directory));
            }
            rest = behind;
        }
        let given = words_given(&seen.environment, &call.words, rest);
        (call.options, call.operands) = told_apart(given);
        call
    }

    fn is_group(&self) -> bool {
        matches!(self.words.as_slice(), [group] if group == "state" || group == "workspace")
    }

    pub(super) fn effect(&self) -> Effect {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["apply"] => Effect::Applies,
            [
                "destroy" | "plan" | "refresh" | "import" | "taint" | "untaint" | "console"
                | "test",
            ]
            | ["state", "mv" | "rm" | "push" | "replace-provider"] => Effect::Locks,
            ["init"] if self.switch("backend") == Some(false) => Effect::None,
            ["init"] => Effect::Initialises,
            ["workspace", "new"] => Effect::MakesWorkspace,
            ["workspace", "select"] if self.switch("or-create") == Some(true) => {
                Effect::MakesWorkspace
            }
            ["workspace", "delete"] => Effect::RemovesWorkspace,
            _ => Effect::None,
        }
    }

    /// The values of an option.
    pub(super) fn given(&self, name: &str) -> impl Iterator<Item = &str> {
        let options = self
            .options
            .iter()
            .filter(move |option| option.name == name);
        options.filter_map(|option| option.value.as_deref())
    }

    /// What a switch says, of which Terraform heeds the last one.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let mut options = self.options.iter().rev();
        let given = options.find(|option| option.name == name)?;
        match given.value.as_deref() {
            None | Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Some(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Some(false),
            Some(_) => None,
        }
    }

    /// The `-var` and `-var-file` with which it runs.
    pub(super) fn values(&self) -> Vec<String> {
        values_of(&self.options).collect()
    }

    /// Whether the call says that it takes no lock.
    pub(super) fn takes_no_lock(&self) -> bool {
        self.switch("lock") == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn call_with<const COUNT: usize>(line: &str, variables: [(&str, &str); COUNT]) -> Call {
        let words = ["terraform"].into_iter().chain(line.split(' '));
        Call::read(&SeenTool {
            program: "/bin/terraform".into(),
            arguments: words.map(str::to_owned).collect(),
            directory: "/".into(),
            environment: Environment::from(variables),
            held: None,
            is_heard: true,
        })
    }

    fn call(line: &str) -> Call {
        call_with(line, [])
    }

    #[test]
    fn what_takes_a_lock_is_known() {
        for (line, effect) in [
            ("apply -auto-approve", Effect::Applies),
            ("-chdir=live apply plan", Effect::Applies),
            ("plan -out plan", Effect::Locks),
            ("destroy", Effect::Locks),
            ("import a.b id", Effect::Locks),
            ("state mv a b", Effect::Locks),
            ("state list", Effect::None),
            ("state pull", Effect::None),
            ("init -backend=false", Effect::None),
            ("init", Effect::Initialises),
            ("workspace select prod", Effect::None),
            ("workspace select -or-create prod", Effect::MakesWorkspace),
            ("workspace new prod", Effect::MakesWorkspace),
            ("workspace delete prod", Effect::RemovesWorkspace),
            ("version", Effect::None),
            ("fmt -check", Effect::None),
            ("validate", Effect::None),
            ("output -json", Effect::None),
            ("-version", Effect::None),
        ] {
            assert_eq!(call(line).effect(), effect, "{line}");
        }
    }

    #[test]
    fn a_plan_is_told_from_the_value_of_an_option() {
        for (line, plan) in [
            ("apply -var a=b -target x.y plan", Some("plan")),
            ("apply -var=a=b -lock-timeout 5s", None),
            ("apply -exclude x.y -auto-approve", None),
            ("apply -exclude-file x -target-file y", None),
            ("apply -deprecation module:all plan", Some("plan")),
            ("apply -invoke action.a.b", None),
            ("apply -json-into log plan", Some("plan")),
            ("-chdir=a/b apply -- plan", Some("plan")),
        ] {
            let operands = call(line).operands;
            assert_eq!(operands.first().map(String::as_str), plan, "{line}");
        }
        assert_eq!(call("-chdir=a/b apply").directory, Some("a/b".into()));
    }

    #[test]
    fn what_variables_add_stands_before_the_words_of_the_command_line() {
        let variables = [
            ("TF_CLI_ARGS", "-var=a=2"),
            ("TF_CLI_ARGS_apply", "-target a.b -var=a=1 -auto-approve"),
            ("TF_CLI_ARGS_init", "-var=a=0"),
        ];
        let line = "apply -parallelism 5 -var a=3 --var-file=x.tfvars plan";
        assert_eq!(
            call_with(line, variables).values(),
            ["-var=a=1", "-var=a=2", "-var=a=3", "-var-file=x.tfvars"]
        );
        for (name, text, line) in [
            ("TF_CLI_ARGS_apply", "plan", "apply"),
            ("TF_CLI_ARGS_apply", "-input=false plan", "-chdir=x apply"),
            ("TF_CLI_ARGS", "-no-color plan", "apply"),
        ] {
            assert_eq!(call_with(line, [(name, text)]).operands, ["plan"], "{text}");
        }
        let name = "TF_CLI_ARGS_state_replace_provider";
        assert!(call_with("state replace-provider a b", [(name, "-lock=0")]).takes_no_lock());
    }

    #[test]
    fn a_call_that_says_so_takes_no_lock() {
        for (line, variable, expected) in [
            ("plan -lock=false", ("A", "b"), true),
            ("plan", ("TF_CLI_ARGS_plan", "-no-color -lock=false"), true),
            ("plan", ("TF_CLI_ARGS", "-lock=0"), true),
            ("plan", ("TF_CLI_ARGS_apply", "-lock=false"), false),
            (
                "plan -lock=true",
                ("TF_CLI_ARGS_plan", "-lock=false"),
                false,
            ),
            ("plan -var -lock=false", ("A", "b"), false),
        ] {
            let takes_none = call_with(line, [variable]).takes_no_lock();
            assert_eq!(takes_none, expected, "{line} {variable:?}");
        }
    }

    #[test]
    fn no_words_make_the_reader_fail() {
        for line in ["", "-", "apply -", "state", "-chdir="] {
            call(line);
        }
        assert_eq!(call("-").effect(), Effect::None);
        assert_eq!(call("apply -var").effect(), Effect::Applies);
    }
}
