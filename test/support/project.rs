//! A directory with a Terraform configuration, as a pipeline clones it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use uuid::Uuid;

use super::pipelines::PIPELINES_FILE;
use super::proxy::Proxy;
use super::softstop::SURROUNDINGS;
use super::{Kind, Program, Step, Store, lock_of, prepared, until};

/// A configuration, its backend, and the gates of its resources.
pub struct Project {
    scratch: TempDir,
    pub program: Program,
    pub directory: PathBuf,
    pub store: Store,
}

/// A point at which a resource waits for the test.
pub struct Gate(PathBuf);

impl Project {
    /// A configuration with these resources, see [`thing`].
    pub fn new(kind: Kind, resources: &str) -> Self {
        Self::of(Program::Terraform, kind, resources)
    }

    /// The same for this program.
    pub fn of(program: Program, kind: Kind, resources: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("repository");
        fs::create_dir(&directory).unwrap();
        let mirror = prepared("SOFTSTOP_TEST_MIRROR");
        fs::write(
            scratch.path().join("terraformrc"),
            format!("provider_installation {{ filesystem_mirror {{ path = \"{mirror}\" }} }}\n"),
        )
        .unwrap();
        let project = Self {
            store: Store::new(kind, &directory),
            scratch,
            program,
            directory,
        };
        project.write(
            "backend.tf",
            &format!("terraform {{\n{}}}\n", project.store.block()),
        );
        project.write("main.tf", &project.with_gates(resources));
        project.write("bitbucket-pipelines.yml", PIPELINES_FILE);
        project
    }

    /// A configuration with one resource, `a`, that waits at the gate `a.gate` when it is made.
    pub fn slow(kind: Kind) -> Self {
        Self::slow_of(Program::Terraform, kind)
    }

    /// The same for this program.
    pub fn slow_of(program: Program, kind: Kind) -> Self {
        Self::of(program, kind, &thing("a", "create_gate = \"GATES/a.gate\""))
    }

    /// A configuration with one resource, `a`, whose lock a container of `step` holds that is over.
    pub fn orphaned(kind: Kind, step: &Step) -> Self {
        let project = Self::new(kind, &thing("a", ""));
        project.be_orphaned(step);
        project
    }

    /// Puts a lock of a container of `step` that is over in the place of whatever is there.
    pub fn be_orphaned(&self, step: &Step) {
        self.be_locked_by(&format!("{}@d5c1f0a2b3c4", step.stamp()));
    }

    /// Puts a lock of `who` in the place of whatever is there, and returns its ID, where the backend
    /// keeps locks.
    pub fn be_locked_by(&self, who: &str) -> Option<String> {
        self.store.set_lock(&lock_of(who));
        self.store.lock_id()
    }

    /// Resources of the slow provider, whose gates are files of this project.
    pub fn with_gates(&self, resources: &str) -> String {
        let provider = "terraform {\n  required_providers {\n    \
             slow = { source = \"example.com/test/slow\" }\n  }\n}\n";
        let gates = self.scratch.path().display().to_string();
        let needs_provider = resources.contains("slow_thing");
        let resources = resources.replace("GATES", &gates);
        if needs_provider {
            format!("{provider}{resources}")
        } else {
            resources
        }
    }

    /// A new directory with nothing but the repository's files.
    pub fn clone_files(&self) -> PathBuf {
        let clone = self
            .scratch
            .path()
            .join(format!("clone-{}", Uuid::new_v4()));
        fs::create_dir(&clone).unwrap();
        for name in ["backend.tf", "main.tf", "bitbucket-pipelines.yml"] {
            fs::copy(self.directory.join(name), clone.join(name)).unwrap();
        }
        clone
    }

    /// A new directory with the same configuration, whose way to the backend leads through `proxy`.
    pub fn clone_through(&self, proxy: Option<&Proxy>) -> PathBuf {
        let clone = self.clone_files();
        let block = match (proxy, &self.store.proxy) {
            (Some(proxy), Some(usual)) => {
                let (usual, address) = (usual.address.to_string(), proxy.address.to_string());
                self.store.block().replace(&usual, &address)
            }
            _ => self.block_for_elsewhere(),
        };
        write_backend(&clone, &block);
        clone
    }

