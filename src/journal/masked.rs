//! Secrets, in what is written where others read it.
//!
//! Bitbucket masks the values of secured variables in logs, and nowhere else.

use std::collections::BTreeSet;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::form::{Key, key};
use super::record::{Entry, Record};
use crate::environment::sounds_secret;

/// A shorter value is a word that stands everywhere.
const SHORTEST: usize = 8;
pub(super) const MASK: &str = "***";

/// The texts that nobody may read.
pub(crate) struct Masks(Vec<SecretString>);

impl Masks {
    /// What looks like a secret among these variables, and what softstop was given as one.
    pub(crate) fn new<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        given: impl IntoIterator<Item = SecretString>,
    ) -> Self {
        let variables = variables.into_iter();
        let looks_secret = variables.filter(|(name, _)| sounds_secret(name));
        let mut texts: BTreeSet<String> = BTreeSet::new();
        for (_, value) in looks_secret {
            texts.extend(lines(value));
        }
        for secret in given {
            texts.extend(lines(secret.expose_secret()));
        }
        let mut texts: Vec<String> = texts.into_iter().collect();
        // One that has another in it would be left in part.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(texts.into_iter().map(SecretString::from).collect())
    }

    /// The record as others may read it. Resources that can no longer be told apart are counted.
    pub(crate) fn hide(&self, record: Record) -> Record {
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        let count = record.entries.len();
        let entries = record.entries.into_iter().map(|entry| self.entry(entry));
        let entries: Vec<Entry> = entries.filter(|entry| seen.insert(key(entry))).collect();
        Record {
            dropped: record.dropped + count - entries.len(),
            entries,
            ..record
        }
    }

    fn entry(&self, mut entry: Entry) -> Entry {
        let resource = &mut entry.resource;
        resource.address = self.text(&resource.address);
        resource.unit = resource.unit.take().map(|unit| self.text(&unit));
        // What is left of an id would be the id of something else.
        resource.id = resource.id.take().filter(|id| self.is_harmless(id));
        resource.old_id = resource.old_id.take().filter(|id| self.is_harmless(id));
        entry
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
    fn what_was_given_as_a_secret_is_masked_whatever_holds_it() {
        let masks = Masks::new([], [SecretString::from("given-as-secret")]);
        assert_eq!(masks.text("a.given-as-secret-b"), "a.***-b");
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
    fn no_secret_is_printed() {
        assert_eq!(format!("{:?}", masks("A_TOKEN", "12345678")), "1 masks");
    }
}
