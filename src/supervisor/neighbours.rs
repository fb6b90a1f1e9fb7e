//! Who else could sign a lock as the deploy does: with the same user name and host name.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::unistd::{gethostname, getpid, getppid};

use super::Supervisor;
use super::process::{self, Process, Tools};
use super::tree;

/// The PID namespace of the machine itself, whose number the kernel fixes; only from there every
/// process can be seen.
pub(super) const MACHINE: &str = "pid:[4026531836]";
/// The field of a line in /proc/self/mountinfo that says where something is mounted.
pub(super) const MOUNT_POINT: usize = 4;

/// What can be said of other deploys that would sign as ours does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbours {
    /// The host name is this container's alone, and no other deploy runs under it.
    NonePossible,
    /// No other deploy runs on this machine, but another machine may have the same name.
    NoneHere,
    /// Another deploy runs.
    Some,
    /// Other deploys may run where they cannot be seen.
    Hidden,
}

/// Whether somebody of a deploy is left on this machine, by how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Left {
    Nobody,
    /// A deploy runs of which nobody can tell whether it is the one.
    Perhaps,
    Somebody,
}

/// A variable with which processes were started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark<'a> {
    pub(crate) variable: &'a str,
    pub(crate) value: &'a str,
}

impl Supervisor {
    /// Looks for other deploys.
    ///
    /// A container that was given a host name, or shares its host's, can have a twin that no look
    /// at /proc will ever show; only a name that was made for this container alone excludes that.
    pub(crate) fn neighbours(&self, tools: &Tools) -> io::Result<Neighbours> {
        let host = gethostname()?.to_string_lossy().into_owned();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        if hides_processes(&mounts) {
            return Ok(Neighbours::Hidden);
        }
        let family = family(tools);
        let others = self
            .others()?
            .into_iter()
            .filter(|process| may_be_one_of(process, &family));
        if is_unique(&host, &mounts) {
            let here = host_namespace()?;
            return Ok(
                if others.into_iter().any(|process| may_be_in(&process, &here)) {
                    Neighbours::Some
                } else {
                    Neighbours::NonePossible
                },
            );
        }
        if others.count() > 0 {
            return Ok(Neighbours::Some);
        }
        let sees_all = fs::read_link("/proc/self/ns/pid")?.as_os_str() == MACHINE;
        Ok(if sees_all {
            Neighbours::NoneHere
        } else {
            Neighbours::Hidden
        })
    }

    /// Looks for what is left of a deploy: every process of it was started with the mark `deploy`,
    /// unless somebody has taken that away. So a deploy tool counts too, where it is not said to
    /// belong to another job by `job`, whose marks it would share.
    pub(crate) fn left_of(&self, tools: &Tools, deploy: Mark, job: &[Mark]) -> io::Result<Left> {
        if hides_processes(&fs::read_to_string("/proc/self/mountinfo")?) {
            return Err(io::Error::other("/proc is mounted with hidepid"));
        }
        let (family, here) = (family(tools), host_namespace()?);
        // Whoever is under another host name cannot have signed as from here.
        let may_be_it =
            |process: &Process| may_be_one_of(process, &family) && may_be_in(process, &here);
        let share = |process: Process| match process::environment(process.identity.pid) {
            Ok(environment) if carries(&environment, deploy) == Some(true) => Left::Somebody,
            Ok(environment) if may_be_it(&process) => {
                let marks = job.iter().map(|mark| carries(&environment, *mark));
                match marks.collect::<Option<Vec<bool>>>() {
                    Some(marks) if marks.contains(&false) => Left::Nobody,
                    Some(_) => Left::Somebody,
                    None => Left::Perhaps,
                }
            }
            // What is hidden from us may belong to it; what has just ended belongs to nobody.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && may_be_it(&process) => {
                Left::Perhaps
            }
            Ok(_) | Err(_) => Left::Nobody,
        };
        let shares = self.others()?.into_iter().map(share);
        Ok(shares.max().unwrap_or(Left::Nobody))
    }

    /// Every process but us, our guard, and what we have started.
    ///
    /// Who is the first process of a container by `exec` has children that it did not start.
    fn others(&self) -> io::Result<Vec<Process>> {
        let own: Vec<_> = tree::descendants()?
            .iter()
            .map(|own| own.identity)
            .filter(|own| !own.started_before(self.started))
            .map(|own| own.pid)
            .chain([getpid(), getppid()])
            .collect();
        let mut others = process::all()?;
        others.retain(|process| !own.contains(&process.identity.pid));
        Ok(others)
    }
}

