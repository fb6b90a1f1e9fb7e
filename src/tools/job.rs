//! What a tool is to do where the user names no command.

use std::path::PathBuf;

/// What is to be done, without a command of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Change whatever is to be changed.
    Apply,
    /// Only say what that would be, and write it to this file.
    Plan(PathBuf),
    /// Change what the plan in this file says, and nothing else.
    ApplyPlan(PathBuf),
}
