//! What a pipelines file says of locks, as far as a file can tell: for `check`, and for a release that
//! wants to know whether it runs alone.

mod brackets;
pub(crate) mod calls;
pub(crate) mod credentials;
pub(crate) mod document;
#[cfg(test)]
mod document_table;
mod doubtful;
pub(crate) mod misspelt;
mod options;
pub(crate) mod pipeline;
pub(crate) mod releases;
mod script;
pub(crate) mod shell;
#[cfg(test)]
mod shell_table;
mod softstop;
mod structure;
mod surroundings;
pub(crate) mod target;
mod terraform;
mod triggers;
mod wrappers;
