//! The command line.

mod journal;
mod options;
mod parse;
mod plan;
mod planning;
mod saved_plan;
mod target;
mod token;
mod unfinished;

pub(crate) use options::Mode;
pub(crate) use parse::{Refusal, parse};
pub(crate) use plan::{Plan, Task, plan};
