//! Where programs of a deploy may lie, and which lie there.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::process::Programs;

/// How many files and directories of a clone are looked through.
const WALK_LIMIT: usize = 200_000;

/// Where programs of a deploy may lie.
#[derive(Clone, Debug)]
pub(crate) struct Grounds {
    /// The directories of PATH.
    pub(crate) path: Vec<PathBuf>,
    /// What is looked through as a whole.
    pub(crate) clone: PathBuf,
}

/// What a directory holds, and all below it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) directories: Vec<PathBuf>,
    pub(super) programs: Vec<PathBuf>,
}

pub(super) fn walk(directory: &Path, tools: &Programs) -> Found {
    let mut found = Found::default();
    // The deploy needs open files too.
    let entries = WalkDir::new(directory).max_open(1).into_iter();
    let entries = entries.filter_entry(|entry| entry.file_name() != ".git");
    for entry in entries.flatten().take(WALK_LIMIT) {
        if entry.file_type().is_dir() {
            found.directories.push(entry.into_path());
        } else if tools.contain(&entry.file_name().to_string_lossy()) {
            found.programs.push(entry.into_path());
        }
    }
    found
}
