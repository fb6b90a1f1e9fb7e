//! What /proc tells of the processes on this machine.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use nix::unistd::{Pid, SysconfVar, getpid, getuid, sysconf};

/// A living process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) identity: Identity,
    parent: Pid,
    /// Whether a signal has stopped it, so that it cannot act on another one.
    pub(crate) stopped: bool,
}

/// A pid may be used again; together with the start time it names one process for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) pid: Pid,
    /// In clock ticks since the machine was started.
    started: u64,
}

/// The programs that hold locks, known by the file names of their executables.
///
/// The executable counts, not the command line: a wrapper script that is called `terraform` is a
/// shell, and a shell may die of the signal that Terraform survives.
#[derive(Clone, Debug)]
pub(crate) struct Tools(Vec<OsString>);

impl Tools {
    pub(crate) fn new(names: Vec<OsString>) -> Self {
        Self(names)
    }

    pub(super) fn include(&self, process: &Process) -> bool {
        executable(process.identity.pid)
            .is_some_and(|path| path.file_name().is_some_and(|name| self.contain(name)))
    }

    fn contain(&self, name: &OsStr) -> bool {
        self.0.iter().any(|tool| tool == name)
    }
}

/// Every living process below this one, however deep, in whatever session.
///
/// As softstop adopts orphans, no process of the deploy can leave this tree.
pub(crate) fn descendants() -> io::Result<Vec<Process>> {
    let mut children: HashMap<Pid, Vec<Process>> = HashMap::new();
    for process in all()? {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![getpid()];
    while let Some(parent) = parents.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            parents.push(process.identity.pid);
            found.push(process);
        }
    }
    Ok(found)
}

/// When each of the tools that run beside this process, as the same user under the same host
/// name, was started.
///
/// Terraform signs a lock with user and host name, so such a process signs just as our deploy
/// does. One that another host name hides (a container's, seen from the host) is no such process.
pub(crate) fn rivals(tools: &Tools) -> io::Result<Vec<Timestamp>> {
    let host = fs::read_link("/proc/self/ns/uts")?;
    let uptime = uptime()?;
    let now = Timestamp::now();
    let own: Vec<Identity> = descendants()?.iter().map(|own| own.identity).collect();
    Ok(all()?
        .iter()
        .filter(|process| !own.contains(&process.identity))
        .filter(|process| signs_as_we_do(process.identity.pid, &host) && tools.include(process))
        .map(|process| now - (uptime - process.identity.since_boot()))
        .collect())
}

impl Identity {
    fn since_boot(self) -> SignedDuration {
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK)
            .ok()
            .flatten()
            .and_then(|ticks| u64::try_from(ticks).ok())
            .unwrap_or(100);
        // Rounded down to the second: a rival that seems older only makes us more careful.
        SignedDuration::from_secs((self.started / ticks_per_second).cast_signed())
    }
}

fn uptime() -> io::Result<SignedDuration> {
    fs::read_to_string("/proc/uptime")?
        .split_whitespace()
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| io::Error::other("/proc/uptime does not say how long the machine is up"))
}

fn signs_as_we_do(pid: Pid, host: &Path) -> bool {
    let same_user = fs::metadata(format!("/proc/{pid}"))
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == getuid().as_raw());
    // What cannot be read may be a rival.
    same_user && fs::read_link(format!("/proc/{pid}/ns/uts")).map_or(true, |its| its == host)
}

fn executable(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

fn all() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between the listing and the look; then there is nothing to tell.
        if let Some(process) = fs::read(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| parse_stat(Pid::from_raw(pid), &String::from_utf8_lossy(&stat)))
        {
            found.push(process);
        }
    }
    Ok(found)
}

/// Reads a line of /proc/PID/stat; nothing comes of a dead process that waits to be reaped.
///
/// The name in it may hold blanks and brackets, so the fields are counted from the last bracket.
fn parse_stat(pid: Pid, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let state = *fields.first()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    Some(Process {
        identity: Identity {
            pid,
            started: fields.get(19)?.parse().ok()?,
        },
        parent: Pid::from_raw(fields.get(1)?.parse().ok()?),
        stopped: state == "T",
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A process for tests that need no real one.
    pub(in crate::supervisor) fn process(pid: i32, stopped: bool) -> Process {
        Process {
            identity: Identity {
                pid: Pid::from_raw(pid),
                started: 1,
            },
            parent: Pid::from_raw(1),
            stopped,
        }
    }

    #[test]
    fn a_name_with_brackets_and_blanks_is_read_over() {
        let stat = "42 (a) S (b) T 7 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9876 0 0";
        let process = parse_stat(Pid::from_raw(42), stat).unwrap();
        assert_eq!(process.parent, Pid::from_raw(7));
        assert_eq!(process.identity.started, 9876);
        assert!(process.stopped);
    }

    #[test]
    fn a_zombie_is_no_living_process() {
        let stat = "42 (sh) Z 7 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9876 0 0";
        assert_eq!(parse_stat(Pid::from_raw(42), stat), None);
    }

    #[test]
    fn this_very_process_is_among_all() {
        assert!(
            all()
                .unwrap()
                .iter()
                .any(|process| process.identity.pid == getpid())
        );
    }

    #[test]
    fn this_very_program_is_found_as_its_own_rival_with_the_time_of_its_start() {
        let program = std::env::current_exe().unwrap();
        let tools = Tools::new(vec![program.file_name().unwrap().to_owned()]);
        let rivals = rivals(&tools).unwrap();
        let now = Timestamp::now();
        assert!(rivals.iter().any(
            |since| *since <= now && now.duration_since(*since) < SignedDuration::from_mins(60)
        ));
    }
}
