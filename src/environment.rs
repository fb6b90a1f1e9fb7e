//! The variables with which a program is started: our own, or those of a process that was seen.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

/// A variable's value is a secret where its name has one of these in it,
const IN_NAMES: &[&str] = &[
    "TOKEN",
    "SECRET",
    "PASSW",
    "PASSPHRASE",
    "CREDENTIAL",
    "PRIVATE",
];
/// where a word of it ends with one of these,
const ENDS_OF_WORDS: &[&str] = &["KEY", "KEYS"];
/// and where one of these is a word of it.
const WORDS: &[&str] = &[
    "AUTH",
    "COOKIE",
    "DSN",
    "PASS",
    "PAT",
    "PWD",
    "SALT",
    "SIGNATURE",
];
/// What sounds like it and is none.
const NO_SECRETS: &[&str] = &["BITBUCKET_PROJECT_KEY", "OLDPWD", "PWD"];

/// The variables of one process. They hold credentials, so they are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Our own.
    pub(crate) fn own() -> Self {
        Self(env::vars_os().collect())
    }

    /// As /proc/PID/environ has it.
    pub(crate) fn parse(block: &[u8]) -> Self {
        let entries = block.split(|byte| *byte == 0);
        Self(entries.filter_map(entry).collect())
    }

    /// The value of a variable, where it is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.0.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of a variable as text, where it is set and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|value| value.to_string_lossy().into_owned())
    }

    /// The names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.keys().map(OsString::as_os_str)
    }

    /// All variables, as texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (String, String)> {
        let text = |text: &OsString| text.to_string_lossy().into_owned();
        self.0
            .iter()
            .map(move |(name, value)| (text(name), text(value)))
    }

    /// All variables whose names begin with one of these.
    pub(crate) fn beginning_with<'a>(&'a self, beginnings: &[&str]) -> Vec<(&'a OsStr, &'a OsStr)> {
        self.0
            .iter()
            .filter(|(name, _)| begins_with(name, beginnings))
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
            .collect()
    }

    /// The values of those whose names sound like a secret.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        let secret = self.0.iter();
        let secret = secret.filter(|(name, _)| sounds_secret(&name.to_string_lossy()));
        secret.map(|(_, value)| value.to_string_lossy().into_owned())
    }

    /// All of them but those whose names begin with one of these; the ones that are named here stay.
    pub(crate) fn without_beginning_with(&self, beginnings: &[&str], staying: &[&str]) -> Self {
        let mut others = self.0.clone();
        others.retain(|name, _| {
            staying.iter().any(|staying| name == staying) || !begins_with(name, beginnings)
        });
        Self(others)
    }

    /// Lets `command` start with these variables and no others.
    pub(crate) fn give_to(&self, command: &mut Command) {
        command.env_clear().envs(&self.0);
    }
}

fn begins_with(name: &OsStr, beginnings: &[&str]) -> bool {
    let name = name.to_string_lossy();
    beginnings
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

/// Whether a variable of this name has a secret in it.
pub(crate) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_secret =
        |word: &str| WORDS.contains(&word) || ENDS_OF_WORDS.iter().any(|end| word.ends_with(end));
    !NO_SECRETS.contains(&name.as_str())
        && (IN_NAMES.iter().any(|part| name.contains(part))
            || name.split(['_', '-', '.']).any(is_secret))
}

/// A name may begin with `=`, but a value never makes a name.
fn entry(bytes: &[u8]) -> Option<(OsString, OsString)> {
    let end = bytes.iter().skip(1).position(|byte| *byte == b'=')? + 1;
    let (name, value) = bytes.split_at(end);
    Some((
        OsString::from_vec(name.to_vec()),
        OsString::from_vec(value[1..].to_vec()),
    ))
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} variables", self.0.len())
    }
}

#[cfg(test)]
impl<const COUNT: usize> From<[(&str, &str); COUNT]> for Environment {
    fn from(variables: [(&str, &str); COUNT]) -> Self {
        let own = |(name, value): (&str, &str)| (name.into(), value.into());
        Self(variables.into_iter().map(own).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_the_kernel_is_read_whatever_is_in_it() {
        let read = Environment::parse(b"A=1\0B=x=y\0\0broken\0EMPTY=\0C=\xff\0");
        assert_eq!(read.text("A").unwrap(), "1");
        assert_eq!(read.text("B").unwrap(), "x=y");
        assert_eq!(read.get("EMPTY"), None);
        assert_eq!(read.get("broken"), None);
        assert!(read.get("C").is_some());
    }

    #[test]
    fn no_value_is_ever_printed() {
        let secret = Environment::from([("TOKEN", "s3cret")]);
        assert_eq!(format!("{secret:?}"), "1 variables");
    }
}
