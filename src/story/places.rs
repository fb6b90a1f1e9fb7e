//! The directories whose locks are looked after.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use futures_util::{StreamExt, stream};

use crate::console;
use crate::tools::{Locking, Tool};

/// How many places are looked at side by side: each look may run a Terraform.
const SIDE_BY_SIDE: usize = 8;

/// A directory whose lock is looked after.
pub(crate) struct Place {
    /// The directory as the user wrote it.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) tool: Tool,
}

/// Says in one line with which softstop what is looked after.
pub(super) fn introduce(places: &[Place]) {
    match places {
        [place] => console::introduce(&place.tool.description()),
        places => {
            let names: Vec<&str> = places.iter().map(|place| place.name.as_str()).collect();
            let (count, names) = (names.len(), names.join(", "));
            console::introduce(&format!("{count} directories: {names}"));
        }
    }
}

/// Does this for all places, a few side by side, and gives what came of it in their order.
pub(crate) async fn side_by_side<'a, F: Future>(
    places: &'a [Place],
    work: impl FnMut(&'a Place) -> F,
) -> Vec<F::Output> {
    stream::iter(places)
        .map(work)
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await
}

/// The directory that `cd` would be in, symbolic links kept: tools that go by PWD put what they keep
/// of a directory below its name.
pub(crate) fn logical(name: &str) -> io::Result<PathBuf> {
    let mut directory = here()?;
    for component in Path::new(name).components() {
        match component {
            Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                // What is not there has no parent either.
                fs::read_dir(&directory)?;
                directory.pop();
            }
            component => directory.push(component),
        }
    }
    Ok(directory)
}

/// Where softstop was started, as whoever started it calls that place.
fn here() -> io::Result<PathBuf> {
    let identity = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    let is_here = |path: &PathBuf| {
        let is_named = identity(path).is_some_and(|found| identity(Path::new(".")) == Some(found));
        let mut components = path.components();
        path.is_absolute() && is_named && !components.any(|part| part == Component::ParentDir)
    };
    let named = env::var_os("PWD").map(PathBuf::from);
    named.filter(is_here).map_or_else(env::current_dir, Ok)
}

/// Lets `command` start in this directory as after a `cd`.
pub(crate) fn enter(command: &mut Command, directory: &Path) {
    command.current_dir(directory).env("PWD", directory);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_named_as_cd_names_it() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real/deep", root.join("link")).unwrap();
        let of = |name: &str| logical(&format!("{}/{name}", root.display()));
        assert_eq!(of("link").unwrap(), root.join("link"));
        assert_eq!(of("./link//.").unwrap(), root.join("link"));
        assert_eq!(of("link/../real").unwrap(), root.join("real"));
        assert!(of("nowhere/../real").is_err());
        assert_eq!(logical(".").unwrap(), here().unwrap());
        assert_eq!(logical("/..").unwrap(), Path::new("/"));
    }
}
