//! Reads the command line and the environment, and says what is wrong with them.

use std::env;
use std::error::Error;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};

use super::Cli;
use crate::pipe::variables;

const DEFAULT_MODE: &str = "deploy";

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
        .map_err(|error| {
            // Only what is built can be named.
            definition.build();
            refusal(&error, &definition).unwrap_or(Refusal::Help(error))
        })
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
        let mode =
            variables::given(env::var("MODE").ok()).unwrap_or_else(|| DEFAULT_MODE.to_owned());
        let modes = Cli::command();
        let modes: Vec<&str> = modes.get_subcommands().map(Command::get_name).collect();
        if !modes.contains(&mode.as_str()) {
            let reason = format!("MODE is {mode:?}: expected {}", modes.join(", "));
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
