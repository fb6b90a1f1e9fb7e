//! The commands that a person pastes in the user's checkout. No value that may be a secret stands in
//! them: it is read from where it stands, or asked for.

use std::env;
use std::path::Path;

use serde_json::Value;

use super::arguments::given_by;
use super::backend::{Backend, DEFAULT_BACKEND};
use super::place::{Terraform, name_of};
use super::place_name::original;
use super::plain::{is_plain, is_plain_path, name_of_setting};
use super::program::{find, is_version_manager};
use super::resolved::Origin;
use super::schema::Schema;
use super::settings::is_same;
use super::static_part::StaticPart;
use crate::tools::error::ToolError;
use crate::tools::quoted::quoted;
use crate::tools::real::real;

/// A function of the shell that asks for what has this name, unless its value is given, and escapes
/// it for a word of TF_CLI_ARGS, and for a text in a file of curl's options.
pub(super) const SECRET: &str = r#"secret() { answer=$2; if [ -z "$answer" ]; then printf '%s: ' "$1" >&2; stty -echo 2>/dev/null; IFS= read -r answer; stty echo 2>/dev/null; echo >&2; fi; printf %s "$answer" | sed 's/[[:punct:][:space:]]/\\&/g'; }; "#;

/// What makes a directory that only its owner can read, and that is gone when the shell has ended.
pub(super) const PRIVATE: &str =
    r#"private=$(mktemp -d) && trap 'rm -rf "$private"' EXIT && trap 'exit 1' HUP INT TERM && "#;

/// A command of Terraform's: it enters the directory, initialises it, and chooses the workspace.
pub(super) fn in_place(place: &Terraform, command: &str) -> String {
    in_place_after(place, "", &once_in_place(place, command))
}

/// The same of whole commands, after something else that is done in the directory. A comment, where an
/// `init` in the directory would lead to another backend, or the user has no such directory.
pub(super) fn in_place_after(place: &Terraform, before: &str, commands: &str) -> String {
    match given(place) {
        Ok(given) => {
            let enter = enter(&place.directory);
            let init = init(&given, &workspace_of_init(place), &program(place));
            format!("({enter}{before}{init} && {commands})")
        }
        Err(elsewhere) => format!("# {elsewhere}: {before}{commands}"),
    }
}

/// A whole command where the directory is entered and initialised.
pub(super) fn once_in_place(place: &Terraform, command: &str) -> String {
    let workspace = quoted(&place.workspace());
    format!("TF_WORKSPACE={workspace} {} {command}", program(place))
}

/// Lays out an encrypted state in plain text, as `"$private/plain"`: beside the encryption, and all that
/// it may name, it lies as a local state.
pub(super) fn decryption(place: &Terraform, file: &str, encryption: &StaticPart) -> String {
    const LINKS: &str = r#"ls -A | while IFS= read -r name; do case $name in *.tf|*.tofu|*.tf.json|*.tofu.json|.terraform|.terraform.*|terraform.tfstate*) ;; *) ln -s "$PWD/$name" "$private/" ;; esac; done && "#;
    let program = program(place);
    let parts = encryption.cut_out_by_hand();
    format!(
        "{PRIVATE}{LINKS}{parts}ln -s \"$PWD\"/{file} \"$private/terraform.tfstate\" && (cd \"$private\" && \
         TF_DATA_DIR=.terraform TF_WORKSPACE= {program} state pull >plain) && "
    )
}

fn enter(directory: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let directory = directory.strip_prefix(&here).unwrap_or(directory);
    if directory.as_os_str().is_empty() {
        return String::new();
    }
    // A name that begins with a dash would be an option.
    let directory = directory.to_string_lossy();
    let dash = if directory.starts_with('-') { "./" } else { "" };
    format!("cd {} && ", quoted(&format!("{dash}{directory}")))
}

