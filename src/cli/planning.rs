//! What is known while a plan is made, and what stands in its way.

use crate::pipe::variables::{self, Variables};
use crate::tools::Chosen;

/// What all parts of a plan need.
pub(super) struct Planning<'a> {
    pub(super) variables: Variables<'a>,
    /// The version that is chosen, where one is.
    pub(super) chosen: Option<Chosen>,
    /// Every reason why something cannot be done.
    pub(super) reasons: Vec<String>,
}

impl Planning<'_> {
    /// What was found, or nothing and the reason why.
    pub(super) fn take_in<T>(&mut self, found: Result<Option<T>, impl ToString>) -> Option<T> {
        found.unwrap_or_else(|reason| {
            self.reasons.push(reason.to_string());
            None
        })
    }

    /// Where nothing is given for an option that has a short name, and that name is set and does not
    /// count here, whatever it decides is not run.
    pub(super) fn expect(&mut self, given: Option<&String>, short: &str, option: &str) {
        if variables::given(given.cloned()).is_none() {
            self.reasons.extend(self.variables.unheeded(short, option));
        }
    }

    /// A script from the command line, or else from the environment, where it can be a list of lines.
    pub(super) fn script(&mut self, given: Option<&String>, variable: &str) -> Option<String> {
        variables::given(given.cloned()).or_else(|| self.take_in(self.variables.script(variable)))
    }

    /// A list from the command line, or else from the environment; nothing where it cannot be read.
    pub(super) fn list(&mut self, given: &[String], variable: &str) -> Option<Vec<String>> {
        if given.is_empty() {
            self.take_in(self.variables.list(variable).map(Some))
        } else {
            Some(given.to_vec())
        }
    }
}
