//! Look, judge, look again where the release itself does not, release, look again: what the stories
//! have in common.

mod finding;
pub(crate) mod guarded;
#[cfg(test)]
mod guarded_table;
pub(crate) mod pace;
mod patience;
mod recover;
#[cfg(test)]
mod recovery_table;

pub(crate) use finding::{Finding, Recovery};
pub(crate) use patience::{Patience, recover_with_patience};
pub(crate) use recover::{examine, recover};
