//! What only might be a release: a variable may hold the name of the image or the mode, and a text may be
//! another shell's script.
//!
//! Whatever names softstop counts as one, unless it says that it does something else.

use super::document::Node;
use super::wrappers::{CONTAINERS, is_switch_of_docker};

/// What follows the name of a softstop that releases nothing.
const HARMLESS: [&str; 8] = [
    "--",
    "--help",
    "--version",
    "check",
    "deploy",
    "plan",
    "resolve",
    "status",
];

/// What an after-script is told by softstop.
const TOLD: [&str; 5] = [
    "softstop_exit_code",
    "softstop_lock",
    "softstop_lock_id",
    "softstop_outcome",
    "softstop_report_file",
];
/// What files are called that softstop writes or reads.
const FILES: [&str; 4] = [".json", ".tfplan", ".txt", ".log"];
/// What runs none of the programs that it names.
const HANDLERS: [&str; 8] = ["cat", "chmod", "cp", "jq", "ls", "mv", "rm", "test"];

/// Whether an item of a script might be a release.
pub(super) fn may_release(item: &Node) -> bool {
    if let Some(pipe) = item.get("pipe").and_then(Node::text) {
        return pipe_may_release(item, pipe);
    }
    text_may_release(item.text().unwrap_or_default())
        || item.items().iter().any(|item| may_release(item))
        || item.entries().iter().any(|entry| may_release(&entry.value))
}

fn pipe_may_release(item: &Node, pipe: &str) -> bool {
    if !pipe.to_lowercase().contains("softstop") && !pipe.contains('$') {
        return false;
    }
    let Some(variables) = item.get("variables") else {
        return false;
    };
    // Of anything but names and values nobody knows what it means.
    let is_readable = variables.items().is_empty();
    let mut entries = variables.entries().iter();
    !is_readable
        || entries.any(|entry| {
            let (name, value) = (&*entry.key, &entry.value);
            if name.ends_with("MODE") {
                !HARMLESS.contains(&value.text().unwrap_or_default())
            } else {
                let is_script = name.ends_with("COMMAND") || name.ends_with("AFTER_SCRIPT");
                is_script && may_release(value)
            }
        })
}

fn text_may_release(text: &str) -> bool {
    let mut text = text.replace("\\\n", " ").to_lowercase();
    for bracket in ["(", ")", "{", "}", "`"] {
        text = text.replace(bracket, &format!(" {bracket} "));
    }
    text.lines().any(|line| {
        container_may_release(&words(line))
            || line
                .split([';', '&', '|'])
                .any(|command| softstop_may_release(&words(command)))
    })
}

/// The words of a command, without their quotes.
fn words(command: &str) -> Vec<&str> {
    let ends = |character: char| character.is_whitespace() || "\"'".contains(character);
    command
        .split(ends)
        .filter(|word| !word.is_empty())
        .collect()
}

fn softstop_may_release(words: &[&str]) -> bool {
    if words.first().is_some_and(|word| HANDLERS.contains(word)) {
        return false;
    }
    // Most commands do not name it, and one that does may name it in each of its words.
    let mut is_harmless_by_mode = None;
    // What the words behind say, as it is read from the end.
    let mut said = None;
    words.iter().rev().any(|word| {
        let follows = said;
        if HARMLESS.contains(word) || !word.starts_with('-') {
            said = Some(*word);
        }
        if !names_softstop(word) {
            return false;
        }
        if let Some((name, value)) = assignment(word).filter(|(name, _)| names_softstop(name)) {
            let is_harmless = name.ends_with("mode") && HARMLESS.contains(&value)
                || !name.ends_with("mode") && !names_softstop(&value);
            return !is_harmless;
        }
        match follows {
            Some(word) => !HARMLESS.contains(&word),
            None => !*is_harmless_by_mode.get_or_insert_with(|| has_harmless_mode(words)),
        }
    })
}

/// Whether a word may be the program, or a container of it.
fn names_softstop(word: &&str) -> bool {
    let name = word.trim_start_matches('$');
    let is_file = FILES.iter().any(|end| name.ends_with(end));
    name.contains("softstop") && !TOLD.contains(&name) && !is_file
}

/// Whether a mode is set for this command, and each that is set releases nothing. A file may set another
/// one, by the longer name, which counts.
fn has_harmless_mode(words: &[&str]) -> bool {
    if words.iter().any(|word| word.contains("env-file")) {
        return false;
    }
    let assignments = words.iter().filter_map(|word| assignment(word));
    let mut modes = assignments
        .filter(|(name, _)| name.ends_with("mode"))
        .peekable();
    modes.peek().is_some() && modes.all(|(_, value)| HARMLESS.contains(&value))
}

/// Whether a container of an image that a variable names is told of a mode, or of a release.
fn container_may_release(words: &[&str]) -> bool {
    let is_container = |word: &&str| CONTAINERS.iter().any(|name| word.ends_with(name));
    let is_mode = |name: &str| matches!(name, "mode" | "softstop_mode");
    let tells = |word: &&str| {
        let name = assignment(word).map_or(*word, |(name, _)| name);
        *word == "release" || is_mode(name) || word.contains("env-file")
    };
    let takes_value =
        |word: &str| word.starts_with('-') && !word.contains('=') && !is_switch_of_docker(word);
    let names_image =
        |pair: &[&str]| pair[1].contains('$') && !pair[1].starts_with('-') && !takes_value(pair[0]);
    words.iter().any(is_container)
        && words.contains(&"run")
        && words.iter().any(tells)
        && words.windows(2).any(names_image)
}

/// A variable and its value, whether an option stands before it or not.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.rsplit_once('=')?;
    let name = name.rsplit('=').next().unwrap_or_default();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.chars().all(is_name).then_some((name, value))
}
