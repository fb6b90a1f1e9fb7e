//! What a call of Terraform, OpenTofu or Terragrunt does to locks.

use super::calls::Effect;
use super::shell::{Command, Word, quoted};
use super::surroundings::Surroundings;

/// Subcommands that take the lock and change no infrastructure.
const LOCKING: [&str; 5] = ["import", "plan", "refresh", "taint", "untaint"];
/// The same below `state`.
const LOCKING_BELOW_STATE: [(&str, &str); 4] = [
    ("mv", "state mv"),
    ("push", "state push"),
    ("replace-provider", "state replace-provider"),
    ("rm", "state rm"),
];

/// Whether a program is one of these; its name may end with its version.
pub(crate) fn is_terraform(name: &str) -> bool {
    let rest = ["terraform", "tofu", "opentofu"].iter();
    rest.filter_map(|program| name.strip_prefix(program))
        .any(is_version)
        || name == "terragrunt"
}

/// How people call such a program.
fn called(name: &str) -> &'static str {
    match name {
        "terragrunt" => "Terragrunt",
        name if name.starts_with("terraform") => "Terraform",
        _ => "OpenTofu",
    }
}

fn is_version(text: &str) -> bool {
    let number = text.trim_start_matches(['-', '_']).trim_start_matches('v');
    text.is_empty() || !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// The arguments of a call.
pub(crate) struct Terraform<'a> {
    pub(super) program: &'static str,
    arguments: &'a [Word],
    bare: Vec<&'a str>,
}

impl<'a> Terraform<'a> {
    pub(crate) fn read(name: &str, arguments: &'a [Word]) -> Self {
        let texts = arguments.iter().map(|word| word.text.as_str());
        let mut bare: Vec<&str> = texts
            .filter(|text| !text.starts_with('-'))
            .take(8)
            .collect();
        if name == "terragrunt" {
            // It takes options of its own, and their values, before the subcommand.
            let is_known = |text: &&str| {
                let subcommand = text.trim_end_matches("-all");
                LOCKING.contains(&subcommand)
                    || [
                        "apply", "destroy", "init", "output", "show", "state", "validate",
                    ]
                    .contains(&subcommand)
            };
            let begin = bare.iter().position(is_known).unwrap_or(bare.len());
            bare.drain(..begin);
        }
        Self {
            program: called(name),
            arguments,
            bare,
        }
    }

    /// The directory that `-chdir` names.
    pub(crate) fn directory(&self) -> Option<&'a str> {
        self.texts().find_map(|text| text.strip_prefix("-chdir="))
    }

    /// What it does to the lock; nothing where it takes none.
    pub(crate) fn effect(&self, shell: &Surroundings) -> Option<Effect> {
        let subcommand = self.bare.first()?.trim_end_matches("-all");
        let effect = match subcommand {
            "apply" | "destroy" => Effect::Changes,
            "state" => {
                let below = self.bare.get(1)?;
                let known = LOCKING_BELOW_STATE.iter().find(|(name, _)| name == below)?;
                Effect::Locks(known.1)
            }
            _ if subcommand.starts_with('$') => Effect::Unknown,
            _ => Effect::Locks(LOCKING.iter().find(|name| **name == subcommand)?),
        };
        let without_lock = |text: &str| matches!(text, "-lock=false" | "-help" | "--help" | "-h");
        let is_set = |name: &str| {
            shell
                .exported(name)
                .is_some_and(|set| set.contains("-lock=false"))
        };
        let is_free = self.texts().any(without_lock)
            || is_set("TF_CLI_ARGS")
            || is_set(&format!("TF_CLI_ARGS_{subcommand}"));
        (!is_free).then_some(effect)
    }

    /// Remembers what it sets in its directory.
    pub(crate) fn remember(&self, shell: &mut Surroundings, keeps_settings: bool) {
        match self.bare.as_slice() {
            ["init", ..] if !self.texts().any(|text| text == "-backend=false") => {
                let settings = self.settings();
                if !(keeps_settings && settings.is_empty()) {
                    shell.initialise(self.directory(), settings);
                }
            }
            ["workspace", "select" | "new", name, ..] => shell.select(self.directory(), name),
            _ => {}
        }
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = Vec::new();
        let mut rest = self.texts();
        while let Some(text) = rest.next() {
            match text.trim_start_matches('-').strip_prefix("backend-config") {
                Some("") => settings.extend(rest.next().map(str::to_owned)),
                Some(value) => settings.extend(value.strip_prefix('=').map(str::to_owned)),
                None => {}
            }
        }
        settings
    }

    fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.arguments.iter().map(|word| word.text.as_str())
    }

    /// The same plan that takes no lock.
    pub(crate) fn without_lock(&self, command: &Command) -> Option<String> {
        let plan = self.arguments.iter().find(|word| word.text == "plan")?;
        let (before, after) = command.text.split_at(plan.end);
        Some(format!("{before} -lock=false{after}"))
    }

    /// The same command under softstop, which has to know directory and program itself.
    pub(crate) fn with_softstop(&self, command: &Command, index: usize) -> String {
        let program = &command.words[index];
        let (before, call) = command.text.split_at(program.begin);
        let mut options = String::new();
        let mut call = call.to_owned();
        // From another directory, a relative path leads elsewhere.
        let is_relative = program.text.contains('/') && !program.text.starts_with('/');
        let chdir = self
            .arguments
            .iter()
            .find(|word| word.text.starts_with("-chdir="));
        if let (Some(word), Some(directory), false) = (chdir, self.directory(), is_relative) {
            options = format!(" --working-dir {}", quoted(directory));
            let (begin, end) = (word.begin - program.begin, word.end - program.begin);
            call = format!("{}{}", &call[..begin], call[end..].trim_start());
        }
        if !matches!(program.text.as_str(), "terraform" | "terragrunt") {
            options = format!("{options} --terraform-bin {}", program.text);
        }
        format!("{before}softstop deploy{options} -- {call}")
    }
}

/// A pipe that runs what a container of Terraform runs with these words.
pub(crate) fn pipe_instead(arguments: &[Word]) -> String {
    let texts: Vec<&str> = arguments.iter().map(|word| word.text.as_str()).collect();
    format!(
        "- pipe: docker://softstop/softstop:{}\n  variables:\n    COMMAND: {}",
        env!("CARGO_PKG_VERSION"),
        quoted(&format!(
            "terraform init -input=false && terraform {}",
            texts.join(" ")
        ))
    )
}
