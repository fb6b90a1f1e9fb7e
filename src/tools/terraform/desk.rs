//! Where the stored state is shown and another one is stored.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use super::arguments::joined;
use super::backend::DEFAULT_BACKEND;
use super::by_hand::program;
use super::evaluated::resolved;
use super::expired::expired;
use super::lock_view::LockView;
use super::place::Terraform;
use super::shown_state::tell_each;
use super::strategy::ByTerraform;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// How long Terraform may take to show the stored state, or to store another one.
pub(super) const LIMIT_OF_A_CALL: Duration = Duration::from_secs(60);
/// How long it may take where no deploy has used it, and somebody waits for an answer.
const LIMIT_OF_AN_ANSWER: Duration = Duration::from_secs(30);
const PULL: [&str; 3] = ["state", "pull", "-no-color"];

pub(super) enum Desk<'a, H> {
    /// The user's directory, which a Terraform that was seen has initialised, and whose state is there.
    InPlace(&'a Terraform),
    /// A shadow of it: a fresh clone is not initialised.
    InShadow(Box<LockView<'a, H>>),
}

/// Tells each object that is stored. Where there is no state, none is made.
pub(super) async fn tell_stored(
    host: &impl Host,
    place: &Terraform,
    tell: &mut dyn FnMut(String, Option<String>),
) -> Result<(), ToolError> {
    let limit = if place.is_seen {
        LIMIT_OF_A_CALL
    } else {
        LIMIT_OF_AN_ANSWER
    };
    match Desk::open(host, place).await?.pull(host, limit).await? {
        Some(shown) => tell_each(shown, tell).map_err(|reason| unreadable(place, &reason)),
        None => Ok(()),
    }
}

/// What is said of a stored state that is none.
pub(super) fn unreadable(place: &Terraform, reason: &str) -> ToolError {
    ToolError::NotComparable {
        reason: format!("what {} state pull shows is {reason}", program(place)),
    }
}

impl<'a, H: Host> Desk<'a, H> {
    pub(super) async fn open(host: &'a H, place: &'a Terraform) -> Result<Self, ToolError> {
        if place.is_seen && !place.is_removed && is_set_up_here(place) {
            return Ok(Self::InPlace(place));
        }
        let resolved = resolved(host, place).await?;
        let place = place.without_credentials_for(&resolved);
        let workspace = place.workspace();
        // Nothing is asked here about a lock, so how one would be asked about is no matter.
        let strategy = ByTerraform::Watch;
        let view = LockView::open(host, &place, resolved.backend, strategy, workspace).await?;
        Ok(Self::InShadow(Box::new(view)))
    }

    /// The stored state. Nothing, or an empty file, where there is none.
    pub(super) async fn pull(&self, host: &H, limit: Duration) -> Result<Option<File>, ToolError> {
        let view = match self {
            Self::InPlace(place) => return pull_in_place(host, place, limit).await.map(Some),
            Self::InShadow(view) => view,
        };
        // In a workspace that is not there, the question would make a state.
        if !view.has_state().await? {
            return Ok(None);
        }
        let pulled = pull_in_shadow(host, view, limit).await;
        if pulled.is_ok() || view.is_accepted.get() {
            return pulled.map(Some);
        }
        view.initialise().await?;
        pull_in_shadow(host, view, limit).await.map(Some)
    }

    /// A command about the state, once it was pulled.
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
    let mut command = place.helper_command();
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

/// The deploy has used it, so asking creates nothing.
async fn pull_in_place(
    host: &impl Host,
    place: &Terraform,
    limit: Duration,
) -> Result<File, ToolError> {
    let command = in_place(place, &PULL)?;
    let helped = host.run_helper_that_shows(command, limit);
    let helped = helped.await?;
    if helped.status.success() {
        return Ok(helped.stdout);
    }
    let command = format!("{} state pull", program(place));
    let secrets = place.secrets();
    let output = secrets.essence(&helped.stderr);
    Err(
        expired(&command, &helped.stderr, &secrets).unwrap_or(ToolError::NotComparable {
            reason: format!("{command} said: {output}"),
        }),
    )
}

async fn pull_in_shadow<H: Host>(
    host: &H,
    view: &LockView<'_, H>,
    limit: Duration,
) -> Result<File, ToolError> {
    let command = view.state_command(&PULL);
    let helped = host.run_helper_that_shows(command, limit);
    let helped = helped.await?;
    if helped.status.success() {
        Ok(helped.stdout)
    } else {
        Err(view.failed("state pull", &helped))
    }
}
