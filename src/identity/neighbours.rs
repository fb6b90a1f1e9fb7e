//! Who else could sign a lock as the deploy does: with the same user name and host name.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use nix::unistd::gethostname;

use super::mounts::{hides_processes, is_unique, name_file, sees_the_whole_machine};
use crate::supervisor::{Process, Programs, Supervisor};

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

/// Looks for other deploys.
///
/// A container that was given a host name, or shares its host's, can have a twin that no look
/// at /proc will ever show; only a name that was made for this container alone excludes that.
pub(crate) fn neighbours(supervisor: &Supervisor, tools: &Programs) -> io::Result<Neighbours> {
    let here = Here::new()?;
    if hides_processes(&here.mounts) {
        return Ok(Neighbours::Hidden);
    }
    let family = family(tools);
    let others = supervisor
        .others()?
        .into_iter()
        .filter(|process| may_be_one_of(process, &family));
    let host = gethostname()?;
    if is_unique(&host.to_string_lossy(), &here.mounts) {
        return Ok(
            if others.into_iter().any(|process| here.may_have(&process)) {
                Neighbours::Some
            } else {
                Neighbours::NonePossible
            },
        );
    }
    if others.count() > 0 {
        return Ok(Neighbours::Some);
    }
    Ok(if sees_the_whole_machine()? {
        Neighbours::NoneHere
    } else {
        Neighbours::Hidden
    })
}

/// Looks for what is left of a deploy: every process of it was started with the mark `deploy`,
/// unless somebody has taken that away. So a deploy tool counts too, where it is not said to
/// belong to another job by `job`, whose marks it would share.
pub(crate) fn left_of(
    supervisor: &Supervisor,
    tools: &Programs,
    deploy: Mark,
    job: &[Mark],
) -> io::Result<Left> {
    let (family, here) = (family(tools), Here::new()?);
    if hides_processes(&here.mounts) {
        return Err(io::Error::other("/proc is mounted with hidepid"));
    }
    // Whoever is under another host name cannot have signed as from here.
    let may_be_it = |process: &Process| may_be_one_of(process, &family) && here.may_have(process);
    let share = |process: Process| match process.environment() {
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
    let shares = supervisor.others()?.into_iter().map(share);
    Ok(shares.max().unwrap_or(Left::Nobody))
}

/// What tells processes that have our host name.
struct Here {
    namespace: PathBuf,
    mounts: String,
}

impl Here {
    fn new() -> io::Result<Self> {
        Ok(Self {
            namespace: fs::read_link("/proc/self/ns/uts")?,
            mounts: fs::read_to_string("/proc/self/mountinfo")?,
        })
    }

    /// Whether a process may have our host name: a new UTS namespace keeps the name of the old one, and only
    /// another container is called anew. What is hidden from us may have it; what has just ended has none.
    fn may_have(&self, process: &Process) -> bool {
        let of_it = |file| format!("/proc/{}/{file}", process.identity.pid);
        let is_so = fs::read_link(of_it("ns/uts")).and_then(|its| {
            let has_our_name = |its: String| name_file(&its) == name_file(&self.mounts);
            Ok(its == self.namespace || has_our_name(fs::read_to_string(of_it("mountinfo"))?))
        });
        is_so.unwrap_or_else(|error| error.kind() == ErrorKind::PermissionDenied)
    }
}

/// Whether a mark has this value; nothing where it is not there.
fn carries(environment: &HashMap<String, String>, mark: Mark) -> Option<bool> {
    let value = environment.get(mark.variable)?.trim_matches(['{', '}']);
    Some(value.eq_ignore_ascii_case(mark.value))
}

/// The deploy tools, what they start to help them, and softstop, which is another deploy or a look
/// at the lock.
fn family(tools: &Programs) -> Programs {
    tools.with_helpers().and(env!("CARGO_PKG_NAME"))
}

/// Where the executable of a living process is hidden from us, the name that everybody may read
/// counts.
fn may_be_one_of(process: &Process, tools: &Programs) -> bool {
    match process.executable() {
        Ok(executable) => tools.contain(&executable),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => tools.contain(&process.name()),
        Err(_) => false,
    }
}
