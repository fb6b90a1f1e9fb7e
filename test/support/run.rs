//! A run of softstop.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uuid::Uuid;

use super::project::Gate;
use super::{Bitbucket, Project, Step, until};

/// Marks every process of one run, so that what is left of it can be found.
pub(super) const MARK: &str = "SOFTSTOP_TEST_RUN";

/// Keeps what is printed, and what is asked from elsewhere, the same in every run.
pub(super) const SURROUNDINGS: [(&str, &str); 3] = [
    ("NO_COLOR", "1"),
    ("TF_CLI_ARGS", "-no-color"),
    ("CHECKPOINT_DISABLE", "1"),
];

/// A token that must never be seen.
pub(crate) const TOKEN: &str = "s3cret-t0ken";

/// softstop, about to be started under a host name of its own.
///
/// A build container has a host name of its own too. Without one, the other tests that run on
/// this machine would be rivals that sign their locks alike.
pub(crate) struct Softstop {
    command: Command,
    mark: String,
    host: String,
    outputs: PathBuf,
}

/// softstop, running.
pub(crate) struct Run {
    child: Child,
    mark: String,
    stdout: PathBuf,
    stderr: PathBuf,
    /// When the first signal was sent.
    signalled: Option<Instant>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From the first signal to the end.
    pub(crate) stopped_in: Option<Duration>,
}

impl Softstop {
    /// `softstop deploy` in the project's directory.
    pub(crate) fn deploy(project: &Project) -> Self {
        let mut softstop = Self::in_directory(&project.directory, project.scratch());
        softstop
            .command
            .env("TF_CLI_CONFIG_FILE", project.cli_config());
        softstop.arguments(["deploy"])
    }

    /// `softstop release` in a fresh clone: a directory with nothing but the repository's files.
    pub(crate) fn release(project: &Project) -> Self {
        Self::in_a_clone(project).arguments(["release"])
    }

    /// `softstop status` in a fresh clone.
    pub(crate) fn status(project: &Project) -> Self {
        Self::in_a_clone(project).arguments(["status"])
    }

    fn in_a_clone(project: &Project) -> Self {
        Self::in_directory(&project.clone_files(), project.scratch())
            .env("TF_CLI_CONFIG_FILE", project.cli_config())
    }

    /// `softstop release` under this host name, as in a container that is still there.
    pub(crate) fn release_on(project: &Project, host: &str) -> Self {
        Self::in_container(&[], host, &[], &project.clone_files(), project.scratch())
            .env("TF_CLI_CONFIG_FILE", project.cli_config())
            .arguments(["release"])
    }

    /// `softstop deploy` started by this program, which changes with which rights it runs.
    pub(crate) fn deploy_by(project: &Project, starter: &[&str]) -> Self {
        Self::in_container(
            &[],
            &container_id(),
            starter,
            &project.directory,
            project.scratch(),
        )
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
        .arguments(["deploy"])
    }

    /// The host name under which it will run.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// softstop in any directory, under a host name of its own.
    pub(crate) fn in_directory(directory: &Path, outputs: &Path) -> Self {
        Self::in_container(&[], &container_id(), &[], directory, outputs)
    }

    /// softstop as PID 1 of a namespace of its own.
    pub(crate) fn as_pid_1(project: &Project) -> Self {
        Self::as_pid_1_of(project, &container_id())
    }

    /// softstop as PID 1 of a namespace of its own, under this host name.
    pub(crate) fn as_pid_1_of(project: &Project, host: &str) -> Self {
        let pid_1 = ["--pid", "--fork", "--mount-proc", "--kill-child"];
        Self::in_container(&pid_1, host, &[], &project.directory, project.scratch())
            .env("TF_CLI_CONFIG_FILE", project.cli_config())
            .arguments(["deploy"])
    }

