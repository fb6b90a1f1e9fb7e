//! What a script does to locks: the calls of softstop and of Terraform in it.

use std::collections::HashSet;

use super::calls::{Bare, Call, Effect, GracePeriod, Means, Softstop, What};
use super::document::{Lines, Node};
use super::remedy;
use super::shell::{self, Command, Part, Word};
use super::surroundings::{Surroundings, assignment};
use super::terraform::{Terraform, is_terraform};
use super::wrappers::{self, Program, Runs};

/// Options of softstop that are followed by no value.
const SWITCHES: [&str; 3] = ["--debug", "--json", "--pass-tokens"];
/// What lets softstop ask Bitbucket.
const TOKENS: [&str; 2] = ["BITBUCKET_ACCESS_TOKEN", "ATLASSIAN_API_TOKEN"];
/// How deep scripts within scripts are read: each is a part of the one around it.
const DEEPEST: usize = 8;

/// Finds the calls in a `script` or `after-script`.
pub(super) fn read(script: &Node) -> Vec<Call> {
    let mut reader = Reader {
        shell: Surroundings::new(script.length()),
        calls: Vec::new(),
        within: 0,
        blocks: 0,
        braces: Vec::new(),
        functions: HashSet::new(),
        function: None,
        is_supervised: false,
    };
    for item in script.items() {
        if let Some(name) = item.get("pipe").and_then(Node::text) {
            reader.pipe(item, name);
        } else if let Some(text) = item.text() {
            reader.lines(item.lines(), text);
        }
    }
    reader.calls
}

struct Reader {
    shell: Surroundings,
    calls: Vec<Call>,
    /// How many scripts this one is in.
    within: usize,
    /// How many conditions and loops the command is in.
    blocks: usize,
    /// The braces that are open; the name of the function whose body they hold.
    braces: Vec<Option<String>>,
    /// Functions that set something where they are called.
    functions: HashSet<String>,
    /// The function whose body comes next.
    function: Option<String>,
    /// Whether softstop runs this.
    is_supervised: bool,
}

