//! The seam for deploy tools: what a tool is asked, each part by itself.

pub(crate) mod access;
pub(crate) mod clone;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod host;
mod job;
mod locking;
mod processes;
pub(crate) mod progress;
mod quoted;
mod real;
pub(crate) mod recovering;
mod registry;
mod signing;
mod state_keeping;
pub(crate) mod stored;
pub(crate) mod telling;
mod terraform;
mod wanted;

pub(crate) use error::ToolError;
pub(crate) use host::Host;
pub(crate) use job::Job;
#[cfg(test)]
pub(crate) use locking::Guarantee;
pub(crate) use locking::{ByHand, End, Locked, Locking, Look, Reply};
pub(crate) use processes::{Prepared, Processes, Purpose, Sighting};
pub(crate) use registry::{Lock, Recoverer, StateKeeper, Teller, Tool};
pub(crate) use signing::Signing;
pub(crate) use state_keeping::{StateKeeping, UnsavedState, Unstored};
pub(crate) use terraform::{Chosen, escaped, say_installed, stand_in};
pub(crate) use wanted::Wanted;
