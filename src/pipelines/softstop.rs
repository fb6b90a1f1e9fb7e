//! Reads a call of softstop: as a pipe, or as a command.

use std::mem;
use std::rc::Rc;

use super::calls::{Call, GracePeriod, Means, Softstop, What};
use super::document::{Lines, Node};
use super::misspelt;
use super::options::{Named, Options, with_exec};
use super::script::Reader;
use super::shell::{Command, Word};
use super::target::Target;
use crate::pipe::{Image, Variable};

/// What lets softstop ask Bitbucket.
const TOKENS: [&str; 2] = ["BITBUCKET_ACCESS_TOKEN", "ATLASSIAN_API_TOKEN"];

/// What exchanges the token of a step for credentials, as an option and as a variable.
const EXCHANGES: [(&str, &str); 4] = [
    ("--aws-oidc-role-arn", "AWS_OIDC_ROLE_ARN"),
    ("--google-oidc-config-file", "GOOGLE_OIDC_CONFIG_FILE"),
    ("--azure-app-id", "AZURE_APP_ID"),
    ("--azure-tenant-id", "AZURE_TENANT_ID"),
];

/// The names of a grace period, the first of which counts, and how to write a short one.
const SHORTER: [(&str, &str); 2] = [
    ("SOFTSTOP_GRACE_PERIOD", "SOFTSTOP_GRACE_PERIOD: \"9s\""),
    ("GRACE_PERIOD", "GRACE_PERIOD: \"9s\""),
];

impl Reader {
    /// A pipe, which is a container of its own.
    pub(crate) fn pipe(&mut self, item: &Node, name: &str) {
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
            let full = Variable::named(name).map(|variable| variable.full);
            let values = |name: &str| {
                let found = variables.iter().find(|(variable, _)| variable == name);
                found.map(|(_, values)| values.clone())
            };
            let values = full.and_then(values).or_else(|| values(name));
            values.unwrap_or_default()
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
        let grace_period = SHORTER.iter().find_map(|(name, remedy)| {
            let value = node?.get(name)?;
            Some(GracePeriod {
                position: value.position,
                text: value.text()?.to_owned(),
                remedy,
            })
        });
        let mode = given("MODE").pop();
        let softstop = Softstop {
            has_token: TOKENS.iter().any(|token| !given(token).is_empty()),
            exchanges_token: EXCHANGES.iter().any(|(_, name)| !given(name).is_empty()),
            means: Means::Pipe {
                name: name.to_owned(),
                variables,
            },
            grace_period,
            mistakes: misspelt::of_pipe(item),
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
            // It locks as a deploy does, and runs no command but its own.
            Some("plan") => self.supervised(place, named, ""),
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
    fn supervised(&mut self, place: Lines, named: Named, script: &str) -> Vec<Rc<Target>> {
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
        let outer = mem::replace(&mut self.is_supervised, true);
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

    /// A call of softstop by its name.
    pub(crate) fn softstop_command(
        &mut self,
        place: Lines,
        command: &Command,
        (index, arguments): (usize, &[Word]),
        image: Image,
    ) {
        let Options { mode, given, rest } = Options::read(arguments);
        let mut listed = |option: &str, variable: &str| {
            let by_option: Vec<String> = given
                .iter()
                .filter(|(name, _)| *name == option)
                .map(|(_, value)| (*value).to_owned())
                .collect();
            if by_option.is_empty() {
                self.shell.listed(image, variable)
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
        let exchanges_token = EXCHANGES
            .iter()
            .any(|(option, name)| !listed(option, name).is_empty());
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
            exchanges_token,
            mistakes: mem::take(&mut self.mistakes),
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
