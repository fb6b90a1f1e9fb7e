//! Lets everything below softstop run under a user name of our choice, and the same user.
//!
//! Terraform signs its locks with the name of the first entry in /etc/passwd that has its uid. USER
//! counts only where there is no such entry. An entry is never removed, because ssh refuses to run
//! without one, and the old name stays known behind the new one, for `chown`, `su` and the like.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getuid;
use tempfile::NamedTempFile;
use thiserror::Error;

use super::kernel;
use super::neighbours::{MACHINE, MOUNT_POINT};

const PASSWD: &str = "/etc/passwd";
/// How long another run of softstop may take to change it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Marks an entry as ours, where others keep a person's full name.
const MARK: &str = "softstop";

/// The fields of an entry.
const NAME: usize = 0;
const UID: usize = 2;
const COMMENT: usize = 4;
const FIELDS: usize = 7;

/// The field of a line in /proc/self/mountinfo that says which part of a file system is mounted.
const MOUNT_ROOT: usize = 3;

/// Under which name all that softstop starts will run, for as long as this lives.
#[derive(Debug)]
pub(crate) enum UserName {
    /// By USER, because the uid has no entry.
    Environment,
    /// By an entry that nobody else on the machine sees.
    Namespace,
    /// By an entry in the container's own file.
    Container(#[expect(dead_code, reason = "its end takes the entry out again")] Entry),
}

/// Why the name stays as it is.
#[derive(Debug, Error)]
pub(crate) enum NameError {
    #[error("{PASSWD} cannot be read: {0}")]
    Unreadable(io::Error),
    #[error(
        "{PASSWD} can only be changed for this deploy alone with the capability CAP_SYS_ADMIN, or \
         as root in a container"
    )]
    NotAllowed,
    #[error("{PASSWD} of this container cannot be changed: {0}")]
    Unwritable(io::Error),
    #[error("another program holds a lock on the directory of {PASSWD}")]
    Busy,
    #[error("another step that is still running in this container has put its own name there")]
    Taken,
}

/// An entry that is taken out again when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whoever changes the file holds this alone; whoever relies on the entry, with others.
    directory: Flock<File>,
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Environment => "by the variable USER, because the user has no name",
            Self::Namespace => "by a user name that only this deploy sees",
            Self::Container(_) => "by a user name of this container",
        })
    }
}

impl UserName {
    /// Gives everything that softstop starts from now on the name `name`.
    ///
    /// To be called before the first thread is started.
    pub(crate) fn give(name: &str) -> Result<Self, NameError> {
        let uid = getuid().as_raw();
        let passwd = match fs::read_to_string(PASSWD) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            passwd => passwd.map_err(NameError::Unreadable)?,
        };
        if name_of(&passwd, uid).is_none() {
            kernel::set_variable("USER", OsStr::new(name));
            // Without HOME, Terraform would not heed USER.
            if env::var_os("HOME").is_none_or(|home| home.is_empty()) {
                kernel::set_variable("HOME", OsStr::new("/"));
            }
            return Ok(Self::Environment);
        }
        // A database to which nobody names a user is entered under the user's own name.
        if let Some(old) = name_of(&without_name(&passwd), uid)
            && env::var_os("PGUSER").is_none()
        {
            kernel::set_variable("PGUSER", OsStr::new(old));
        }
        if hide_passwd(&with_name(&passwd, uid, name)).is_ok() {
            return Ok(Self::Namespace);
        }
        if !getuid().is_root() || !is_container() {
            return Err(NameError::NotAllowed);
        }
        Entry::put(name, uid).map(Self::Container)
    }
}

/// Takes out an entry that a killed run has left in this container, where nobody relies on it.
///
/// To be called where no name is given.
pub(crate) fn forget_leftover_name() {
    let Ok(passwd) = fs::read_to_string(PASSWD) else {
        return;
    };
    if without_name(&passwd) == passwd || !getuid().is_root() || !is_container() {
        return;
    }
    // Where it stays, because somebody relies on it, nothing is run under it.
    let alone = File::open("/etc")
        .ok()
        .and_then(|directory| Flock::lock(directory, FlockArg::LockExclusiveNonblock).ok());
    drop(alone.map(|directory| Entry { directory }));
}

