//! What Bitbucket says of the step that holds a lock.

use jiff::Timestamp;

/// How a step stands, in Bitbucket's own words: a word that nobody knows yet must not read as one
/// that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepReport {
    pub(crate) state: String,
    pub(crate) stage: Option<String>,
    pub(crate) result: Option<String>,
    /// Which run of the step this is about.
    pub(crate) run: Option<u32>,
    pub(crate) completed: Option<Timestamp>,
}

impl StepReport {
    pub(crate) fn is_completed(&self) -> bool {
        self.state == "COMPLETED"
    }
}
