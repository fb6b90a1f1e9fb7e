//! Reads the words of one call of Terraform.

use std::path::PathBuf;

use super::arguments::values_seen;
use crate::supervisor::SeenTool;

/// Flags of a run that take a value as a word of its own.
const WITH_VALUE: [&str; 12] = [
    "backup",
    "backend-config",
    "from-module",
    "generate-config-out",
    "lock-timeout",
    "out",
    "parallelism",
    "plugin-dir",
    "replace",
    "state",
    "state-out",
    "target",
];

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

/// The words of one call of Terraform.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) directory: Option<PathBuf>,
    /// The subcommand, and the one below it.
    pub(super) words: Vec<String>,
    /// All that comes after the subcommand.
    rest: Vec<String>,
    flags: Vec<String>,
    /// What is neither.
    pub(super) operands: Vec<String>,
}

impl Call {
    pub(super) fn read(arguments: &[String]) -> Self {
        let mut call = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let flag = argument
                .strip_prefix('-')
                .map(|flag| flag.trim_start_matches('-'));
            match flag {
                Some(flag) if call.words.is_empty() => {
                    if let Some(directory) = flag.strip_prefix("chdir=") {
                        call.directory = Some(PathBuf::from(directory));
                    }
                }
                Some(flag) => {
                    call.flags.push(flag.to_owned());
                    if WITH_VALUE.contains(&flag) || flag.starts_with("var") && !flag.contains('=')
                    {
                        arguments.next();
                    }
                }
                None if call.words.is_empty() || call.is_group() => {
                    call.words.push(argument.clone());
                    call.rest = arguments.as_slice().to_vec();
                }
                None => call.operands.push(argument.clone()),
            }
        }
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
            ["init"] if self.has_flag("backend=false") => Effect::None,
            ["init"] => Effect::Initialises,
            ["workspace", "new"] => Effect::MakesWorkspace,
            ["workspace", "select"]
                if self.has_flag("or-create") || self.has_flag("or-create=true") =>
            {
                Effect::MakesWorkspace
            }
            ["workspace", "delete"] => Effect::RemovesWorkspace,
            _ => Effect::None,
        }
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The `-var` and `-var-file` with which it runs.
    pub(super) fn values(&self, seen: &SeenTool) -> Vec<String> {
        values_seen(&seen.environment, &self.words.join("_"), &self.rest)
    }

    /// Whether the call says that it takes no lock: by a flag, or by a variable that adds one.
    pub(super) fn takes_no_lock(&self, seen: &SeenTool) -> bool {
        let subcommand = self.words.join("_");
        let added = [
            format!("TF_CLI_ARGS_{subcommand}"),
            "TF_CLI_ARGS".to_owned(),
        ];
        let added = added.iter().filter_map(|name| seen.environment.text(name));
        let added: Vec<String> = added
            .flat_map(|flags| {
                flags
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        // Terraform heeds the last one; what the command line says comes after what is added.
        let flags = added.iter().map(|flag| flag.trim_start_matches('-'));
        let lock = flags
            .chain(self.flags.iter().map(String::as_str))
            .filter_map(|flag| flag.strip_prefix("lock="))
            .next_back();
        matches!(lock, Some("false" | "0" | "f" | "F" | "FALSE" | "False"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn call(line: &str) -> Call {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Call::read(&words)
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
    fn a_plan_is_told_from_the_value_of_a_flag() {
        assert_eq!(call("apply -var a=b -target x.y plan").operands, ["plan"]);
        assert_eq!(call("apply -var=a=b -lock-timeout 5s").operands, [""; 0]);
        assert_eq!(call("-chdir=a/b apply").directory, Some("a/b".into()));
    }

    #[test]
    fn a_call_that_says_so_takes_no_lock() {
        let seen = |arguments: &str, variable: (&str, &str)| SeenTool {
            program: "/bin/terraform".into(),
            arguments: arguments.split(' ').map(str::to_owned).collect(),
            directory: "/".into(),
            environment: Environment::from([variable]),
        };
        let takes_none = |arguments, variable| {
            let seen = seen(arguments, variable);
            Call::read(&seen.arguments[1..]).takes_no_lock(&seen)
        };
        assert!(takes_none("terraform plan -lock=false", ("A", "b")));
        assert!(takes_none(
            "terraform plan",
            ("TF_CLI_ARGS_plan", "-no-color -lock=false")
        ));
        assert!(takes_none("terraform plan", ("TF_CLI_ARGS", "-lock=0")));
        assert!(!takes_none(
            "terraform plan",
            ("TF_CLI_ARGS_apply", "-lock=false")
        ));
        assert!(!takes_none(
            "terraform plan -lock=true",
            ("TF_CLI_ARGS_plan", "-lock=false")
        ));
    }

    #[test]
    fn no_words_make_the_reader_fail() {
        assert_eq!(Call::read(&[]), Call::default());
        assert_eq!(call("-").effect(), Effect::None);
        assert_eq!(call("apply -var").effect(), Effect::Applies);
    }
}