    /// Gives softstop a host name, and mounts /etc/hostname from a directory that is named after
    /// the container's id, as Docker does.
    fn in_container(
        namespaces: &[&str],
        host: &str,
        starter: &[&str],
        directory: &Path,
        outputs: &Path,
    ) -> Self {
        let files = outputs.join("containers").join(format!("{host:0<64}"));
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("hostname"), host).unwrap();
        let script = format!(
            "mount --bind '{}/hostname' /etc/hostname
             echo {host} > /proc/sys/kernel/hostname; exec \"$@\"",
            files.display()
        );
        let mut command = Command::new("unshare");
        command
            .args(["--uts", "--mount"])
            .args(namespaces)
            .args(["/bin/sh", "-ec", &script, "sh"])
            .args(starter);
        Self::with(command, host, directory, outputs)
    }

    /// `softstop deploy` under the machine's own host name, beside whatever else runs there.
    pub(crate) fn on_a_shared_host(project: &Project) -> Self {
        let mut command = Command::new("env");
        command.env("TF_CLI_CONFIG_FILE", project.cli_config());
        Self::with(command, "", &project.directory, project.scratch()).arguments(["deploy"])
    }

    fn with(mut command: Command, host: &str, directory: &Path, outputs: &Path) -> Self {
        let mark = Uuid::new_v4().to_string();
        command
            .arg(env!("CARGO_BIN_EXE_softstop"))
            .current_dir(directory)
            .env(MARK, &mark)
            .envs(SURROUNDINGS);
        Self {
            host: host.to_owned(),
            ..Self::started_by(command, mark, outputs)
        }
    }

    /// softstop by a command that starts it, so that all its processes have this mark.
    pub(super) fn started_by(mut command: Command, mark: String, outputs: &Path) -> Self {
        command.stdin(Stdio::null());
        Self {
            command,
            mark,
            host: String::new(),
            outputs: outputs.to_owned(),
        }
    }

    /// As a step of a pipeline.
    pub(crate) fn in_step(mut self, step: &Step) -> Self {
        self.command.envs(step.variables());
        self
    }

    /// With Bitbucket in reach, and a token for it.
    pub(crate) fn asking(self, bitbucket: &Bitbucket) -> Self {
        self.env("BITBUCKET_API_URL", bitbucket.url())
            .env("BITBUCKET_ACCESS_TOKEN", TOKEN)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arguments<A: AsRef<OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.command.args(arguments);
        self
    }

    /// The mark that the processes of this run will have, see [`marked`].
    pub(crate) fn mark(&self) -> String {
        self.mark.clone()
    }

    /// A shell script as the command.
    pub(crate) fn script(self, script: &str) -> Self {
        self.env("COMMAND", script)
    }

    pub(crate) fn start(self) -> Run {
        let stdout = self.outputs.join(format!("{}.stdout", self.mark));
        let file = File::create(&stdout).unwrap();
        self.start_with_stdout(stdout, file)
    }

    /// Starts with a stdout of the test's own.
    pub(crate) fn start_with_stdout(mut self, name: PathBuf, stdout: impl Into<Stdio>) -> Run {
        let stderr = self.outputs.join(format!("{}.stderr", self.mark));
        let child = self
            .command
            .stdout(stdout)
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Run {
            child,
            mark: self.mark,
            stdout: name,
            stderr,
            signalled: None,
        }
    }

    pub(crate) fn finish(self) -> Finished {
        self.start().finish()
    }
}

impl Run {
    /// softstop's own process, as its caller knows it.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.note_signal();
        kill(self.pid(), signal).unwrap();
    }

    /// The time that it takes to stop counts from now on.
    pub(super) fn note_signal(&mut self) {
        self.signalled.get_or_insert_with(Instant::now);
    }

    /// The supervising process; `pid` is its guard.
    pub(crate) fn supervisor(&self) -> Pid {
        self.wait_for_process("softstop")
    }

    /// Signals softstop while Terraform is at `gate`, and opens it once Terraform is stopping.
    pub(crate) fn interrupt_at(mut self, gate: &Gate, signal: Signal) -> Finished {
        gate.wait_until_reached();
        self.signal(signal);
        self.wait_for_stdout("Stopping operation...");
        gate.open();
        self.finish()
    }

    /// Kills Terraform while it is at `gate` and holds the lock.
    pub(crate) fn kill_terraform_at(self, gate: &Gate) -> Finished {
        gate.wait_until_reached();
        kill(self.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
        self.finish()
    }

    pub(crate) fn wait_for_stdout(&self, text: &str) {
        wait_for(&self.stdout, text);
    }

    pub(crate) fn wait_for_stderr(&self, text: &str) {
        wait_for(&self.stderr, text);
    }

    pub(crate) fn has_said(&self, text: &str) -> bool {
        read(&self.stderr).contains(text)
    }

    /// Every living process of this run but softstop itself.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        marked(&self.mark)
            .into_iter()
            .filter(|pid| *pid != self.pid())
            .collect()
    }

    /// Waits until a process of this run has this name, and returns it.
    pub(crate) fn wait_for_process(&self, name: &str) -> Pid {
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
    pub(crate) fn kill_all_at(self, gate: &Gate) {
        gate.wait_until_reached();
        self.kill_all();
    }

    /// Kills every process of the run.
    pub(crate) fn kill_all(self) {
        let run = self.kill_all_but("nobody");
        until("all are gone", || marked(&run.mark).is_empty());
    }

    /// Kills every process of the run but those of this name.
    pub(crate) fn kill_all_but(mut self, name: &str) -> Self {
        let mut everybody = marked(&self.mark);
        everybody.retain(|pid| name_of(*pid) != name);
        // None of them must see another one die.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &everybody {
                kill(*pid, signal).unwrap();
            }
        }
        self.child.wait().unwrap();
        self
    }

    /// Waits for the end, and checks that no process of the run is left.
    pub(crate) fn finish(mut self) -> Finished {
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
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn expect_said(&self, text: &str) -> &Self {
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
pub(crate) fn expect_release(project: &Project, softstop: Softstop) -> Finished {
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

/// The id of a container, as Docker shortens it for the host name.
fn container_id() -> String {
    Uuid::new_v4().simple().to_string()[..12].to_owned()
}

/// The name that the kernel keeps for a process, cut after 15 characters.
fn name_of(pid: Pid) -> String {
    let name = read(Path::new(&format!("/proc/{pid}/comm")));
    name.trim_end().to_owned()
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
pub(crate) fn marked(mark: &str) -> Vec<Pid> {
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
