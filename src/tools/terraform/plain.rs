//! What may be printed of the settings of a backend: what names the place, and is no secret.

use serde_json::Value;

use super::backends::ALL;

/// How the names of files of settings end.
const ENDINGS: [&str; 7] = ["conf", "config", "hcl", "json", "tf", "tfbackend", "tfvars"];
/// Names of a query whose values name the place.
const PLAIN_IN_A_QUERY: [&str; 14] = [
    "branch",
    "directory",
    "env",
    "environment",
    "name",
    "namespace",
    "path",
    "project",
    "region",
    "repository",
    "stack",
    "stage",
    "state",
    "workspace",
];

/// A setting as it is told of: its value may be a secret.
pub(super) fn told(name: &str, value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    if is_plain(name, &text) {
        format!("{name} = {value}")
    } else {
        name.to_owned()
    }
}

/// Whether this value of this setting may be printed.
pub(super) fn is_plain(name: &str, value: &str) -> bool {
    let is_address = value.contains("://");
    let is_switch = matches!(value, "true" | "false");
    is_switch || is_printable(name) && (!is_address || is_plain_address(value))
}

/// Whether an address names nobody, and nothing that only those may know who are allowed to.
fn is_plain_address(address: &str) -> bool {
    let query = address.split_once('?').map(|(_, query)| query);
    let mut pairs = query.into_iter().flat_map(|query| query.split('&'));
    !address.contains('@') && pairs.all(is_plain_in_a_query)
}

/// Whether this part of a query may be printed.
pub(super) fn is_plain_in_a_query(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    PLAIN_IN_A_QUERY
        .iter()
        .any(|plain| name.eq_ignore_ascii_case(plain))
}

/// The name before the first `=` of what was given. What is no name may be a piece of a secret that was
/// given without one: a text with an `=` in it, or one that ends with some, as base64 does.
pub(super) fn name_of_setting(name: &str) -> Option<&str> {
    let is_of_a_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let name = name.trim();
    (!name.is_empty() && name.bytes().all(is_of_a_name)).then_some(name)
}

/// Whether what was given without a name looks like the path of a file, and so is told whole: by its
/// ending, because tokens and passwords may be made of the same letters as paths.
pub(super) fn is_plain_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~@+,${}".contains(&byte);
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    path.is_empty()
        || path.bytes().all(is_plain) && ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

/// The name in a part of a query, where it has one: a text alone may be a secret, and so may one that
/// ends as base64 does.
pub(super) fn name_in_a_query(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=')?;
    let is_padding = value.bytes().all(|byte| byte == b'=');
    (!is_padding).then_some(name)
}

fn is_printable(name: &str) -> bool {
    let mut schemas = ALL.iter().map(|known| &known.schema);
    schemas.any(|schema| schema.printable.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_a_secret_by_its_ending() {
        for path in [
            "",
            "prod.hcl",
            "../env/prod.s3.tfbackend",
            "env/$STAGE.hcl",
            "env/${STAGE}.hcl",
            "~/prod@eu+1,2.tfvars",
            "settings.hcl.json",
        ] {
            assert!(is_plain_path(path), "{path}");
        }
        for secret in [
            "password s3cret",
            "password:s3cret",
            "password s3cret.hcl",
            "hunter2",
            "correct.horse",
            "glpat-aBcDeFgHiJkLmNoPqRsT",
            "glpat-aBcDeFgHiJkLmNoPqRsT.01.0w1abcdef",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "postgres://user:s3cret@host/database.hcl",
        ] {
            assert!(!is_plain_path(secret), "{secret}");
        }
    }
}
