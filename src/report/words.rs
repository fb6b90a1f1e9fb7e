//! What a run has found, and how it ended, for people.

use tracing::{error, info, warn};

use crate::console::{FAILURE, SUCCESS};
use crate::exit_code::Exit;
use crate::recovery::Finding;
use crate::story::conclusion::Conclusion;
use crate::story::locks::unknown;
use crate::story::status::Looked;

/// Says how a run of softstop ended, as its last line.
pub(crate) fn conclude(conclusion: &Conclusion) {
    if conclusion.exit == Exit::Done {
        info!(target: SUCCESS, "{conclusion}");
    } else {
        error!(target: FAILURE, "{conclusion}");
    }
}

/// Says what was found of a lock, and what `release` would do.
pub(crate) fn tell(looked: &Looked) {
    let place = &looked.place;
    match &looked.found {
        Ok(finding) => info!("{place}: {finding}{}", forecast(finding)),
        Err(error) => warn!("{place}: {}", unknown(error)),
    }
}

/// What follows on a line of its own where the finding has several.
fn forecast(finding: &Finding) -> &'static str {
    match finding {
        Finding::Free | Finding::NeverLocked => " There is nothing to release.",
        Finding::Over(..) => "\n  `softstop release` would release it.",
        Finding::Alive(..) => "\n  `softstop release` would leave it, and wait for LOCK_TIMEOUT.",
        Finding::Doubtful(..) => "\n  (`softstop release` would not do it.)",
    }
}
