//! Finds the program that a command runs, behind assignments and whatever else runs it.

use super::shell::Word;
use super::surroundings::assignment;

/// What does the same as a command that follows it: its name, its options that are followed by a
/// value, and how many other words stand before the command.
const PREFIXES: [(&str, &[&str], usize); 31] = [
    ("!", &[], 0),
    ("{", &[], 0),
    ("builtin", &[], 0),
    ("chronic", &[], 0),
    ("command", &[], 0),
    ("do", &[], 0),
    ("elif", &[], 0),
    ("else", &[], 0),
    ("env", &["-u", "--unset", "-C", "--chdir"], 0),
    ("exec", &["-a"], 0),
    ("flock", &["-w", "--timeout", "-E"], 1),
    ("if", &[], 0),
    ("ionice", &["-c", "-n"], 0),
    ("nice", &["-n"], 0),
    ("nohup", &[], 0),
    ("parallel", &["-j", "--jobs", "-a"], 0),
    ("setsid", &[], 0),
    ("stdbuf", &["-i", "-o", "-e"], 0),
    ("strace", &["-e", "-o"], 0),
    ("sudo", &["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T"], 0),
    ("then", &[], 0),
    ("time", &["-f", "-o"], 0),
    ("timeout", &["-s", "--signal", "-k", "--kill-after"], 1),
    ("unbuffer", &[], 0),
    ("until", &[], 0),
    ("unshare", &[], 0),
    ("watch", &["-n"], 0),
    ("while", &[], 0),
    ("winpty", &[], 0),
    (
        "xargs",
        &[
            "-I",
            "-n",
            "-P",
            "-L",
            "-a",
            "-d",
            "-E",
            "-s",
            "--max-args",
            "--max-procs",
        ],
        0,
    ),
    ("&", &[], 0),
];

/// Programs that run a command with credentials or settings: name, subcommand, and how many other
/// words stand before the command where no `--` does.
const WITH_SETTINGS: [(&str, &str, usize); 9] = [
    ("asdf", "exec", 0),
    ("aws-okta", "exec", 1),
    ("aws-vault", "exec", 1),
    ("chamber", "exec", 1),
    ("direnv", "exec", 1),
    ("doppler", "run", 0),
    ("mise", "exec", 0),
    ("op", "run", 0),
    ("saml2aws", "exec", 0),
];

const SHELLS: [&str; 6] = ["ash", "bash", "dash", "ksh", "sh", "zsh"];
pub(super) const CONTAINERS: [&str; 4] = ["docker", "docker-compose", "nerdctl", "podman"];

/// Long options of `docker run` that are followed by no value.
const SWITCHES_OF_DOCKER: [&str; 10] = [
    "--detach",
    "--init",
    "--interactive",
    "--no-deps",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--rm",
    "--tty",
];

/// What a command runs.
#[derive(Debug, Default)]
pub(crate) struct Runs<'a> {
    /// What is set for it alone.
    pub(crate) assignments: Vec<&'a str>,
    pub(crate) program: Option<Program<'a>>,
    /// Whether something else than this shell runs it.
    pub(crate) is_wrapped: bool,
    pub(crate) is_in_container: bool,
}

#[derive(Debug)]
pub(crate) enum Program<'a> {
    Named {
        /// Without the directory.
        name: &'a str,
        /// Where its name is among the words, or what comes instead of it.
        index: usize,
        arguments: &'a [Word],
    },
    /// A script that another shell reads.
    Script(String),
}

impl<'a> Program<'a> {
    /// A program by its name; a shell that is handed a script counts as that script.
    fn of(name: &'a str, index: usize, arguments: &'a [Word]) -> Self {
        match script(name, arguments) {
            Some(script) => Self::Script(script),
            None => Self::Named {
                name,
                index,
                arguments,
            },
        }
    }
}

/// Finds what these words run.
pub(crate) fn find(words: &[Word]) -> Runs<'_> {
    let mut runs = Runs::default();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let (text, rest) = (word.text.as_str(), &words[index + 1..]);
        let name = base(text);
        let skipped = if assignment(text).is_some() {
            Some(0)
        } else if let Some((_, with_value, others)) = prefix(name) {
            // What only asks where a program is runs nothing.
            if name == "command" && rest.first().is_some_and(|word| word.text.starts_with('-')) {
                return runs;
            }
            Some(options(rest, with_value) + others)
        } else if let Some((_, _, others)) = with_settings(name, rest) {
            let end = rest.iter().position(|word| word.text == "--");
            Some(end.map_or(1 + options(&rest[1..], &[]) + others, |end| end + 1))
        } else {
            None
        };
        match skipped {
            Some(skipped) => {
                if assignment(text).is_some() {
                    runs.assignments.push(text);
                } else {
                    runs.is_wrapped = true;
                }
                index += 1 + skipped;
            }
            None if CONTAINERS.contains(&name) => return container(runs, words, index),
            None => {
                runs.program = Some(Program::of(name, index, rest));
                return runs;
            }
        }
    }
    runs
}

