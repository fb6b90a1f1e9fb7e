//! What whoever started us must let us have.

use nix::sys::resource::{Resource, getrlimit};
use thiserror::Error;

/// How many files we have open at the most: while it asks about several locks at once, softstop has
/// pipes, sockets and temporary files for each.
const FILES: u64 = 64;

/// There are too few files to run anything.
#[derive(Debug, Error)]
#[error(
    "Nothing was run: only {allowed} files may be open here at once, and softstop needs {FILES}. Raise \
     the limit: `ulimit -n 1024`"
)]
pub(crate) struct TooFewFiles {
    allowed: u64,
}

/// To be called first, because without files hardly any other error can be told.
pub(crate) fn ensure_files() -> Result<(), TooFewFiles> {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((allowed, _)) if allowed < FILES => Err(TooFewFiles { allowed }),
        _ => Ok(()),
    }
}