/// The program that the deploy runs: by its name where PATH leads to it, or to a version manager, which
/// goes by the directory.
pub(super) fn program(place: &Terraform) -> String {
    let binary = real(&place.binary);
    let own_name = place.binary.file_name().unwrap_or_default();
    let own_name = own_name.to_string_lossy();
    let is_it = |name: &&str| find(name).is_some_and(|found| real(&found) == binary);
    if let Some(name) = [&*own_name, "terraform", "tofu"]
        .iter()
        .find(|name| is_it(name))
    {
        return quoted(name);
    }
    match find(&own_name) {
        Some(found) if is_version_manager(&real(&found)) => quoted(&own_name),
        // A deploy may have removed it since.
        _ if !binary.exists() => quoted(&own_name),
        _ => quoted(&place.binary.to_string_lossy()),
    }
}

/// The workspace with which `init` runs, which fails where it is not there: the default one always is, and
/// the one that the directory has selected may be gone. Some backends have none but the one that is meant.
fn workspace_of_init(place: &Terraform) -> String {
    if place.needs_workspace() {
        place.workspace()
    } else {
        "default".to_owned()
    }
}

/// It brings no state along from where the directory was initialised for before. Whatever is asked for
/// comes by a variable, because a command line can be seen by everybody.
fn init(given: &[InitOption], workspace: &str, program: &str) -> String {
    let workspace = format!("TF_WORKSPACE={}", quoted(workspace));
    let init = format!("{program} init -input=false -reconfigure");
    if given
        .iter()
        .all(|given| matches!(given, InitOption::Plain(_)))
    {
        let options = given.iter().map(|given| match given {
            InitOption::Plain(text) | InitOption::Asked(text) => {
                quoted(&format!("-backend-config={text}"))
            }
            InitOption::AskedWhole => quoted("-backend-config="),
        });
        let words: Vec<String> = [workspace, init].into_iter().chain(options).collect();
        return words.join(" ");
    }
    let options: String = given
        .iter()
        .map(|given| match given {
            InitOption::Plain(text) => quoted(&format!(" -backend-config={}", escaped(text))),
            InitOption::Asked(name) => {
                let option = quoted(&format!(" -backend-config={name}="));
                format!("{option}\"$(secret {})\"", quoted(name))
            }
            InitOption::AskedWhole => "' -backend-config='\"$(secret -backend-config)\"".to_owned(),
        })
        .collect();
    format!("{SECRET}TF_CLI_ARGS_init=\"$TF_CLI_ARGS_init\"{options} {workspace} {init}")
}

/// What an `init` is given beside the block.
#[derive(Debug, PartialEq, Eq)]
enum InitOption {
    /// A file, or NAME=VALUE.
    Plain(String),
    /// The name of a setting.
    Asked(String),
    /// What has no name.
    AskedWhole,
}

impl InitOption {
    fn of(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, value)) if is_plain(name.trim(), value) => Self::Plain(text.to_owned()),
            Some((name, _)) => match name_of_setting(name) {
                Some(name) => Self::Asked(name.to_owned()),
                None => Self::AskedWhole,
            },
            None if is_plain_path(text) => Self::Plain(text.to_owned()),
            None => Self::AskedWhole,
        }
    }
}

/// What was named, or, where it is known which backend was used, whatever the block does not say of it;
/// and what variables say, which whoever pastes does not have. Fails where the directory leads elsewhere.
fn given(place: &Terraform) -> Result<Vec<InitOption>, String> {
    let unit = original(&place.directory);
    if unit != place.directory {
        let unit = name_of(&unit);
        return Err(format!(
            "in the copy of {unit} that `terragrunt init` makes"
        ));
    }
    let by_variables = || {
        format!(
            "where `init` in {} is given what its backend block leaves to variables",
            place.directory_name()
        )
    };
    let found = match place.resolved() {
        Ok(found) => found,
        Err(ToolError::NoLiteral { .. }) => return Err(by_variables()),
        Err(_) => return Ok(named(place)),
    };
    let used = found.backend.with_variables(&place.environment);
    // An `init` anew forgets what `.terraform` alone says.
    let is_completed = matches!(found.origin, Origin::Completed { .. });
    if place.backend.is_none() && !place.is_seen && !is_completed {
        let mut given = named(place);
        given.extend(differing(&found.backend, &used));
        return Ok(given);
    }
    let Ok(block) = place.configuration().block() else {
        // It may say anything, so all is said that names the place. A path would be that of this clone.
        let schema = Schema::of(&used.kind).filter(|schema| schema.kind != DEFAULT_BACKEND);
        let schema = schema.ok_or_else(by_variables)?;
        let mut naming = used;
        naming.settings.retain(|name, _| schema.names_place(name));
        return Ok(differing(&Backend::default(), &naming));
    };
    let kind = block.as_ref().map_or(DEFAULT_BACKEND, |block| &block.kind);
    if kind != used.kind {
        return Err(format!(
            "where the configuration names the backend {:?}, and not {kind:?} as in {}, after `init`",
            used.kind,
            place.directory_name(),
        ));
    }
    // The paths of a local state are anchored in the directory, and so they are not what was given.
    let block = block.filter(|block| block.kind != DEFAULT_BACKEND);
    Ok(block.map_or_else(Vec::new, |block| differing(&block, &used)))
}

