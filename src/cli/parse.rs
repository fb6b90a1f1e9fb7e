//! Reads the command line and the environment, and says what is wrong with them.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use reqwest::Url;

use super::options::{Cli, Mode};
use crate::pipe::variables::{self, Variables};
use crate::pipe::{Image, Variable};
use crate::tools::say_installed;

/// The first argument in the pipe's image, by its ENTRYPOINT: a variable would be inherited by every
/// image that is built from it.
const OF_THE_PIPE: &str = "--pipe";
const DEFAULT_MODE: &str = "deploy";

/// Why nothing is run.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The user asked for a text, and here it is.
    Help(clap::Error),
    /// The user asked for the versions of all that is in the pipe's image.
    Version(String),
    /// What the user wants cannot be done, for these reasons.
    Invalid(Vec<String>),
}

/// Reads the command line and the environment, and in whose image that is.
pub(crate) fn parse() -> Result<(Mode, Image), Refusal> {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    let image = image(&mut arguments);
    let variables = Variables::of_environment(image);
    add_mode(&mut arguments, variables)?;
    let mut definition = definition(variables);
    let matches = definition.try_get_matches_from_mut(&arguments);
    match &matches {
        Ok(matches) => remove_report(matches),
        Err(error) if error.use_stderr() => {
            let lenient = definition.clone().ignore_errors(true);
            let matches = lenient.try_get_matches_from(&arguments);
            matches.iter().for_each(remove_report);
        }
        Err(_) => {}
    }
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| (cli.mode, image))
        .map_err(|error| {
            // Only what is built can be named.
            definition.build();
            if error.kind() == ErrorKind::DisplayVersion && image == Image::Pipe {
                let ours = error.to_string();
                let lines = [ours.trim_end().to_owned()].into_iter();
                let lines: Vec<String> = lines.chain(say_installed()).collect();
                return Refusal::Version(format!("{}\n", lines.join("\n")));
            }
            refusal(&error, &definition).unwrap_or(Refusal::Help(error))
        })
}

/// Removes the report of an earlier run, which is not to pass for one of this run, even where this one
/// is refused or killed. One that cannot be removed is no reason to run nothing.
fn remove_report(matches: &ArgMatches) {
    let Some((_, options)) = matches.subcommand() else {
        return;
    };
    let name = options.try_get_one::<String>("report_file").ok().flatten();
    let Some(name) = variables::given(name.cloned()) else {
        return;
    };
    // What else has that name, such as a device, is no report.
    if fs::symlink_metadata(&name).is_ok_and(|found| found.is_file()) {
        let _ = fs::remove_file(name);
    }
}

/// Takes the word from the arguments by which the pipe's image says what it is.
fn image(arguments: &mut Vec<OsString>) -> Image {
    if arguments.get(1).is_some_and(|first| first == OF_THE_PIPE) {
        arguments.remove(1);
        Image::Pipe
    } else {
        Image::Own
    }
}

/// Adds the mode that a variable names, where the command line names none.
fn add_mode(arguments: &mut Vec<OsString>, variables: Variables<'_>) -> Result<(), Refusal> {
    let first = arguments.get(1).map(|argument| argument.to_string_lossy());
    let names_none = match first.as_deref() {
        None => true,
        Some("-h" | "--help" | "-V" | "--version") => false,
        Some(argument) => argument.starts_with('-'),
    };
    if !names_none {
        return Ok(());
    }
    let invalid = |reason: String| Refusal::Invalid(vec![reason]);
    let given = variables::given(variables.text("MODE"));
    if given.is_none() {
        let option = "a command such as `softstop deploy`";
        if let Some(reason) = variables.unheeded("MODE", option) {
            return Err(invalid(reason));
        }
    }
    let mode = given.unwrap_or_else(|| DEFAULT_MODE.to_owned());
    let modes = Cli::command();
    let modes: Vec<&str> = modes.get_subcommands().map(Command::get_name).collect();
    if !modes.contains(&mode.as_str()) {
        let name = Variable::named("MODE").map_or("MODE", |variable| variables.deciding(variable));
        let expected = modes.join(", ");
        return Err(invalid(format!("{name} is {mode:?}: expected {expected}")));
    }
    arguments.insert(1.min(arguments.len()), mode.into());
    Ok(())
}

/// The definition of the command line, with the names of variables that count, and without those
/// that the pipeline leaves empty: Bitbucket passes those too.
///
/// Values of variables stay out of the help, because some of them are secrets.
fn definition(variables: Variables<'_>) -> Command {
    let with_variable = |argument: Arg| {
        let short = argument.get_env().map(|name| name.to_string_lossy());
        let Some(variable) = short.and_then(|short| Variable::named(&short)) else {
            return argument;
        };
        let name = variables.deciding(variable);
        if env::var_os(name).is_none() || variables.is_plain(name) {
            argument.env(name)
        } else {
            argument.env(Resettable::Reset)
        }
    };
    Cli::command().mut_subcommands(|mode| {
        mode.mut_args(|argument| with_variable(argument.hide_env_values(true)))
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
        let value = without_credentials(text(ContextKind::InvalidValue));
        format!("{variable} ({option}) is {value:?}: {source}")
    } else {
        let rendered = error.to_string();
        let first = rendered.lines().next().unwrap_or_default();
        format!("{}; see --help", first.trim_start_matches("error: "))
    };
    Some(Refusal::Invalid(vec![reason]))
}

/// A value as it may be shown: an address may hold a user and a password.
fn without_credentials(value: String) -> String {
    match Url::parse(&value) {
        Ok(address) if address.password().is_some() => "…".to_owned(),
        _ => value,
    }
}
