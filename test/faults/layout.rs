//! How a repository is laid out, and how its deploy finds the state.

use std::fs;
use std::path::Path;

use super::plan::Place;
use super::round::Clone;
use crate::support::{Kind, Project, Softstop, prepared};

/// The workspace of the layouts that have one.
const WORKSPACE: &str = "prod";

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
    /// The command writes the backend block.
    WrittenBackend,
    Make,
    Python,
    /// A version manager stands in PATH for Terraform.
    Shim,
}

impl Layout {
    /// What is drawn from, the usual more than once.
    pub(super) const DRAWN: [Self; 16] = [
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
        Self::WrittenBackend,
        Self::Make,
        Self::Python,
        Self::Shim,
    ];

    /// Whether such a state can be had there.
    pub(super) fn is_possible(self, kind: Kind, place: Place) -> bool {
        let is_s3 = matches!(kind, Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both);
        match self {
            Self::Plain | Self::Chdir | Self::TwoStates | Self::WrittenBackend => true,
            Self::WorkspaceByVariable | Self::WorkspaceByFile | Self::WorkspaceByCommand => {
                kind.has_workspaces() && kind != Kind::Local
            }
            Self::PartialBackend => is_s3,
            // The containers have none of these programs.
            Self::Make | Self::Python | Self::Shim => place != Place::Container,
        }
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
            Self::WorkspaceByVariable | Self::WorkspaceByFile | Self::WorkspaceByCommand
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
            Self::PartialBackend => separate_settings(project, directory),
            Self::WrittenBackend => {
                fs::rename(directory.join("backend.tf"), directory.join("backend")).unwrap();
            }
            Self::Shim => {
                let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
                project.script("terraform", &format!("exec {terraform} \"$@\""));
            }
            Self::Plain
            | Self::Chdir
            | Self::WorkspaceByVariable
            | Self::WorkspaceByCommand
            | Self::Make
            | Self::Python => {}
        }
    }

    /// Where softstop is told to work.
    pub(super) fn working_directory<'a>(self, project: &'a Project, clone: &'a Clone) -> &'a Path {
        match self {
            Self::Chdir => project.scratch(),
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
        match self {
            Self::Plain | Self::WorkspaceByVariable | Self::WorkspaceByFile => {
                format!("{init}; {apply}")
            }
            Self::Chdir => {
                let name = clone.directory.file_name().unwrap().to_string_lossy();
                let there = format!("{tool} -chdir={name} ");
                format!("{init}; {apply}").replace(&format!("{tool} "), &there)
            }
            Self::TwoStates => {
                format!("for d in network .; do (cd $d; {init}; {apply}) || exit; done")
            }
            Self::WorkspaceByCommand => {
                format!("{init}; {tool} workspace select {WORKSPACE}; {apply}")
            }
            Self::PartialBackend => {
                format!("{init} -reconfigure -backend-config=prod.tfbackend; {apply}")
            }
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
            Self::Shim => {
                let path = project.scratch().display();
                format!("export PATH={path}:$PATH; {init}; {apply}")
            }
        }
    }
}

/// Moves the key of the state out of the backend block, and initialises another one.
fn separate_settings(project: &Project, directory: &Path) {
    let file = directory.join("backend.tf");
    let whole = fs::read_to_string(&file).unwrap();
    let is_key = |line: &&str| line.starts_with("key = ");
    let (key, partial): (Vec<&str>, Vec<&str>) = whole.lines().partition(is_key);
    fs::write(&file, partial.join("\n")).unwrap();
    fs::write(directory.join("prod.tfbackend"), key.join("\n")).unwrap();
    let mut init = project.terraform(&[
        "init",
        "-input=false",
        "-backend-config=key=another/state.tfstate",
    ]);
    assert!(
        init.current_dir(directory)
            .output()
            .unwrap()
            .status
            .success()
    );
}