    /// The backend block for another directory: a local state stays where it is.
    fn block_for_elsewhere(&self) -> String {
        match self.store.kind {
            Kind::Local => {
                let state = self.directory.join("terraform.tfstate");
                format!("backend \"local\" {{ path = \"{}\" }}\n", state.display())
            }
            _ => self.store.block(),
        }
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).unwrap();
    }

    pub fn gate(&self, name: &str) -> Gate {
        Gate(self.scratch.path().join(name))
    }

    /// What a shell script says to wait at a gate of this project.
    pub fn wait_at(&self, gate: &str) -> String {
        let gates = self.scratch.path().display();
        format!(
            "touch {gates}/{gate}.reached; until [ -e {gates}/{gate}.gate ]; do sleep 0.01; done"
        )
    }

    /// A deploy that lets somebody else be first at the lock: it waits at the gate `begun.gate`
    /// once softstop has looked at the lock.
    pub fn hesitating_deploy(&self) -> String {
        format!(
            "terraform init -input=false; {}\n\
             exec terraform apply -input=false -auto-approve -lock-timeout=60s",
            self.wait_at("begun")
        )
    }

    /// Lets everybody read and write everything, as Bitbucket's clone is.
    pub fn open_to_all(&self) {
        let mut open = Command::new("chmod");
        open.args(["--recursive", "a+rwX"]).arg(self.scratch());
        assert!(open.status().unwrap().success());
    }

    /// Makes this user and group the owner of everything.
    pub fn give_to(&self, owner: &str) {
        let mut give = Command::new("chown");
        give.args(["--recursive", owner]).arg(self.scratch());
        assert!(give.status().unwrap().success());
    }

    /// A place for files that are no part of the configuration.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes an executable script beside the configuration.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.scratch.path().join(name);
        fs::write(&path, format!("#!/bin/bash\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// How softstop is told of the project's configuration of Terraform, and of another program.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let config = self.cli_config().display().to_string();
        let mut variables = vec![("TF_CLI_CONFIG_FILE", config)];
        if self.program != Program::Terraform {
            variables.push(("TERRAFORM_BIN", self.program.path()));
        }
        variables
    }

    /// A Terraform command of somebody who does not use softstop.
    pub fn terraform(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program.path());
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("TF_CLI_CONFIG_FILE", self.cli_config())
            .env("CHECKPOINT_DISABLE", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs a Terraform command that must succeed.
    pub fn run_terraform(&self, arguments: &[&str]) -> String {
        let output = self.terraform(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that was printed for a person, who has the programs by their names.
    pub fn run_by_hand(&self, command: &str) {
        let programs = Program::ALL.map(|program| PathBuf::from(program.path()));
        let mut path: Vec<PathBuf> = programs
            .iter()
            .map(|program| program.parent().unwrap().to_owned())
            .collect();
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.directory)
            .envs(SURROUNDINGS)
            .env("TF_CLI_CONFIG_FILE", self.cli_config())
            .env("PATH", env::join_paths(path).unwrap())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }

    /// Starts a deploy of somebody else from a clone of its own, and waits until it holds the lock.
    pub fn start_rival(&self) -> Rival {
        let clone = self.scratch.path().join("rival");
        fs::create_dir(&clone).unwrap();
        let block = self.block_for_elsewhere();
        write_backend(&clone, &block);
        let resources = self.with_gates(&thing("rival", "create_gate = \"GATES/rival.gate\""));
        fs::write(clone.join("main.tf"), resources).unwrap();
        let start = |arguments: &[&str]| {
            let mut command = self.terraform(arguments);
            command.current_dir(&clone);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        assert!(start(&["init", "-input=false"]).status().unwrap().success());
        let process = start(&["apply", "-auto-approve", "-input=false"])
            .spawn()
            .unwrap();
        let gate = self.gate("rival.gate");
        gate.wait_until_reached();
        Rival { process, gate }
    }

    pub fn cli_config(&self) -> PathBuf {
        self.scratch.path().join("terraformrc")
    }
}

fn write_backend(directory: &Path, block: &str) {
    let text = format!("terraform {{\n{block}}}\n");
    fs::write(directory.join("backend.tf"), text).unwrap();
}

/// A deploy that holds the lock until it is told to finish.
pub struct Rival {
    process: Child,
    gate: Gate,
}

impl Rival {
    pub fn finish(mut self) {
        self.gate.open();
        assert!(
            self.process.wait().unwrap().success(),
            "the rival lost its lock"
        );
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.gate.open();
        // It may have finished already.
        let _ = self.process.wait();
    }
}

impl Gate {
    pub fn wait_until_reached(&self) {
        until(&format!("{} is reached", self.0.display()), || {
            self.was_reached()
        });
    }

    /// Makes a later run reach it anew.
    pub fn forget(&self) {
        fs::remove_file(self.0.with_extension("reached")).unwrap();
    }

    pub fn was_reached(&self) -> bool {
        self.0.with_extension("reached").exists()
    }

    pub fn open(&self) {
        fs::write(&self.0, "").unwrap();
    }
}

/// A resource of the slow provider. Gates are named `GATES/NAME.gate`.
pub fn thing(name: &str, settings: &str) -> String {
    format!("resource \"slow_thing\" \"{name}\" {{\n  name = \"{name}\"\n  {settings}\n}}\n")
}
