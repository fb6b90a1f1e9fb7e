//! What /proc tells of the processes on this machine.

use std::collections::HashMap;
use std::fs;
use std::io;

use nix::unistd::{Pid, getpid};

/// A process. It may be dead and wait to be reaped, or have a dead main thread and live ones.
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
pub(crate) struct Tools {
    names: Vec<String>,
    except: &'static [&'static str],
}

impl Tools {
    /// Programs of these names, also with a version behind the name, but for those whose names
    /// begin with one of the exceptions.
    pub(crate) fn new(names: Vec<String>, except: &'static [&'static str]) -> Self {
        Self { names, except }
    }

    /// These programs, and those that they start to help them.
    pub(super) fn with_helpers(&self) -> Self {
        Self {
            names: self.names.clone(),
            except: &[],
        }
    }

    /// These programs, and the one of this name.
    pub(super) fn and(&self, name: &str) -> Self {
        let mut tools = self.clone();
        tools.names.push(name.to_owned());
        tools
    }

    pub(super) fn include(&self, process: &Process) -> bool {
        process
            .executable()
            .is_ok_and(|executable| self.contain(&executable))
    }

    /// Whether a file, or a process, of this name is a tool.
    pub(super) fn contain(&self, executable: &str) -> bool {
        // The kernel says so where the file was replaced while it runs.
        let name = executable.strip_suffix(" (deleted)").unwrap_or(executable);
        let is_tool = self.names.iter().any(|tool| {
            name.strip_prefix(tool.as_str()).is_some_and(|version| {
                version.is_empty()
                    || version.starts_with(['_', '-', '.'])
                    || starts_with_digit(version)
            })
        });
        is_tool && !self.except.iter().any(|except| name.starts_with(except))
    }
}

impl Identity {
    pub(super) fn started_before(self, moment: u64) -> bool {
        self.started < moment
    }
}

/// Now, as the start time of a process would tell it.
pub(super) fn now() -> io::Result<u64> {
    let uptime = fs::read_to_string("/proc/uptime")?;
    let seconds = uptime.split(' ').next().unwrap_or_default();
    // The clock of /proc has ticked a hundred times a second on every machine since Linux 2.6.
    let ticks = seconds.replace('.', "").parse();
    ticks.map_err(|_no_number| io::Error::other("/proc/uptime cannot be understood"))
}

impl Process {
    /// The file name of what it executes.
    pub(super) fn executable(&self) -> io::Result<String> {
        let path = fs::read_link(format!("/proc/{}/exe", self.identity.pid))?;
        let name = path.file_name().unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// Whether its parent has forked it, and it has not become a program of its own yet.
    ///
    /// Until then, a child of a Go program shares the program's memory, and with it the signals that
    /// the program has noticed: one that is sent to the child counts for the program too.
    pub(super) fn is_mere_fork(&self) -> bool {
        let command = |pid| fs::read(format!("/proc/{pid}/cmdline")).ok();
        let own = command(self.identity.pid);
        own.is_some() && own == command(self.parent)
    }
}

/// The environment with which a process was started.
pub(super) fn environment(pid: Pid) -> io::Result<HashMap<String, String>> {
    let bytes = fs::read(format!("/proc/{pid}/environ"))?;
    let text = String::from_utf8_lossy(&bytes);
    let variables = text.split('\0').filter_map(|entry| entry.split_once('='));
    Ok(variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// The name that the kernel keeps for a process, also for a dead one until it is reaped.
pub(super) fn name(pid: Pid) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// Every process below this one, however deep, in whatever session.
///
/// As softstop adopts orphans, no process of the deploy can leave this tree. One that moves while
/// this looks may be missed, so only the kernel's word that there are no children proves that
/// nothing is left.
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

/// Every process that can be seen from here.
pub(super) fn all() -> io::Result<Vec<Process>> {
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

/// Reads a line of /proc/PID/stat.
///
/// The name in it may hold blanks and brackets, so the fields are counted from the last bracket.
fn parse_stat(pid: Pid, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Some(Process {
        identity: Identity {
            pid,
            started: fields.get(19)?.parse().ok()?,
        },
        parent: Pid::from_raw(fields.get(1)?.parse().ok()?),
        stopped: *fields.first()? == "T",
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
    fn this_very_process_is_among_all() {
        assert!(
            all()
                .unwrap()
                .iter()
                .any(|process| process.identity.pid == getpid())
        );
    }

    #[test]
    fn a_tool_is_known_by_its_name_with_or_without_a_version() {
        let tools = Tools::new(
            vec!["terraform".to_owned(), "tofu".to_owned()],
            &["terraform-provider-"],
        );
        for name in [
            "terraform",
            "tofu",
            "terraform_1.5.7",
            "terraform-1.9",
            "terraform1.9",
            "terraform (deleted)",
        ] {
            assert!(tools.contain(name), "{name}");
        }
        for name in [
            "terraform-provider-aws_v5.0.0",
            "terraformer",
            "sh",
            "",
            "tofuish",
        ] {
            assert!(!tools.contain(name), "{name}");
        }
    }
}
