//! What this run may not read or write, whose it is, and what its owner can do about it.
//!
//! Bitbucket runs pipes in a user namespace of their own: root of a pipe is not root of the step, and
//! the files of the step's script are nobody's there.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, Uid, User, access};

use super::quoted::quoted;

/// The user whom the kernel shows where a file's own one is not of this namespace.
const OVERFLOW: &str = "/proc/sys/kernel/overflowuid";

/// What is wanted of a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    /// Of a directory, to make files in it.
    Write,
}

/// A file or a directory of which this run may not do what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Barred {
    path: PathBuf,
    want: Want,
    /// What else is said of it.
    why: &'static str,
    obstacle: Obstacle,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// Its owner, as people say it, and its mode.
    Owner(String, u32),
    ReadOnly,
}

impl Barred {
    /// Nothing where the run may do what is wanted, and where nothing is there. Where nobody is let
    /// through to it, the directory that does not.
    pub(crate) fn find(path: &Path, want: Want, why: &'static str) -> Option<Self> {
        let enter = if path.is_dir() {
            AccessFlags::X_OK
        } else {
            AccessFlags::empty()
        };
        let flags = enter
            | match want {
                Want::Read => AccessFlags::R_OK,
                Want::Write => AccessFlags::W_OK,
            };
        let (path, obstacle) = match access(path, flags) {
            Err(Errno::EACCES) => owner_of(path)?,
            Err(Errno::EROFS) => (path, Obstacle::ReadOnly),
            _ => return None,
        };
        Some(Self {
            path: path.to_owned(),
            want,
            why,
            obstacle,
        })
    }

    pub(crate) fn wants(&self, want: Want) -> bool {
        self.want == want
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for Barred {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let verb = match self.want {
            Want::Read => "read",
            Want::Write => "written",
        };
        match &self.obstacle {
            Obstacle::ReadOnly => write!(
                formatter,
                "{path} cannot be {verb}, because its file system is read-only{}. Mount it writable",
                self.why
            ),
            Obstacle::Owner(owner, mode) => write!(
                formatter,
                "{path} cannot be {verb}: it belongs to {owner}, mode {mode:o}{}. Open it beforehand, \
                 in the step's script: chmod -R a+rwX {}",
                self.why,
                quoted(&path.to_string())
            ),
        }
    }
}

/// The file, or the directory on the way to it that lets nobody through, and whose it is.
fn owner_of(path: &Path) -> Option<(&Path, Obstacle)> {
    let mut parts = path.ancestors();
    let (path, found) = parts.find_map(|part| Some((part, fs::metadata(part).ok()?)))?;
    let uid = found.uid();
    let is_nobodys =
        fs::read_to_string(OVERFLOW).is_ok_and(|overflow| overflow.trim() == uid.to_string());
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let owner = match name {
        _ if is_nobodys => "a user who is not of this container, such as the step's own".to_owned(),
        Some(user) => format!("the user {}", user.name),
        None => format!("the user {uid}"),
    };
    Some((path, Obstacle::Owner(owner, found.mode() & 0o7777)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_bars_nobody() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("errored.tfstate");
        assert_eq!(Barred::find(&path, Want::Write, ""), None);
        fs::write(&path, "").unwrap();
        assert_eq!(Barred::find(&path, Want::Write, ""), None);
    }

    #[test]
    fn what_bars_is_said_with_its_owner_and_with_what_to_do() {
        let barred = Barred {
            path: "/clone/an app".into(),
            want: Want::Write,
            why: ", so a state would be lost",
            obstacle: Obstacle::Owner("the user anna".to_owned(), 0o755),
        };
        assert_eq!(
            barred.to_string(),
            "/clone/an app cannot be written: it belongs to the user anna, mode 755, so a state would \
             be lost. Open it beforehand, in the step's script: chmod -R a+rwX '/clone/an app'"
        );
    }
}
