//! What a program said, as it may be told: without the lines of files that it quotes, and without values
//! that may be secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use super::backend::Backend;
use super::backends::ALL;
use super::plain::{is_plain, is_plain_in_a_query, name_in_a_query};
use crate::environment::Environment;
use crate::printable::{one_line, shortened};

const MASK: &str = "***";
/// A shorter text stands everywhere, so it is a secret between quotes alone.
const SHORTEST: usize = 4;
/// A shorter one is a secret where it is a word of its own.
const LONG: usize = 8;
/// How much is told.
const LONGEST: usize = 700;
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// The texts that nobody may read, the longest first: one that has another in it would be left in part.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// The secrets among these variables and the users of backends, and all that is given to a backend and
    /// does not name the place.
    pub(super) fn of(environment: &Environment, backend: Option<&Backend>) -> Self {
        let leading: Vec<&str> = ALL
            .iter()
            .flat_map(|known| known.leading)
            .copied()
            .collect();
        let users = environment.beginning_with(&leading).into_iter();
        let users = users.filter(|(name, _)| names_a_user(&name.to_string_lossy()));
        let users = users.map(|(_, value)| value.to_string_lossy().into_owned());
        let by_variables = ALL
            .iter()
            .flat_map(|known| known.schema.by_variables(environment));
        let settings = backend.into_iter().flat_map(|backend| &backend.settings);
        let settings = settings.flat_map(|(name, value)| {
            let texts = leaves(value).into_iter();
            texts.map(|text| (name.clone(), text))
        });
        let by_variables = by_variables.map(|(name, text)| (name.to_owned(), text));
        let given = by_variables.chain(settings);
        let given = given.filter(|(name, text)| !is_plain(name, text));
        let given = given.map(|(_, text)| text);
        Self(Vec::new()).and(environment.secrets().chain(users).chain(given))
    }

    /// These too.
    pub(super) fn and(self, values: impl IntoIterator<Item = String>) -> Self {
        let mut texts: BTreeSet<String> = self.0.into_iter().collect();
        for value in values {
            texts.extend(texts_of(&value));
        }
        let mut texts: Vec<String> = texts.into_iter().collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(texts)
    }

    /// The part of an output that tells a person what went wrong.
    pub(super) fn essence(&self, output: &str) -> String {
        let lines = output.lines().map(without_frame);
        let lines = lines.filter(|line| !is_of_a_file(line));
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        let text = self.hide(&one_line(&words.join(" ")));
        if text.is_empty() {
            return "nothing".to_owned();
        }
        shortened(&text, LONGEST)
    }

    fn hide(&self, text: &str) -> String {
        let secrets = self.0.iter();
        let text = secrets.fold(text.to_owned(), |text, secret| without(&text, secret));
        // Of what it cannot read, Go may quote a piece: `invalid port ":word" after host`.
        let pieces = text.split_inclusive(QUOTES).enumerate();
        pieces
            .map(|(number, piece)| {
                let content = piece.trim_end_matches(QUOTES);
                if number > 0 && piece.ends_with(QUOTES) && self.is_piece(content) {
                    format!("{MASK}{}", &piece[content.len()..])
                } else {
                    piece.to_owned()
                }
            })
            .collect()
    }

    fn is_piece(&self, text: &str) -> bool {
        !text.trim().is_empty() && self.0.iter().any(|secret| secret.contains(text))
    }
}

fn names_a_user(variable: &str) -> bool {
    ["USER", "USERNAME"]
        .iter()
        .any(|end| variable.ends_with(end))
}

/// All texts and numbers in a value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Bool(_) => Vec::new(),
        Value::Number(number) => vec![number.to_string()],
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(leaves).collect(),
        Value::Object(values) => values.values().flat_map(leaves).collect(),
    }
}

/// A value, as it may stand in a text: line by line, escaped, and in parts.
fn texts_of(value: &str) -> impl Iterator<Item = String> {
    let lines = value.lines().flat_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let line = words.join(" ");
        [line.escape_debug().to_string(), line]
    });
    let parts = parts(value).into_iter().map(str::to_owned);
    lines.chain(parts).filter(|text| !text.is_empty())
}

/// User and password of an address, and what its query, or a list of settings, says beside the place.
fn parts(value: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let pairs: Vec<&str> = if let Some((_, address)) = value.split_once("://") {
        let user = address.rsplit_once('@').map(|(user, _)| user);
        parts.extend(user.into_iter().flat_map(|user| user.splitn(2, ':')));
        let query = address.split_once('?').map(|(_, query)| query);
        query.unwrap_or_default().split('&').collect()
    } else {
        let words = value.split_whitespace();
        words.filter(|word| word.contains('=')).collect()
    };
    let secret = pairs.into_iter().filter(|pair| !is_plain_in_a_query(pair));
    parts.extend(secret.map(|pair| match name_in_a_query(pair) {
        Some(name) => &pair[name.len() + 1..],
        None => pair,
    }));
    parts
}

fn without(text: &str, secret: &str) -> String {
    match secret.len() {
        LONG.. => text.replace(secret, MASK),
        SHORTEST.. => without_word(text, secret),
        _ => text.to_owned(),
    }
}

