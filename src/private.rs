//! Directories and files that only we can look into.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::TempDir;

/// A new directory, which is gone with what it is kept by. Whoever else has it in PATH goes past it.
pub(crate) fn directory() -> io::Result<TempDir> {
    let ours = Permissions::from_mode(0o700);
    tempfile::Builder::new()
        .prefix("softstop-")
        .permissions(ours)
        .tempdir()
}

/// Writes a new file.
pub(crate) fn write(file: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(file)?.write_all(text.as_ref())
}
