//! What a script does to locks: the calls of softstop and of Terraform in it.

use std::mem;

use super::calls::{Bare, Call, Effect, Means, What};
use super::document::{Lines, Node};
use super::misspelt::{self, Mistake};
use super::shell::{self, Command, Part, Word};
use super::structure::Structure;
use super::surroundings::{Surroundings, assignment};
use super::terraform::{Terraform, is_terraform, pipe_instead};
use super::wrappers::{self, Program, Runs};
use crate::pipe::Image;

/// How deep scripts within scripts are read: each is a part of the one around it.
const DEEPEST: usize = 8;

/// Finds the calls in a `script` or `after-script`.
pub(crate) fn read(script: &Node) -> Vec<Call> {
    let mut reader = Reader {
        shell: Surroundings::new(script.length()),
        calls: Vec::new(),
        within: 0,
        structure: Structure::default(),
        mistakes: Vec::new(),
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

pub(crate) struct Reader {
    pub(crate) shell: Surroundings,
    pub(crate) calls: Vec<Call>,
    /// How many scripts this one is in.
    pub(crate) within: usize,
    structure: Structure,
    /// Names that were set for a softstop that is still to come.
    pub(crate) mistakes: Vec<Mistake>,
    /// Whether softstop runs this.
    pub(crate) is_supervised: bool,
}

impl Reader {
    /// A script within this one: what it sets ends with it.
    pub(crate) fn script(&mut self, place: Lines, text: &str) {
        if self.within == DEEPEST {
            self.shell.doubt();
            return;
        }
        let outer = self.structure.inside();
        self.within += 1;
        self.shell.begin_shell();
        self.lines(place, text);
        self.shell.end_shell();
        self.within -= 1;
        self.structure.outside(outer);
    }

    fn lines(&mut self, lines: Lines, text: &str) {
        for part in shell::split(text) {
            match part {
                Part::Command(command) => self.command(lines.from(command.line), command),
                Part::SubshellBegins => {
                    self.structure.subshell();
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
    pub(crate) fn something_follows(&mut self) {
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
        for (line, script) in mem::take(&mut command.substitutions) {
            let first = place.from(line.saturating_sub(command.line));
            self.script(first, &script);
            self.something_follows();
        }
        let start = self.structure.take(&command.words, &mut self.shell);
        let runs = wrappers::find(&command.words[start..]);
        let is_first =
            start == 0 && !runs.is_wrapped && self.within == 0 && !self.structure.is_in_braces();
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

    fn export<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        let mut words = words.into_iter().peekable();
        let sets_nothing = words.peek().is_none();
        for word in words {
            match assignment(word) {
                Some((name, value)) => self.shell.export(name, Some(value)),
                None if word.starts_with('-') => {}
                None if self.shell.exported(word).is_some() => {}
                None => self.shell.export(word, None),
            }
        }
        if !sets_nothing {
            self.doubt_in_block();
        }
    }

    /// What is set in a condition may not be set behind it.
    fn doubt_in_block(&mut self) {
        if self.structure.is_in_block() {
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
            "export" => {
                self.mistakes
                    .extend(misspelt::of_words(place.at(0), texts()));
                self.export(texts());
            }
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
                let assignments = || runs.assignments.iter().copied();
                let mistakes = misspelt::of_words(place.at(0), assignments());
                self.mistakes.extend(mistakes);
                self.export(assignments());
                // A container of the image is the pipe's.
                let image = if runs.is_in_container {
                    Image::Pipe
                } else {
                    Image::Own
                };
                self.softstop_command(place, command, (index, arguments), image);
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
            pipe_instead(&command.words[index + 1..])
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
                program: terraform.program,
                effect,
                remedy,
                can_be_last,
            })),
        });
    }
}

fn inner_runs<'a>(assignments: &[&'a str]) -> Runs<'a> {
    Runs {
        assignments: assignments.to_vec(),
        is_wrapped: true,
        ..Runs::default()
    }
}
