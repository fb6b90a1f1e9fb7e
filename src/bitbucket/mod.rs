//! What Bitbucket knows.

pub(crate) mod api;
