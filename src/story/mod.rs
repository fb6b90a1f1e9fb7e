//! What softstop does, each story from top to bottom.

mod after_script;
mod conclusion;
pub(crate) mod deploy;
pub(crate) mod places;
pub(crate) mod release;
pub(crate) mod status;
mod used;
