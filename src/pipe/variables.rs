//! How values arrive: pipe variables are environment variables, a list is several of them, and a
//! variable that the pipeline leaves empty counts as not given.

use std::env;
use std::time::Duration;

use thiserror::Error;

use super::known::{Holds, Image, VARIABLES, Variable};

/// No step runs for longer.
const DAY: Duration = Duration::from_secs(86_400);

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

/// A variable whose name says more values than it can hold.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{list}_COUNT is set, but {list} takes one value, not a list")]
pub(crate) struct NoList {
    list: &'static str,
}

/// The variables of a place where they are set, read as they count in an image.
#[derive(Clone, Copy)]
pub(crate) struct Variables<'a> {
    image: Image,
    value: &'a dyn Fn(&str) -> Option<String>,
}

impl Variables<'static> {
    /// Those that softstop was started with.
    pub(crate) fn of_environment(image: Image) -> Self {
        Self::new(image, &|name| {
            Some(env::var_os(name)?.to_string_lossy().into_owned())
        })
    }
}

impl<'a> Variables<'a> {
    pub(crate) fn new(image: Image, value: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { image, value }
    }

    /// The value of a variable that holds one.
    pub(crate) fn text(&self, short: &str) -> Option<String> {
        self.names(short).find_map(|name| self.given(name))
    }

    /// Reads a list as Bitbucket passes it: `NAME_COUNT`, `NAME_0`, `NAME_1`, …; a plain `NAME` is
    /// a list of one.
    pub(crate) fn list(&self, short: &str) -> Result<Vec<String>, ListError> {
        let name = self.names(short).find(|name| self.is_given(name));
        let Some(name) = name else {
            return Ok(Vec::new());
        };
        let Some(value) = self.given(&count_of(name)) else {
            return Ok(self.given(name).into_iter().collect());
        };
        let count = value.trim().parse().map_err(|_| ListError::Count {
            name: name.to_owned(),
            value,
        })?;
        (0..count)
            .map(|index| {
                (self.value)(&format!("{name}_{index}")).ok_or_else(|| ListError::Missing {
                    name: name.to_owned(),
                    count,
                    index,
                })
            })
            .collect()
    }

    /// Reads a script, whose lines may be a list.
    pub(crate) fn script(&self, short: &str) -> Result<Option<String>, ListError> {
        let lines = self.list(short)?;
        Ok(given(Some(lines.join("\n"))))
    }

    /// The name that an option's value is read from, or would be.
    pub(crate) fn deciding(&self, variable: &Variable) -> &'static str {
        let mut given = variable
            .names(self.image)
            .filter(|name| self.is_given(name));
        let shown = variable.names(self.image).next_back();
        given.next().or(shown).unwrap_or(variable.full)
    }

    /// Whether this name holds a value of its own, and no list in its place.
    pub(crate) fn is_plain(&self, name: &str) -> bool {
        self.given(&count_of(name)).is_none() && self.given(name).is_some()
    }

    /// Every list where none is taken: to drop it would be to run something else than what is meant.
    pub(crate) fn wrong_lists(&self) -> impl Iterator<Item = NoList> {
        let single = VARIABLES
            .iter()
            .filter(|variable| variable.holds == Holds::One);
        single
            .flat_map(|variable| variable.names(self.image))
            .filter(|name| self.given(&count_of(name)).is_some())
            .map(|list| NoList { list })
    }

    /// Says what to write where the short name is set and does not count here; `option` does the
    /// same on the command line.
    pub(crate) fn unheeded(&self, short: &str, option: &str) -> Option<String> {
        let variable = Variable::named(short)?;
        let is_unheeded = !variable.is_short_in(self.image) && self.is_given(short);
        is_unheeded.then(|| {
            format!(
                "{short} is set, but in an image of your own that may be a variable of the \
                 repository's: call it {}, give {option}, or unset it for softstop",
                variable.full
            )
        })
    }

    fn names(&self, short: &str) -> impl Iterator<Item = &'static str> {
        let image = self.image;
        let variable = Variable::named(short).into_iter();
        variable.flat_map(move |variable| variable.names(image))
    }

    fn is_given(&self, name: &str) -> bool {
        self.given(name).is_some() || self.given(&count_of(name)).is_some()
    }

    fn given(&self, name: &str) -> Option<String> {
        (self.value)(name).filter(|value| !value.is_empty())
    }
}

fn count_of(name: &str) -> String {
    format!("{name}_COUNT")
}

/// Reads a duration such as `90s` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|_| "expected a duration with its unit, such as 90s or 2m".to_owned())
}

/// Reads how long to wait for a lock. Terraform is told it too, and knows no longer time than 292 years.
pub(crate) fn lock_timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if timeout <= DAY {
        Ok(timeout)
    } else {
        Err("expected a duration from 0s to 24h".to_owned())
    }
}