/// The name under which Terraform signs the locks that it takes now.
pub(crate) fn user_name() -> String {
    let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
    name_of(&passwd, getuid().as_raw())
        .map_or_else(|| env::var("USER").unwrap_or_default(), str::to_owned)
}

/// Puts `changed` in the place of the file, in a mount namespace of our own.
fn hide_passwd(changed: &str) -> io::Result<()> {
    let file = written_in(&env::temp_dir(), changed)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    // What is mounted here stays here; what the machine mounts meanwhile still arrives.
    let from_the_machine_only = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(nothing, "/", nothing, from_the_machine_only, nothing)?;
    mount(
        Some(file.path()),
        PASSWD,
        nothing,
        MsFlags::MS_BIND,
        nothing,
    )?;
    // The mount keeps the file; its name is no longer needed.
    Ok(())
}

impl Entry {
    fn put(name: &str, uid: u32) -> Result<Self, NameError> {
        let passwd = || fs::read_to_string(PASSWD).map_err(NameError::Unreadable);
        let directory = File::open("/etc").map_err(NameError::Unwritable)?;
        let directory = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(directory) => {
                rewrite(&with_name(&passwd()?, uid, name)).map_err(NameError::Unwritable)?;
                let shared = directory.relock(FlockArg::LockSharedNonblock);
                shared.map_err(|error| NameError::Unwritable(error.into()))?;
                directory
            }
            Err((directory, _)) => share(directory)?,
        };
        // Two runs of one step can share the entry. Any other one would be signed for by us.
        if name_of(&passwd()?, uid) == Some(name) {
            Ok(Self { directory })
        } else {
            Err(NameError::Taken)
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Whoever else relies on the entry takes it out later. What stays behind where nobody can
        // is a second name for the same user.
        if self
            .directory
            .relock(FlockArg::LockExclusiveNonblock)
            .is_ok()
            && let Ok(passwd) = fs::read_to_string(PASSWD)
        {
            let _ = rewrite(&without_name(&passwd));
        }
    }
}

/// Waits for another run of softstop to have changed the file, but not for whoever else may hold
/// this lock.
fn share(mut directory: File) -> Result<Flock<File>, NameError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Flock::lock(directory, FlockArg::LockSharedNonblock) {
            Ok(shared) => return Ok(shared),
            Err(_) if Instant::now() >= deadline => return Err(NameError::Busy),
            Err((again, _)) => directory = again,
        }
        thread::sleep(PATIENCE / 100);
    }
}

/// Replaces the file as a whole, so that nobody ever reads half of it.
fn rewrite(passwd: &str) -> io::Result<()> {
    let file = written_in(Path::new("/etc"), passwd)?;
    file.persist(PASSWD).map(drop).map_err(|error| error.error)
}

/// A file in this directory that everybody may read who may read the real one.
fn written_in(directory: &Path, passwd: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(passwd.as_bytes())?;
    fs::set_permissions(file.path(), fs::metadata(PASSWD)?.permissions())?;
    Ok(file)
}

/// The name of the first entry with this uid.
fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    entries(passwd)
        .find(|entry| entry[UID] == uid.to_string())
        .map(|entry| entry[NAME])
}

/// The file with another entry for `uid` before the ones that are there.
fn with_name(passwd: &str, uid: u32, name: &str) -> String {
    let others = without_name(passwd);
    let uid = uid.to_string();
    let Some(mut entry) = entries(&others).find(|entry| entry[UID] == uid) else {
        return others;
    };
    entry[NAME] = name;
    entry[COMMENT] = MARK;
    format!("{}\n{others}", entry.join(":"))
}

/// The file without any entry of ours.
fn without_name(passwd: &str) -> String {
    // No user whom anybody else has made has a slash in its name.
    let is_ours = |line: &str| {
        let entry: Vec<&str> = line.split(':').collect();
        entry.get(COMMENT) == Some(&MARK) && entry[NAME].contains('/')
    };
    passwd
        .split_inclusive('\n')
        .filter(|line| !is_ours(line))
        .collect()
}

fn entries(passwd: &str) -> impl Iterator<Item = Vec<&str>> {
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|entry| entry.len() == FIELDS && !entry[NAME].starts_with(['#', '+', '-']))
}

