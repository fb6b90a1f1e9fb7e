//! Programs that were seen to run. The file of one may be replaced or removed before it is needed again, so
//! it is held: as long as it is, it can be started, wherever its file has gone.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::Pid;

/// What the kernel adds to the path of a program whose file is no longer there.
const DELETED: &[u8] = b" (deleted)";
/// How many are held: each takes an open file, and one that was removed its room on the disk.
const MOST: usize = 8;

/// A program that is held.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    file: Arc<File>,
    which: (u64, u64),
}

/// No other file has the same number as long as this one is held.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.which == other.which
    }
}

impl Eq for Held {}

impl Held {
    fn of(pid: Pid) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_PATH.bits());
        let file = options.open(format!("/proc/{pid}/exe"))?;
        let which = which(&file.metadata()?);
        Ok(Self {
            file: Arc::new(file),
            which,
        })
    }

    /// Where it can be started from here: by its path, as long as that leads to it.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        if fs::metadata(path).is_ok_and(|there| which(&there) == self.which) {
            return path.to_owned();
        }
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// Those that are held in one deploy, each once.
#[derive(Default)]
pub(super) struct Holdings(Vec<Held>);

impl Holdings {
    /// Holds what a process runs, as far as there is room.
    pub(super) fn hold(&mut self, pid: Pid) -> Option<Held> {
        let held = Held::of(pid).ok()?;
        if let Some(known) = self.0.iter().find(|known| **known == held) {
            return Some(known.clone());
        }
        (self.0.len() < MOST).then(|| {
            self.0.push(held.clone());
            held
        })
    }
}

/// The path of the program that a process runs, or where that was before its file was replaced or removed.
pub(super) fn path(pid: Pid) -> io::Result<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe"))?;
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(before) if !path.exists() => Ok(PathBuf::from(OsStr::from_bytes(before))),
        _ => Ok(path),
    }
}

fn which(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A program that waits for its end. Another process copies it: what this one has open for writing
    /// cannot be started.
    fn started(program: &Path) -> (Child, Pid) {
        let mut copy = Command::new("cp");
        copy.args(["--remove-destination", "/bin/cat"]).arg(program);
        assert!(copy.status().unwrap().success());
        let child = Command::new(program).stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        (child, pid)
    }

    fn starts(program: &Path) -> bool {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn end(mut child: Child) {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_program_keeps_its_path_and_starts_where_its_file_was_replaced_or_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("tool");
        let (child, pid) = started(&program);
        let held = Holdings::default().hold(pid).unwrap();
        assert_eq!(held.path(&program), program);

        let another = scratch.path().join("another");
        fs::write(&another, "").unwrap();
        fs::rename(&another, &program).unwrap();
        assert_eq!(path(pid).unwrap(), program);
        assert!(!starts(&program) && starts(&held.path(&program)));

        fs::remove_file(&program).unwrap();
        assert_eq!(path(pid).unwrap(), program);
        assert_eq!(Holdings::default().hold(pid).as_ref(), Some(&held));
        end(child);
        assert!(starts(&held.path(&program)));

        let called_so = scratch.path().join("tool (deleted)");
        let (child, pid) = started(&called_so);
        assert_eq!(path(pid).unwrap(), called_so);
        end(child);
    }

    #[test]
    fn each_program_is_held_once_and_only_so_many_of_them() {
        let scratch = tempfile::tempdir().unwrap();
        let mut holdings = Holdings::default();
        for number in 0..MOST + 2 {
            let (child, pid) = started(&scratch.path().join(format!("tool-{number}")));
            for _ in 0..2 {
                assert_eq!(holdings.hold(pid).is_some(), number < MOST);
            }
            end(child);
        }
        assert_eq!(holdings.0.len(), MOST);
    }
}
