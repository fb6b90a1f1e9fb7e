//! What Terraform wants to read and write in a directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::place::{ERRORED_STATE, Terraform};
use crate::tools::access::{Barred, Want};

/// Beside the configuration itself, what is read wherever it lies there.
const READ: [&str; 3] = [
    ".terraform.lock.hcl",
    "terraform.tfvars",
    "terraform.tfvars.json",
];
const READ_BY_ENDING: [&str; 2] = [".auto.tfvars", ".auto.tfvars.json"];
const A_LOST_STATE: &str = ", and a state that cannot be stored is kept there, or lost";
const NO_LOCK: &str = ", which is then called an error acquiring the state lock";

/// All that cannot be read, and all that cannot be written, each once.
pub(super) fn barred(place: &Terraform) -> Vec<Barred> {
    let directory = &place.directory;
    let data = place.configuration().data_directory;
    let read = read(place)
        .into_iter()
        .chain(["environment", "terraform.tfstate"].map(|name| data.join(name)))
        .chain([directory.clone(), data.clone()])
        .filter_map(|path| Barred::find(&path, Want::Read, ""));
    let written = [
        (directory.clone(), A_LOST_STATE),
        (directory.join(ERRORED_STATE), A_LOST_STATE),
        (directory.join("terraform.tfstate"), NO_LOCK),
        (data.clone(), NO_LOCK),
        (data.join("terraform.tfstate"), NO_LOCK),
    ];
    let written = written
        .iter()
        .filter_map(|(path, why)| Barred::find(path, Want::Write, why));
    let mut known = BTreeSet::new();
    read.chain(written)
        .filter(|one| known.insert(one.path().to_owned()))
        .collect()
}

/// The files that are read in any case.
fn read(place: &Terraform) -> Vec<PathBuf> {
    // A directory that cannot be read is one of those that are told.
    let configuration = place.configuration().files().unwrap_or_default();
    let entries = fs::read_dir(&place.directory).into_iter().flatten();
    let variables = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_read = READ.contains(&name.as_ref())
            || READ_BY_ENDING.iter().any(|ending| name.ends_with(ending));
        is_read.then(|| entry.path())
    });
    let settings = place.backend_config.iter();
    let settings = settings.filter(|setting| !setting.contains('='));
    configuration
        .into_iter()
        .map(|file| file.path)
        .chain(variables)
        .chain(settings.map(|file| place.directory.join(file)))
        .collect()
}
