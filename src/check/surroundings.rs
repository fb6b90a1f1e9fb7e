//! What a command of a script finds set.

use std::collections::BTreeMap;

use super::misspelt::Mistake;
use super::target::{Target, join};
use crate::pipe::Image;
use crate::pipe::variables::Variables;

/// What does the same as a command that follows it.
const PREFIXES: [&str; 19] = [
    "!", "{", "command", "do", "elif", "else", "env", "exec", "if", "nice", "nohup", "setsid",
    "stdbuf", "sudo", "then", "time", "timeout", "until", "while",
];

/// What the lines so far have set.
#[derive(Clone, Default)]
pub(super) struct Surroundings {
    pub(super) exported: BTreeMap<String, String>,
    directory: String,
    pub(super) workspace: Option<String>,
    pub(super) backend_config: Vec<String>,
    /// Names that were set for a softstop that is still to come.
    pub(super) mistakes: Vec<Mistake>,
    /// Whether something has run that can have set anything.
    pub(super) is_doubtful: bool,
}

impl Surroundings {
    /// What a command finds that is written behind these assignments.
    pub(super) fn with(&self, assignments: &[&String]) -> Self {
        let mut surroundings = self.clone();
        surroundings.export(assignments.iter().copied());
        surroundings
    }

    pub(super) fn export<'a>(&mut self, words: impl IntoIterator<Item = &'a String>) {
        for (name, value) in words.into_iter().filter_map(|word| assignment(word)) {
            self.exported.insert(name.to_owned(), value.to_owned());
        }
    }

    pub(super) fn enter(&mut self, arguments: &[String]) {
        let to = arguments.iter().find(|argument| *argument != "--");
        let to = match to.map(String::as_str) {
            None => "$HOME",
            Some("-") => "$OLDPWD",
            Some(directory) => directory,
        };
        self.directory = join(&self.directory, to);
    }

    /// A list as softstop reads it; a list that cannot be read is none.
    pub(super) fn listed(&self, variable: &str) -> Vec<String> {
        let exported = |name: &str| self.exported.get(name).cloned();
        let variables = Variables::new(Image::Own, &exported);
        variables.list(variable).unwrap_or_default()
    }

    pub(super) fn target(
        &self,
        mut directories: Vec<String>,
        mut backend_config: Vec<String>,
        workspace: Option<String>,
    ) -> Target {
        if directories.is_empty() {
            directories.push(".".to_owned());
        }
        if backend_config.is_empty() {
            backend_config.clone_from(&self.backend_config);
        }
        Target {
            directories: directories
                .iter()
                .map(|directory| join(&self.directory, directory))
                .collect(),
            backend_config,
            workspace: workspace
                .or_else(|| self.exported.get("TF_WORKSPACE").cloned())
                .or_else(|| self.workspace.clone()),
            is_doubtful: self.is_doubtful,
        }
    }
}

/// A program and its arguments, behind assignments and whatever runs it.
pub(super) struct Program<'a> {
    pub(super) assignments: Vec<&'a String>,
    pub(super) name: &'a str,
    pub(super) arguments: &'a [String],
}

impl<'a> Program<'a> {
    /// Finds the program in a command, if there is one.
    pub(super) fn find(words: &'a [String]) -> Option<Self> {
        let mut assignments = Vec::new();
        let mut rest = words;
        let mut prefix = "";
        while let [word, arguments @ ..] = rest {
            let is_of_prefix = word.starts_with('-')
                || prefix == "timeout" && word.starts_with(|c: char| c.is_ascii_digit());
            if assignment(word).is_some() {
                assignments.push(word);
            } else if PREFIXES.contains(&word.as_str()) {
                prefix = word;
            } else if prefix.is_empty() || !is_of_prefix {
                return Some(Self {
                    assignments,
                    name: word,
                    arguments,
                });
            }
            rest = arguments;
        }
        None
    }
}

/// A word such as `NAME=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, value))
}