fn without_word(text: &str, word: &str) -> String {
    let is_in_word = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
    let mut hidden = String::new();
    let mut end = 0;
    for (begin, _) in text.match_indices(word) {
        let before = text[..begin].chars().next_back();
        let after = text[begin + word.len()..].chars().next();
        if ![before, after].into_iter().flatten().any(is_in_word) {
            hidden.extend([&text[end..begin], MASK]);
            end = begin + word.len();
        }
    }
    hidden + &text[end..]
}

/// A line without the frame that Terraform draws around it where it thinks of a terminal.
fn without_frame(line: &str) -> &str {
    line.strip_prefix('│').unwrap_or(line).trim()
}

/// Whether a line says where in a file something is, what stands there, or what a name there stands for.
fn is_of_a_file(line: &str) -> bool {
    let begins_with_digit = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    let is_where = line.starts_with("on ")
        && line
            .match_indices(" line ")
            .any(|(place, word)| begins_with_digit(&line[place + word.len()..]));
    let behind_number = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let is_source = begins_with_digit(line) && behind_number.starts_with(':');
    is_where || is_source || line.starts_with(['│', '├'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::backend::tests::backend;
    use super::*;

    fn of(kind: &str, settings: &Value) -> Secrets {
        Secrets::of(&Environment::default(), Some(&backend(kind, settings)))
    }

    #[test]
    fn the_lines_that_are_quoted_of_a_file_are_left_out() {
        let plain = "\nError: Invalid Value\n\n  on main.tf line 4, in terraform:\n   4:     key = \
                     \"s3cret\"\n   5:\n    ├────────────────\n    │ var.x is \"s3cret\"\n\nThe value \
                     must not\nstart with \"/\".\n";
        let framed = plain.replace('\n', "\n│ ");
        for output in [plain, &framed] {
            let told = of("s3", &json!({})).essence(output);
            assert_eq!(
                told,
                "Error: Invalid Value The value must not start with \"/\"."
            );
        }
        assert_eq!(of("s3", &json!({})).essence("\n  3: x\n"), "nothing");
    }

    #[test]
    fn what_does_not_name_the_place_is_hidden_of_what_is_said() {
        let settings = json!({
            "bucket": "acme-states", "secret_key": "s3cret/key", "token": "tok\"en s3cret",
            "external_id": "pin4", "assume_role": {"policy": "{\n  \"s3cret-line\"\n}"},
        });
        let secrets = of("s3", &settings);
        for (said, told) in [
            ("no acme-states for s3cret/key.", "no acme-states for ***."),
            ("bad \"tok\\\"en\n  s3cret\" given", "bad \"***\" given"),
            ("pin4, pin45, x-pin4, (pin4)", "***, pin45, x-pin4, (***)"),
            ("  \"s3cret-line\"", "***"),
        ] {
            assert_eq!(secrets.essence(said), told);
        }
    }

    #[test]
    fn of_an_address_its_pieces_are_hidden_too() {
        let secrets = of(
            "pg",
            &json!({"conn_str": "postgres://anna:pa%zz/s3cret@h/db"}),
        );
        for (said, told) in [
            (
                "parse \"postgres://anna:pa%zz/s3cret@h/db\": x",
                "parse \"***\": x",
            ),
            (
                "invalid port \":pa%zz\" after host",
                "invalid port \"***\" after host",
            ),
            ("invalid URL escape \"%zz\"", "invalid URL escape \"***\""),
            ("user anna failed", "user *** failed"),
        ] {
            assert_eq!(secrets.essence(said), told);
        }
        let http = of(
            "http",
            &json!({"address": "https://h/a?env=prod&key=s3cret"}),
        );
        let said = "Get \"https://h/a?x=s3cret&env=prod\": EOF";
        assert_eq!(
            http.essence(said),
            "Get \"https://h/a?x=***&env=prod\": EOF"
        );
        let bare = of("http", &json!({"address": "https://h/a?s3cret"}));
        let said = "Get \"https://h/a?x=1&s3cret\": EOF";
        assert_eq!(bare.essence(said), "Get \"https://h/a?x=1&***\": EOF");
    }

    #[test]
    fn credentials_of_the_environment_are_hidden_too() {
        let environment = Environment::from([
            ("PG_CONN_STR", "password=s3cret-1"),
            ("AWS_SESSION_TOKEN", "s3cret-2"),
            ("PGUSER", "s3cret-3"),
            ("TF_VAR_password", "s3cret-4"),
            ("AWS_REGION", "eu-central-1"),
        ]);
        let secrets = Secrets::of(&environment, None);
        let said = "s3cret-1 s3cret-2 s3cret-3 s3cret-4 eu-central-1";
        assert_eq!(secrets.essence(said), "*** *** *** *** eu-central-1");
    }

    #[test]
    fn of_a_long_output_the_begin_is_told() {
        let told = of("s3", &json!({})).essence(&"ä ".repeat(2 * LONGEST));
        assert_eq!(told.chars().count(), LONGEST + 1);
    }
}
