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

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getuid;
use tempfile::NamedTempFile;
use thiserror::Error;

use super::mounts::{has_root_of_its_own, sees_the_whole_machine};
use super::passwd::{name_of, with_name, without_name};
use crate::supervisor::set_variable;

const PASSWD: &str = "/etc/passwd";
/// On this the runs of softstop in one container hold their locks: the file itself is replaced.
const DIRECTORY: &str = "/etc";
/// How long other runs of softstop are waited for: one may be about to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait between two looks at what they do.
const PAUSE: Duration = Duration::from_millis(2);

/// Under which name all that softstop starts will run, for as long as this lives.
#[derive(Debug)]
pub(super) enum UserName {
    /// The name that was given, by USER, because the uid has no entry.
    Environment(#[expect(dead_code, reason = "held for as long as the name is relied on")] Part),
    /// The name that was given, by an entry that nobody else on the machine sees.
    Namespace(#[expect(dead_code, reason = "held for as long as the name is relied on")] Part),
    /// The name that was given, by an entry in the container's own file.
    Container(#[expect(dead_code, reason = "its end takes the entry out again")] Entry),
    /// The name that was there, in a container's own file.
    Kept(#[expect(dead_code, reason = "held for as long as the name is relied on")] Entry),
    /// The name that was there, in a file that no run of softstop changes.
    Untouched,
}

/// Why a name cannot be given, or is not sure to stay.
#[derive(Debug, Error)]
pub(crate) enum NameError {
    #[error("{PASSWD} cannot be read: {0}")]
    Unreadable(io::Error),
    #[error(
        "{PASSWD} can only be changed for this deploy alone with the capability CAP_SYS_ADMIN, or \
         as root in a container"
    )]
    NotAllowed,
    #[error(
        "no {PASSWD} of its own can be written in the directory for temporary files: {0}. Point \
         TMPDIR at a directory with room"
    )]
    NoRoom(io::Error),
    #[error("{PASSWD} of this container cannot be changed: {0}")]
    Unwritable(io::Error),
    #[error("the directory of {PASSWD} cannot be locked: {0}")]
    NoLock(io::Error),
    #[error("another program holds a lock on the directory of {PASSWD}")]
    Busy,
    #[error("another run of softstop relies on the name of the user of this container")]
    Taken,
}

/// The part in the lock on a container's names: while anybody has one, nobody changes a name.
/// Outside of a container there is none, because nobody changes any.
type Part = Option<Flock<File>>;

/// What a run relies on in the container's own file, and takes out again when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whoever changes the file holds this alone; whoever relies on what it says, with others.
    directory: Flock<File>,
}

/// What a run wants to find in the container's own file.
#[derive(Clone, Copy)]
enum Wish<'a> {
    /// This name.
    Name(&'a str),
    /// The user's own name. That of another run of this very step harms nobody.
    NoOther { step: Option<&'a str> },
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Environment(_) => "by the variable USER, because the user has no name",
            Self::Namespace(_) => "by a user name that only this deploy sees",
            Self::Container(_) => "by a user name of this container",
            Self::Kept(_) | Self::Untouched => "by the user's own name",
        })
    }
}

impl UserName {
    /// Gives everything that softstop starts from now on the name `name`.
    ///
    /// To be called before the first thread is started.
    pub(crate) fn give(name: &str) -> Result<Self, NameError> {
        let uid = getuid().as_raw();
        let passwd = read_passwd()?;
        let part = take_part()?;
        if name_of(&passwd, uid).is_none() {
            if let Some(old) = env::var_os("USER").filter(|old| !old.is_empty()) {
                keep_for_databases(&old);
            }
            set_variable("USER", OsStr::new(name));
            // Without HOME, Terraform would not heed USER.
            if env::var_os("HOME").is_none_or(|home| home.is_empty()) {
                set_variable("HOME", OsStr::new("/"));
            }
            return Ok(Self::Environment(part));
        }
        if let Some(old) = name_of(&without_name(&passwd), uid) {
            keep_for_databases(OsStr::new(old));
        }
        // The kernel takes the mount away from us as soon as anybody replaces the file below it, so
        // we take part in the lock here too.
        let hidden = written_in(&env::temp_dir(), &with_name(&passwd, uid, name));
        if hidden
            .as_ref()
            .is_ok_and(|file| hide_passwd(file.path()).is_ok())
        {
            return Ok(Self::Namespace(part));
        }
        drop(part);
        if !getuid().is_root() || !is_container() {
            return Err(hidden.map_or_else(NameError::NoRoom, |_| NameError::NotAllowed));
        }
        Entry::take(Wish::Name(name), uid).map(Self::Container)
    }

    /// Sees to it that no other run of softstop gives the user a name, for whoever gives it none:
    /// locks would be signed by another step, and released when that one is over. Takes out what a
    /// killed run has left.
    pub(crate) fn keep(step: Option<&str>) -> Result<Self, NameError> {
        if !is_container() {
            return Ok(Self::Untouched);
        }
        Entry::take(Wish::NoOther { step }, getuid().as_raw()).map(Self::Kept)
    }
}

