//! Secrets, in what is written where others read it.
//!
//! Bitbucket masks the values of secured variables in logs, and nowhere else.

use std::collections::BTreeSet;
use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use super::form::{Name, name};
use super::record::{Entry, Record};
use crate::environment::{Environment, sounds_secret};
use crate::tools::escaped;

/// What sounds like a secret among settings and is none: where `s3` has the state in its bucket.
const NO_SECRET_SETTING: &str = "key";
/// A shorter value is a word that stands everywhere.
const SHORTEST: usize = 8;
pub(super) const MASK: &str = "***";

/// The texts that nobody may read, the longest first: one that has another in it would be left in part.
pub(crate) struct Masks(Vec<SecretString>);

impl Masks {
    /// What looks like a secret in these variables and in the words of this command line: the values of
    /// names that sound like one, wherever they stand, and the passwords of addresses.
    pub(crate) fn new<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        words: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut texts: BTreeSet<String> = BTreeSet::new();
        for (name, value) in variables {
            if sounds_secret(name) {
                texts.extend(lines(value));
            }
            texts.extend(within(value));
        }
        texts.extend(words.into_iter().flat_map(within));
        // The key of a resource is told between quotes.
        let told: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
        texts.extend(told);
        let mut masks = Self(Vec::new());
        masks.add(texts);
        masks
    }

    /// Hides the secrets of a program too, which a script may have given to it alone.
    pub(super) fn learn(&mut self, environment: &Environment, words: &[String]) {
        let variables: Vec<(String, String)> = environment.texts().collect();
        let variables = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let Self(secrets) = Self::new(variables, words.iter().map(String::as_str));
        self.add(secrets.iter().map(|one| one.expose_secret().to_owned()));
    }

    fn add(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            if !self.0.iter().any(|known| known.expose_secret() == text) {
                self.0.push(SecretString::from(text));
            }
        }
        self.0
            .sort_by_key(|text| std::cmp::Reverse(text.expose_secret().len()));
    }

    /// The record as others may read it. Resources that can no longer be told apart are counted.
    pub(crate) fn hide(&self, mut record: Record) -> Record {
        record
            .entries
            .iter_mut()
            .for_each(|entry| self.hide_in(entry));
        let mut seen: BTreeSet<Name<'_>> = BTreeSet::new();
        let entries = record.entries.iter();
        let are_new: Vec<bool> = entries.map(|entry| seen.insert(name(entry))).collect();
        let mut are_new = are_new.into_iter();
        let is_twin = |_: &mut Entry| are_new.next() == Some(false);
        let twins: Vec<Entry> = record.entries.extract_if(.., is_twin).collect();
        record.dropped += twins.iter().filter(|entry| record.misses(entry)).count();
        record
    }

    fn hide_in(&self, entry: &mut Entry) {
        let resource = &mut entry.resource;
        resource.address = self.text(&resource.address).into();
        resource.unit = resource.unit.take().map(|unit| self.text(&unit).into());
        // What is left of an id would be the id of something else.
        resource.id = resource.id.take().filter(|id| self.is_harmless(id));
        resource.old_id = resource.old_id.take().filter(|id| self.is_harmless(id));
    }

    pub(super) fn text(&self, text: &str) -> String {
        let masked =
            |text: String, secret: &SecretString| text.replace(secret.expose_secret(), MASK);
        self.0.iter().fold(text.to_owned(), masked)
    }

    fn is_harmless(&self, text: &str) -> bool {
        !self
            .0
            .iter()
            .any(|secret| text.contains(secret.expose_secret()))
    }
}

/// A key comes on several lines, and no name has a line break in it.
fn lines(value: &str) -> impl Iterator<Item = String> {
    let lines = value.lines().map(str::trim);
    lines
        .filter(|line| line.len() >= SHORTEST)
        .map(str::to_owned)
}

/// The secrets that stand within a text: settings of a backend, a connection string, options.
fn within(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices('=') {
            let name = name_before(&line[..at]);
            if sounds_secret(name) && name != NO_SECRET_SETTING {
                found.extend(readings(&line[at + 1..]));
            }
        }
        for (at, mark) in line.match_indices("://") {
            found.extend(password(&line[at + mark.len()..]));
        }
    }
    // What an address says in an escaped form may be named as it is meant.
    let meant = found.iter().map(|text| percent_decode_str(text));
    let meant: Vec<String> = meant
        .map(|text| text.decode_utf8_lossy().into_owned())
        .collect();
    found.extend(meant);
    found.retain(|text| text.len() >= SHORTEST);
    found
}

/// The name to which something is assigned behind this.
fn name_before(text: &str) -> &str {
    let is_of_name = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    let text = text.trim_end();
    &text[text.trim_end_matches(is_of_name).len()..]
}

/// What is assigned, however it may be meant: up to the next blank, to the next quote, or to the end.
fn readings(value: &str) -> [String; 3] {
    let is_quote = |character: char| "\"'".contains(character);
    let is_end = |character: char| character.is_whitespace() || "&;,\"'".contains(character);
    let value = value.trim().trim_matches(is_quote);
    let word = value.split(is_end).next().unwrap_or_default();
    let quoted = value.split(is_quote).next().unwrap_or_default();
    [word, quoted, value].map(str::to_owned)
}

/// The password of an address, behind its scheme.
fn password(address: &str) -> Option<String> {
    let is_end = |character: char| character.is_whitespace() || "/?#\"".contains(character);
    let server = address.split(is_end).next()?;
    let (user, _) = server.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password.to_owned())
}

