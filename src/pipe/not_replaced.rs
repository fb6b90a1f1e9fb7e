//! Values in whose place the name of a variable stands, because that one is not set.
//!
//! Bitbucket may leave `$NAME` as it is where NAME is not set.

use thiserror::Error;

use super::known::{CREDENTIALS, Holds, Image, VARIABLES};
use super::variables::Variables;

/// Such a value of a variable of the pipe.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name} {says}, and no variable of that name is set: set it, or leave {name} out")]
pub(crate) struct NotReplaced {
    name: &'static str,
    says: String,
}

impl NotReplaced {
    /// Each that would be taken for what it says: the workspace of such a name would be made, and all be
    /// deployed into it. In an image of one's own, a shell has replaced what it could.
    pub(crate) fn all(variables: Variables<'_>, image: Image) -> Vec<Self> {
        let meant = VARIABLES.iter().filter(|variable| {
            image == Image::Pipe
                && variable.holds != Holds::Lines
                && !CREDENTIALS.contains(&variable.short())
        });
        let values = meant.flat_map(|variable| {
            let name = variables.deciding(variable);
            let listed = variables.list(variable.short()).unwrap_or_default();
            let left = listed.into_iter().filter_map(|value| what_is_left(&value));
            left.map(move |says| Self { name, says })
        });
        values.collect()
    }
}

/// What such a value says; nothing where it is another one.
///
/// The value of a setting may be a secret that begins with `$`, so it is not printed, and counts only as
/// what names of variables mostly look like.
fn what_is_left(value: &str) -> Option<String> {
    if is_not_replaced(value) {
        return Some(format!("is {value:?}"));
    }
    let (setting, value) = value.split_once('=')?;
    let is_left = is_not_replaced(value) && !value.contains(|letter: char| letter.is_lowercase());
    is_left.then(|| format!("gives {setting:?} no more than the name of a variable"))
}

/// Whether a value is no more than the name of a variable.
pub(crate) fn is_not_replaced(value: &str) -> bool {
    let name = value.trim().strip_prefix('$').unwrap_or_default();
    let braced = name
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'));
    let name = braced.unwrap_or(name);
    let is_of_names = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_of_names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_variable_that_is_not_set_is_no_value_in_the_pipe() {
        let set = [
            ("WORKSPACE", "$STAGE"),
            ("BACKEND_CONFIG_COUNT", "3"),
            ("BACKEND_CONFIG_0", "bucket=acme"),
            ("BACKEND_CONFIG_1", "key=${KEY}"),
            ("BACKEND_CONFIG_2", "password=$ummer2026"),
            ("COMMAND", "$RUN"),
            ("AWS_OIDC_ROLE_ARN", "$ROLE"),
            ("PLAN_FILE", "plan$"),
            ("REPORT_FILE", "$5"),
        ];
        let value = |name: &str| {
            let found = set.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let left = |image| {
            let left = NotReplaced::all(Variables::new(image, &value), image);
            left.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let expected = [
            (
                "BACKEND_CONFIG",
                "gives \"key\" no more than the name of a variable",
            ),
            ("WORKSPACE", "is \"$STAGE\""),
        ];
        let expected = expected.map(|(name, says)| {
            format!(
                "{name} {says}, and no variable of that name is set: set it, or leave {name} out"
            )
        });
        assert_eq!(left(Image::Pipe), expected);
        assert!(left(Image::Own).is_empty());
    }
}
