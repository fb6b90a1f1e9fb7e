//! softstop in a real container, with the rights that Docker gives by default.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uuid::Uuid;

use super::softstop::{MARK, SURROUNDINGS, TOKEN};
use super::{Finished, Project, Run, Softstop, Step, prepared, program};

/// Where Bitbucket mounts what it has cloned.
pub const CLONE: &str = "/opt/atlassian/pipelines/agent/build";

/// Who runs a container.
#[derive(Clone, Copy, Debug)]
pub enum Daemon {
    Plain,
    /// As in Bitbucket Cloud, root of a container is another user outside of it.
    Remapped,
}

/// A container in which a project's scratch directory is where it is outside.
pub struct Container<'project> {
    project: &'project Project,
    daemon: Daemon,
    image: &'static str,
    docker_arguments: Vec<String>,
    command: Vec<String>,
    mark: String,
}

/// A container that is running, or has run.
pub struct RunningContainer {
    // Dropped first: the run would wait for the end of the container.
    removal: Removal,
    run: Run,
}

/// The processes of a container, as they are seen from outside.
pub struct ProcessTable(PathBuf);

/// Removes the container of this id when it is dropped.
struct Removal(Daemon, String);

impl<'project> Container<'project> {
    /// `softstop deploy` as the first process, as in a pipe.
    pub fn deploy(project: &'project Project) -> Self {
        Self::new(project, &["softstop", "deploy"])
    }

    /// A build container, whose script calls softstop.
    pub fn with_script(project: &'project Project, script: &str) -> Self {
        Self::new(project, &["/bin/bash", "-c", script])
    }

    /// The pipe, from the image that the Dockerfile makes, started as Bitbucket starts it.
    pub fn pipe(project: &'project Project, step: &Step) -> Self {
        Self::pipe_in(&project.directory, project, step)
    }

    /// The pipe in a later step, which begins with a clone of its own.
    pub fn later_pipe(project: &'project Project, step: &Step) -> Self {
        Self::pipe_in(&project.clone_files(), project, step)
    }

    fn pipe_in(directory: &Path, project: &'project Project, step: &Step) -> Self {
        let machine = prepared("SOFTSTOP_TEST_GATEWAY");
        let mut pipe = Self::bare(project, "softstop-test/pipe", &[])
            .docker_arguments(["--add-host", &format!("host.docker.internal:{machine}")])
            .docker_arguments(["--workdir", CLONE])
            .volume(&format!("{}:{CLONE}", directory.display()))
            .in_step(step);
        for (name, value) in [
            ("BITBUCKET_BRANCH", "main"),
            ("BITBUCKET_CLONE_DIR", CLONE),
            ("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production"),
            ("BITBUCKET_DOCKER_HOST_INTERNAL", &machine),
            ("BITBUCKET_REPO_FULL_NAME", "acme/infra"),
            // Nobody listens there unless the step has Docker as a service.
            ("DOCKER_HOST", "tcp://host.docker.internal:2375"),
            ("PIPELINES_JWT_TOKEN", TOKEN),
        ] {
            pipe = pipe.env(name, value);
        }
        let pipes = format!("{CLONE}/.bitbucket/pipelines/generated/pipeline/pipes");
        pipe.env(
            "BITBUCKET_PIPE_STORAGE_DIR",
            format!("{pipes}/softstop/softstop"),
        )
        .env("BITBUCKET_PIPE_SHARED_STORAGE_DIR", pipes)
    }

    fn new(project: &'project Project, command: &[&str]) -> Self {
        let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
        Self::bare(project, "softstop-test/debian", command)
            .volume(&format!("{terraform}:/usr/local/bin/terraform:ro"))
            .volume(&format!(
                "{}:/usr/local/bin/softstop:ro",
                program().display()
            ))
            .docker_arguments(["--workdir", &project.directory.display().to_string()])
    }

    fn bare(project: &'project Project, image: &'static str, command: &[&str]) -> Self {
        let mark = Uuid::new_v4().to_string();
        let scratch = project.scratch().display();
        let mirror = prepared("SOFTSTOP_TEST_MIRROR");
        let mut container = Self {
            project,
            daemon: Daemon::Plain,
            image,
            docker_arguments: Vec::new(),
            command: command.iter().map(ToString::to_string).collect(),
            mark: mark.clone(),
        };
        for (name, value) in SURROUNDINGS {
            container = container.env(name, value);
        }
        container
            .volume(&format!("{scratch}:{scratch}"))
            .volume(&format!("{mirror}:{mirror}:ro"))
            .env(MARK, mark)
            .env("TF_CLI_CONFIG_FILE", project.cli_config().display())
    }

    /// A container of another image, whose first process is this shell script.
    pub fn of(project: &'project Project, image: &'static str, script: &str) -> Self {
        Self::bare(project, image, &["/bin/bash", "-ec", script])
    }

    /// By a daemon whose root is not root of the step. What the step's script has made is open to all
    /// then, as a clone is.
    pub fn remapped(mut self) -> Self {
        self.daemon = Daemon::Remapped;
        self
    }

    /// Made from another image.
    pub fn image(mut self, image: &'static str) -> Self {
        self.image = image;
        self
    }

    pub fn volume(self, volume: &str) -> Self {
        self.docker_arguments(["--volume", volume])
    }

