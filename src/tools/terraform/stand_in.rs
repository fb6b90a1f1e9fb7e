//! Brings BACKEND_CONFIG to the `init` of a command of the user's own.
//!
//! TF_CLI_ARGS_init would reach every `init`, that of another directory too, and would be mixed with
//! what the command names itself. So while such a command runs, a directory stands first in PATH in
//! which the programs' names are links to softstop. Called by such a name, it adds the options where
//! they belong, and becomes the program of that name that comes next.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::Command;

use nix::unistd::{AccessFlags, access};

use super::arguments::{given_by, is_backend_config};
use super::backend_config::options;
use super::place::Terraform;
use crate::console;
use crate::environment::Environment;
use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND};
use crate::private;
use crate::tools::processes::Prepared;

/// The programs that are stood in for, where they are in PATH.
const NAMES: [&str; 2] = ["terraform", "tofu"];
/// Beside the links: the options, and a link to the directory whose `init` they are for.
const OPTIONS: &str = "options.json";
const DIRECTORY: &str = "working-directory";

/// Lets an `init` below `command` meet what is given for it. Where nothing is, nothing is changed.
pub(super) fn lay_out(tool: &Terraform, mut command: Command) -> io::Result<Prepared> {
    if tool.backend_config.is_empty() {
        let files = None;
        return Ok(Prepared { command, files });
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let names = tool.binary.file_name().into_iter();
    let names: BTreeSet<&OsStr> = names
        .chain(NAMES.map(OsStr::new))
        .filter(|name| next(&path, name).is_some())
        .collect();
    let files = private::directory()?;
    let place = files.path();
    let options = serde_json::to_vec(&options(&tool.backend_config, place)?)?;
    fs::write(place.join(OPTIONS), options)?;
    symlink(&tool.directory, place.join(DIRECTORY))?;
    let softstop = env::current_exe()?;
    for name in names {
        symlink(&softstop, place.join(name))?;
    }
    let places = [place.to_owned()]
        .into_iter()
        .chain(env::split_paths(&path));
    command.env("PATH", env::join_paths(places).map_err(io::Error::other)?);
    let files = Some(files);
    Ok(Prepared { command, files })
}

/// Becomes the program whose name softstop was called by, where that is how a deploy calls it.
///
/// To be called before anything is done that a program inherits and `restore` does not undo: it is called
/// last of all before that program begins.
pub(crate) fn stand_in(restore: impl FnOnce()) -> Option<Exit> {
    let mut words = env::args_os();
    let called = PathBuf::from(words.next()?);
    let name = called.file_name()?;
    if name == env!("CARGO_PKG_NAME") {
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let place = match called.parent() {
        Some(place) if !place.as_os_str().is_empty() => place.to_owned(),
        _ => env::split_paths(&path).find(|place| place.join(name).exists())?,
    };
    let options = fs::read(place.join(OPTIONS)).ok()?;
    let options: Vec<OsString> = serde_json::from_slice::<Vec<String>>(&options)
        .ok()?
        .into_iter()
        .map(OsString::from)
        .collect();
    let mut words: Vec<OsString> = words.collect();
    if let Some(begin) = begin_of_options(&words, &place.join(DIRECTORY), &Environment::own()) {
        words.splice(begin..begin, options);
    }
    let path = without(&path, &place);
    Some(become_next(&called, name, &words, &path, restore))
}

/// What it starts finds the same PATH as without softstop: a version manager may look there for the
/// program again, and must not find us.
fn become_next(
    called: &Path,
    name: &OsStr,
    words: &[OsString],
    path: &OsStr,
    restore: impl FnOnce(),
) -> Exit {
    let Some(program) = next(path, name) else {
        console::fail(&format!("{} is no longer in PATH.", name.display()));
        return Exit::Command(NOT_FOUND);
    };
    let is_bare = called.components().count() == 1;
    let called = if is_bare { called } else { &program };
    let mut command = Command::new(&program);
    command.arg0(called).args(words).env("PATH", path);
    restore();
    let error = command.exec();
    console::fail(&format!("{} cannot be run: {error}.", program.display()));
    Exit::Command(CANNOT_RUN)
}

/// Where in the words of a call the options of its `init` begin, if it is one in this directory that
/// names no settings itself.
fn begin_of_options(
    words: &[OsString],
    directory: &Path,
    environment: &Environment,
) -> Option<usize> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let subcommand = words.iter().position(|word| !word.starts_with('-'))?;
    let (before, own) = words.split_at(subcommand);
    // Of several, Terraform takes the last one.
    let changed = before
        .iter()
        .rev()
        .find_map(|word| word.strip_prefix("-chdir="));
    let is_there = || {
        let here = fs::canonicalize(changed.unwrap_or(".")).ok();
        here.is_some() && here == fs::canonicalize(directory).ok()
    };
    let names_none = || {
        let by_variables = given_by(environment);
        by_variables.is_ok_and(|given| given.is_empty())
            && !own.iter().any(|word| is_backend_config(word))
    };
    (own.first()? == "init" && is_there() && names_none()).then_some(subcommand + 1)
}

/// The program of this name that PATH leads to.
fn next(path: &OsStr, name: &OsStr) -> Option<PathBuf> {
    let is_runnable = |file: &PathBuf| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    env::split_paths(path)
        .filter_map(|place| path::absolute(place.join(name)).ok())
        .find(is_runnable)
}

fn without(path: &OsStr, place: &Path) -> OsString {
    let others = env::split_paths(path).filter(|other| other != place);
    // What was split can be joined again.
    env::join_paths(others).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(line: &str, directory: &Path, variable: (&str, &str)) -> Option<usize> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        begin_of_options(&words, directory, &Environment::from([variable]))
    }

    #[test]
    fn only_an_init_in_the_directory_that_names_no_settings_itself_gets_them() {
        let scratch = tempfile::tempdir().unwrap();
        let there = scratch.path().join("infra");
        fs::create_dir(&there).unwrap();
        let link = scratch.path().join("link");
        symlink(&there, &link).unwrap();
        let (infra, link) = (there.display(), link.display());
        for (line, begins) in [
            (format!("-chdir={infra} init"), Some(2)),
            (format!("-chdir={link} init -input=false"), Some(2)),
            (
                format!("-no-color -chdir=/ -chdir={infra}/../infra init"),
                Some(4),
            ),
            (format!("-chdir={infra} -chdir=/ init"), None),
            (format!("init -chdir={infra}"), None),
            ("init".to_owned(), None),
            (format!("-chdir={infra} plan init"), None),
            (format!("-chdir={infra}"), None),
            (format!("-chdir={infra}/none init"), None),
            (format!("-chdir={infra} init -backend-config=x"), None),
            (
                format!("-chdir={infra} init -upgrade --backend-config x"),
                None,
            ),
            (format!("-chdir={infra} init -backend-config="), None),
        ] {
            assert_eq!(begin(&line, &there, ("A", "b")), begins, "{line}");
        }
        let init = format!("-chdir={infra} init");
        for (variable, text, begins) in [
            ("TF_CLI_ARGS_init", "-upgrade", Some(2)),
            ("TF_CLI_ARGS_init", "-backend-config=x", None),
            ("TF_CLI_ARGS", "-backend-config x", None),
            ("TF_CLI_ARGS_apply", "-backend-config=x", Some(2)),
            ("TF_CLI_ARGS", "'", None),
        ] {
            assert_eq!(begin(&init, &there, (variable, text)), begins, "{text}");
        }
        let here = env::current_dir().unwrap();
        assert_eq!(begin("init", &here, ("A", "b")), Some(1));
    }
}