/// Reads the grace period, which is useless when it is too short to stop anything in.
pub(crate) fn grace_period(text: &str) -> Result<Duration, String> {
    let period = duration(text)?;
    if (Duration::from_secs(1)..=DAY).contains(&period) {
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

    fn within<T>(image: Image, set: &[(&str, &str)], read: impl FnOnce(Variables<'_>) -> T) -> T {
        let value = |name: &str| {
            let found = set.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(Variables::new(image, &value))
    }

    fn read(set: &[(&str, &str)]) -> Result<Vec<String>, ListError> {
        within(Image::Own, set, |variables| variables.list("WORKING_DIR"))
    }

    #[test]
    fn a_list_is_read_in_its_order_and_a_plain_variable_is_a_list_of_one() {
        assert_eq!(read(&[]).unwrap(), Vec::<String>::new());
        assert_eq!(read(&[("WORKING_DIR", "")]).unwrap(), Vec::<String>::new());
        assert_eq!(read(&[("WORKING_DIR", "a")]).unwrap(), ["a"]);
        assert_eq!(
            read(&[
                ("WORKING_DIR_1", "b"),
                ("WORKING_DIR_0", "a"),
                ("WORKING_DIR_COUNT", "2")
            ])
            .unwrap(),
            ["a", "b"]
        );
    }

    #[test]
    fn a_list_that_does_not_hold_what_it_says_is_an_error_that_names_the_variable() {
        assert_eq!(
            read(&[("WORKING_DIR_COUNT", "two")])
                .unwrap_err()
                .to_string(),
            "WORKING_DIR_COUNT is \"two\": expected how many of WORKING_DIR_0, WORKING_DIR_1, … there are"
        );
        assert_eq!(
            read(&[("WORKING_DIR_COUNT", "2"), ("WORKING_DIR_0", "a")])
                .unwrap_err()
                .to_string(),
            "WORKING_DIR_COUNT is 2, but WORKING_DIR_1 is missing"
        );
    }

    #[test]
    fn the_full_name_goes_before_the_short_one_as_a_whole() {
        let set = [
            ("WORKING_DIR_COUNT", "1"),
            ("WORKING_DIR_0", "short"),
            ("SOFTSTOP_WORKING_DIR", "full"),
        ];
        assert_eq!(read(&set).unwrap(), ["full"]);
        assert_eq!(
            read(&[set[0], set[1], ("SOFTSTOP_WORKING_DIR", "")]).unwrap(),
            ["short"]
        );
    }

    #[test]
    fn a_common_name_is_heeded_in_the_pipe_alone_and_told_of_elsewhere() {
        for set in [[("WORKSPACE", "dev")], [("WORKSPACE_COUNT", "1")]] {
            let unheeded = |image| {
                within(image, &set, |variables| {
                    variables.unheeded("WORKSPACE", "--workspace").is_some()
                })
            };
            assert!(unheeded(Image::Own) && !unheeded(Image::Pipe), "{set:?}");
        }
        let text = |image| {
            within(image, &[("WORKSPACE", "dev")], |variables| {
                variables.text("WORKSPACE")
            })
        };
        assert_eq!(text(Image::Own), None);
        assert_eq!(text(Image::Pipe).as_deref(), Some("dev"));
    }

    #[test]
    fn a_script_is_a_text_or_a_list_of_lines() {
        let script = |set: &[(&str, &str)]| {
            within(Image::Pipe, set, |variables| {
                variables.script("COMMAND").unwrap()
            })
        };
        assert_eq!(script(&[("COMMAND", " ")]), None);
        assert_eq!(script(&[("COMMAND", "a")]).as_deref(), Some("a"));
        let list = [
            ("COMMAND_COUNT", "2"),
            ("COMMAND_0", "a"),
            ("COMMAND_1", "b"),
        ];
        assert_eq!(script(&list).as_deref(), Some("a\nb"));
    }

    #[test]
    fn a_list_is_wrong_for_whatever_holds_one_value_under_a_name_that_counts() {
        let set = [
            ("MODE_COUNT", "1"),
            ("SIGN_LOCKS_COUNT", "2"),
            ("SOFTSTOP_DEBUG_COUNT", "1"),
            ("BACKEND_CONFIG_COUNT", "1"),
            ("AFTER_SCRIPT_COUNT", "1"),
        ];
        let wrong = |image| {
            within(image, &set, |variables| {
                let wrong = variables.wrong_lists().map(|wrong| wrong.list);
                wrong.collect::<Vec<_>>()
            })
        };
        assert_eq!(wrong(Image::Own), ["SIGN_LOCKS", "SOFTSTOP_DEBUG"]);
        assert_eq!(wrong(Image::Pipe), ["MODE", "SIGN_LOCKS", "SOFTSTOP_DEBUG"]);
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
    fn nobody_waits_for_a_lock_for_more_than_a_day() {
        for text in ["0s", "90s", " 24h "] {
            assert!(lock_timeout(text).is_ok(), "{text}");
        }
        for text in ["25h", "300000000000y", "2", ""] {
            assert!(lock_timeout(text).is_err(), "{text}");
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
