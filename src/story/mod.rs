//! What softstop does, each story from top to bottom.

mod after_script;
mod ahead;
mod commits;
pub(crate) mod conclusion;
pub(crate) mod deploy;
mod doubt;
mod hearing;
pub(crate) mod journal;
mod keeping;
mod kept;
pub(crate) mod locks;
mod logged;
mod next_steps;
mod past;
pub(crate) mod places;
mod records;
pub(crate) mod release;
pub(crate) mod remains;
mod repository;
pub(crate) mod resolve;
mod stage;
pub(crate) mod status;
#[cfg(test)]
mod stories_table;
pub(crate) mod unfinished;
#[cfg(test)]
mod unfinished_table;
mod used;
mod warned;
mod way_back;
