//! What a script does to locks: the calls of softstop and of Terraform in it.

use std::mem;

use super::document::{Node, Position};
use super::misspelt::{self, Mistake};
use super::remedy::quoted;
use super::shell::{self, Command, Part};
use super::surroundings::{Program, Surroundings, assignment};
use super::target::Target;
use crate::pipe::Variable;

/// Options of softstop that are followed by no value.
const SWITCHES: [&str; 3] = ["--debug", "--json", "--pass-tokens"];

/// How many shells within shells are remembered: brackets that never close could fill the memory.
const DEEPEST: usize = 32;

/// A call that takes a lock or releases one.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) position: Position,
    pub(super) target: Target,
    pub(super) what: What,
}

/// What a call does.
#[derive(Clone, Debug)]
pub(super) enum What {
    Deploy(Softstop),
    Release(Softstop),
    /// Terraform without softstop.
    Bare {
        /// How to call it with softstop.
        remedy: String,
        /// Whether the shell has nothing to do after it.
        can_be_last: bool,
    },
}

/// A call of softstop.
#[derive(Clone, Debug)]
pub(super) struct Softstop {
    pub(super) means: Means,
    pub(super) grace_period: Option<GracePeriod>,
    pub(super) mistakes: Vec<Mistake>,
}

impl What {
    /// The misspelt variables that were meant for this call.
    pub(super) fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Deploy(softstop) | Self::Release(softstop) => &softstop.mistakes,
            Self::Bare { .. } => &[],
        }
    }
}

/// A grace period that the file names.
#[derive(Clone, Debug)]
pub(super) struct GracePeriod {
    pub(super) position: Position,
    pub(super) text: String,
    /// How to write a better one there.
    pub(super) remedy: &'static str,
}

/// How softstop is called.
#[derive(Clone, Debug)]
pub(super) enum Means {
    Pipe {
        name: String,
        variables: Vec<(String, Vec<String>)>,
    },
    Command {
        is_piped: bool,
        /// How to write it where the shell stays, but has nothing more to do.
        with_exec: Option<String>,
    },
}

/// Finds the calls in a `script` or `after-script`.
pub(super) fn read(script: &Node) -> Vec<Call> {
    let mut reader = Reader::default();
    for item in script.items() {
        if let Some(name) = item.get("pipe").and_then(Node::text) {
            reader.pipe(item, name);
        } else if let Some(text) = item.text() {
            reader.lines(item, text);
        }
    }
    reader.calls
}

#[derive(Default)]
struct Reader {
    shell: Surroundings,
    /// Those of the shells around this one.
    outer: Vec<Surroundings>,
    calls: Vec<Call>,
}

