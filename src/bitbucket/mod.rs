//! Bitbucket Pipelines: which build this is, and whether another build's step is over.

pub(crate) mod api;
pub(crate) mod build;
