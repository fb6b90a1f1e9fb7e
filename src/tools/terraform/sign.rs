//! What says which program a directory is of.

use std::fs;
use std::path::{Path, PathBuf};

use super::configuration::Configuration;
use super::static_part::{ENCRYPTION_VARIABLE, StaticPart};

pub(super) const TERRAFORM: &str = "terraform";
pub(super) const OPENTOFU: &str = "tofu";

/// The files by which a version manager is told what to run, in the order in which they count.
pub(super) const VERSION_FILES: [(&str, &str); 2] = [
    (".opentofu-version", OPENTOFU),
    (".terraform-version", TERRAFORM),
];
/// Where `init` notes which provider comes from which registry.
const LOCK_FILE: &str = ".terraform.lock.hcl";
/// The registry from which OpenTofu takes what names no other one.
const REGISTRY_OF_OPENTOFU: &str = "registry.opentofu.org";

/// What says which program is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// TERRAFORM_BIN.
    Given,
    /// This file, by its name or by what is in it.
    File(PathBuf),
    /// TF_ENCRYPTION, which Terraform does not know.
    Encryption,
    /// This file says that it is Terraform, and what only OpenTofu encrypts says this.
    Contradicted { file: PathBuf, by: String },
    /// Nothing but what is installed.
    Installed,
}

/// What says which program is meant, if anything does.
pub(super) fn sign_of(directory: &Path, encrypts: bool) -> Option<(&'static str, Sign)> {
    match by_version_file(directory) {
        Some((TERRAFORM, file)) => Some(match encryption_beside(directory, encrypts) {
            Some(by) => (TERRAFORM, Sign::Contradicted { file, by }),
            None => (TERRAFORM, Sign::File(file)),
        }),
        Some((name, file)) => Some((name, Sign::File(file))),
        None => match by_configuration(directory) {
            Some((name, file)) => Some((name, Sign::File(file))),
            None => encrypts.then_some((OPENTOFU, Sign::Encryption)),
        },
    }
}

/// What encrypts states here, which Terraform would store in plain text.
fn encryption_beside(directory: &Path, encrypts: bool) -> Option<String> {
    if encrypts {
        return Some(ENCRYPTION_VARIABLE.to_owned());
    }
    let read_by_opentofu = Configuration {
        directory: directory.to_owned(),
        is_tofu: true,
        ..Configuration::default()
    };
    let part = StaticPart::of(&read_by_opentofu).ok()?;
    part.has_encryption()
        .then(|| format!("an `encryption` block in {}", directory.display()))
}

/// Version managers go by the nearest of these files, here or above.
fn by_version_file(directory: &Path) -> Option<(&'static str, PathBuf)> {
    let levels = directory.ancestors();
    levels
        .flat_map(|level| VERSION_FILES.map(|(file, name)| (name, level.join(file))))
        .find(|(_, file)| file.is_file())
}

/// What only OpenTofu reads, or only OpenTofu writes.
fn by_configuration(directory: &Path) -> Option<(&'static str, PathBuf)> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        // A pipe would keep whoever reads it waiting.
        .filter(|path| path.is_file() && is_of_opentofu(path))
        .collect();
    files.sort();
    let file = files.into_iter().next()?;
    Some((OPENTOFU, file))
}

fn is_of_opentofu(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == LOCK_FILE {
        let text = fs::read_to_string(path);
        return text.is_ok_and(|text| text.contains(REGISTRY_OF_OPENTOFU));
    }
    let is_hidden = name.starts_with('.');
    !is_hidden
        && [".tofu", ".tofu.json"]
            .iter()
            .any(|end| name.ends_with(end))
}
