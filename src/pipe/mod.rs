//! softstop as a Bitbucket Pipe: how it is told what to do.

mod known;
mod misspelt;
pub(crate) mod not_replaced;
pub(crate) mod variables;

pub(crate) use known::{Image, Variable};
pub(crate) use misspelt::Misspelt;
