//! How softstop tells what it has done: views of what the stories give, in which nothing is decided.

pub(crate) mod file;
pub(crate) mod json;
pub(crate) mod summary;
pub(crate) mod words;
