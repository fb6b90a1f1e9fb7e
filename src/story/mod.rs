//! What softstop does, each story from top to bottom.

mod after_script;
pub(crate) mod conclusion;
pub(crate) mod deploy;
mod hearing;
pub(crate) mod locks;
pub(crate) mod places;
pub(crate) mod release;
pub(crate) mod remains;
mod stage;
pub(crate) mod status;
#[cfg(test)]
mod stories_table;
mod used;
mod warned;