impl Wish<'_> {
    fn is_granted_by(self, passwd: &str, uid: u32) -> bool {
        let name = name_of(passwd, uid);
        match self {
            Self::Name(wanted) => name == Some(wanted),
            Self::NoOther { step } => {
                name == name_of(&without_name(passwd), uid) || name.is_some() && name == step
            }
        }
    }

    fn granted_in(self, passwd: &str, uid: u32) -> String {
        match self {
            Self::Name(name) => with_name(passwd, uid, name),
            Self::NoOther { .. } => without_name(passwd),
        }
    }
}

/// A database to which nobody names a user is entered under the user's own name.
fn keep_for_databases(own: &OsStr) {
    if env::var_os("PGUSER").is_none() {
        set_variable("PGUSER", own);
    }
}

/// The name under which Terraform signs the locks that it takes now.
pub(crate) fn user_name() -> String {
    let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
    name_of(&passwd, getuid().as_raw())
        .map_or_else(|| env::var("USER").unwrap_or_default(), str::to_owned)
}

/// Puts `changed` in the place of the file, in a mount namespace of our own. The mount keeps it; its
/// name is no longer needed.
fn hide_passwd(changed: &Path) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    // What is mounted here stays here; what the machine mounts meanwhile still arrives.
    let from_the_machine_only = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(nothing, "/", nothing, from_the_machine_only, nothing)?;
    mount(Some(changed), PASSWD, nothing, MsFlags::MS_BIND, nothing)
}

impl Entry {
    /// Makes the file say what is wished, and returns once nobody can change that any more.
    ///
    /// flock gives up the lock that it changes before it takes the new one, and somebody else may
    /// come in between. So only what the file says under the lock that we keep counts.
    fn take(wish: Wish, uid: u32) -> Result<Self, NameError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why_not = match share()? {
                Some(directory) if wish.is_granted_by(&read_passwd()?, uid) => {
                    return Ok(Self { directory });
                }
                Some(directory) => {
                    if directory.relock(FlockArg::LockExclusiveNonblock).is_ok() {
                        let granted = wish.granted_in(&read_passwd()?, uid);
                        rewrite(&granted).map_err(NameError::Unwritable)?;
                    }
                    NameError::Taken
                }
                None => NameError::Busy,
            };
            if Instant::now() >= deadline {
                return Err(why_not);
            }
            thread::sleep(PAUSE);
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
            && without_name(&passwd) != passwd
        {
            let _ = rewrite(&without_name(&passwd));
        }
    }
}

/// Keeps others from changing a name, where anybody might.
fn take_part() -> Result<Part, NameError> {
    if !is_container() {
        return Ok(None);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match share()? {
            None if Instant::now() >= deadline => return Err(NameError::Busy),
            None => thread::sleep(PAUSE),
            part => return Ok(part),
        }
    }
}

/// Nothing while somebody holds the lock alone.
fn share() -> Result<Part, NameError> {
    let directory = File::open(DIRECTORY).map_err(NameError::NoLock)?;
    match Flock::lock(directory, FlockArg::LockSharedNonblock) {
        Ok(shared) => Ok(Some(shared)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(NameError::NoLock(error.into())),
    }
}

fn read_passwd() -> Result<String, NameError> {
    match fs::read_to_string(PASSWD) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        passwd => passwd.map_err(NameError::Unreadable),
    }
}

/// Replaces the file as a whole, so that nobody ever reads half of it.
fn rewrite(passwd: &str) -> io::Result<()> {
    let file = written_in(Path::new(DIRECTORY), passwd)?;
    file.persist(PASSWD).map(drop).map_err(|error| error.error)
}

/// A file in this directory that everybody may read who may read the real one.
fn written_in(directory: &Path, passwd: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(passwd.as_bytes())?;
    fs::set_permissions(file.path(), fs::metadata(PASSWD)?.permissions())?;
    Ok(file)
}

/// Whether /etc/passwd belongs to a container, and to nobody else.
fn is_container() -> bool {
    let is_apart = sees_the_whole_machine().is_ok_and(|sees_it| !sees_it);
    let is_plain_file = fs::canonicalize(PASSWD).is_ok_and(|path| path == Path::new(PASSWD));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    is_apart && is_plain_file && has_root_of_its_own(&mounts)
}

#[cfg(test)]
mod tests {
    use super::super::passwd::tests::{FILE, STAMP};
    use super::*;

    #[test]
    fn who_wishes_a_name_is_content_with_no_other_one() {
        let wish = Wish::Name(STAMP);
        assert!(!wish.is_granted_by(FILE, 0));
        assert!(!wish.is_granted_by(&with_name(FILE, 0, "acme/infra#41/1/2/1"), 0));
        assert!(wish.is_granted_by(&wish.granted_in(FILE, 0), 0));
    }

    #[test]
    fn who_gives_no_name_is_content_with_the_users_own_and_with_that_of_its_own_step() {
        let signed = with_name(FILE, 0, STAMP);
        for step in [None, Some(STAMP)] {
            let wish = Wish::NoOther { step };
            assert!(wish.is_granted_by(FILE, 0));
            assert!(wish.is_granted_by(FILE, 4711), "who has no name has none");
            assert!(wish.is_granted_by(&signed, 1000), "it is another user's");
            assert_eq!(wish.is_granted_by(&signed, 0), step.is_some());
            assert_eq!(wish.granted_in(&signed, 0), FILE);
        }
    }
}
