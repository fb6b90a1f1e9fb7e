//! The command line. Every option is also a pipe variable.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::deploy::Deploy;
use crate::pipe::variables;
use crate::tools::DeployTool;
use crate::tools::terraform::{Terraform, find_program};

const MODES: [&str; 1] = ["deploy"];

const EXIT_CODES: &str = "\
Exit codes:
  0      done
  N      the command's own code where it failed
  128+N  signal N ended the command, or interrupted softstop
  127    the command was not found
  126    the command cannot be run
  2      a variable has a value that cannot be used; nothing was run
  1      anything else";

/// Makes the Stop button safe for deploys that hold a lock
///
/// softstop runs a deploy under supervision. When it is asked to stop, it stops Terraform the way
/// Terraform wants, ends every process, runs a cleanup, and leaves no lock behind.
///
/// Every option is also an environment variable, which is how Bitbucket passes pipe variables.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Where no command is given, the variable MODE says which."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// What softstop can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Run a deploy, and leave no lock behind however it ends
    Deploy(DeployOptions),
}

/// What a deploy can be told.
#[derive(Args, Debug)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct DeployOptions {
    /// The command to run, as it is, without a shell [default: COMMAND]
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    pub(crate) program: Vec<String>,

    /// What to run, by `/bin/sh -ec` [default: terraform init, then terraform apply with
    /// -auto-approve]
    #[arg(long, value_name = "SCRIPT", env = "COMMAND")]
    pub(crate) command: Option<String>,

    /// The directory of the configuration, and where the command runs [default: .]
    /// [env: WORKING_DIR]
    #[arg(long, value_name = "PATH")]
    pub(crate) working_dir: Option<String>,

    /// What to run after the deploy, however it ended, by `/bin/sh -ec`; it finds
    /// SOFTSTOP_OUTCOME, SOFTSTOP_EXIT_CODE, SOFTSTOP_LOCK and SOFTSTOP_LOCK_ID in its
    /// environment
    #[arg(long, value_name = "SCRIPT", env = "AFTER_SCRIPT")]
    pub(crate) after_script: Option<String>,

    /// The whole time from the first signal to the exit, such as 9s or 2m; `docker stop` gives
    /// 10 s
    #[arg(long, value_name = "DURATION", env = "GRACE_PERIOD", default_value = "9s",
          value_parser = variables::grace_period)]
    pub(crate) grace_period: Duration,

    /// How long to wait for a lock that somebody holds, such as 90s or 2m
    #[arg(long, value_name = "DURATION", env = "LOCK_TIMEOUT", default_value = "0s",
          value_parser = variables::duration)]
    pub(crate) lock_timeout: Duration,

    /// A setting of the backend as NAME=VALUE, or a file of settings, as `terraform init
    /// -backend-config` takes it; can be given more than once [env: BACKEND_CONFIG, or
    /// BACKEND_CONFIG_COUNT and BACKEND_CONFIG_0, BACKEND_CONFIG_1, …]
    #[arg(long, value_name = "SETTING")]
    pub(crate) backend_config: Vec<String>,

    /// The Terraform workspace [default: the one that is selected]
    #[arg(long, value_name = "NAME", env = "WORKSPACE")]
    pub(crate) workspace: Option<String>,

    /// The Terraform program; `tofu` works too
    #[arg(
        long,
        value_name = "PROGRAM",
        env = "TERRAFORM_BIN",
        default_value = "terraform"
    )]
    pub(crate) terraform_bin: String,

    /// Print more messages
    #[arg(long, env = "DEBUG", default_value = "false", default_missing_value = "true",
          num_args = 0..=1, require_equals = true, value_parser = variables::switch)]
    pub(crate) debug: bool,
}

/// Why nothing is run.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The user asked for a text, and here it is.
    Help(clap::Error),
    /// What the user wants cannot be done, for these reasons.
    Invalid(Vec<String>),
}

/// Reads the command line and the environment.
pub(crate) fn parse() -> Result<Cli, Refusal> {
    let arguments = with_mode(env::args_os().collect())?;
    let mut definition = definition();
    definition
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| refusal(&error, &definition).unwrap_or(Refusal::Help(error)))
}

