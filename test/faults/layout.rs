//! How a repository is laid out, and how its deploy finds the state.

use std::fs;
use std::path::Path;

use super::drawn::Place;
use super::round::Clone;
use crate::stop::compile;
use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Store, prepared};

/// The workspace of the layouts that have one.
const WORKSPACE: &str = "prod";
/// The one that is looked after too.
const OTHER: &str = "default";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// All lies in WORKING_DIR.
    Plain,
    /// The command names the directory.
    Chdir,
    /// The command deploys another state first.
    TwoStates,
    WorkspaceByVariable,
    /// By what `workspace select` has left.
    WorkspaceByFile,
    WorkspaceByCommand,
    /// The command gives the settings, and `.terraform` has those of another environment.
    PartialBackend,
    /// The command deploys one environment and looks after another one, each with settings of its own.
    TwoBackends,
    /// The same, with a workspace for each.
    TwoWorkspaces,
    /// The command makes and removes a workspace before.
    RemovedWorkspace,
    /// The settings name a file as it is found from where Terraform is started, and softstop is not.
    RelativeSettings,
    /// The command writes the backend block.
    WrittenBackend,
    Make,
    Python,
    /// A version manager stands in PATH for Terraform.
    Shim,
    /// OpenTofu has Terraform's name.
    Renamed,
    /// Another one, which stays above Terraform, and passes signals on.
    Forwarding,
    /// The same, which forks all the time.
    Forking,
    /// A Terraform that runs itself once more, as those before 1.1.
    Twice,
    /// A Terraform that runs another one.
    Nested,
}

impl Layout {
    /// What is drawn from, the usual more than once.
    pub(super) const DRAWN: [Self; 29] = [
        Self::Plain,
        Self::Plain,
        Self::Plain,
        Self::Plain,
        Self::Plain,
        Self::Plain,
        Self::Chdir,
        Self::TwoStates,
        Self::WorkspaceByVariable,
        Self::WorkspaceByFile,
        Self::WorkspaceByCommand,
        Self::PartialBackend,
        Self::TwoBackends,
        Self::TwoBackends,
        Self::TwoWorkspaces,
        Self::TwoWorkspaces,
        Self::RemovedWorkspace,
        Self::RelativeSettings,
        Self::WrittenBackend,
        Self::Make,
        Self::Python,
        Self::Shim,
        Self::Renamed,
        Self::Forwarding,
        Self::Forwarding,
        Self::Forking,
        Self::Forking,
        Self::Twice,
        Self::Nested,
    ];

    /// Whether such a state can be had there.
    pub(super) fn is_possible(self, kind: Kind, place: Place) -> bool {
        let is_s3 = matches!(kind, Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both);
        match self {
            Self::Plain | Self::Chdir | Self::TwoStates | Self::WrittenBackend => true,
            Self::WorkspaceByVariable
            | Self::WorkspaceByFile
            | Self::WorkspaceByCommand
            | Self::TwoWorkspaces
            | Self::RemovedWorkspace => kind.has_workspaces() && kind != Kind::Local,
            Self::PartialBackend | Self::TwoBackends => is_s3,
            Self::RelativeSettings => matches!(kind, Kind::Kubernetes | Kind::Local),
            // The containers have none of these programs.
            Self::Make
            | Self::Python
            | Self::Shim
            | Self::Renamed
            | Self::Forwarding
            | Self::Forking
            | Self::Twice
            | Self::Nested => place != Place::Container,
        }
    }

    /// Whether one program in PATH stands for Terraform, or two have to be the same.
    pub(super) fn stands_for_terraform(self) -> bool {
        self == Self::Shim || self.has_tools_in_line()
    }

    /// Whether a process that is taken for Terraform is above another one.
    pub(super) fn has_tools_in_line(self) -> bool {
        matches!(
            self,
            Self::Forwarding | Self::Forking | Self::Twice | Self::Nested
        )
    }

    /// Whether two environments are deployed from one directory, the one that counts first.
    pub(super) fn has_two_environments(self) -> bool {
        matches!(self, Self::TwoBackends | Self::TwoWorkspaces)
    }

    /// The second one of two environments, where it is a workspace.
    pub(super) fn other_environment(self, project: &Project) -> Option<Store> {
        let store = &project.store;
        // A database goes with the first who has known it.
        let is_there = self == Self::TwoWorkspaces && store.kind != Kind::Postgres;
        is_there.then(|| store.of_workspace(OTHER))
    }

