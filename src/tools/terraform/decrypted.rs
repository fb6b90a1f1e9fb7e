//! An encrypted state that could not be stored.
//!
//! OpenTofu writes it as it would have stored it, and `state push` reads no encrypted file, whatever the
//! configuration says. But what lies as the local state where the encryption is, and no backend, is
//! shown by `state pull` in plain text. That never lies in the user's directory.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::arguments::joined;
use super::by_hand::program;
use super::place::Terraform;
use super::shadow::Shadow;
use super::state_file::shown_text;
use super::static_part::StaticPart;
use crate::private;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// The file of the local state where nothing says otherwise.
const LOCAL_STATE: &str = "terraform.tfstate";

/// A state in plain text, which only its owner can read, for as long as this lives.
pub(super) struct PlainState {
    pub(super) path: PathBuf,
    #[expect(dead_code, reason = "its end removes the state")]
    directory: TempDir,
}

impl PlainState {
    pub(super) fn write(text: &str) -> io::Result<Self> {
        let directory = private::directory()?;
        let path = directory.path().join("plain.tfstate");
        private::write(&path, text)?;
        Ok(Self { path, directory })
    }
}

/// The plain text of an encrypted state of this place.
pub(super) async fn decrypt(
    host: &impl Host,
    place: &Terraform,
    text: &str,
    limit: Duration,
) -> Result<String, ToolError> {
    let not_readable = |why: String| ToolError::NotComparable {
        reason: format!("softstop cannot decrypt it: {why}"),
    };
    let encryption = encryption_of(place).map_err(not_readable)?;
    let shadow = Shadow::of(&place.directory).map_err(ToolError::Scratch)?;
    encryption
        .write(&place.directory, &shadow.directory)
        .and_then(|()| fs::write(shadow.directory.join(LOCAL_STATE), text))
        .map_err(ToolError::Scratch)?;
    let mut command = place.helper_command();
    command
        .args(["state", "pull", "-no-color"])
        .env("TF_CLI_ARGS", joined(&place.values()?))
        .current_dir(&shadow.directory)
        .env("PWD", &shadow.directory);
    let helped = host.run_helper_that_shows(command, limit).await?;
    if helped.status.success() {
        shown_text(helped.stdout).map_err(ToolError::Scratch)
    } else {
        let output = place.secrets().essence(&helped.stderr);
        Err(not_readable(format!(
            "{} state pull said: {output}",
            program(place)
        )))
    }
}

/// The encryption of a place, or why it is another one in a shadow. What TF_ENCRYPTION says of it is in
/// the environment anyway.
pub(super) fn encryption_of(place: &Terraform) -> Result<StaticPart, String> {
    let part = StaticPart::of(&place.configuration()).map_err(|error| error.to_string())?;
    match part.place_of_encryption() {
        None => Ok(part.of_encryption()),
        Some(word) => Err(format!(
            "its encryption depends on where it is evaluated ({word})"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_state_in_plain_text_is_for_its_owner_alone() {
        let plain = PlainState::write("{}").unwrap();
        for path in [plain.path.as_path(), plain.path.parent().unwrap()] {
            let mode = fs::metadata(path).unwrap().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        }
    }
}
