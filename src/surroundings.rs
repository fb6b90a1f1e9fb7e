//! What a step has and its pipe's container lacks: git that trusts the clone, and the step's key for
//! ssh. Only the pipe's own image is set up so: one of the user's own has what its maker wanted.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, getuid};
use tracing::{debug, warn};

use crate::pipe::Image;
use crate::private;
use crate::supervisor::set_variable;
use crate::tools::access::{Barred, Want};

/// Where Bitbucket mounts what is set up for ssh in the repository's settings, readable for pipes.
const STEP: &str = "/opt/atlassian/pipelines/agent/ssh";
const KEY: &str = "id_rsa_tmp";
const KNOWN_HOSTS: &str = "known_hosts";
/// How pipes call the key.
const LENT_KEY: &str = "pipelines_id";

/// What became of the preparations, to be told once a console is open.
pub(crate) struct Surroundings(Ssh);

enum Ssh {
    /// It has what it had.
    Untouched(&'static str),
    Ready(PathBuf),
    Failed(String),
}

impl Surroundings {
    /// To be called before the first thread is started.
    pub(crate) fn prepare(image: Image) -> Self {
        Self(match image {
            Image::Own => Ssh::Untouched("this is no image of the pipe's"),
            Image::Pipe => {
                trust_clone();
                // ssh looks where the user database says, whatever HOME says.
                match User::from_uid(getuid()).ok().flatten() {
                    Some(user) => lend(Path::new(STEP), &user.dir.join(".ssh")),
                    None => Ssh::Untouched("ssh runs for no user without a name"),
                }
            }
        })
    }

    pub(crate) fn tell(&self) {
        match &self.0 {
            Ssh::Untouched(reason) => debug!("ssh is as it was: {reason}."),
            Ssh::Ready(directory) => {
                debug!("ssh uses what the step has, by {}.", directory.display());
            }
            Ssh::Failed(reason) => warn!("ssh cannot use what the step has: {reason}."),
        }
    }
}

/// git refuses a repository whose owner is somebody else, as the step's user is in a pipe.
fn trust_clone() {
    let Ok(clone) = env::var("BITBUCKET_CLONE_DIR") else {
        return;
    };
    let given = env::var("GIT_CONFIG_COUNT").ok();
    let Ok(count) = given.map_or(Ok(0), |given| given.parse::<u32>()) else {
        return;
    };
    let inside = format!("{}/*", clone.trim_end_matches('/'));
    for (index, directory) in (count..).zip([&clone, &inside]) {
        let set = |what, value: &str| {
            set_variable(&format!("GIT_CONFIG_{what}_{index}"), OsStr::new(value));
        };
        set("KEY", "safe.directory");
        set("VALUE", directory);
    }
    set_variable("GIT_CONFIG_COUNT", OsStr::new(&(count + 2).to_string()));
}

/// Gives ssh the step's key and known hosts, unless it has settings of its own.
fn lend(step: &Path, directory: &Path) -> Ssh {
    if directory.symlink_metadata().is_ok() {
        return Ssh::Untouched("it has settings of its own");
    }
    let barred = [KEY, KNOWN_HOSTS].map(|name| Barred::find(&step.join(name), Want::Read, ""));
    if let Some(barred) = barred.into_iter().flatten().next() {
        return Ssh::Failed(barred.to_string());
    }
    let read = |name| match fs::read(step.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let lent = || -> io::Result<bool> {
        let (key, known_hosts) = (read(KEY)?, read(KNOWN_HOSTS)?);
        if key.is_none() && known_hosts.is_none() {
            return Ok(false);
        }
        DirBuilder::new().mode(0o700).create(directory)?;
        if let Some(key) = key {
            let lent_key = directory.join(LENT_KEY);
            // ssh takes no key that others could read.
            private::write(&lent_key, key)?;
            let config = format!("IdentityFile {}\n", lent_key.display());
            private::write(&directory.join("config"), config)?;
        }
        if let Some(known_hosts) = known_hosts {
            private::write(&directory.join(KNOWN_HOSTS), known_hosts)?;
        }
        Ok(true)
    };
    match lent() {
        Ok(true) => Ssh::Ready(directory.to_owned()),
        Ok(false) => Ssh::Untouched("the step has no key and no known hosts"),
        Err(error) => Ssh::Failed(format!("{} cannot be set up: {error}", directory.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What lies in the directory for ssh afterwards, where this lay in the step's.
    fn lent(files: &[(&str, &str)]) -> Vec<String> {
        let scratch = tempfile::tempdir().unwrap();
        let home = scratch.path().join("home");
        for (name, text) in files {
            fs::write(scratch.path().join(name), text).unwrap();
        }
        lend(scratch.path(), &home);
        let entries = fs::read_dir(&home).into_iter().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                format!("{} {mode:o}", entry.file_name().display())
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_the_step_has_is_lent_and_nobody_else_can_read_it() {
        assert_eq!(
            lent(&[(KEY, "key"), (KNOWN_HOSTS, "hosts")]),
            ["config 600", "known_hosts 600", "pipelines_id 600"]
        );
        assert_eq!(lent(&[(KNOWN_HOSTS, "hosts")]), ["known_hosts 600"]);
        assert_eq!(lent(&[]), Vec::<String>::new());
    }

    #[test]
    fn settings_that_are_there_stay_as_they_are() {
        let scratch = tempfile::tempdir().unwrap();
        let home = scratch.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(scratch.path().join(KEY), "key").unwrap();
        assert!(matches!(lend(scratch.path(), &home), Ssh::Untouched(_)));
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    }
}
