//! Locks in softstop's own words: what a lock says of its holder, and what may be concluded from it.
//!
//! Nothing here does I/O or reads a clock, so every conclusion can be tested from a table.

mod info;
mod own_run;
mod owner;
mod step;
mod verdict;
#[cfg(test)]
mod verdict_answers_table;
#[cfg(test)]
mod verdict_properties;
#[cfg(test)]
mod verdict_table;

pub(crate) use info::LockInfo;
pub(crate) use own_run::{OF_A_DEPLOY, OF_A_STATE_PUSH, Others, Run, judge_own};
pub(crate) use owner::{Holder, Owner};
pub(crate) use step::StepReport;
pub(crate) use verdict::{
    Answer, Doubt, Evidence, Life, Proof, Siblings, Sighting, Verdict, judge, settle,
};
