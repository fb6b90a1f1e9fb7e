//! Who else could sign a lock as the deploy does: with the same user name and host name.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};

use nix::unistd::{gethostname, getpid, getppid};

use super::process::{self, Process, Tools};

/// The PID namespace of the machine itself, whose number the kernel fixes; only from there every
/// process can be seen.
pub(super) const MACHINE: &str = "pid:[4026531836]";

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

/// Looks for other deploys.
///
/// A container that was given a host name, or shares its host's, can have a twin that no look at
/// /proc will ever show; only a name that was made for this container alone excludes that.
pub(crate) fn neighbours(tools: &Tools) -> io::Result<Neighbours> {
    let host = gethostname()?.to_string_lossy().into_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let own: Vec<_> = process::descendants()?
        .iter()
        .map(|own| own.identity.pid)
        .chain([getpid(), getppid()])
        .collect();
    // Another softstop is another deploy, or a look at the lock.
    let softstop = env::current_exe()?;
    let softstop = softstop.file_name().unwrap_or_default().to_string_lossy();
    let tools = &tools.and(&softstop);
    let others = process::all()?
        .into_iter()
        .filter(|process| !own.contains(&process.identity.pid) && may_be_tool(process, tools));
    if is_unique(&host, &mounts) {
        let here = fs::read_link("/proc/self/ns/uts")?;
        let is_here = |process: &Process| {
            // What is hidden from us may be here; what has just ended is nowhere.
            match fs::read_link(format!("/proc/{}/ns/uts", process.identity.pid)) {
                Ok(its) => its == here,
                Err(error) => error.kind() == ErrorKind::PermissionDenied,
            }
        };
        return Ok(if others.into_iter().any(|process| is_here(&process)) {
            Neighbours::Some
        } else {
            Neighbours::NonePossible
        });
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

/// Where the executable of a living process is hidden from us, the name that everybody may read
/// counts.
fn may_be_tool(process: &Process, tools: &Tools) -> bool {
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
    const MOUNT_POINT: usize = 4;
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
