//! How softstop tells what it has done.

pub(crate) mod console;
