//! What the stored state has, asked in a shadow: the directory of the user's need not be initialised.

use std::collections::BTreeMap;
use std::time::Duration;

use super::evaluated::resolved;
use super::lock_view::LockView;
use super::place::Terraform;
use super::state_file::{MOST_OF_A_STATE, ids_shown};
use super::strategy::ByTerraform;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// How long Terraform may take to show the state.
const LIMIT_OF_A_PULL: Duration = Duration::from_secs(30);

/// The ids of all that is stored, by address. Where there is no state, none is made.
pub(super) async fn ids(
    host: &impl Host,
    place: &Terraform,
) -> Result<BTreeMap<String, Vec<String>>, ToolError> {
    let resolved = resolved(host, place).await?;
    let place = place.without_credentials_for(&resolved);
    let workspace = place.workspace();
    // Nothing is asked here about a lock, so how one would be asked about is no matter.
    let strategy = ByTerraform::Watch;
    let view = LockView::open(host, &place, resolved.backend, strategy, workspace).await?;
    if !view.has_state().await? {
        return Ok(BTreeMap::new());
    }
    let mut pulled = pull(host, &view).await;
    if pulled.is_err() && !view.is_accepted.get() {
        view.initialise().await?;
        pulled = pull(host, &view).await;
    }
    ids_shown(&pulled?).map_err(|reason| ToolError::NotComparable {
        reason: format!("what `state pull` shows is {reason}"),
    })
}

async fn pull<H: Host>(host: &H, view: &LockView<'_, H>) -> Result<String, ToolError> {
    let command = view.state_command(&["state", "pull", "-no-color"]);
    let helped = host
        .run_helper_that_says(command, LIMIT_OF_A_PULL, MOST_OF_A_STATE)
        .await?;
    if helped.status.success() {
        Ok(helped.stdout)
    } else {
        Err(view.failed("state pull", &helped))
    }
}
