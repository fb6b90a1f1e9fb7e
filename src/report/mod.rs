//! How softstop tells what it has done: views of what the stories give, in which nothing is decided.

pub(crate) mod json;
pub(crate) mod words;
