//! Values in whose place the name of a variable stands, because that one is not set.
//!
//! Bitbucket may leave `$NAME` as it is where NAME is not set.

use thiserror::Error;

use super::known::{CREDENTIALS, Holds, Image, VARIABLES};
use super::variables::Variables;

/// Such a value of a variable of the pipe.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name} is {value:?}, and no variable of that name is set: set it, or leave {name} out")]
pub(crate) struct NotReplaced {
    name: &'static str,
    value: String,
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
            listed.into_iter().map(move |value| Self { name, value })
        });
        let is_left = |value: &Self| {
            let setting = value.value.split_once('=').map(|(_, setting)| setting);
            is_not_replaced(&value.value) || setting.is_some_and(is_not_replaced)
        };
        values.filter(is_left).collect()
    }
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
            ("BACKEND_CONFIG_COUNT", "2"),
            ("BACKEND_CONFIG_0", "bucket=acme"),
            ("BACKEND_CONFIG_1", "key=${KEY}"),
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
        let expected = [("BACKEND_CONFIG", "key=${KEY}"), ("WORKSPACE", "$STAGE")];
        let expected = expected.map(|(name, value)| {
            format!("{name} is {value:?}, and no variable of that name is set: set it, or leave {name} out")
        });
        assert_eq!(left(Image::Pipe), expected);
        assert!(left(Image::Own).is_empty());
    }
}
