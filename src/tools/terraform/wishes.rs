//! Which version the files of a directory wish for. They choose nothing: whoever changes a file changes
//! no program.

use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;
use serde_json::value::RawValue;
use tracing::{debug, warn};

use super::constraint::allows;
use super::files::{is_json, read};
use super::hcl_text::{Wanted, blocks};
use super::json_text::members;
use super::place::Terraform;
use super::shadow::Shadow;
use super::version::version_of;
use crate::console::introduce;
use crate::tools::error::ToolError;
use crate::tools::host::Host;
use crate::tools::locking::Locking;

/// What the root of a configuration says of itself.
const TERRAFORM: Wanted = Wanted {
    outside: &["terraform"],
    inside: &[],
};
const REQUIRED: &str = "required_version";

impl Terraform {
    /// Says which program runs here, and what in the directory wishes for another version.
    pub(super) async fn say_version(&self, host: &impl Host) {
        let version = match self.version_in_shadow(host).await {
            Ok(version) => version,
            // Whatever runs it will say it too.
            Err(error) => {
                introduce(&self.description());
                return debug!("The version of the program is not known: {error}.");
            }
        };
        let name = if self.is_opentofu {
            "OpenTofu"
        } else {
            "Terraform"
        };
        introduce(&format!("{name} {version} {}", self.whereabouts()));
        let Ok(version) = version.parse() else { return };
        let wished = wished(self.is_opentofu, &self.directory);
        if let Some((file, wished)) = wished.filter(|(_, wished)| *wished != version) {
            warn!(
                "{} says {wished}, and this is {name} {version}. The file chooses nothing here, \
                 `TERRAFORM_VERSION: \"{wished}\"` does.",
                file.display()
            );
        }
        for (file, constraint) in self.required() {
            if allows(&constraint, &version) == Some(false) {
                warn!(
                    "{} requires version {constraint:?}, so {name} {version} will refuse to run. \
                     Choose another one by TERRAFORM_VERSION.",
                    file.display()
                );
            }
        }
    }

    /// In the directory itself, it would read the lock file of the providers, and say their versions.
    async fn version_in_shadow(&self, host: &impl Host) -> Result<String, ToolError> {
        let shadow = Shadow::of(&self.directory).map_err(ToolError::Scratch)?;
        version_of(host, &self.binary, &self.environment, &shadow.directory).await
    }

    /// What the configuration requires. What cannot be read is left to the program, which refuses it.
    fn required(&self) -> Vec<(PathBuf, String)> {
        let files = self.configuration().files().unwrap_or_default();
        let required = files.into_iter().flat_map(|file| {
            let constraints = required_by(&file.path);
            constraints
                .into_iter()
                .map(move |constraint| (file.path.clone(), constraint))
        });
        required.collect()
    }
}

/// The version in the nearest file for version managers, where it is one, and not a rule.
fn wished(is_opentofu: bool, directory: &Path) -> Option<(PathBuf, Version)> {
    let name = if is_opentofu {
        ".opentofu-version"
    } else {
        ".terraform-version"
    };
    let mut levels = directory.ancestors();
    let file = levels.find_map(|level| Some(level.join(name)).filter(|file| file.is_file()))?;
    let text = fs::read_to_string(&file).ok()?;
    let line = text.lines().next()?.trim().trim_start_matches('v');
    Some((file, line.parse().ok()?))
}

fn required_by(path: &Path) -> Vec<String> {
    let text = read(path).unwrap_or_default();
    if is_json(path) {
        required_by_json(&text).unwrap_or_default()
    } else {
        required_by_hcl(&text)
    }
}

fn required_by_hcl(text: &str) -> Vec<String> {
    let blocks = blocks(text, TERRAFORM).into_iter();
    let bodies: Vec<hcl::Body> = blocks
        .filter_map(|block| hcl::parse(block.text).ok())
        .collect();
    let attributes = bodies
        .iter()
        .flat_map(|body| body.blocks())
        .flat_map(|block| block.body().attributes())
        .filter(|attribute| attribute.key() == REQUIRED);
    attributes
        .filter_map(|attribute| match attribute.expr() {
            hcl::Expression::String(constraint) => Some(constraint.clone()),
            _ => None,
        })
        .collect()
}

fn required_by_json(text: &str) -> serde_json::Result<Vec<String>> {
    let document: &RawValue = serde_json::from_str(text)?;
    let mut constraints = Vec::new();
    for terraform in members(document, "terraform")? {
        for constraint in members(terraform, REQUIRED)? {
            constraints.push(serde_json::from_str(constraint.get())?);
        }
    }
    Ok(constraints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_configuration_requires_is_found_in_both_languages_and_nowhere_else() {
        let text = "# required_version = \"0\"\nterraform {\n  required_version = \"~> 1.9\"\n  \
                    required_providers {\n    a = { source = \"b/a\" }\n  }\n}\n\
                    locals {\n  required_version = \"2\"\n}\nterraform {\n  required_version = \">= 1\"\n}\n";
        assert_eq!(required_by_hcl(text), ["~> 1.9", ">= 1"]);
        let json = r#"{"terraform": [{"required_version": "< 2"}, {"backend": {"local": {}}}]}"#;
        assert_eq!(required_by_json(json).unwrap(), ["< 2"]);
        assert!(required_by_hcl("terraform {").is_empty());
        assert!(required_by_json("{").is_err());
    }

    #[test]
    fn only_a_version_is_a_wish_and_the_nearest_file_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let here = scratch.path().join("here");
        fs::create_dir(&here).unwrap();
        let version = |is_opentofu: bool| {
            let wished = wished(is_opentofu, &here);
            wished.map(|(_, version)| version.to_string())
        };
        let write = |name: &str, text: &str| fs::write(scratch.path().join(name), text).unwrap();
        write(".terraform-version", "1.9.8\n");
        write(".opentofu-version", "v1.8.0\n");
        assert_eq!(version(false).as_deref(), Some("1.9.8"));
        assert_eq!(version(true).as_deref(), Some("1.8.0"));
        write("here/.terraform-version", "latest:^1.5\n");
        assert_eq!(version(false), None);
    }
}
