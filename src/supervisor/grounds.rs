//! Where programs of a deploy may lie, and which lie there.

use std::fs;
use std::path::{Path, PathBuf};

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
    let mut open = vec![directory.to_owned()];
    let mut left = WALK_LIMIT;
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            left = left.saturating_sub(1);
            let name = entry.file_name();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && name != ".git" && left > 0 {
                open.push(entry.path());
            } else if !is_directory && tools.contain(&name.to_string_lossy()) {
                found.programs.push(entry.path());
            }
        }
        found.directories.push(directory);
    }
    found
}
