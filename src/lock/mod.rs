//! Locks in softstop's own words: what a lock says of its holder, and what may be concluded from it.
//!
//! Nothing here does I/O or reads a clock, so every conclusion can be tested from a table.

mod info;
mod step;
mod verdict;

pub(crate) use info::LockInfo;
pub(crate) use step::StepReport;
pub(crate) use verdict::{Doubt, OF_A_DEPLOY, OF_A_STATE_PUSH, Others, Run, Verdict, judge};