/// What all processes share that have our host name.
fn host_namespace() -> io::Result<PathBuf> {
    fs::read_link("/proc/self/ns/uts")
}

/// Whether a process has the host name of `namespace`. What is hidden from us may have it; what has
/// just ended has none.
fn may_be_in(process: &Process, namespace: &Path) -> bool {
    match fs::read_link(format!("/proc/{}/ns/uts", process.identity.pid)) {
        Ok(its) => its == namespace,
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

/// Whether a mark has this value; nothing where it is not there.
fn carries(environment: &HashMap<String, String>, mark: Mark) -> Option<bool> {
    let value = environment.get(mark.variable)?.trim_matches(['{', '}']);
    Some(value.eq_ignore_ascii_case(mark.value))
}

/// The deploy tools, what they start to help them, and softstop, which is another deploy or a look
/// at the lock.
fn family(tools: &Tools) -> Tools {
    tools.with_helpers().and(env!("CARGO_PKG_NAME"))
}

/// Whether /proc shows a user nothing but its own processes.
fn hides_processes(mounts: &str) -> bool {
    let is_hiding = |option: &str| {
        option
            .strip_prefix("hidepid=")
            .is_some_and(|level| !matches!(level, "0" | "off"))
    };
    mounts
        .lines()
        .filter(|mount| mount.split(' ').nth(MOUNT_POINT) == Some("/proc"))
        .any(|mount| mount.split([' ', ',']).any(is_hiding))
}

/// Where the executable of a living process is hidden from us, the name that everybody may read
/// counts.
fn may_be_one_of(process: &Process, tools: &Tools) -> bool {
    match process.executable() {
        Ok(executable) => tools.contain(&executable),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            tools.contain(&process::name(process.identity.pid))
        }
        Err(_) => false,
    }
}

/// Whether a host name was made for one container alone: it is the id under which the container
/// engine keeps the container's files, one of which it mounts on /etc/hostname.
fn is_unique(host: &str, mounts: &str) -> bool {
    const SHORT_ID: usize = 12;
    const ROOT: usize = 3;
    let is_id = host.len() >= SHORT_ID && host.bytes().all(|byte| byte.is_ascii_hexdigit());
    let keeps_it = |root: &str| {
        root.split('/')
            .any(|part| part.len() == 64 && part.starts_with(host))
    };
    is_id
        && mounts.lines().any(|mount| {
            let fields: Vec<&str> = mount.split(' ').collect();
            fields.get(MOUNT_POINT) == Some(&"/etc/hostname")
                && fields.get(ROOT).is_some_and(|root| keeps_it(root))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "611 598 254:1 /docker/containers/\
        d5c1f0a2b3c4d5c1f0a2b3c4d5c1f0a2b3c4d5c1f0a2b3c4d5c1f0a2b3c4d5c1/hostname \
        /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n";

    #[test]
    fn a_proc_that_hides_processes_is_known() {
        let proc = |options| format!("25 1 0:23 / /proc rw,nosuid - proc proc rw{options}\n");
        assert!(hides_processes(&proc(",hidepid=2")));
        assert!(hides_processes(&proc(",gid=4,hidepid=invisible")));
        for shown in ["", ",hidepid=0", ",hidepid=off"] {
            assert!(!hides_processes(&proc(shown)), "{shown}");
        }
    }

    #[test]
    fn the_id_of_this_container_is_unique() {
        assert!(is_unique("d5c1f0a2b3c4", MOUNTS));
    }

    #[test]
    fn a_name_that_was_given_is_not_unique() {
        for host in ["vm", "runner-0", "d5c1f0a2b3", "ffffffffffff", "", "d"] {
            assert!(!is_unique(host, MOUNTS), "{host}");
        }
        let elsewhere = MOUNTS.replace("/etc/hostname", "/mnt");
        assert!(!is_unique("d5c1f0a2b3c4", &elsewhere));
    }
}
