//! The directories whose locks are looked after.

use std::path::PathBuf;

/// How many places are looked at side by side: each look may run a Terraform.
pub(crate) const SIDE_BY_SIDE: usize = 8;

/// A directory whose lock is looked after.
pub(crate) struct Place<T> {
    /// The directory as the user wrote it.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) tool: T,
}
