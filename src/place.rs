//! The directories whose locks are looked after.

use std::path::PathBuf;

use futures_util::{StreamExt, stream};

/// How many places are looked at side by side: each look may run a Terraform.
const SIDE_BY_SIDE: usize = 8;

/// A directory whose lock is looked after.
pub(crate) struct Place<T> {
    /// The directory as the user wrote it.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) tool: T,
}

/// Does this for all places, a few side by side, and gives what came of it in their order.
pub(crate) async fn side_by_side<'a, T, F: Future>(
    places: &'a [Place<T>],
    work: impl FnMut(&'a Place<T>) -> F,
) -> Vec<F::Output> {
    stream::iter(places)
        .map(work)
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await
}
