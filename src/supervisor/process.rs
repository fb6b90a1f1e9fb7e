//! What /proc tells of the processes on this machine.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// PF_FORKNOEXEC, in the flags by which the kernel knows a process.
const FORKED_WITHOUT_EXEC: u64 = 0x40;
/// The kernel cuts the names off that it keeps for processes.
const LONGEST_NAME: usize = 15;
/// The clock of /proc has ticked a hundred times a second on every machine since Linux 2.6.
const TICK_MILLISECONDS: u64 = 10;

/// A process, or what is left of it until it is reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) identity: Identity,
    pub(super) parent: Pid,
    /// The process group, which a dead process keeps until it is reaped.
    pub(super) group: Pid,
    pub(super) threads: usize,
    /// Whether it is dead, and waits to be reaped. Where its main thread alone is dead, it lives.
    pub(super) dead: bool,
    /// Whether a signal has stopped it, so that it cannot act on another one.
    pub(crate) stopped: bool,
    /// Whether its parent has forked it, and it has not become a program of its own yet.
    ///
    /// Until then, a child of a Go program shares the program's memory, and with it the signals that
    /// the program has noticed: one that is sent to the child counts for the program too.
    pub(super) only_forked: bool,
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
pub(crate) struct Programs {
    names: Vec<String>,
    except: &'static [&'static str],
    words: &'static str,
}

impl Programs {
    /// Programs of these names, also with a version behind the name, but for those whose names
    /// begin with one of the exceptions.
    pub(crate) fn new(names: Vec<String>, except: &'static [&'static str]) -> Self {
        Self {
            names,
            except,
            words: "",
        }
    }

    /// The same, which say this, and nothing else does, when they were asked to stop.
    pub(crate) fn that_say(mut self, words: &'static str) -> Self {
        self.words = words;
        self
    }

    pub(super) fn words(&self) -> &'static str {
        self.words
    }

    /// These programs, and those that they start to help them.
    pub(crate) fn with_helpers(&self) -> Self {
        Self {
            except: &[],
            ..self.clone()
        }
    }

    /// These programs, and the one of this name.
    pub(crate) fn and(&self, name: &str) -> Self {
        let mut tools = self.clone();
        tools.names.push(name.to_owned());
        tools
    }

    /// Whether the process of this number runs one of them. Another user's, and one whose program nobody
    /// may read, hide from us what they execute, and yet have to be asked as what they are: then the name
    /// counts that the kernel keeps, which everybody may read.
    pub(super) fn include(&self, pid: Pid) -> bool {
        match executable(pid) {
            Ok(executable) => self.contain(&executable),
            Err(error) => is_hidden(&error) && self.contain(&name(pid)),
        }
    }

    /// Whether a file, or a process, of this name is a tool.
    pub(crate) fn contain(&self, executable: &str) -> bool {
        // The kernel says so where the file was replaced while it runs.
        let name = executable.strip_suffix(" (deleted)").unwrap_or(executable);
        let is_cut = name.len() == LONGEST_NAME;
        let is_tool = self.names.iter().any(|tool| {
            let version = name.strip_prefix(tool.as_str());
            is_cut && tool.starts_with(name)
                || version.is_some_and(|version| {
                    version.is_empty()
                        || version.starts_with(['_', '-', '.'])
                        || starts_with_digit(version)
                })
        });
        let is_except =
            |except: &&str| name.starts_with(*except) || is_cut && except.starts_with(name);
        is_tool && !self.except.iter().any(is_except)
    }
}

impl Identity {
    pub(super) fn started_before(self, moment: u64) -> bool {
        self.started < moment
    }
}

/// A moment of the past, as the start time of a process would tell it.
pub(super) fn ago(time: Duration) -> io::Result<u64> {
    Ok(now()?.saturating_sub(ticks(time)))
}

/// Now, as the start time of a process would tell it. /proc/uptime does not: lxcfs puts the age of a
/// container in its place.
pub(super) fn now() -> io::Result<u64> {
    let since_start = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(ticks(since_start))
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / TICK_MILLISECONDS
}

impl Process {
    /// The file name of what it executes.
    pub(crate) fn executable(&self) -> io::Result<String> {
        executable(self.identity.pid)
    }

    /// The name that the kernel keeps for it, which everybody may read.
    pub(crate) fn name(&self) -> String {
        name(self.identity.pid)
    }

    /// The environment with which it was started.
    pub(crate) fn environment(&self) -> io::Result<HashMap<String, String>> {
        let bytes = fs::read(format!("/proc/{}/environ", self.identity.pid))?;
        let text = String::from_utf8_lossy(&bytes);
        let variables = text.split('\0').filter_map(|entry| entry.split_once('='));
        Ok(variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// Whether a signal waits for it that a stop would send: somebody else has sent it.
    pub(super) fn is_being_told(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.identity.pid));
        status.is_ok_and(|status| has_pending_stop(&status))
    }
}

/// Whether a process does something of its own when it gets this signal.
pub(super) fn catches(pid: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| has_signal(&status, "SigCgt:", &[signal]))
}

/// What has just ended has nothing to tell, and hides nothing.
pub(super) fn is_hidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The file name of what the process of this number executes. No file is opened for it.
pub(super) fn executable(pid: Pid) -> io::Result<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe"))?;
    let name = path.file_name().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// The name that the kernel keeps for a process, also for a dead one until it is reaped.
