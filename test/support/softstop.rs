//! How softstop is started: in which mode, where, by whom, and as which step.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use uuid::Uuid;

use super::{Bitbucket, Finished, Project, Run, Step, program};

/// Marks every process of one run, so that what is left of it can be found.
pub const MARK: &str = "SOFTSTOP_TEST_RUN";

/// Keeps what is printed, and what is asked from elsewhere, the same in every run.
pub(super) const SURROUNDINGS: [(&str, &str); 3] = [
    ("NO_COLOR", "1"),
    ("TF_CLI_ARGS", "-no-color"),
    ("CHECKPOINT_DISABLE", "1"),
];

/// The tests themselves may have been started by nohup, and what is ignored is inherited.
const HEEDING_HANGUPS: [&str; 2] = ["env", "--default-signal=HUP"];

/// A token that must never be seen.
pub const TOKEN: &str = "s3cret-t0ken";

/// softstop, about to be started under a host name of its own.
///
/// A build container has a host name of its own too. Without one, the other tests that run on
/// this machine would be rivals that sign their locks alike.
pub struct Softstop {
    command: Command,
    mark: String,
    host: String,
    outputs: PathBuf,
}

impl Softstop {
    /// `softstop deploy` in the project's directory.
    pub fn deploy(project: &Project) -> Self {
        Self::in_directory(&project.directory, project.scratch())
            .variables_of(project)
            .arguments(["deploy"])
    }

    /// `softstop release` in a fresh clone: a directory with nothing but the repository's files.
    pub fn release(project: &Project) -> Self {
        Self::in_a_clone(project).arguments(["release"])
    }

    /// `softstop status` in a fresh clone.
    pub fn status(project: &Project) -> Self {
        Self::in_a_clone(project).arguments(["status"])
    }

    /// `softstop resolve` in a fresh clone.
    pub fn resolve(project: &Project) -> Self {
        Self::in_a_clone(project).arguments(["resolve"])
    }

    fn in_a_clone(project: &Project) -> Self {
        Self::in_directory(&project.clone_files(), project.scratch()).variables_of(project)
    }

    /// `softstop release` under this host name, as in a container that is still there.
    pub fn release_on(project: &Project, host: &str) -> Self {
        Self::release_by(project, host, &[])
    }

    /// The same, started by this program, which changes with which rights it runs.
    pub fn release_by(project: &Project, host: &str, starter: &[&str]) -> Self {
        let clone = project.clone_files();
        Self::in_container(&[], host, starter, &clone, project.scratch())
            .variables_of(project)
            .arguments(["release"])
    }

    /// `softstop deploy` started by this program, which changes with which rights it runs.
    pub fn deploy_by(project: &Project, starter: &[&str]) -> Self {
        Self::in_container(
            &[],
            &container_id(),
            starter,
            &project.directory,
            project.scratch(),
        )
        .variables_of(project)
        .arguments(["deploy"])
    }

    /// The host name under which it will run.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// softstop in any directory, under a host name of its own.
    pub fn in_directory(directory: &Path, outputs: &Path) -> Self {
        Self::in_container(&[], &container_id(), &[], directory, outputs)
    }

    /// softstop as PID 1 of a namespace of its own.
    pub fn as_pid_1(project: &Project) -> Self {
        Self::as_pid_1_of(project, &container_id())
    }

    /// softstop as PID 1 of a namespace of its own, under this host name.
    pub fn as_pid_1_of(project: &Project, host: &str) -> Self {
        Self::as_pid_1_by(project, host, &[])
    }

    /// The same, by `exec` from this program, which was PID 1 before.
    pub fn as_pid_1_by(project: &Project, host: &str, starter: &[&str]) -> Self {
        let pid_1 = ["--pid", "--fork", "--mount-proc", "--kill-child"];
        Self::in_container(&pid_1, host, starter, &project.directory, project.scratch())
            .variables_of(project)
            .arguments(["deploy"])
    }

    fn variables_of(mut self, project: &Project) -> Self {
        self.command.envs(project.variables());
        self
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
            .args(HEEDING_HANGUPS)
            .args(starter);
        Self::with(command, host, directory, outputs)
    }

    /// `softstop deploy` under the machine's own host name, beside whatever else runs there.
    pub fn on_a_shared_host(project: &Project) -> Self {
        let [program, option] = HEEDING_HANGUPS;
        let mut command = Command::new(program);
        command.arg(option).envs(project.variables());
        Self::with(command, "", &project.directory, project.scratch()).arguments(["deploy"])
    }

    fn with(mut command: Command, host: &str, directory: &Path, outputs: &Path) -> Self {
        let mark = Uuid::new_v4().to_string();
        command
            .arg(program())
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

    /// As a step of a pipeline, whose clone is where softstop is started.
    pub fn in_step(mut self, step: &Step) -> Self {
        self.command.envs(step.variables());
        if let Some(directory) = self.command.get_current_dir() {
            let directory = directory.to_owned();
            self.command.env("BITBUCKET_CLONE_DIR", directory);
        }
        self
    }

    /// With Bitbucket in reach, and a token for it.
    pub fn asking(self, bitbucket: &Bitbucket) -> Self {
        self.env("BITBUCKET_API_URL", bitbucket.url())
            .env("BITBUCKET_ACCESS_TOKEN", TOKEN)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// The mark that the processes of this run will have, see [`marked`].
    pub fn mark(&self) -> String {
        self.mark.clone()
    }

    /// A shell script as the command.
    pub fn script(self, script: &str) -> Self {
        self.env("SOFTSTOP_COMMAND", script)
    }

    pub fn start(self) -> Run {
        let stdout = self.outputs.join(format!("{}.stdout", self.mark));
        let file = File::create(&stdout).unwrap();
        self.start_with_stdout(stdout, file)
    }

    /// Starts with a stdout of the test's own.
    pub fn start_with_stdout(self, name: PathBuf, stdout: impl Into<Stdio>) -> Run {
        let stderr = self.outputs.join(format!("{}.stderr", self.mark));
        let file = File::create(&stderr).unwrap();
        self.start_with((name, stdout), (stderr, file))
    }

    /// Starts with one file for stdout and stderr, as by `2>&1`.
    pub fn start_into_one_file(self) -> Run {
        let name = self.outputs.join(format!("{}.both", self.mark));
        let file = File::create(&name).unwrap();
        let other = file.try_clone().unwrap();
        self.start_with((name.clone(), file), (name, other))
    }

    fn start_with(
        mut self,
        (stdout_name, stdout): (PathBuf, impl Into<Stdio>),
        (stderr_name, stderr): (PathBuf, File),
    ) -> Run {
        let command = self.command.stdout(stdout).stderr(stderr);
        let child = command.spawn().unwrap();
        Run::new(child, self.mark, stdout_name, stderr_name)
    }

    pub fn finish(self) -> Finished {
        self.start().finish()
    }
}

/// The id of a container, as Docker shortens it for the host name.
fn container_id() -> String {
    Uuid::new_v4().simple().to_string()[..12].to_owned()
}
