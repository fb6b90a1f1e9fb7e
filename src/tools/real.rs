//! Where a path leads to.

use std::fs;
use std::path::{Path, PathBuf};

/// The path with its symbolic links followed, or as it is where it leads nowhere.
pub(crate) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