pub(super) fn name(pid: Pid) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// Every process that can be seen from here.
pub(super) fn all() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        found.extend(one(Pid::from_raw(pid)));
    }
    Ok(found)
}

/// The process of this number; nothing where it has ended meanwhile.
pub(super) fn one(pid: Pid) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &String::from_utf8_lossy(&stat))
}

/// Reads a line of /proc/PID/stat.
///
/// The name in it may hold blanks and brackets, so the fields are counted from the last bracket.
fn parse_stat(pid: Pid, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let another = |index: usize| Some(Pid::from_raw(fields.get(index)?.parse().ok()?));
    let state = *fields.first()?;
    let threads = usize::try_from(number(17)?).ok()?;
    Some(Process {
        identity: Identity {
            pid,
            started: number(19)?,
        },
        parent: another(1)?,
        group: another(2)?,
        threads,
        dead: matches!(state, "Z" | "X") && threads <= 1,
        stopped: state == "T",
        only_forked: number(6)? & FORKED_WITHOUT_EXEC != 0,
    })
}

/// Reads /proc/PID/status: whether a signal waits that asks Terraform to stop.
fn has_pending_stop(status: &str) -> bool {
    let is_any = |field| has_signal(status, field, &[Signal::SIGINT, Signal::SIGTERM]);
    is_any("SigPnd:") || is_any("ShdPnd:")
}

/// Whether the kernel names one of these signals in this field of what it says of a process.
fn has_signal(status: &str, field: &str, signals: &[Signal]) -> bool {
    let sets = status.lines().filter_map(|line| line.strip_prefix(field));
    let mut sets = sets.filter_map(|set| u64::from_str_radix(set.trim(), 16).ok());
    let wanted = signals.iter().map(|signal| 1_u64 << (*signal as u64 - 1));
    let wanted = wanted.fold(0, |all, one| all | one);
    sets.any(|set| set & wanted != 0)
}

/// Whether a process prints into a pipe that is open here too, as that of the deploy is.
pub(super) fn prints_to_us(pid: Pid) -> bool {
    let Ok(stdout) = fs::read_link(format!("/proc/{pid}/fd/1")) else {
        return false;
    };
    let is_it = |file: PathBuf| fs::read_link(file).is_ok_and(|file| file == stdout);
    let mut ours = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    stdout.to_string_lossy().starts_with("pipe:") && ours.any(|file| is_it(file.path()))
}

/// The words with which a process was started, as the kernel keeps them.
pub(super) fn words(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_suffix('\0').unwrap_or(&text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split('\0').map(str::to_owned).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use nix::unistd::getpid;

    use super::*;

    /// When the processes for tests have started.
    pub(in crate::supervisor) const STARTED: u64 = 100;

    /// A living process for tests that need no real one.
    pub(in crate::supervisor) fn process(pid: i32, parent: i32) -> Process {
        Process {
            identity: Identity {
                pid: Pid::from_raw(pid),
                started: STARTED,
            },
            parent: Pid::from_raw(parent),
            group: Pid::from_raw(pid),
            threads: 1,
            dead: false,
            stopped: false,
            only_forked: false,
        }
    }

    #[test]
    fn a_name_with_brackets_and_blanks_is_read_over() {
        let stat = "42 (a) S (b) T 7 41 42 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 9876 0 0";
        let process = parse_stat(Pid::from_raw(42), stat).unwrap();
        assert_eq!(process.parent, Pid::from_raw(7));
        assert_eq!(process.group, Pid::from_raw(41));
        assert_eq!(process.identity.started, 9876);
        assert!(process.stopped && process.only_forked && !process.dead);
    }

    #[test]
    fn a_process_is_dead_when_no_thread_of_it_lives() {
        let process = |threads: u32| {
            let stat =
                format!("42 (a) Z 7 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 {threads} 0 9876 0 0");
            parse_stat(Pid::from_raw(42), &stat).unwrap()
        };
        assert!(process(1).dead);
        assert!(!process(2).dead);
        assert!(!process(1).only_forked);
    }

    #[test]
    fn a_signal_that_waits_is_seen_wherever_it_waits() {
        let status = |thread: &str, process: &str| {
            format!("Name:\ta\nSigPnd:\t{thread}\nShdPnd:\t{process}\nSigBlk:\t0000000000004002\n")
        };
        let (nothing, other) = ("0000000000000000", "0000000000010000");
        assert!(!has_pending_stop(&status(nothing, other)));
        assert!(has_pending_stop(&status("0000000000000002", nothing)));
        assert!(has_pending_stop(&status(other, "0000000000004000")));
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
        let tools = Programs::new(
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
        let tools = tools.and("our-own-terraform");
        assert!(tools.contain("our-own-terraform"));
        assert!(tools.contain("our-own-terrafo"), "as the kernel keeps it");
        for name in [
            "terraform-provider-aws_v5.0.0",
            // The same, as the kernel keeps it.
            "terraform-provi",
            "terraformer",
            "sh",
            "",
            "tofuish",
        ] {
            assert!(!tools.contain(name), "{name}");
        }
    }
}
