//! A place as a journal names it: by what is the same in every clone.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::configuration::DEFAULT_BACKEND;
use super::place::Terraform;
use crate::tools::progress::PlaceName;

/// Below this, Terragrunt runs Terraform in a copy of the directory that the user knows.
const COPIES: &str = ".terragrunt-cache";

/// Nothing where the directory is in no clone, or its backend cannot be read.
pub(super) fn place_name(place: &Terraform) -> Option<PlaceName> {
    let clone = env::var_os("BITBUCKET_CLONE_DIR").map(PathBuf::from);
    Some(PlaceName {
        directory: below_clone(&place.directory, clone.as_deref())?,
        workspace: place.workspace(),
        backend: backend(place)?,
    })
}

/// The directory as seen from the clone, symbolic links followed: a tool that is seen is seen in the
/// real one.
fn below_clone(directory: &Path, clone: Option<&Path>) -> Option<String> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (directory, clone) = (real(directory), clone.map(real));
    let is_clone = |level: &&Path| Some(*level) == clone.as_deref() || level.join(".git").exists();
    let clone = directory.ancestors().find(is_clone)?;
    let below = directory.strip_prefix(clone).ok()?;
    let is_copy = |part: &Component<'_>| part.as_os_str() == COPIES;
    let below: PathBuf = below
        .components()
        .take_while(|part| !is_copy(part))
        .collect();
    Some(match below.to_str()? {
        "" => ".".to_owned(),
        below => below.to_owned(),
    })
}

fn backend(place: &Terraform) -> Option<String> {
    if let Some(backend) = &place.backend {
        return Some(backend.kind.clone());
    }
    let configuration = place.configuration();
    let kept = configuration.initialised().ok()?.map(|kept| kept.kind);
    if place.is_seen && kept.is_some() {
        return kept;
    }
    let named = configuration.block().ok()?.map(|block| block.kind);
    Some(named.or(kept).unwrap_or_else(|| DEFAULT_BACKEND.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_named_as_seen_from_the_clone() {
        let scratch = tempfile::tempdir().unwrap();
        let clone = scratch.path().join("clone");
        fs::create_dir_all(clone.join("infra/.terragrunt-cache/a/b/module")).unwrap();
        symlink("infra", clone.join("link")).unwrap();
        let name = |directory: &str| below_clone(&clone.join(directory), Some(&clone));
        for (directory, expected) in [
            ("", "."),
            ("infra", "infra"),
            ("link", "infra"),
            ("infra/.terragrunt-cache/a/b/module", "infra"),
            ("infra/gone", "infra/gone"),
        ] {
            assert_eq!(name(directory).as_deref(), Some(expected), "{directory}");
        }
    }

    #[test]
    fn where_no_variable_names_the_clone_git_does() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        assert_eq!(below_clone(&scratch.path().join("a/b"), None), None);
        fs::create_dir(scratch.path().join(".git")).unwrap();
        let named = below_clone(&scratch.path().join("a/b"), None);
        assert_eq!(named.as_deref(), Some("a/b"));
    }
}
