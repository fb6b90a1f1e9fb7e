//! Locks in softstop's own words: what a lock says of its holder, and what may be concluded from it.
//!
//! Nothing here does I/O or reads a clock, so every conclusion can be tested from a table.

mod evidence;
mod info;
mod own_run;
mod owner;
mod reasons;
mod step;
mod verdict;
#[cfg(test)]
mod verdict_answers_table;
#[cfg(test)]
mod verdict_properties;
#[cfg(test)]
mod verdict_table;
mod wording;

pub(crate) use evidence::{Answer, Evidence, Others, Presence, Siblings};
pub(crate) use info::LockInfo;
pub(crate) use own_run::{Run, judge_own};
pub(crate) use owner::{Holder, Owner};
pub(crate) use reasons::{Doubt, Life, Proof};
pub(crate) use step::StepReport;
pub(crate) use verdict::{Verdict, judge, judge_unasked};
