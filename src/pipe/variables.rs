//! How values arrive: pipe variables are environment variables, a list is several of them, and a
//! variable that the pipeline leaves empty counts as not given.

use std::env;
use std::time::Duration;

use thiserror::Error;

/// A list that does not hold what its count says.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ListError {
    #[error("{name}_COUNT is {value:?}: expected how many of {name}_0, {name}_1, … there are")]
    Count { name: String, value: String },
    #[error("{name}_COUNT is {count}, but {name}_{index} is missing")]
    Missing {
        name: String,
        count: usize,
        index: usize,
    },
}

/// Reads the list `name` as Bitbucket passes it: `NAME_COUNT`, `NAME_0`, `NAME_1`, …; a plain
/// `NAME` is a list of one.
pub(crate) fn list(name: &str) -> Result<Vec<String>, ListError> {
    list_from(name, |variable| env::var(variable).ok())
}

/// Reads a list from where `variable` finds values.
pub(crate) fn list_from(
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, ListError> {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let Some(value) = given(&format!("{name}_COUNT")) else {
        return Ok(given(name).into_iter().collect());
    };
    let count = value.trim().parse().map_err(|_| ListError::Count {
        name: name.to_owned(),
        value,
    })?;
    (0..count)
        .map(|index| {
            variable(&format!("{name}_{index}")).ok_or_else(|| ListError::Missing {
                name: name.to_owned(),
                count,
                index,
            })
        })
        .collect()
}

/// Reads a duration such as `90s` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|_| "expected a duration with its unit, such as 90s or 2m".to_owned())
}

/// Reads the grace period, which is useless when it is too short to stop anything in.
pub(crate) fn grace_period(text: &str) -> Result<Duration, String> {
    let period = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&period) {
        Ok(period)
    } else {
        Err("expected a duration from 1s to 24h".to_owned())
    }
}

/// Reads a switch.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Drops a text that the pipeline has left empty.
pub(crate) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Vec<String>, ListError> {
        list_from("DIR", |name| {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_list_is_read_in_its_order_and_a_plain_variable_is_a_list_of_one() {
        assert_eq!(read(&[]).unwrap(), Vec::<String>::new());
        assert_eq!(read(&[("DIR", "")]).unwrap(), Vec::<String>::new());
        assert_eq!(read(&[("DIR", "a")]).unwrap(), ["a"]);
        assert_eq!(
            read(&[("DIR_1", "b"), ("DIR_0", "a"), ("DIR_COUNT", "2")]).unwrap(),
            ["a", "b"]
        );
    }

    #[test]
    fn a_list_that_does_not_hold_what_it_says_is_an_error_that_names_the_variable() {
        assert_eq!(
            read(&[("DIR_COUNT", "two")]).unwrap_err().to_string(),
            "DIR_COUNT is \"two\": expected how many of DIR_0, DIR_1, … there are"
        );
        assert_eq!(
            read(&[("DIR_COUNT", "2"), ("DIR_0", "a")])
                .unwrap_err()
                .to_string(),
            "DIR_COUNT is 2, but DIR_1 is missing"
        );
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        for text in ["90", "", "soon", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_grace_period_is_at_least_a_second_and_at_most_a_day() {
        assert!(grace_period("1s").is_ok());
        assert!(grace_period("999ms").is_err());
        assert!(grace_period("25h").is_err());
    }

    #[test]
    fn switches_are_true_or_false_and_an_empty_one_is_off() {
        assert_eq!(switch("True"), Ok(true));
        assert_eq!(switch(""), Ok(false));
        assert!(switch("perhaps").is_err());
    }
}
