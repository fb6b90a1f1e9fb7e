//! What is said of a file.

use std::borrow::Cow;

use serde::Serialize;

use crate::pipelines::document::Position;

/// Something that is missing, in the order of the file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Remark {
    #[serde(flatten)]
    pub(super) position: Position,
    pub(super) severity: Severity,
    pub(super) reason: Cow<'static, str>,
    pub(super) fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Bitbucket does not take the file, and nothing in it runs.
    #[serde(rename = "error")]
    Refused,
    /// A stop is not safe.
    Error,
    /// A stop may not be safe, or the file alone does not tell.
    Warning,
}
