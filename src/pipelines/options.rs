//! What a call of softstop names.

use super::shell::{Command, Word};
use super::surroundings::assignment;

/// Options of softstop that are followed by no value.
const SWITCHES: [&str; 3] = ["--debug", "--json", "--pass-tokens"];

/// Which locks a call is about.
pub(crate) struct Named {
    pub(crate) directories: Vec<String>,
    pub(crate) backend_config: Vec<String>,
    pub(crate) workspace: Option<String>,
}

/// A command line of softstop.
pub(crate) struct Options<'a> {
    pub(crate) mode: Option<&'a str>,
    pub(crate) given: Vec<(&'a str, &'a str)>,
    /// Where the command begins that it runs.
    pub(crate) rest: usize,
}

impl<'a> Options<'a> {
    pub(crate) fn read(arguments: &'a [Word]) -> Self {
        let text = |index: usize| arguments.get(index).map(|word| word.text.as_str());
        let mode = text(0).filter(|word| !word.starts_with("--"));
        let mut given = Vec::new();
        let mut rest = usize::from(mode.is_some());
        while let Some(word) = text(rest).filter(|word| word.starts_with("--")) {
            rest += 1;
            match word.split_once('=') {
                _ if word == "--" => break,
                Some((name, value)) => given.push((name, value)),
                None if SWITCHES.contains(&word) => {}
                None => {
                    given.extend(text(rest).map(|value| (word, value)));
                    rest += 1;
                }
            }
        }
        Self { mode, given, rest }
    }
}

/// The same command in place of the shell; nothing where it is so, or something else is between.
pub(crate) fn with_exec(command: &Command, index: usize) -> Option<String> {
    let before = command.words[..index].iter().map(|word| word.text.as_str());
    let others: Vec<&str> = before.filter(|word| assignment(word).is_none()).collect();
    match others.as_slice() {
        [] => {
            let (before, call) = command.text.split_at(command.words[index].begin);
            Some(format!("{before}exec {call}"))
        }
        ["exec"] if command.is_piped => Some(command.text.clone()),
        _ => None,
    }
}
