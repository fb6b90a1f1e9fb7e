//! The clone of the repository whose pipeline this is, as seen from a directory in it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::real::real;

/// Where Bitbucket has cloned the repository to, where a variable says so.
pub(crate) fn named_clone() -> Option<PathBuf> {
    let named = env::var_os("BITBUCKET_CLONE_DIR").filter(|name| !name.is_empty())?;
    Some(PathBuf::from(named))
}

/// The clone that a directory lies in, symbolic links followed. A submodule, and a clone that a script
/// has made within the `named` one, are parts of that: their commits are another repository's, and two
/// of them would have one name.
pub(crate) fn clone_around(directory: &Path, named: Option<&Path>) -> Option<PathBuf> {
    let directory = real(directory);
    if let Some(named) = named.map(real).filter(|named| directory.starts_with(named)) {
        return Some(named);
    }
    let mut levels = directory.ancestors();
    levels.find(|level| is_clone(level)).map(Path::to_owned)
}

/// Where git is to be asked about the repository whose pipeline this is.
pub(crate) fn repository_around(directory: &Path) -> PathBuf {
    let named = named_clone();
    match named.as_deref().filter(|named| is_clone(named)) {
        Some(named) => named.to_owned(),
        None => clone_around(directory, None).unwrap_or_else(|| directory.to_owned()),
    }
}

/// Whether a repository begins here that is no submodule. A worktree has a file there too.
fn is_clone(level: &Path) -> bool {
    let git = level.join(".git");
    match fs::read_to_string(&git) {
        Ok(text) => !is_of_submodule(&text),
        Err(_) => git.exists(),
    }
}

/// Whether the file `.git` names a directory of those that a repository keeps for its submodules.
fn is_of_submodule(text: &str) -> bool {
    let path = text.trim().strip_prefix("gitdir:").unwrap_or_default();
    let parts = Path::new(path.trim()).components();
    let mut inside = parts.skip_while(|part| part.as_os_str() != ".git");
    inside.any(|part| part.as_os_str() == "modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodule_and_a_clone_within_the_clone_are_parts_of_it() {
        let scratch = tempfile::tempdir().unwrap();
        let clone = scratch.path().join("clone");
        let write = |name: &str, text: &str| {
            fs::create_dir_all(clone.join(name)).unwrap();
            fs::write(clone.join(name).join(".git"), text).unwrap();
        };
        fs::create_dir_all(clone.join("made/.git")).unwrap();
        write("eu", "gitdir: ../.git/modules/eu\n");
        write("eu/deep", "gitdir: ../../.git/modules/eu/modules/deep\n");
        let around = |directory: &str, named: Option<&Path>| {
            let found = clone_around(&clone.join(directory), named)?;
            Some(found.strip_prefix(real(scratch.path())).ok()?.to_owned())
        };
        for directory in ["", "eu", "eu/deep", "made", "gone"] {
            let found = around(directory, Some(&clone));
            assert_eq!(found, Some("clone".into()), "{directory}");
        }
        // Where no variable names it, a clone made by somebody is one of its own.
        fs::create_dir(clone.join(".git")).unwrap();
        for (directory, expected) in [
            ("", "clone"),
            ("eu", "clone"),
            ("eu/deep", "clone"),
            ("made", "clone/made"),
        ] {
            assert_eq!(
                around(directory, None),
                Some(expected.into()),
                "{directory}"
            );
        }
    }

    #[test]
    fn a_worktree_is_a_clone_wherever_its_repository_lies() {
        for (text, expected) in [
            ("gitdir: ../.git/modules/eu\n", true),
            ("gitdir: /srv/infra/.git/worktrees/x/modules/eu", true),
            ("gitdir: /srv/modules/infra/.git/worktrees/x", false),
            ("gitdir: /srv/modules/infra.git", false),
            ("", false),
        ] {
            assert_eq!(is_of_submodule(text), expected, "{text}");
        }
    }
}
