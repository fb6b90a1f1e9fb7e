//! Rounds by turns, medians, and what the kernel tells of a process.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// The medians of some ways to do the same, which take turns, so that whatever else the machine
/// does meets all of them.
pub(crate) fn by_turns<const WAYS: usize, T: Copy + PartialOrd>(
    rounds: usize,
    mut measure: impl FnMut(usize) -> T,
) -> [T; WAYS] {
    let mut measured = [const { Vec::new() }; WAYS];
    for _ in 0..rounds {
        for (way, measured) in measured.iter_mut().enumerate() {
            measured.push(measure(way));
        }
    }
    measured.map(median)
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("a number"));
    values[values.len() / 2]
}

/// How long this takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// A command without input that prints to nobody.
pub(crate) fn silent(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// How many times as long `time` is as `other`.
pub(crate) fn ratio(time: Duration, other: Duration) -> f64 {
    time.as_secs_f64() / other.as_secs_f64()
}

/// Whether a goal is met, as the tables say it.
pub(crate) fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

/// Waits for the end of a child, and leaves its status to whoever asks for that.
pub(crate) fn wait_for_end(pid: Pid) {
    let end = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid), end).unwrap();
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    children
        .split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}

/// A process and those of its children that run the same program: softstop and its guard.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let program = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let own = program(&pid);
    let mut family = vec![pid];
    family.extend(children(pid).into_iter().filter(|pid| program(pid) == own));
    family
}

/// A value in kB of a file such as /proc/PID/status; 0 where the process is gone.
pub(crate) fn kilobytes(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

/// The processor time of all threads of a process that are still there.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// How often all threads of a process that are still there were put on a processor.
pub(crate) fn context_switches(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let switches = threads.map(|thread| {
        let text = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let counts = text.lines().filter(|line| line.contains("ctxt_switches:"));
        let counts = counts.map(|line| line.split_whitespace().last().unwrap());
        counts
            .map(|count| count.parse::<u64>().unwrap())
            .sum::<u64>()
    });
    switches.sum()
}

/// The most memory that softstop and its guard take until their end, pages that they share counted
/// once for each.
pub(crate) fn peak_until_end(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let family = family(child.id());
        let now = family.iter().map(|pid| kilobytes(*pid, "status", "VmHWM:"));
        peak = peak.max(now.sum());
        thread::sleep(Duration::from_millis(2));
    }
    peak
}
