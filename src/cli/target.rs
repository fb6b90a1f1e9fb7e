//! Which places are meant, and by which tool.

use std::fs;
use std::path::PathBuf;

use super::options::Target;
use super::planning::Planning;
use super::saved_plan::SavedPlan;
use crate::pipe::variables;
use crate::story::places::{Place, logical};
use crate::supervisor::remember;
use crate::tools::access::{Barred, Want};
use crate::tools::{Chosen, Tool, Wanted};

impl Target {
    /// Every directory that is meant. Where `needs_work`, each must hold a configuration.
    pub(super) fn places(
        &self,
        needs_work: bool,
        saved: SavedPlan,
        planning: &mut Planning<'_>,
    ) -> Vec<Place> {
        let backend_config = planning.list(&self.backend_config, "BACKEND_CONFIG");
        let backend_config = backend_config.unwrap_or_default();
        let names = match planning.list(&self.working_dir, "WORKING_DIR") {
            Some(names) if names.is_empty() => vec![".".to_owned()],
            names => names.unwrap_or_default(),
        };
        let mut places = Vec::new();
        for name in names {
            let place = directory(&name).and_then(|directory| {
                let tool = Tool::named(Wanted {
                    directory: directory.clone(),
                    backend_config: backend_config.clone(),
                    workspace: variables::given(self.workspace.clone()),
                    program: variables::given(self.terraform_bin.clone()),
                    plan: saved.file(self, &directory)?,
                    needs_work,
                    chosen: planning.chosen.as_mut(),
                })?;
                Ok(Some(Place {
                    name,
                    directory,
                    tool,
                }))
            });
            places.extend(planning.take_in(place));
        }
        places
    }

    /// The one directory in which something is run.
    pub(super) fn place(
        &self,
        mode: &str,
        needs_work: bool,
        saved: SavedPlan,
        planning: &mut Planning<'_>,
    ) -> Option<Place> {
        match <[Place; 1]>::try_from(self.places(needs_work, saved, planning)) {
            Ok([place]) => Some(place),
            Err(places) => {
                let names: Vec<String> = places.into_iter().map(|place| place.name).collect();
                if !names.is_empty() {
                    planning.reasons.push(format!(
                        "WORKING_DIR is {names:?}: {mode} takes one directory"
                    ));
                }
                None
            }
        }
    }

    /// The version that is chosen.
    pub(super) fn chosen(&self) -> Result<Option<Chosen>, String> {
        let Some(version) = variables::given(self.terraform_version.clone()) else {
            return Ok(None);
        };
        if variables::given(self.terraform_bin.clone()).is_some() {
            return Err(
                "TERRAFORM_VERSION and TERRAFORM_BIN are both set: give the one that is meant"
                    .to_owned(),
            );
        }
        let mirror = variables::given(self.terraform_mirror.clone());
        let chosen = Chosen::read(&version, mirror)?;
        let path = chosen
            .path()
            .map_err(|problem| format!("TERRAFORM_VERSION cannot be used: {problem}"))?;
        remember("PATH", path);
        Ok(Some(chosen))
    }

    /// Where nothing but softstop chooses the workspace, it has to be told by a name that is its own.
    pub(super) fn expect_workspace(&self, planning: &mut Planning<'_>) {
        planning.expect(self.workspace.as_ref(), "WORKSPACE", "--workspace");
    }
}

fn directory(name: &str) -> Result<PathBuf, String> {
    let unusable = |problem| {
        format!("WORKING_DIR is {name:?}: expected a directory that can be read ({problem})")
    };
    let directory = logical(name).map_err(unusable)?;
    let barred = Barred::find(&directory, Want::Read, "");
    if let Some(barred) = barred {
        return Err(format!("WORKING_DIR is {name:?}: {barred}"));
    }
    fs::read_dir(&directory).map_err(unusable)?;
    Ok(directory)
}
