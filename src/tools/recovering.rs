//! The way back: what a tool is asked that can take into its state what is there and not in it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::error::ToolError;
use super::host::Host;
use super::job::Job;
use super::processes::Prepared;
use super::progress::Action;
use crate::private;

/// A tool whose plans can bring into the state what was made and is not in it.
pub(crate) trait Recovering {
    /// Whether the program that runs here imports by a plan.
    async fn imports_by_plan(&self, host: &impl Host) -> Result<bool, ToolError>;

    /// Whether this is an address, and nothing in it is more than a name.
    fn is_address(&self, text: &str) -> bool;

    /// Whether resources of one type are meant, of which each id stands for one.
    fn are_of_one_type(&self, one: &str, other: &str) -> bool;

    /// What a person puts beside the configuration to let a plan import these.
    fn import_blocks(&self, made: &[Made]) -> String;

    /// Puts the same there, until what is returned is dropped.
    fn lay_out(&self, made: &[Made]) -> io::Result<LaidOut>;

    /// Removes what a killed run has left of that, and says whether there was something.
    fn clear_away(&self) -> io::Result<Option<PathBuf>>;

    /// What is run for one step of a job; a state that was not found may have to be made.
    async fn step(
        &self,
        host: &impl Host,
        step: Step<'_>,
        job: &Job,
        lock_timeout: Duration,
        has_found_state: bool,
    ) -> Result<Prepared, ToolError>;

    /// What the plan does that the last step has shown.
    fn planned(&self, draft: &Draft) -> Result<Planned, ToolError>;
}

/// What was made, and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Made {
    pub(crate) address: String,
    pub(crate) id: String,
}

/// One step of a job that looks at its plan before it does what that says. Each is run by itself, and
/// stopped like any deploy; a shell that ran them all would have to ask softstop what comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    SetUp,
    /// Writes a plan, and shows it.
    Plan(&'a Draft),
    /// Shows the plan of this file.
    Show(&'a Path, &'a Draft),
    /// Stores what there is, and changes nothing but the state.
    Refresh,
    /// Does what the plan of this file says.
    Apply(&'a Path),
}

/// A plan that only softstop looks at. It holds secrets, and is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Draft(TempDir);

impl Draft {
    pub(crate) fn new() -> io::Result<Self> {
        private::directory().map(Self)
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.0.path().join("plan")
    }

    /// What the plan says, as it was shown.
    pub(super) fn shown(&self) -> PathBuf {
        self.0.path().join("shown")
    }
}

/// A file that lies beside a configuration, and is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct LaidOut(pub(super) PathBuf);

impl Drop for LaidOut {
    fn drop(&mut self) {
        // The next start removes what stays.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a plan does, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned(pub(crate) BTreeMap<String, Change>);

/// What a plan does with one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Nothing where it stays as it is.
    pub(crate) action: Option<Action>,
    /// The id of what is there.
    pub(crate) id: Option<String>,
    /// The id of what is taken into the state first.
    pub(crate) imported: Option<String>,
}