    /// Whether softstop's own command does here what the deploy needs.
    pub(super) fn allows_default(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::WorkspaceByVariable | Self::WorkspaceByFile
        )
    }

    pub(super) fn workspace(self) -> Option<&'static str> {
        matches!(
            self,
            Self::WorkspaceByVariable
                | Self::WorkspaceByFile
                | Self::WorkspaceByCommand
                | Self::TwoWorkspaces
                | Self::RemovedWorkspace
        )
        .then_some(WORKSPACE)
    }

    /// The workspace that the broken deploy itself is told.
    pub(super) fn workspace_variable(self) -> Option<&'static str> {
        self.workspace()
            .filter(|_| self == Self::WorkspaceByVariable)
    }

    /// Somebody who deploys or releases the same from a clone of the usual kind.
    pub(super) fn name_workspace(self, softstop: Softstop) -> Softstop {
        match self.workspace() {
            Some(workspace) => softstop.env("SOFTSTOP_WORKSPACE", workspace),
            None => softstop,
        }
    }

    /// Makes a clone what this layout needs.
    pub(super) fn arrange(self, project: &Project, clone: &Clone) {
        let directory = &clone.directory;
        match self {
            Self::TwoStates => {
                let network = directory.join("network");
                fs::create_dir(&network).unwrap();
                fs::write(network.join("main.tf"), "output \"net\" { value = 1 }\n").unwrap();
            }
            Self::WorkspaceByFile => {
                let data = directory.join(".terraform");
                fs::create_dir(&data).unwrap();
                fs::write(data.join("environment"), WORKSPACE).unwrap();
            }
            Self::PartialBackend | Self::TwoBackends => separate_settings(project, directory),
            Self::RelativeSettings => {
                let file = directory.join("backend.tf");
                let there = project.directory.display().to_string();
                let text = fs::read_to_string(&file).unwrap();
                fs::write(&file, text.replace(&there, "../repository")).unwrap();
            }
            Self::Renamed => {
                let tofu = prepared("SOFTSTOP_TEST_TOFU");
                fs::copy(tofu, project.scratch().join("terraform")).unwrap();
            }
            Self::WrittenBackend => {
                fs::rename(directory.join("backend.tf"), directory.join("backend")).unwrap();
            }
            Self::Shim => {
                let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
                project.script("terraform", &format!("exec {terraform} \"$@\""));
            }
            Self::Forwarding | Self::Forking => {
                compile("forwarder.c", &project.scratch().join("terraform"));
            }
            Self::Twice => compile("twice.c", &project.scratch().join("terraform")),
            Self::Plain
            | Self::Nested
            | Self::Chdir
            | Self::WorkspaceByVariable
            | Self::WorkspaceByCommand
            | Self::TwoWorkspaces
            | Self::RemovedWorkspace
            | Self::Make
            | Self::Python => {}
        }
    }

    /// Where softstop is told to work.
    pub(super) fn working_directory<'a>(self, project: &'a Project, clone: &'a Clone) -> &'a Path {
        match self {
            Self::Chdir | Self::RelativeSettings => project.scratch(),
            _ => &clone.directory,
        }
    }

    /// The command that initialises and applies.
    pub(super) fn command(
        self,
        project: &Project,
        clone: &Clone,
        tool: &str,
        apply: &str,
    ) -> String {
        let init = format!("{tool} init -input=false");
        let select = |workspace: &str| format!("{tool} workspace select {workspace}");
        let name = clone.directory.file_name().unwrap().to_string_lossy();
        match self {
            Self::Plain | Self::WorkspaceByVariable | Self::WorkspaceByFile | Self::Nested => {
                format!("{init}; {apply}")
            }
            Self::Chdir => {
                let there = format!("{tool} -chdir={name} ");
                format!("{init}; {apply}").replace(&format!("{tool} "), &there)
            }
            Self::TwoStates => {
                format!("for d in network .; do (cd $d; {init}; {apply}) || exit; done")
            }
            Self::WorkspaceByCommand => {
                format!("{init}; {}; {apply}", select(WORKSPACE))
            }
            Self::PartialBackend => {
                format!("{init} -reconfigure -backend-config=prod.tfbackend; {apply}")
            }
            Self::TwoBackends => {
                let set_up =
                    |name: &str| format!("{init} -reconfigure -backend-config={name}.tfbackend");
                one_after_the_other(&set_up("prod"), &set_up("other"), apply)
            }
            Self::TwoWorkspaces => {
                let first = format!("{init}; {}", select(WORKSPACE));
                one_after_the_other(&first, &select(OTHER), apply)
            }
            Self::RemovedWorkspace => format!(
                "{init}; {tool} workspace new preview; {}; {tool} workspace delete preview; {apply}",
                select(WORKSPACE)
            ),
            Self::RelativeSettings => format!("cd {name}; {init}; {apply}"),
            Self::WrittenBackend => format!("mv backend backend.tf; {init}; {apply}"),
            Self::Make => {
                let text = format!("deploy:\n\t{init}\n\t{apply}\n");
                fs::write(clone.directory.join("Makefile"), text).unwrap();
                "make deploy".to_owned()
            }
            Self::Python => format!(
                "python3 -c 'import subprocess, sys; \
                 sys.exit(subprocess.call(\"{init} && {apply}\", shell=True))'"
            ),
            Self::Shim | Self::Renamed | Self::Forwarding | Self::Forking | Self::Twice => {
                let path = project.scratch().display();
                let variables = self.stand_in_variables(project);
                format!("export PATH={path}:$PATH {variables}; {init}; {apply}")
            }
        }
    }
}