/// Whether /etc/passwd belongs to a container, and to nobody else.
fn is_container() -> bool {
    let namespace = fs::read_link("/proc/self/ns/pid");
    let is_apart = namespace.is_ok_and(|namespace| namespace.as_os_str() != MACHINE);
    let is_plain_file = fs::canonicalize(PASSWD).is_ok_and(|path| path == Path::new(PASSWD));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    is_apart && is_plain_file && has_root_of_its_own(&mounts)
}

/// Whether these mounts are those of a container: its root was made from an image, its engine has
/// mounted /etc/hosts, and neither /etc nor /etc/passwd is mounted from elsewhere.
///
/// A PID namespace alone makes no container: `unshare --pid` keeps the files of the machine.
fn has_root_of_its_own(mountinfo: &str) -> bool {
    let mounts: Vec<Vec<&str>> = mountinfo
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    let at = |place: &str| {
        mounts
            .iter()
            .rfind(|mount| mount.get(MOUNT_POINT) == Some(&place))
    };
    let is_from_an_image = at("/").is_some_and(|root| {
        let is_layered = root.contains(&"overlay") || root.contains(&"fuse.fuse-overlayfs");
        is_layered || root.get(MOUNT_ROOT).is_some_and(|place| *place != "/")
    });
    is_from_an_image && at("/etc/hosts").is_some() && at("/etc").is_none() && at(PASSWD).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# users\nbroken\nroot:x:0:0:root:/root:/bin/bash\n\
        toor:x:0:0::/root:/bin/sh\nbuild:x:1000:1000:Build:/home/build:/bin/sh";
    const STAMP: &str = "acme/infra#42/1/2/1";
    const CONTAINER: &str = "\
        598 480 0:52 / / rw,relatime - overlay overlay rw,lowerdir=/l\n\
        611 598 254:1 /docker/containers/d5c1/hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw\n";
    const MACHINE_MOUNTS: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n";

    #[test]
    fn the_first_entry_of_a_uid_gives_the_name() {
        assert_eq!(name_of(FILE, 0), Some("root"));
        assert_eq!(name_of(FILE, 1000), Some("build"));
        assert_eq!(name_of(FILE, 4711), None);
    }

    #[test]
    fn a_new_name_leaves_the_old_one_known_and_everything_else_as_it_was() {
        let changed = with_name(FILE, 0, STAMP);
        assert_eq!(name_of(&changed, 0), Some(STAMP));
        assert_eq!(name_of(&changed, 1000), Some("build"));
        assert!(changed.ends_with(FILE));
        assert!(changed.starts_with("acme/infra#42/1/2/1:x:0:0:softstop:/root:/bin/bash\n"));
    }

    #[test]
    fn the_name_of_an_earlier_run_is_replaced() {
        let earlier = with_name(FILE, 0, "acme/infra#41/1/2/1");
        assert_eq!(with_name(&earlier, 0, STAMP), with_name(FILE, 0, STAMP));
        assert_eq!(without_name(&earlier), FILE);
    }

    #[test]
    fn a_user_who_happens_to_be_called_softstop_stays() {
        let file = "softstop:x:7:7:softstop:/:/bin/sh\n";
        assert_eq!(without_name(file), file);
    }

    #[test]
    fn a_container_has_a_root_of_its_own() {
        assert!(has_root_of_its_own(CONTAINER));
        let plain = CONTAINER.replace("0:52 / /", "254:1 /docker/vfs/dir/4711 /");
        assert!(has_root_of_its_own(&plain.replace("overlay", "ext4")));
    }

    #[test]
    fn the_files_of_a_machine_are_never_taken_for_a_containers() {
        let hosts = CONTAINER.lines().nth(1).unwrap();
        let with = |mount: &str| format!("{CONTAINER}{mount}\n");
        for mounts in [
            String::new(),
            MACHINE_MOUNTS.to_owned(),
            format!("{MACHINE_MOUNTS}{hosts}\n"),
            CONTAINER.replace(hosts, ""),
            with("612 598 254:1 /etc /etc rw - ext4 /dev/vda1 rw"),
            with("612 598 254:1 /etc/passwd /etc/passwd ro - ext4 /dev/vda1 rw"),
        ] {
            assert!(!has_root_of_its_own(&mounts), "{mounts}");
        }
    }
}
