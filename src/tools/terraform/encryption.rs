//! The encryption of a state, which a look needs as much as a deploy.
//!
//! On some backends every command that opens a state makes an empty one where there is none. One that
//! is not encrypted breaks the first deploy of a configuration that says how states are encrypted.

use super::backend::Backend;
use super::place::Terraform;
use super::static_part::StaticPart;
use crate::tools::error::ToolError;

/// What the files of a place say of the encryption, and what that, or TF_ENCRYPTION, names.
pub(super) fn encryption_of(
    place: &Terraform,
    backend: &Backend,
) -> Result<Option<StaticPart>, ToolError> {
    let why = match StaticPart::of(&place.configuration()) {
        Ok(part) if !part.has_encryption() => return Ok(None),
        Ok(_) if !place.is_opentofu => "only OpenTofu knows it".to_owned(),
        Ok(part) => match part.place_of_encryption() {
            None => return Ok(Some(part.of_encryption()).filter(|part| !part.is_empty())),
            Some(word) => format!("it depends on where it is evaluated ({word})"),
        },
        Err(_) if !place.is_opentofu => return Ok(None),
        Err(error) => error.to_string(),
    };
    if !backend.is_made_by_asking() {
        return Ok(None);
    }
    Err(ToolError::Unknown {
        reason: format!(
            "on the backend {:?}, asking about the lock may make a state, and softstop cannot encrypt it as {} says: {why}",
            backend.kind,
            place.directory.display()
        ),
    })
}
