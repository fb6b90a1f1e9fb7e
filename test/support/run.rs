//! A run of softstop.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::project::Gate;
use super::proxy::Proxy;
use super::softstop::MARK;
use super::{Project, Softstop, until};

/// softstop, running.
pub struct Run {
    child: Child,
    mark: String,
    stdout: PathBuf,
    stderr: PathBuf,
    /// When the first signal was sent.
    signalled: Option<Instant>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// From the first signal to the end.
    pub stopped_in: Option<Duration>,
}

impl Run {
    /// A process of softstop's, with its mark and the files that its output goes to.
    pub(super) fn new(child: Child, mark: String, stdout: PathBuf, stderr: PathBuf) -> Self {
        Self {
            child,
            mark,
            stdout,
            stderr,
            signalled: None,
        }
    }

    /// softstop's own process, as its caller knows it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub fn signal(&mut self, signal: Signal) {
        self.note_signal();
        kill(self.pid(), signal).unwrap();
    }

    /// The time that it takes to stop counts from now on.
    pub(super) fn note_signal(&mut self) {
        self.signalled.get_or_insert_with(Instant::now);
    }

    /// The supervising process; `pid` is its guard.
    pub fn supervisor(&self) -> Pid {
        self.wait_for_process("softstop")
    }

    /// The most memory that softstop and its guard have taken so far, in KiB.
    pub fn peak_memory(&self) -> u64 {
        [self.pid(), self.supervisor()]
            .map(peak_memory_of)
            .iter()
            .sum()
    }

    /// Signals softstop while Terraform is at `gate`, and opens it once Terraform is stopping.
    pub fn interrupt_at(mut self, gate: &Gate, signal: Signal) -> Finished {
        gate.wait_until_reached();
        self.signal(signal);
        self.wait_for_stdout("Stopping operation...");
        gate.open();
        self.finish()
    }

    /// Whether nothing that runs below softstop has said anything on stdout yet.
    pub fn is_silent(&self) -> bool {
        read(&self.stdout).is_empty()
    }

    /// Kills Terraform while it is at `gate` and holds the lock.
    pub fn kill_terraform_at(self, gate: &Gate) -> Finished {
        gate.wait_until_reached();
        kill(self.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
        self.finish()
    }

    /// Waits until no signal is on its way to softstop any more.
    pub fn wait_until_heard(&self) {
        let supervisor = self.supervisor();
        until("softstop has taken its signals", || {
            [self.pid(), supervisor].iter().all(|pid| {
                let status = read(Path::new(&format!("/proc/{pid}/status")));
                let mut lines = status.lines();
                let pending = lines.find_map(|line| line.strip_prefix("ShdPnd:"));
                pending.is_none_or(|pending| pending.trim().trim_matches('0').is_empty())
            })
        });
    }

    pub fn wait_for_stdout(&self, text: &str) {
        wait_for(&self.stdout, text);
    }

    pub fn wait_for_stderr(&self, text: &str) {
        wait_for(&self.stderr, text);
    }

    pub fn has_printed(&self, text: &str) -> bool {
        read(&self.stdout).contains(text)
    }

    pub fn has_said(&self, text: &str) -> bool {
        read(&self.stderr).contains(text)
    }

    /// Marks every process of this run, see [`marked`].
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Whether the process that was started has ended; what it has started may live on.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Every living process of this run but softstop itself.
    pub fn processes(&self) -> Vec<Pid> {
        marked(&self.mark)
            .into_iter()
            .filter(|pid| *pid != self.pid())
            .collect()
    }

    /// Waits until a process of this run has this name, and returns it.
    pub fn wait_for_process(&self, name: &str) -> Pid {
        let mut found = None;
        until(&format!("{name} runs"), || {
            found = self
                .processes()
                .into_iter()
                .find(|pid| name_of(*pid) == name);
            found.is_some()
        });
        found.unwrap()
    }

    /// Kills every process of the run while Terraform is at `gate`, as the Stop button does.
    pub fn kill_all_at(self, gate: &Gate) {
        gate.wait_until_reached();
        self.kill_all();
    }

    /// Kills every process of the run.
    pub fn kill_all(self) {
        let run = self.kill_all_but(&[]);
        until("all are gone", || marked(&run.mark).is_empty());
    }

    /// Kills every process of the run while `proxy` holds back what it has said, which is then lost.
    pub fn kill_all_while_held(self, proxy: &Proxy) {
        proxy.wait_until_held();
        self.kill_all();
        proxy.wait_until_given_up();
        proxy.let_go();
    }

    /// Kills every process of the run but those of these names.
    pub fn kill_all_but(mut self, names: &[&str]) -> Self {
        let mut everybody = marked(&self.mark);
        everybody.retain(|pid| !names.contains(&name_of(*pid).as_str()));
        // None of them must see another one die.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &everybody {
                // One that has ended by itself meanwhile is gone as well.
                assert!(matches!(kill(*pid, signal), Ok(()) | Err(Errno::ESRCH)));
            }
        }
        self.child.wait().unwrap();
        self
    }

    /// Waits for the end, and checks that no process of the run is left.
    pub fn finish(mut self) -> Finished {
        let mut status = None;
        until("softstop ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        let finished = Finished {
            code: status.code(),
            signal: status.signal(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            stopped_in: self.signalled.map(|signalled| signalled.elapsed()),
        };
        let left = marked(&self.mark);
        assert!(left.is_empty(), "left behind: {left:?}\n{finished}");
        finished
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "--- a run that a test gave up, stdout\n{}\n--- stderr\n{}",
                read(&self.stdout),
                read(&self.stderr)
            );
        }
        for pid in marked(&self.mark) {
            // A failed test must not leave anything behind either.
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Whether Terraform was refused a lock, and then found nobody who held it. Where a lock on S3 or
    /// DynamoDB goes between the refusal of another one and the question who holds it, Terraform 1.11.4
    /// and OpenTofu 1.12.6 wait no longer, and fail.
    pub fn has_met_nobody(&self) -> bool {
        let said = &self.stderr;
        said.contains("acquiring the state lock")
            && [
                ["PreconditionFailed", "NoSuchKey"],
                ["ConditionalCheckFailed", "unexpected end of JSON input"],
                ["ConditionalCheckFailed", "no lock info found"],
            ]
            .iter()
            .any(|words| words.iter().all(|words| said.contains(words)))
    }

    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    #[track_caller]
    pub fn expect_said(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "expected {text:?}:\n{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "code {:?}, signal {:?}, stopped in {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.signal, self.stopped_in, self.stdout, self.stderr
        )
    }
}

