//! The locks of a place, and what their recovery means for a conclusion.

use tracing::debug;

use crate::exit_code::Exit;
use crate::recovery::{Finding, Recovery};
use crate::story::conclusion::LockState;
use crate::tools::{Host, Lock, Locking, Tool, ToolError};

/// Does this for each lock of a place. There is none where the backend is set up without locking.
pub(super) async fn each_lock<'a, H: Host, T: From<Finding>>(
    host: &'a H,
    tool: &'a Tool,
    work: impl AsyncFn(Lock<'a, H>) -> Result<T, ToolError>,
) -> Vec<Result<T, ToolError>> {
    debug!("Looking at the lock: {}.", tool.description());
    let locks = match tool.find_locks(host).await {
        Ok(locks) if locks.is_empty() => return vec![Ok(Finding::NeverLocked.into())],
        Ok(locks) => locks,
        Err(error) => return vec![Err(error)],
    };
    let mut all = Vec::new();
    for lock in locks {
        all.push(work(lock).await);
    }
    all
}

/// What became of a lock; nothing where the backend takes none.
pub(super) fn state_of(recovery: Recovery) -> Option<LockState> {
    Some(match recovery {
        Recovery::Released(lock, _) => LockState::Released(lock.id),
        Recovery::Stuck(lock, ..) | Recovery::Untouched(Finding::Over(lock, _)) => {
            LockState::Stuck(lock.id)
        }
        Recovery::Untouched(Finding::Free) => LockState::Free,
        Recovery::Untouched(Finding::NeverLocked) => return None,
        Recovery::Untouched(Finding::Alive(lock, _) | Finding::Doubtful(lock, ..)) => {
            LockState::Held(lock.map(|lock| lock.id))
        }
    })
}

/// The exit where a lock stays that somebody would like to be free.
pub(super) fn exit_of_held(recovery: &Recovery) -> Exit {
    match recovery {
        Recovery::Untouched(Finding::Doubtful(_, doubt, _)) if doubt.is_for_want_of_an_answer() => {
            Exit::Unanswered
        }
        _ => Exit::Locked,
    }
}

/// Says of a lock that nobody knows whether it is free, and why.
pub(crate) fn unknown(error: &ToolError) -> String {
    unknown_because(&format!(": {}", error.sentence()))
}

/// The same, where it was said already why.
pub(super) fn unknown_as_before() -> String {
    unknown_because(", for the same reason.")
}

fn unknown_because(why: &str) -> String {
    format!("Whether the lock is free is not known{why}")
}
