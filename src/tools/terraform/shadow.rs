//! A directory that looks like the user's, but for the configuration: what is asked there finds every
//! relative path where the deploy finds it, and leaves nothing behind.
//!
//! Settings, AWS_CONFIG_FILE, a `credential_process` and version managers all go by the working
//! directory, and Terraform takes its configuration from nowhere else. So the directory, and each one
//! above it up to the root of the repository, is made anew, with links to all that is in the real one.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::private;

/// How many entries of a directory above the user's are linked: one that holds more is hardly part of
/// a repository, and on a busy disk each link may take milliseconds.
const ENTRIES_ABOVE: usize = 200;
/// How far up is gone where no repository is found.
const LEVELS: usize = 1;

/// A shadow of one directory.
pub(super) struct Shadow {
    /// Removed with all that was made in it when this is dropped. Settings lie in it, which may be
    /// secrets.
    #[cfg_attr(not(test), expect(dead_code, reason = "its end removes the shadow"))]
    root: TempDir,
    /// What stands for the user's directory.
    pub(super) directory: PathBuf,
}

impl Shadow {
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let root = private::directory()?;
        let names = names_below_top(directory);
        let top = directory.ancestors().nth(names.len());
        let mut real = top.unwrap_or(directory).to_owned();
        let mut shadow = root.path().to_owned();
        for name in &names {
            link_all(&real, &shadow, ENTRIES_ABOVE, |entry| entry != name)?;
            real.push(name);
            shadow.push(name);
            fs::create_dir(&shadow)?;
        }
        link_all(&real, &shadow, usize::MAX, |name| {
            !is_configuration(&name.to_string_lossy())
        })?;
        Ok(Self {
            root,
            directory: shadow,
        })
    }
}

/// The names that lead from the root of the repository to the directory.
fn names_below_top(directory: &Path) -> Vec<std::ffi::OsString> {
    let clone = env::var_os("BITBUCKET_CLONE_DIR").map(PathBuf::from);
    let is_top = |level: &Path| Some(level) == clone.as_deref() || level.join(".git").exists();
    let top = directory.ancestors().position(is_top);
    // A directory that is the top itself stands for itself alone.
    let count = top
        .unwrap_or(LEVELS)
        .min(directory.components().count() - 1);
    let mut names: Vec<_> = directory
        .ancestors()
        .take(count)
        .filter_map(|level| level.file_name().map(ToOwned::to_owned))
        .collect();
    names.reverse();
    names
}

fn link_all(
    real: &Path,
    shadow: &Path,
    at_most: usize,
    is_wanted: impl Fn(&std::ffi::OsStr) -> bool,
) -> io::Result<()> {
    // A directory that is gone, or that only lets us pass, has nothing that could be linked.
    let entries: Vec<_> = fs::read_dir(real)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .take(at_most.saturating_add(1))
        .collect();
    if entries.len() > at_most {
        return Ok(());
    }
    for name in entries.iter().filter(|name| is_wanted(name)) {
        symlink(real.join(name), shadow.join(name))?;
    }
    Ok(())
}

/// What Terraform reads or writes by itself in its working directory.
fn is_configuration(name: &str) -> bool {
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let extension = stem.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("tf" | "tofu" | "tfvars"))
        || name.starts_with(".terraform") && !name.ends_with("version")
        || name.starts_with("terraform.tfstate")
        || name.starts_with("errored.tfstate")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_relative_path_means_the_same_in_the_shadow() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("live/prod");
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir(top.path().join(".git")).unwrap();
        fs::write(top.path().join("keys"), "above").unwrap();
        fs::write(directory.join("token"), "here").unwrap();
        fs::write(directory.join("main.tf"), "").unwrap();
        fs::write(directory.join(".terraform-version"), "1.11.4").unwrap();
        let shadow = Shadow::of(&directory).unwrap();
        let read = |name: &str| fs::read_to_string(shadow.directory.join(name)).ok();
        assert_eq!(read("token").as_deref(), Some("here"));
        assert_eq!(read("../../keys").as_deref(), Some("above"));
        assert_eq!(read(".terraform-version").as_deref(), Some("1.11.4"));
        assert_eq!(read("main.tf"), None);
        assert!(shadow.directory.ends_with("prod"));
    }

    #[test]
    fn what_is_above_costs_little_where_no_repository_says_how_far_it_matters() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("work/infra");
        fs::create_dir_all(&directory).unwrap();
        fs::write(top.path().join("far"), "").unwrap();
        fs::write(top.path().join("work/near"), "").unwrap();
        let above = |shadow: &Shadow, name: &str| shadow.directory.join("..").join(name).exists();
        let shadow = Shadow::of(&directory).unwrap();
        assert!(above(&shadow, "near"));
        assert!(!above(&shadow, "../far"));
        for number in 0..ENTRIES_ABOVE {
            fs::write(top.path().join("work").join(number.to_string()), "").unwrap();
        }
        assert!(!above(&Shadow::of(&directory).unwrap(), "near"));
    }

    #[test]
    fn nobody_else_looks_into_a_shadow() {
        let real = tempfile::tempdir().unwrap();
        let shadow = Shadow::of(real.path()).unwrap();
        let mode = fs::metadata(shadow.root.path()).unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }

    #[test]
    fn the_end_of_a_shadow_leaves_what_it_was_of() {
        let real = tempfile::tempdir().unwrap();
        fs::create_dir(real.path().join("modules")).unwrap();
        fs::write(real.path().join("modules/a"), "").unwrap();
        drop(Shadow::of(real.path()).unwrap());
        assert!(real.path().join("modules/a").exists());
    }
}