impl Reader {
    fn pipe(&mut self, item: &Node, name: &str) {
        self.something_follows();
        let image = name.rsplit('/').next().unwrap_or_default();
        let node = item.get("variables");
        // Of a list nobody knows what it means.
        let is_readable = node.is_none_or(|node| node.items().is_empty());
        if !image.starts_with("softstop") || !is_readable {
            return;
        }
        let variables: Vec<(String, Vec<String>)> = node
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| (entry.key.to_string(), texts(&entry.value)))
            .collect();
        let given = |name: &str| {
            let found = variables.iter().find(|(variable, _)| variable == name);
            found.map_or_else(Vec::new, |(_, values)| values.clone())
        };
        self.shell.begin_shell();
        self.shell.leave_directory();
        for name in ["TF_WORKSPACE", "TF_CLI_ARGS"] {
            if let Some(value) = given(name).first() {
                self.shell.export(name, Some(value));
            }
        }
        let command = given("COMMAND").join("\n");
        let named = Named {
            directories: given("WORKING_DIR"),
            backend_config: given("BACKEND_CONFIG"),
            workspace: given("WORKSPACE").pop(),
        };
        let grace_period = node
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
            has_token: TOKENS.iter().any(|token| !given(token).is_empty()),
            means: Means::Pipe {
                name: name.to_owned(),
                variables,
            },
            grace_period,
        };
        self.softstop(
            item.position.into(),
            mode.as_deref(),
            named,
            &command,
            softstop,
        );
        self.shell.end_shell();
    }

    /// A call of softstop, which may run a script.
    fn softstop(
        &mut self,
        place: Lines,
        mode: Option<&str>,
        named: Named,
        script: &str,
        softstop: Softstop,
    ) {
        let targets = match mode {
            None | Some("deploy") => self.supervised(place, named, script),
            Some("release") => {
                vec![
                    self.shell
                        .target(named.directories, named.backend_config, named.workspace),
                ]
            }
            Some(_) => return,
        };
        let what = if mode == Some("release") {
            What::Release(Box::new(softstop))
        } else {
            What::Deploy(Box::new(softstop))
        };
        self.calls.push(Call {
            position: place.at(0),
            targets,
            what,
        });
    }

    /// What a deploy is about: what its script is seen to lock, or else what is named.
    fn supervised(
        &mut self,
        place: Lines,
        named: Named,
        script: &str,
    ) -> Vec<std::rc::Rc<super::target::Target>> {
        let Named {
            directories,
            backend_config,
            workspace,
        } = named;
        self.shell.begin_shell();
        if let [directory] = directories.as_slice() {
            self.shell.enter(directory);
        }
        if let Some(workspace) = &workspace {
            self.shell.export("TF_WORKSPACE", Some(workspace));
        }
        if !backend_config.is_empty() {
            self.shell.initialise(None, backend_config.clone());
        }
        let before = self.calls.len();
        let outer = std::mem::replace(&mut self.is_supervised, true);
        self.script(place, script);
        self.is_supervised = outer;
        let mut targets = Vec::new();
        for call in self.calls.drain(before..) {
            for target in call.targets {
                if targets.last() != Some(&target) {
                    targets.push(target);
                }
            }
        }
        self.shell.end_shell();
        if targets.is_empty() {
            targets.push(self.shell.target(directories, backend_config, workspace));
        }
        targets
    }

    /// A script within this one: what it sets ends with it.
    fn script(&mut self, place: Lines, text: &str) {
        if self.within == DEEPEST {
            self.shell.doubt();
            return;
        }
        let blocks = std::mem::replace(&mut self.blocks, 0);
        let braces = std::mem::take(&mut self.braces);
        self.within += 1;
        self.shell.begin_shell();
        self.lines(place, text);
        self.shell.end_shell();
        self.within -= 1;
        self.braces = braces;
        self.blocks = blocks;
    }

    fn lines(&mut self, lines: Lines, text: &str) {
        for part in shell::split(text) {
            match part {
                Part::Command(command) => self.command(lines.from(command.line), command),
                Part::SubshellBegins => {
                    self.function = None;
                    self.shell.begin_shell();
                }
                Part::SubshellEnds => {
                    self.something_follows();
                    self.shell.end_shell();
                }
            }
        }
    }

    /// A shell that has more to do after a call has to stay.
    fn something_follows(&mut self) {
        match self.calls.last_mut().map(|call| &mut call.what) {
            Some(What::Bare(bare)) => bare.can_be_last = false,
            Some(What::Deploy(softstop)) => {
                if let Means::Command {
                    is_piped: false,
                    with_exec,
                    ..
                } = &mut softstop.means
                {
                    *with_exec = None;
                }
            }
            _ => {}
        }
    }

    fn command(&mut self, place: Lines, mut command: Command) {
        self.something_follows();
        for (line, script) in std::mem::take(&mut command.substitutions) {
            let first = place.from(line.saturating_sub(command.line));
            self.script(first, &script);
            self.something_follows();
        }
        let start = self.structure(&command.words);
        let runs = wrappers::find(&command.words[start..]);
        let is_first = start == 0 && !runs.is_wrapped && self.within == 0 && self.braces.is_empty();
        match runs.program {
            Some(Program::Script(ref script)) => self.inner(place, &runs.assignments, script),
            Some(Program::Named {
                name,
                index,
                arguments,
            }) => self.program(
                place,
                &command,
                &runs,
                (name, start + index, arguments),
                is_first,
            ),
            None => {}
        }
    }

    /// A script that another shell reads where this command stands.
    fn inner(&mut self, place: Lines, assignments: &[&str], script: &str) {
        self.shell.begin_shell();
        self.export(assignments.iter().copied());
        self.script(place.at(0).into(), script);
        self.shell.end_shell();
        self.something_follows();
    }

    /// Notices where conditions, loops and functions begin and end; says how many words that takes.
    fn structure(&mut self, words: &[Word]) -> usize {
        let text = |index: usize| words.get(index).map(|word| word.text.as_str());
        let mut start = 0;
        match text(0) {
            Some("if" | "while" | "until" | "for" | "case" | "select") => self.blocks += 1,
            Some("fi" | "done" | "esac") => self.blocks = self.blocks.saturating_sub(1),
            Some("}") => {
                if let Some(Some(function)) = self.braces.pop()
                    && self.shell.end_shell()
                {
                    self.functions.insert(function);
                }
            }
            Some("function") => {
                let name = text(1).unwrap_or_default().trim_end_matches("()");
                self.function = Some(name.to_owned());
                start = words.len().min(2);
            }
            Some(word) => {
                if let Some(name) = word.strip_suffix("()") {
                    self.function = Some(name.to_owned());
                    start = 1;
                } else if self.functions.contains(word) {
                    self.shell.doubt();
                }
            }
            None => {}
        }
        if text(start) == Some("{") {
            let function = self.function.take();
            if function.is_some() {
                self.shell.begin_shell();
            }
            self.braces.push(function);
            start += 1;
        }
        start
    }

    fn export<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        for word in words {
            match assignment(word) {
                Some((name, value)) => self.shell.export(name, Some(value)),
                None if word.starts_with('-') => {}
                None if self.shell.exported(word).is_some() => {}
                None => self.shell.export(word, None),
            }
        }
        self.doubt_in_block();
    }

    /// What is set in a condition may not be set behind it.
    fn doubt_in_block(&mut self) {
        if self.blocks > 0 {
            self.shell.doubt();
        }
    }

    fn program(
        &mut self,
        place: Lines,
        command: &Command,
        runs: &Runs<'_>,
        (name, index, arguments): (&str, usize, &[Word]),
        is_first: bool,
    ) {
        let texts = || arguments.iter().map(|word| word.text.as_str());
        match name {
            "export" => self.export(texts()),
            "cd" => {
                let to = match texts().find(|text| *text != "--") {
                    None => "$HOME",
                    Some("-") => "$OLDPWD",
                    Some(directory) => directory,
                };
                self.shell.enter(to);
                self.doubt_in_block();
            }
            "." | "source" | "pushd" | "popd" => self.shell.doubt(),
            "find" => {
                let run = arguments
                    .iter()
                    .position(|word| word.text.starts_with("-exec"));
                if let Some(run) = run {
                    let inner = wrappers::find(&arguments[run + 1..]);
                    if let Some(Program::Named {
                        name,
                        index: inside,
                        arguments,
                    }) = inner.program
                    {
                        let index = index + 2 + run + inside;
                        self.program(
                            place,
                            command,
                            &inner_runs(&inner.assignments),
                            (name, index, arguments),
                            false,
                        );
                    }
                }
            }
            "softstop" => {
                self.shell.begin_shell();
                self.export(runs.assignments.iter().copied());
                self.softstop_command(place, command, index, arguments);
                self.shell.end_shell();
            }
            _ if is_terraform(name) => {
                self.shell.begin_shell();
                self.export(runs.assignments.iter().copied());
                let terraform = Terraform::read(name, arguments);
                let is_last = is_first && !command.is_piped && command.words[index].begin == 0;
                self.terraform(place, command, runs, &terraform, (index, is_last));
                self.shell.end_shell();
                terraform.remember(&mut self.shell, self.is_supervised);
            }
            _ => {}
        }
    }

    fn terraform(
        &mut self,
        place: Lines,
        command: &Command,
        runs: &Runs<'_>,
        terraform: &Terraform<'_>,
        (index, can_be_last): (usize, bool),
    ) {
        let Some(effect) = terraform.effect(&self.shell) else {
            return;
        };
        if effect == Effect::Unknown && !self.is_supervised {
            return;
        }
        let remedy = if self.is_supervised {
            String::new()
        } else if runs.is_in_container {
            remedy::pipe_instead(&command.words[index + 1..])
        } else if effect == Effect::Locks("plan") {
            terraform.without_lock(command).unwrap_or_default()
        } else {
            terraform.with_softstop(command, index)
        };
        let directories = terraform
            .directory()
            .map(str::to_owned)
            .into_iter()
            .collect();
        let target = self.shell.target(directories, Vec::new(), None);
        self.calls.push(Call {
            position: place.at(0),
            targets: vec![target],
            what: What::Bare(Box::new(Bare {
                effect,
                remedy,
                can_be_last,
            })),
        });
    }

    fn softstop_command(
        &mut self,
        place: Lines,
        command: &Command,
        index: usize,
        arguments: &[Word],
    ) {
        let Options { mode, given, rest } = Options::read(arguments);
        let mut listed = |option: &str, variable: &str| {
            let by_option: Vec<String> = given
                .iter()
                .filter(|(name, _)| *name == option)
                .map(|(_, value)| (*value).to_owned())
                .collect();
            if by_option.is_empty() {
                self.shell.listed(variable)
            } else {
                by_option
            }
        };
        let named = Named {
            directories: listed("--working-dir", "WORKING_DIR"),
            backend_config: listed("--backend-config", "BACKEND_CONFIG"),
            workspace: listed("--workspace", "WORKSPACE").pop(),
        };
        let grace_period = listed("--grace-period", "GRACE_PERIOD").pop();
        let program = listed("--terraform-bin", "TERRAFORM_BIN").pop();
        let script = listed("--command", "COMMAND").pop().unwrap_or_default();
        let mode = mode.map(str::to_owned).or_else(|| listed("", "MODE").pop());
        let remedy = match self.shell.exported("GRACE_PERIOD") {
            Some(_) => "export GRACE_PERIOD=\"9s\"",
            None => "--grace-period 9s",
        };
        let softstop = Softstop {
            means: Means::Command {
                is_piped: command.is_piped,
                program,
                with_exec: with_exec(command, index).filter(|_| self.within == 0),
            },
            grace_period: grace_period.map(|text| GracePeriod {
                position: place.at(0),
                text,
                remedy,
            }),
            has_token: TOKENS
                .iter()
                .any(|token| self.shell.exported(token).is_some()),
        };
        let script = match arguments.get(rest) {
            Some(first) => command
                .text
                .get(first.begin..)
                .unwrap_or_default()
                .to_owned(),
            None => script,
        };
        self.softstop(place, mode.as_deref(), named, &script, softstop);
    }
}

fn inner_runs<'a>(assignments: &[&'a str]) -> Runs<'a> {
    Runs {
        assignments: assignments.to_vec(),
        is_wrapped: true,
        ..Runs::default()
    }
}

/// What a call of softstop names.
struct Named {
    directories: Vec<String>,
    backend_config: Vec<String>,
    workspace: Option<String>,
}

/// A command line of softstop.
struct Options<'a> {
    mode: Option<&'a str>,
    given: Vec<(&'a str, &'a str)>,
    /// Where the command begins that it runs.
    rest: usize,
}

impl<'a> Options<'a> {
    fn read(arguments: &'a [Word]) -> Self {
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
fn with_exec(command: &Command, index: usize) -> Option<String> {
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