/// Kills Terraform while it holds the lock, and expects that the lock is released all the same.
pub fn expect_release(project: &Project, softstop: Softstop) -> Finished {
    let run = softstop.start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert!(project.store.lock().is_some(), "the deploy uses this lock");
    let finished = run.kill_terraform_at(&gate);
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
    finished
}

/// The name that the kernel keeps for a process, cut after 15 characters.
pub fn name_of(pid: Pid) -> String {
    let name = read(Path::new(&format!("/proc/{pid}/comm")));
    name.trim_end().to_owned()
}

fn peak_memory_of(pid: Pid) -> u64 {
    let status = read(Path::new(&format!("/proc/{pid}/status")));
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// The words with which a process was started.
pub fn arguments_of(pid: Pid) -> Vec<String> {
    let words = read(Path::new(&format!("/proc/{pid}/cmdline")));
    words.split('\0').map(str::to_owned).collect()
}

fn wait_for(file: &Path, text: &str) {
    until(&format!("{text:?} is said"), || read(file).contains(text));
}

fn read(file: &Path) -> String {
    fs::read(file)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The living processes whose environment holds the mark of a run.
pub fn marked(mark: &str) -> Vec<Pid> {
    let mark = format!("{MARK}={mark}");
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            })
        })
        .map(Pid::from_raw)
        .collect()
}