/// What the one backend has otherwise than the other one.
fn differing(said: &Backend, used: &Backend) -> Vec<InitOption> {
    let said = |name: &String| said.settings.get(name).unwrap_or(&Value::Null);
    let settings = used.settings.iter();
    let differing = settings.filter(|(name, value)| !is_same(said(name), value));
    let given = differing.map(|(name, value)| match value {
        Value::String(text) => InitOption::of(&format!("{name}={text}")),
        Value::Bool(_) | Value::Number(_) => InitOption::Plain(format!("{name}={value}")),
        value => InitOption::of(&format!("{name}={value}")),
    });
    given.collect()
}

fn named(place: &Terraform) -> Vec<InitOption> {
    if place.is_seen {
        return Vec::new();
    }
    let by_variables = given_by(&place.environment).unwrap_or_default();
    let by_variables = by_variables.iter().map(|given| given.text.as_str());
    let by_us = place.backend_config.iter().map(String::as_str);
    // What is called like a file that is there is no secret.
    let is_file = |text: &str| !text.contains('=') && place.directory.join(text).is_file();
    let option = |text: &str| {
        if is_file(text) {
            InitOption::Plain(text.to_owned())
        } else {
            InitOption::of(text)
        }
    };
    by_variables.chain(by_us).map(option).collect()
}

/// A text as [`SECRET`] escapes it.
fn escaped(text: &str) -> String {
    let escape = |character: char| {
        let is_special = character.is_ascii_punctuation() || character.is_ascii_whitespace();
        let backslash = is_special.then_some('\\');
        backslash.into_iter().chain([character])
    };
    text.chars().flat_map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backend_says_cannot_become_a_command() {
        assert_eq!(quoted("0b1c-2d3e"), "0b1c-2d3e");
        assert_eq!(quoted("x; rm -rf /"), "'x; rm -rf /'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn only_what_names_the_place_is_printed_of_what_is_given() {
        for text in [
            "",
            "env/prod.hcl",
            "bucket=states",
            "key = infra/state",
            "use_lockfile=true",
            "skip_cert_verification=false",
            "address=https://host/state?project=a&env=prod",
            "endpoints={\"s3\":\"http://host:9000\"}",
        ] {
            assert_eq!(
                InitOption::of(text),
                InitOption::Plain(text.to_owned()),
                "{text}"
            );
        }
        for text in [
            "access_key=a",
            "conn_str=postgres://host/database",
            "address=https://user:password@host/state",
            "address=https://host/state?project=a&token=b",
            "lock_address=https://host/state?a",
            "endpoints={\"s3\":\"http://user@host\"}",
        ] {
            let name = text.split('=').next().unwrap();
            assert_eq!(
                InitOption::of(text),
                InitOption::Asked(name.to_owned()),
                "{text}"
            );
        }
        for text in [
            "postgres://user:s3cret@host/database",
            "postgres://user:s3cret@host/database?sslmode=disable",
            "S3cret==",
            "password s3cret",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ] {
            assert_eq!(InitOption::of(text), InitOption::AskedWhole, "{text}");
        }
    }
}
