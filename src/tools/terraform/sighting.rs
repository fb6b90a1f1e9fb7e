//! What a Terraform that was seen to run says of the state that it used.

use std::fs;
use std::path::{Path, PathBuf};

use super::arguments::values_seen;
use super::backend::Backend;
use super::plan_file;
use super::{Terraform, selected_workspace};
use crate::environment::Environment;
use crate::supervisor::SeenTool;
use crate::tools::{Purpose, Sighting};

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
enum Effect {
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
struct Call {
    directory: Option<PathBuf>,
    /// The subcommand, and the one below it.
    words: Vec<String>,
    /// All that comes after the subcommand.
    rest: Vec<String>,
    flags: Vec<String>,
    /// What is neither.
    operands: Vec<String>,
}

/// Which state a Terraform that was seen uses.
pub(super) fn sight(seen: &SeenTool) -> Sighting<Terraform> {
    let call = Call::read(seen.arguments.get(1..).unwrap_or_default());
    let effect = call.effect();
    if effect == Effect::None || call.takes_no_lock(seen) {
        return Sighting::Nothing;
    }
    let entered = entered(seen);
    let directory = match &call.directory {
        Some(directory) => entered.join(directory),
        None => entered,
    };
    let mut terraform = Terraform {
        binary: seen.program.clone(),
        directory,
        backend_config: Vec::new(),
        workspace: None,
        environment: seen.environment.clone(),
        is_seen: true,
        seen_values: Some(call.values(seen)),
        backend: None,
    };
    terraform.workspace = Some(selected_workspace(&terraform));
    match effect {
        Effect::Initialises => return Sighting::Initialising(terraform),
        Effect::RemovesWorkspace => {
            terraform.workspace = call.operands.first().cloned();
            return Sighting::Removing(terraform);
        }
        Effect::MakesWorkspace => terraform.workspace = call.operands.first().cloned(),
        _ => {}
    }
    match planned(effect, &call, &terraform.directory) {
        Some(Ok((backend, workspace))) => {
            terraform.backend = Some(backend);
            terraform.workspace = Some(workspace);
        }
        Some(Err(reason)) => return Sighting::Unclear(reason),
        // A directory that is made for one deploy may be gone when it has ended.
        None => terraform.backend = cached(&terraform),
    }
    Sighting::Place(terraform)
}

/// Whether a command is seen to call Terraform, and only in ways that take no lock. What calls anything
/// else than the plainest programs is not seen through.
pub(super) fn takes_no_lock(words: &[String]) -> bool {
    const PLAIN: [&str; 10] = [
        ":", "[", "cd", "echo", "ls", "mkdir", "printf", "set", "test", "true",
    ];
    let script;
    let calls: Vec<Vec<&str>> = match words {
        [shell, _, text] if shell == "/bin/sh" => {
            script = text;
            if script.contains(['$', '`', '(', '{', '\\', '<', '"', '\'']) {
                return false;
            }
            script
                .split([';', '\n', '&', '|'])
                .map(|call| call.split_whitespace().collect::<Vec<_>>())
                .filter(|call| !call.is_empty())
                .collect()
        }
        words => vec![words.iter().map(String::as_str).collect()],
    };
    let name = |call: &[&str]| {
        let program = call.first().copied().unwrap_or_default();
        program.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let is_terraform = |call: &[&str]| matches!(name(call).as_str(), "terraform" | "tofu");
    let takes_none = |call: &Vec<&str>| {
        if !is_terraform(call) {
            return PLAIN.contains(&name(call).as_str());
        }
        let seen = SeenTool {
            program: PathBuf::new(),
            arguments: call.iter().map(|word| (*word).to_owned()).collect(),
            directory: PathBuf::new(),
            environment: Environment::own(),
        };
        let read = Call::read(&seen.arguments[1..]);
        matches!(read.effect(), Effect::None | Effect::Initialises) || read.takes_no_lock(&seen)
    };
    calls.iter().any(|call| is_terraform(call)) && calls.iter().all(takes_none)
}

/// What a Terraform that was seen is there for.
pub(super) fn purpose(seen: &SeenTool) -> Purpose {
    let call = Call::read(seen.arguments.get(1..).unwrap_or_default());
    match call.effect() {
        Effect::Locks if call.words == ["plan"] => Purpose::Plan,
        Effect::None | Effect::Initialises => Purpose::Other,
        Effect::Locks | Effect::Applies | Effect::MakesWorkspace | Effect::RemovesWorkspace => {
            Purpose::Change
        }
    }
}

/// Where it was started, as whoever started it calls that place.
fn entered(seen: &SeenTool) -> PathBuf {
    let named = seen.environment.get("PWD").map(PathBuf::from);
    named
        .filter(|named| fs::canonicalize(named).is_ok_and(|named| named == seen.directory))
        .unwrap_or_else(|| seen.directory.clone())
}

/// What the saved plan says that is applied, where one is.
fn planned(
    effect: Effect,
    call: &Call,
    directory: &Path,
) -> Option<Result<(Backend, String), String>> {
    let file = call
        .operands
        .first()
        .filter(|_| effect == Effect::Applies)?;
    let path = directory.join(file);
    // Up to 0.13, this may be the directory of the configuration.
    if path.is_dir() {
        return None;
    }
    let read = plan_file::backend(&path);
    Some(read.map_err(|reason| {
        format!(
            "it applied the plan {}, whose backend cannot be read: {reason}",
            path.display()
        )
    }))
}

fn cached(terraform: &Terraform) -> Option<Backend> {
    let mut backend = terraform.configuration().initialised().ok()??;
    backend.anchor_paths(&terraform.directory);
    Some(backend)
}

impl Call {
    fn read(arguments: &[String]) -> Self {
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

    fn effect(&self) -> Effect {
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
    fn values(&self, seen: &SeenTool) -> Vec<String> {
        values_seen(&seen.environment, &self.words.join("_"), &self.rest)
    }

    /// Whether the call says that it takes no lock: by a flag, or by a variable that adds one.
    fn takes_no_lock(&self, seen: &SeenTool) -> bool {
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

    fn call(line: &str) -> Call {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Call::read(&words)
    }

    #[test]
    fn a_plan_is_told_from_what_may_change_something() {
        for (line, expected) in [
            ("plan -out=plan", Purpose::Plan),
            ("-chdir=infra plan", Purpose::Plan),
            ("init", Purpose::Other),
            ("version", Purpose::Other),
            ("apply plan", Purpose::Change),
            ("destroy -auto-approve", Purpose::Change),
            ("state rm a.b", Purpose::Change),
        ] {
            let words = ["terraform"].into_iter().chain(line.split(' '));
            let seen = SeenTool {
                program: PathBuf::new(),
                arguments: words.map(str::to_owned).collect(),
                directory: PathBuf::new(),
                environment: Environment::default(),
            };
            assert_eq!(purpose(&seen), expected, "{line}");
        }
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
    fn a_command_that_is_seen_to_take_no_lock_is_known() {
        let script = |text: &str| ["/bin/sh", "-ec", text].map(str::to_owned).to_vec();
        for text in [
            "terraform version",
            "terraform init; terraform validate",
            "cd infra && terraform plan -lock=false",
            "echo x | terraform fmt",
        ] {
            assert!(takes_no_lock(&script(text)), "{text}");
        }
        for text in [
            "make deploy",
            "true",
            "terraform plan",
            "terraform version; terraform apply",
            "terraform version; make deploy",
            "terraform version; $RUN",
            "terraform version; eval x",
            "exec terraform version",
        ] {
            assert!(!takes_no_lock(&script(text)), "{text}");
        }
        assert!(takes_no_lock(&["terraform", "output"].map(str::to_owned)));
        assert!(!takes_no_lock(&[]));
    }

    #[test]
    fn no_words_make_the_reader_fail() {
        assert_eq!(Call::read(&[]), Call::default());
        assert_eq!(call("-").effect(), Effect::None);
        assert_eq!(call("apply -var").effect(), Effect::Applies);
    }
}
