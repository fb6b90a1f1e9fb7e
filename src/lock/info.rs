//! What a lock says of itself, whichever tool has taken it.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A lock, as far as it says anything of itself.
///
/// Every text but the ID may be empty, where a tool has no such thing or a foreign server leaves it
/// out; one that is missing never matches anything, so it can only lead to a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockInfo {
    /// What tells this lock from the next one at the same place.
    pub(crate) id: String,
    pub(crate) who: String,
    pub(crate) created: Option<Timestamp>,
    pub(crate) version: String,
    pub(crate) operation: String,
    /// Whether a look of softstop's holds it, which takes it for an instant.
    pub(crate) is_of_a_look: bool,
    /// What else stands in it, by the tool's own words.
    pub(crate) more: BTreeMap<&'static str, String>,
}