/// Adds the mode that MODE names, where the command line names none.
fn with_mode(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, Refusal> {
    let first = arguments.get(1).map(|argument| argument.to_string_lossy());
    let names_none = match first.as_deref() {
        None => true,
        Some("-h" | "--help" | "-V" | "--version") => false,
        Some(argument) => argument.starts_with('-'),
    };
    if names_none {
        let mode = variables::given(env::var("MODE").ok()).unwrap_or_else(|| "deploy".to_owned());
        if !MODES.contains(&mode.as_str()) {
            let reason = format!("MODE is {mode:?}: expected {}", MODES.join(", "));
            return Err(Refusal::Invalid(vec![reason]));
        }
        arguments.insert(1.min(arguments.len()), mode.into());
    }
    Ok(arguments)
}

/// The definition of the command line, without the variables that the pipeline leaves empty:
/// Bitbucket passes those too.
///
/// Values of variables stay out of the help, because some of them are secrets.
fn definition() -> Command {
    Cli::command().mut_subcommands(|mode| {
        mode.mut_args(|argument| {
            let argument = argument.hide_env_values(true);
            let is_empty = argument
                .get_env()
                .and_then(env::var_os)
                .is_some_and(|value| value.is_empty());
            if is_empty {
                argument.env(Resettable::Reset)
            } else {
                argument
            }
        })
    })
}

/// Says which variable has which value, and what is allowed; nothing where `error` is a text that
/// the user asked for.
fn refusal(error: &clap::Error, definition: &Command) -> Option<Refusal> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let option = text(ContextKind::InvalidArg);
    let variable = definition
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .find(|argument| argument.to_string() == option)
        .and_then(|argument| argument.get_env())
        .map(|name| name.to_string_lossy().into_owned());
    let reason = if let (Some(source), Some(variable)) = (error.source(), variable) {
        let value = text(ContextKind::InvalidValue);
        format!("{variable} ({option}) is {value:?}: {source}")
    } else {
        let rendered = error.to_string();
        let first = rendered.lines().next().unwrap_or_default();
        format!("{}; see --help", first.trim_start_matches("error: "))
    };
    Some(Refusal::Invalid(vec![reason]))
}

impl DeployOptions {
    /// Checks all that can be checked before anything runs.
    pub(crate) fn check(self) -> Result<(Deploy, Terraform), Refusal> {
        let mut reasons = Vec::new();
        let directory = self.directory().unwrap_or_else(|reason| {
            reasons.push(reason);
            PathBuf::new()
        });
        let backend_config = self.backend_config(&directory).unwrap_or_else(|reason| {
            reasons.push(reason);
            Vec::new()
        });
        let binary = find_program(&self.terraform_bin);
        let terraform = Terraform {
            binary: binary
                .clone()
                .unwrap_or_else(|| PathBuf::from(&self.terraform_bin)),
            directory: directory.clone(),
            backend_config,
            workspace: variables::given(self.workspace.clone()),
            lock_timeout: self.lock_timeout,
        };
        let command = self.command_line();
        if reasons.is_empty() {
            reasons.extend(missing(&terraform, binary.is_some(), command.is_empty()));
        }
        if !reasons.is_empty() {
            return Err(Refusal::Invalid(reasons));
        }
        let deploy = Deploy {
            command,
            directory,
            workspace: terraform.workspace.clone(),
            after_script: variables::given(self.after_script),
        };
        Ok((deploy, terraform))
    }

    fn directory(&self) -> Result<PathBuf, String> {
        let given = match &self.working_dir {
            Some(directory) => vec![directory.clone()],
            None => variables::list("WORKING_DIR").map_err(|error| error.to_string())?,
        };
        let directory = match given.as_slice() {
            [] => ".",
            [directory] => directory,
            _ => {
                return Err(format!(
                    "WORKING_DIR is {given:?}: deploy takes one directory"
                ));
            }
        };
        let unusable = |problem| {
            format!(
                "WORKING_DIR is {directory:?}: expected a directory that can be read ({problem})"
            )
        };
        fs::read_dir(directory).map_err(unusable)?;
        fs::canonicalize(directory).map_err(unusable)
    }

    fn backend_config(&self, directory: &Path) -> Result<Vec<String>, String> {
        let given = if self.backend_config.is_empty() {
            variables::list("BACKEND_CONFIG").map_err(|error| error.to_string())?
        } else {
            self.backend_config.clone()
        };
        for setting in &given {
            if !setting.contains('=') && !directory.join(setting).is_file() {
                return Err(format!(
                    "BACKEND_CONFIG has {setting:?}: expected NAME=VALUE, or a file as seen from \
                     WORKING_DIR"
                ));
            }
        }
        Ok(given)
    }

    /// The command line to run; empty for the default.
    fn command_line(&self) -> Vec<String> {
        match variables::given(self.command.clone()) {
            _ if !self.program.is_empty() => self.program.clone(),
            Some(script) => ["/bin/sh", "-ec", &script].map(str::to_owned).to_vec(),
            None => Vec::new(),
        }
    }
}

/// Says what is missing for the deploy, if anything is.
fn missing(terraform: &Terraform, is_found: bool, runs_default: bool) -> Option<String> {
    let has_work = terraform.has_work();
    if !is_found && (has_work || runs_default) {
        return Some(format!(
            "TERRAFORM_BIN is \"{}\": there is no such program; install it, or say where it is",
            terraform.binary.display()
        ));
    }
    if !has_work && runs_default {
        return Some(format!(
            "WORKING_DIR is \"{}\": there is no Terraform configuration in it",
            terraform.directory.display()
        ));
    }
    None
}