impl Reader {
    fn pipe(&mut self, item: &Node, name: &str) {
        self.something_follows();
        let image = name.rsplit('/').next().unwrap_or_default();
        if !image.starts_with("softstop") {
            return;
        }
        let variables: Vec<(String, Vec<String>)> = item
            .get("variables")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| (entry.key.clone(), texts(&entry.value)))
            .collect();
        let given = |name: &str| {
            let full = Variable::named(name).map(|variable| variable.full);
            let values = |name: &str| {
                let found = variables.iter().find(|(variable, _)| variable == name);
                found.map(|(_, values)| values.clone())
            };
            let values = full.and_then(values).or_else(|| values(name));
            values.unwrap_or_default()
        };
        let target = self.shell.target(
            given("WORKING_DIR"),
            given("BACKEND_CONFIG"),
            given("WORKSPACE").pop(),
        );
        let grace_period = item
            .get("variables")
            .and_then(|variables| variables.get("GRACE_PERIOD"))
            .and_then(|node| {
                Some(GracePeriod {
                    position: node.position,
                    text: node.text()?.to_owned(),
                    remedy: "GRACE_PERIOD: \"9s\"",
                })
            });
        let mode = given("MODE").pop();
        let softstop = Softstop {
            means: Means::Pipe {
                name: name.to_owned(),
                variables,
            },
            grace_period,
            mistakes: misspelt::of_pipe(item),
        };
        self.softstop(item.position, mode.as_deref(), target, softstop);
    }

    fn softstop(
        &mut self,
        position: Position,
        mode: Option<&str>,
        target: Target,
        softstop: Softstop,
    ) {
        let what = match mode {
            None | Some("deploy") => What::Deploy(softstop),
            Some("release") => What::Release(softstop),
            Some(_) => return,
        };
        self.calls.push(Call {
            position,
            target,
            what,
        });
    }

    fn lines(&mut self, item: &Node, text: &str) {
        for part in shell::split(text) {
            match part {
                Part::Command(command) => self.command(item.line(command.line), &command),
                Part::SubshellBegins if self.outer.len() < DEEPEST => {
                    self.outer.push(self.shell.clone());
                }
                Part::SubshellBegins => self.shell.is_doubtful = true,
                Part::SubshellEnds => {
                    self.something_follows();
                    self.shell = self.outer.pop().unwrap_or_else(|| self.shell.clone());
                }
            }
        }
    }

    /// A shell that has more to do after a call has to stay.
    fn something_follows(&mut self) {
        match self.calls.last_mut().map(|call| &mut call.what) {
            Some(What::Bare { can_be_last, .. }) => *can_be_last = false,
            Some(What::Deploy(Softstop {
                means:
                    Means::Command {
                        is_piped: false,
                        with_exec,
                    },
                ..
            })) => *with_exec = None,
            _ => {}
        }
    }

    fn command(&mut self, position: Position, command: &Command) {
        self.something_follows();
        let Some(program) = Program::find(&command.words) else {
            return;
        };
        let arguments = program.arguments;
        match program.name.rsplit('/').next().unwrap_or_default() {
            "softstop" => {
                let means = Means::Command {
                    is_piped: command.is_piped,
                    with_exec: with_exec(command, program.name),
                };
                let shell = self.shell.with(&program.assignments);
                let mut mistakes = mem::take(&mut self.shell.mistakes);
                let assignments = program.assignments.iter().copied();
                mistakes.extend(misspelt::of_words(position, assignments));
                self.softstop_command(position, means, &shell, (arguments, mistakes));
            }
            "terraform" | "tofu" => {
                let what = What::Bare {
                    remedy: with_softstop(&command.text, program.name, chdir(arguments)),
                    can_be_last: command.text.starts_with(program.name) && !command.is_piped,
                };
                let shell = self.shell.with(&program.assignments);
                self.terraform(position, what, &shell, arguments);
            }
            "export" => {
                let mistakes = misspelt::of_words(position, arguments);
                self.shell.mistakes.extend(mistakes);
                self.shell.export(arguments);
            }
            "cd" => self.shell.enter(arguments),
            "." | "source" | "eval" | "pushd" | "popd" => self.shell.is_doubtful = true,
            _ => {}
        }
    }

    fn softstop_command(
        &mut self,
        position: Position,
        means: Means,
        shell: &Surroundings,
        (arguments, mistakes): (&[String], Vec<Mistake>),
    ) {
        let (mode, options) = softstop_options(arguments);
        let given = |option: &str, variable: &str| {
            let by_option: Vec<String> = options
                .iter()
                .filter(|(name, _)| *name == option)
                .map(|(_, value)| value.clone())
                .collect();
            if by_option.is_empty() {
                shell.listed(variable)
            } else {
                by_option
            }
        };
        let target = shell.target(
            given("--working-dir", "WORKING_DIR"),
            given("--backend-config", "BACKEND_CONFIG"),
            given("--workspace", "WORKSPACE").pop(),
        );
        let remedy = match shell.exported.get("GRACE_PERIOD") {
            Some(_) => "export GRACE_PERIOD=\"9s\"",
            None => "--grace-period 9s",
        };
        let grace_period = given("--grace-period", "GRACE_PERIOD").pop();
        let softstop = Softstop {
            means,
            grace_period: grace_period.map(|text| GracePeriod {
                position,
                text,
                remedy,
            }),
            mistakes,
        };
        let mode = mode.or_else(|| shell.listed("MODE").pop());
        self.softstop(position, mode.as_deref(), target, softstop);
    }

    fn terraform(
        &mut self,
        position: Position,
        what: What,
        shell: &Surroundings,
        arguments: &[String],
    ) {
        let mut bare = arguments
            .iter()
            .filter(|argument| !argument.starts_with('-'));
        match (bare.next().map(String::as_str), bare.next(), bare.next()) {
            (Some("init"), ..) => {
                let settings = arguments.iter().filter_map(|argument| {
                    argument
                        .trim_start_matches('-')
                        .strip_prefix("backend-config=")
                });
                self.shell.backend_config = settings.map(str::to_owned).collect();
            }
            (Some("workspace"), Some(action), name) if action == "select" || action == "new" => {
                self.shell.workspace = name.cloned();
            }
            (Some("apply" | "destroy"), ..)
                if !arguments.iter().any(|argument| argument == "-lock=false") =>
            {
                let directories = chdir(arguments).map(str::to_owned).into_iter().collect();
                self.calls.push(Call {
                    position,
                    target: shell.target(directories, Vec::new(), None),
                    what,
                });
            }
            _ => {}
        }
    }
}

/// The mode that the command line names, and its options with their values.
fn softstop_options(arguments: &[String]) -> (Option<String>, Vec<(&str, String)>) {
    let mode = arguments.first().filter(|word| !word.starts_with("--"));
    let mut options = Vec::new();
    let mut rest = arguments.iter().skip(usize::from(mode.is_some()));
    while let Some(word) = rest.next().filter(|word| word.starts_with("--")) {
        match word.split_once('=') {
            _ if word == "--" => break,
            Some((name, value)) => options.push((name, value.to_owned())),
            None if SWITCHES.contains(&word.as_str()) => {}
            None => options.extend(rest.next().map(|value| (word.as_str(), value.clone()))),
        }
    }
    (mode.cloned(), options)
}

/// The directory that an option of Terraform names.
fn chdir(arguments: &[String]) -> Option<&str> {
    let mut named = arguments.iter();
    named.find_map(|argument| argument.strip_prefix("-chdir="))
}

/// The same command in place of the shell; nothing where it is so, or something else is between.
fn with_exec(command: &Command, program: &str) -> Option<String> {
    let before = command.words.iter().take_while(|word| *word != program);
    let others: Vec<&String> = before.filter(|word| assignment(word).is_none()).collect();
    match others.as_slice() {
        [] => {
            let (before, call) = command.text.split_at(command.text.find(program)?);
            Some(format!("{before}exec {call}"))
        }
        [word] if *word == "exec" && command.is_piped => Some(command.text.clone()),
        _ => None,
    }
}

/// The same command under softstop, which has to know the directory itself.
fn with_softstop(text: &str, program: &str, directory: Option<&str>) -> String {
    let (before, command) = text.split_at(text.find(program).unwrap_or_default());
    let Some(directory) = directory else {
        return format!("{before}softstop deploy -- {command}");
    };
    let kept: Vec<&str> = command
        .split(' ')
        .filter(|word| !word.starts_with("-chdir="))
        .collect();
    format!(
        "{before}softstop deploy --working-dir {} -- {}",
        quoted(directory),
        kept.join(" ")
    )
}

/// A text, or a list of them; an empty one counts as not given.
fn texts(node: &Node) -> Vec<String> {
    let single = node.text().into_iter();
    let listed = node.items().iter().filter_map(|item| item.text());
    single
        .chain(listed)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}