impl Layout {
    /// What the program is told that stands for Terraform.
    fn stand_in_variables(self, project: &Project) -> String {
        let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
        match self {
            Self::Forwarding => format!("FORWARDER_NEXT={terraform}"),
            Self::Forking => format!("FORWARDER_NEXT={terraform} FORWARDER_FORKS=yes"),
            Self::Twice => {
                let itself = project.scratch().join("terraform");
                let itself = itself.display();
                format!("TWICE_SELF={itself} TWICE_TERRAFORM={terraform}")
            }
            _ => String::new(),
        }
    }

    /// The command of the resource that is no plugin's.
    pub(super) fn shell(self) -> &'static str {
        match self {
            Self::Nested => {
                "cd GATES/inner && terraform init -input=false && \
                 exec terraform apply -input=false -auto-approve"
            }
            _ => "sleep 0.15; true",
        }
    }

    /// Makes what all clones share.
    pub(super) fn prepare(self, project: &Project) {
        if self == Self::Nested {
            let inner = project.scratch().join("inner");
            fs::create_dir(&inner).unwrap();
            let settings = "create_time = \"400\"\n  record = \"GATES/inner.made\"";
            let text = project.with_gates(&thing("inner", settings));
            fs::write(inner.join("main.tf"), text).unwrap();
        }
    }

    /// Whether the inner Terraform has made something that its state does not know.
    pub(super) fn has_lost_inner(self, project: &Project) -> bool {
        let state = project.scratch().join("inner/terraform.tfstate");
        self == Self::Nested
            && project.scratch().join("inner.made").exists()
            && !fs::read_to_string(state).is_ok_and(|state| state.contains("\"instances\""))
    }
}

/// Deploys an environment and, however that ends, looks after the one that comes next in this directory.
fn one_after_the_other(first: &str, second: &str, apply: &str) -> String {
    format!(
        "{first}; {apply} || failed=1; {second}; {apply} -refresh-only || failed=1; exit ${{failed:-0}}"
    )
}

/// Moves the key of the state out of the backend block, and initialises another one.
fn separate_settings(project: &Project, directory: &Path) {
    let file = directory.join("backend.tf");
    let whole = fs::read_to_string(&file).unwrap();
    let is_key = |line: &&str| line.starts_with("key = ");
    let (key, partial): (Vec<&str>, Vec<&str>) = whole.lines().partition(is_key);
    fs::write(&file, partial.join("\n")).unwrap();
    fs::write(directory.join("prod.tfbackend"), key.join("\n")).unwrap();
    let other = "key = \"another/state.tfstate\"\n";
    fs::write(directory.join("other.tfbackend"), other).unwrap();
    let mut init = project.terraform(&["init", "-input=false", "-backend-config=other.tfbackend"]);
    assert!(
        init.current_dir(directory)
            .output()
            .unwrap()
            .status
            .success()
    );
}
