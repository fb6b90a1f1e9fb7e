//! Where the stored state is shown and another one is stored.

use std::process::Command;

use super::arguments::joined;
use super::configuration::DEFAULT_BACKEND;
use super::evaluated::resolved;
use super::helper::helper_command;
use super::lock_view::LockView;
use super::place::Terraform;
use super::strategy::ByTerraform;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

pub(super) enum Desk<'a, H> {
    /// The user's directory, which a Terraform that was seen has initialised.
    InPlace(&'a Terraform),
    /// A shadow of it: a fresh clone is not initialised.
    InShadow(Box<LockView<'a, H>>),
}

impl<'a, H: Host> Desk<'a, H> {
    pub(super) async fn open(host: &'a H, place: &'a Terraform) -> Result<Self, ToolError> {
        if place.is_seen && is_set_up_here(place) {
            return Ok(Self::InPlace(place));
        }
        let resolved = resolved(host, place).await?;
        let place = place.without_credentials_for(&resolved);
        let workspace = place.workspace();
        // Nothing is asked here about a lock, so how one would be asked about is no matter.
        let strategy = ByTerraform::Watch;
        let view = LockView::open(host, &place, resolved.backend, strategy, workspace).await?;
        // In a workspace that is not there, the first question would make it.
        view.has_state().await?;
        if !view.is_accepted.get() {
            view.initialise().await?;
        }
        Ok(Self::InShadow(Box::new(view)))
    }

    /// A command about the state.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<Command, ToolError> {
        match self {
            Self::InPlace(place) => in_place(place, arguments),
            Self::InShadow(view) => Ok(view.state_command(arguments)),
        }
    }
}

/// Whether the directory is still set up for the state that is meant, and for no other one since.
fn is_set_up_here(place: &Terraform) -> bool {
    match &place.backend {
        None => true,
        Some(used) if used.kind == DEFAULT_BACKEND => true,
        Some(used) => {
            let kept = place.configuration().initialised();
            kept.is_ok_and(|kept| kept.as_ref() == Some(used))
        }
    }
}

fn in_place(place: &Terraform, arguments: &[&str]) -> Result<Command, ToolError> {
    let mut command = helper_command(&place.binary, &place.environment);
    // The backend block and the encryption may name variables, which Terraform does not know there.
    if place.is_opentofu {
        command.env("TF_CLI_ARGS", joined(&place.values()?));
    }
    command
        .args(arguments)
        .env("TF_DATA_DIR", place.configuration().data_directory)
        .env("TF_WORKSPACE", place.workspace())
        .current_dir(&place.directory);
    Ok(command)
}
