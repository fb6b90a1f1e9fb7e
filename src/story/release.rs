//! The story of a release: frees what finished builds have left locked, in one directory or many.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::exit_code::{Exit, Outcome};
use crate::inquiry::Inquiry;
use crate::lock::LockInfo;
use crate::recovery::{Finding, Patience, Recovery, recover_with_patience};
use crate::report::console::{FAILURE, SUCCESS};
use crate::story::after_script;
use crate::story::conclusion::{LockState, Locks};
use crate::story::places::{Place, side_by_side};
use crate::supervisor::Supervisor;
use crate::tools::{DeployLock, DeployTool, ToolError};

/// What the user wants freed.
pub(crate) struct Release {
    pub(crate) after_script: Option<String>,
    pub(crate) lock_timeout: Duration,
}

/// Frees what can be freed, one place not waiting for another.
pub(crate) async fn run<T: DeployTool>(
    supervisor: &Supervisor,
    inquiry: &Inquiry,
    places: &[Place<T>],
    release: &Release,
) -> Exit {
    let found = side_by_side(places, async |place| {
        let found = free(supervisor, inquiry, place, release.lock_timeout).await;
        say(&place.name, &found);
        found
    })
    .await;
    if let Some(script) = &release.after_script {
        for (place, found) in places.iter().zip(&found) {
            if let Ok(recovery @ Recovery::Released(..)) = found {
                // What Stop has killed, it has killed by SIGKILL.
                let (outcome, exit) = (Outcome::Killed, Exit::Signal(nix::libc::SIGKILL));
                let locks = Locks(LockState::of(recovery.clone()).into_iter().collect());
                after_script::run(
                    supervisor,
                    script,
                    (&place.directory, None),
                    outcome,
                    exit,
                    &locks,
                )
                .await;
            }
        }
    }
    if let Some(interrupt) = supervisor.interrupt() {
        error!(target: FAILURE, "Stopped by {}. What is not said to be released above is as it was.", interrupt.signal);
        return Exit::Signal(interrupt.signal as i32);
    }
    conclude(&found)
}

async fn free<T: DeployTool>(
    supervisor: &Supervisor,
    inquiry: &Inquiry,
    place: &Place<T>,
    lock_timeout: Duration,
) -> Result<Recovery, ToolError> {
    let lock = place.tool.find_lock(supervisor).await?;
    let judge = async |holder: &LockInfo| inquiry.judge(supervisor, &place.tool, holder).await;
    let patience = Patience {
        time: lock_timeout,
        also_in_doubt: false,
    };
    let look = lock.look(supervisor).await?;
    recover_with_patience(look, supervisor, &lock, &judge, patience).await
}

fn say(place: &str, found: &Result<Recovery, ToolError>) {
    match found {
        Ok(recovery) if recovery.is_free() => info!("{place}: {recovery}"),
        Ok(recovery) => warn!("{place}: {recovery}"),
        Err(error) => warn!(
            "{place}: Whether the lock is free is not known: {}",
            error.sentence()
        ),
    }
}

/// A lock that somebody alive holds is nothing that a finished step has left.
fn conclude(found: &[Result<Recovery, ToolError>]) -> Exit {
    let count = |is_meant: fn(&Recovery) -> bool| {
        let found = found.iter().filter_map(|found| found.as_ref().ok());
        found.filter(|recovery| is_meant(recovery)).count()
    };
    let released = count(|recovery| matches!(recovery, Recovery::Released(..)));
    let alive = count(|recovery| matches!(recovery, Recovery::Untouched(Finding::Alive(..))));
    let never = count(|recovery| matches!(recovery, Recovery::Untouched(Finding::NeverLocked)));
    let free = count(Recovery::is_free) - released - never;
    let unknown = found.iter().filter(|found| found.is_err()).count();
    let stuck = count(|recovery| matches!(recovery, Recovery::Stuck(..)));
    let left = found.len() - released - alive - free - never - unknown - stuck;
    let summary: Vec<String> = [
        (released, "released"),
        (free, "free"),
        (never, "without locking"),
        (alive, "held by somebody alive"),
        (left, "left alone in doubt"),
        (stuck, "could not be released"),
        (unknown, "could not be asked about"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let exit = found.iter().map(exit).max_by_key(|exit| exit.code());
    let exit = exit.unwrap_or(Exit::Done);
    if exit == Exit::Done {
        info!(target: SUCCESS, "Locks: {}.", summary.join(", "));
    } else {
        error!(target: FAILURE, "Locks: {} ({exit}).", summary.join(", "));
    }
    exit
}

fn exit(found: &Result<Recovery, ToolError>) -> Exit {
    match found {
        Err(_) => Exit::Unanswered,
        Ok(Recovery::Untouched(Finding::Alive(..))) => Exit::Done,
        Ok(recovery) if recovery.is_free() => Exit::Done,
        Ok(recovery) => Exit::of_held(recovery),
    }
}
