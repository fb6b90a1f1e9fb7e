//! How softstop tells what it has done.

pub(crate) mod console;
pub(crate) mod file;
pub(crate) mod remains;
pub(crate) mod summary;
