//! softstop as a Bitbucket Pipe: how it is told what to do, and how it speaks.

pub(crate) mod console;
pub(crate) mod variables;