impl fmt::Debug for Masks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} masks", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(name: &str, value: &str) -> Masks {
        Masks::new([(name, value)], [])
    }

    #[test]
    fn the_values_of_variables_that_sound_secret_are_masked() {
        for name in [
            "BITBUCKET_ACCESS_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "PGPASSWORD",
            "TF_VAR_dbpassword",
            "DB_PWD",
            "GOOGLE_CREDENTIALS",
            "PIPELINES_JWT_TOKEN",
            "APIKEY",
            "SSH_PRIVATE",
            "NPM_AUTH",
        ] {
            let masks = masks(name, "12345678");
            assert_eq!(masks.text("a[\"12345678\"].b"), "a[\"***\"].b", "{name}");
        }
    }

    #[test]
    fn other_values_are_not() {
        for (name, value) in [
            ("AWS_REGION", "eu-central-1"),
            ("BITBUCKET_PROJECT_KEY", "PLATFORM"),
            ("PWD", "/infra/prod"),
            ("KEYBOARD", "qwertz-de"),
            ("COMPASS", "north-west"),
            ("PATH", "/usr/bin:/bin"),
            ("DB_PASSWORD", "admin"),
            ("DB_PASSWORD", ""),
        ] {
            let text = format!("a[\"{value}\"].b");
            assert_eq!(masks(name, value).text(&text), text, "{name}");
        }
    }

    #[test]
    fn what_is_set_as_a_secret_within_a_value_or_on_the_command_line_is_masked() {
        for (name, value) in [
            (
                "PG_CONN_STR",
                "postgres://tf:12345678@db/state?sslmode=disable",
            ),
            (
                "PG_CONN_STR",
                "host=db user=tf password=12345678 dbname=state",
            ),
            (
                "PG_CONN_STR",
                "postgres://db/state?user=tf&password=12345678&a=b",
            ),
            ("BACKEND_CONFIG_0", "password=12345678"),
            ("BACKEND_CONFIG", "conn_str=postgres://tf:12345678@db/state"),
            ("BACKEND_CONFIG", "secret_key = \"12345678\""),
            (
                "TF_CLI_ARGS_init",
                "-upgrade -backend-config=access_key=12345678 -no-color",
            ),
            ("TF_CLI_ARGS_init", "'-backend-config=password=12345678'"),
            ("TF_CLI_ARGS_plan", "-var db_password=12345678"),
            ("TF_HTTP_ADDRESS", "https://tf:12345678@states.example/x"),
            (
                "ANY_LIST",
                "https://a.example,https://tf:1234567%38@b.example",
            ),
            ("DATABASES", "a\nredis://:12345678@cache"),
        ] {
            let text = format!("{name}={value}");
            for masks in [Masks::new([(name, value)], []), Masks::new([], [value])] {
                assert_eq!(masks.text("a[\"12345678\"].b"), "a[\"***\"].b", "{text}");
            }
        }
        let quoted = Masks::new(
            [],
            [
                "password='a long one' b=c",
                "-backend-config=token=x, y and z",
            ],
        );
        assert_eq!(quoted.text("<a long one> <x, y and z>"), "<***> <***>");
    }

    #[test]
    fn what_only_stands_beside_a_secret_is_not() {
        for value in [
            "key=production/network",
            "conn_str=postgres://terraform@database/production",
            "host=database user=terraform password=12345678 dbname=production",
            "-backend-config=bucket=production -lock-timeout=5minutes",
            "https://registry.example:8443/production",
        ] {
            let masks = Masks::new([("TF_CLI_ARGS", value)], [value]);
            for word in ["terraform", "production", "database", "5minutes", "network"] {
                assert_eq!(masks.text(word), word, "{value}");
            }
        }
    }

    #[test]
    fn of_a_secret_on_several_lines_each_is_one() {
        let masks = masks(
            "SSH_KEY",
            "-----BEGIN KEY-----\n  abcdefgh12345678\r\nAA==\n",
        );
        assert_eq!(masks.text("x abcdefgh12345678 AA=="), "x *** AA==");
    }

    #[test]
    fn no_end_of_a_secret_that_has_another_in_it_is_left() {
        let variables = [("A_TOKEN", "12345678"), ("B_TOKEN", "12345678-and-more")];
        let masks = Masks::new(variables, []);
        assert_eq!(masks.text("12345678-and-more 12345678"), "*** ***");
    }

    #[test]
    fn a_secret_is_masked_as_terraform_prints_a_key_too() {
        for (value, printed) in [
            ("12\"45678", "12\\\"45678"),
            ("12\\45678", "12\\\\45678"),
            ("12${45678", "12$${45678"),
        ] {
            let masks = masks("A_TOKEN", value);
            for text in [value, printed] {
                assert_eq!(masks.text(text), "***", "{text}");
                assert!(!masks.is_harmless(text), "{text}");
            }
        }
    }

    #[test]
    fn what_a_program_alone_was_given_is_masked_too_once_it_is_known() {
        let mut masks = masks("A_TOKEN", "12345678");
        let given = Environment::from([("A_TOKEN", "12345678"), ("B_TOKEN", "12345678-and-more")]);
        masks.learn(&given, &["-var=password=swordfish".to_owned()]);
        assert_eq!(masks.0.len(), 3);
        let text = "12345678-and-more 12345678 swordfish";
        assert_eq!(masks.text(text), "*** *** ***");
    }

    #[test]
    fn no_secret_is_printed() {
        assert_eq!(format!("{:?}", masks("A_TOKEN", "12345678")), "1 masks");
    }
}