fn base(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name)
}

fn prefix(name: &str) -> Option<&'static (&'static str, &'static [&'static str], usize)> {
    PREFIXES.iter().find(|(prefix, ..)| *prefix == name)
}

fn with_settings(
    name: &str,
    rest: &[Word],
) -> Option<&'static (&'static str, &'static str, usize)> {
    let subcommand = rest.first()?;
    WITH_SETTINGS
        .iter()
        .find(|(program, verb, _)| *program == name && *verb == subcommand.text)
}

/// How many words are options or their values.
fn options(words: &[Word], with_value: &[&str]) -> usize {
    let mut count = 0;
    while let Some(word) = words.get(count).filter(|word| word.text.starts_with('-')) {
        count += 1;
        if word.text == "--" {
            break;
        }
        count += usize::from(with_value.contains(&word.text.as_str()));
    }
    count
}

/// The script that a program is given as an argument.
fn script(name: &str, arguments: &[Word]) -> Option<String> {
    match name {
        "eval" => {
            let words = arguments.iter().map(|word| word.text.as_str());
            Some(words.collect::<Vec<_>>().join(" "))
        }
        "trap" => arguments.first().map(|word| word.text.clone()),
        "su" => after(arguments, "-c"),
        "pwsh" | "powershell" => after(arguments, "-Command").or_else(|| after(arguments, "-c")),
        _ if SHELLS.contains(&name) => {
            let count = options(arguments, &["-o", "-eo", "-euo", "-O"]);
            let is_given = arguments[..count.min(arguments.len())]
                .iter()
                .any(|word| !word.text.starts_with("--") && word.text.contains('c'));
            let script = arguments.get(count).filter(|_| is_given);
            script.map(|word| word.text.clone())
        }
        _ => None,
    }
}

fn after(arguments: &[Word], option: &str) -> Option<String> {
    let index = arguments.iter().position(|word| word.text == option)?;
    arguments.get(index + 1).map(|word| word.text.clone())
}

/// What `docker run` runs: the image's own program, or the one that is named.
fn container<'a>(mut runs: Runs<'a>, words: &'a [Word], at: usize) -> Runs<'a> {
    let end = words.len().min(at + 8);
    let Some(verb) = words[at..end]
        .iter()
        .position(|word| word.text == "run" || word.text == "exec")
    else {
        return runs;
    };
    let mut index = at + verb + 1;
    let mut entrypoint = None;
    runs.assignments.clear();
    while let Some(option) = words.get(index).filter(|word| word.text.starts_with('-')) {
        let value = words.get(index + 1);
        let (name, value, count) = match option.text.split_once('=') {
            Some((name, value)) => (name, Some(value), 1),
            None if is_switch_of_docker(&option.text) => (option.text.as_str(), None, 1),
            None => (
                option.text.as_str(),
                value.map(|word| word.text.as_str()),
                2,
            ),
        };
        match name {
            "-e" | "--env" => runs.assignments.extend(value),
            "--entrypoint" => entrypoint = value,
            _ => {}
        }
        index += count;
    }
    let Some(image) = words.get(index) else {
        return runs;
    };
    runs.is_in_container = true;
    runs.is_wrapped = true;
    let rest = &words[index + 1..];
    let image = image.text.rsplit('/').next().unwrap_or_default();
    let image = image.split([':', '@']).next().unwrap_or_default();
    let own = match image {
        "terraform" | "terragrunt" | "softstop" => Some(image),
        "opentofu" => Some("tofu"),
        _ => None,
    };
    if let Some(name) = entrypoint.map(base).or(own) {
        runs.program = Some(Program::of(name, index, rest));
        return runs;
    }
    let mut inner = find(rest);
    if let Some(Program::Named { index: inside, .. }) = &mut inner.program {
        *inside += index + 1;
    }
    runs.assignments.append(&mut inner.assignments);
    runs.program = inner.program;
    runs
}

pub(super) fn is_switch_of_docker(option: &str) -> bool {
    let is_cluster = || {
        option
            .chars()
            .skip(1)
            .all(|letter| "ditPq".contains(letter))
    };
    let is_attached = || option.len() > 2 && !option.starts_with("--");
    SWITCHES_OF_DOCKER.contains(&option) || is_cluster() || is_attached()
}