    /// Arguments of `docker create`.
    pub fn docker_arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let arguments = arguments.into_iter().map(str::to_owned);
        self.docker_arguments.extend(arguments);
        self
    }

    pub fn env(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.docker_arguments(["--env", &format!("{name}={value}")])
    }

    /// As a step of a pipeline.
    pub fn in_step(mut self, step: &Step) -> Self {
        for (name, value) in step.variables() {
            self = self.env(name, value);
        }
        self
    }

    /// Runs as this user, whom the project then belongs to.
    pub fn user(self, user: &str) -> Self {
        self.project.give_to(user);
        self.docker_arguments(["--user", user])
    }

    /// Further arguments of softstop, or of the script.
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command
            .extend(arguments.into_iter().map(str::to_owned));
        self
    }

    pub fn start(self) -> RunningContainer {
        let created = succeed(
            docker(self.daemon, "create")
                .args(self.docker_arguments)
                .arg(self.image)
                .args(self.command),
        );
        let id = String::from_utf8(created.stdout).unwrap();
        let removal = Removal(self.daemon, id.trim().to_owned());
        let mut start = removal.docker("start");
        start.args(["--attach", &removal.1]);
        let run = Softstop::started_by(start, self.mark, self.project.scratch()).start();
        RunningContainer { removal, run }
    }

    pub fn finish(self) -> Finished {
        self.start().finish()
    }
}

impl RunningContainer {
    pub fn id(&self) -> &str {
        &self.removal.1
    }

    /// The client that waits for the container, and, by their mark, the container's processes.
    pub fn run(&mut self) -> &mut Run {
        &mut self.run
    }

    /// The id as Docker shortens it for the host name.
    pub fn short_id(&self) -> &str {
        &self.id()[..12]
    }

    /// Signals the first process.
    pub fn signal(&mut self, signal: Signal) {
        self.run.note_signal();
        self.send(signal);
    }

    /// Signals the first process, and counts no time.
    pub fn send(&self, signal: Signal) {
        succeed(
            self.removal
                .docker("kill")
                .args(["--signal", signal.as_str(), self.id()]),
        );
    }

    /// Kills every process, as the Stop button does.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
    }

    /// Kills the docker client that waits for the container, which runs on.
    pub fn kill_client(&self) {
        kill(self.run.pid(), Signal::SIGKILL).unwrap();
    }

    pub fn wait_until_over(&self) {
        succeed(self.removal.docker("wait").arg(self.id()));
    }

    /// Asks the first process to end, kills it if it does not, and returns after its end.
    pub fn stop(&self) {
        succeed(self.removal.docker("stop").arg(self.id()));
    }

    /// Runs a command beside softstop.
    pub fn exec(&self, command: &[&str]) -> Output {
        self.removal
            .docker("exec")
            .arg(self.id())
            .args(command)
            .output()
            .unwrap()
    }

    /// What Docker knows of the container, by a template.
    pub fn inspect(&self, template: &str) -> String {
        self.removal.inspect(template)
    }

    /// Returns after the end of the container, which is still there to be inspected.
    pub fn wait(&self) {
        succeed(self.removal.docker("wait").arg(self.id()));
    }

    /// What tells the processes of this container from all others.
    pub fn process_table(&self) -> ProcessTable {
        let first = self.inspect("{{.State.Pid}}");
        ProcessTable(fs::read_link(format!("/proc/{first}/ns/pid")).unwrap())
    }

    pub fn wait_for_stdout(&self, text: &str) {
        self.run.wait_for_stdout(text);
    }

    pub fn wait_for_stderr(&self, text: &str) {
        self.run.wait_for_stderr(text);
    }

    /// Waits until a process has this name, and returns its number outside of the container.
    pub fn wait_for_process(&self, name: &str) -> Pid {
        self.run.wait_for_process(name)
    }

    /// Waits for the end, and checks that no process is left.
    pub fn finish(self) -> Finished {
        self.run.finish()
    }
}

impl ProcessTable {
    /// The name and the state of every process, the dead ones that nobody has reaped included.
    pub fn read(&self) -> Vec<String> {
        let stat = |entry: fs::DirEntry| {
            let process = entry.path();
            let is_here = fs::read_link(process.join("ns/pid")).ok()? == self.0;
            let stat = fs::read_to_string(process.join("stat")).ok()?;
            is_here.then(|| {
                stat.split(' ')
                    .skip(1)
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        let processes = fs::read_dir("/proc").unwrap();
        processes.filter_map(|entry| stat(entry.ok()?)).collect()
    }
}

impl Removal {
    fn docker(&self, command: &str) -> Command {
        docker(self.0, command)
    }

    fn inspect(&self, template: &str) -> String {
        inspected(self.0, &self.1, template)
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        // Nothing more can be done for a container that cannot be removed.
        let _ = self.docker("rm").args(["--force", &self.1]).output();
    }
}

/// A daemon of the tests, whatever daemon this machine has.
fn docker(daemon: Daemon, command: &str) -> Command {
    let address = match daemon {
        Daemon::Plain => prepared("SOFTSTOP_TEST_DOCKER"),
        Daemon::Remapped => prepared("SOFTSTOP_TEST_REMAPPED_DOCKER"),
    };
    let mut docker = Command::new("docker");
    docker.args(["--host", &address, command]);
    docker
}

/// Runs an image once, and returns what it says.
pub fn run(arguments: &[&str]) -> String {
    let said = succeed(docker(Daemon::Plain, "run").arg("--rm").args(arguments));
    String::from_utf8(said.stdout).unwrap()
}

/// What Docker knows of an image or a container, by a template.
pub fn inspect(name: &str, template: &str) -> String {
    inspected(Daemon::Plain, name, template)
}

fn inspected(daemon: Daemon, name: &str, template: &str) -> String {
    let known = succeed(docker(daemon, "inspect").args(["--format", template, name]));
    String::from_utf8(known.stdout).unwrap().trim().to_owned()
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
