//! Who holds the lock, since when, is the holder alive, and what would `release` do.

use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::exit_code::Exit;
use crate::inquiry::Inquiry;
use crate::lock::{Holder, LockInfo};
use crate::recovery::{Finding, examine};
use crate::report::console::{FAILURE, SUCCESS};
use crate::story::places::{Place, side_by_side};
use crate::supervisor::{Outlet, Supervisor};
use crate::tools::{DeployTool, ToolError};

type Found = Result<Finding, ToolError>;

/// Tells about the lock of every place: to people or, on `json`, to machines.
pub(crate) async fn run<T: DeployTool>(
    supervisor: &Supervisor,
    inquiry: &Inquiry,
    places: &[Place<T>],
    json: Option<&Outlet>,
) -> Exit {
    let found = side_by_side(places, |place| ask(supervisor, inquiry, place)).await;
    let told = places.iter().zip(&found);
    if let Some(stdout) = json {
        let records: Vec<Value> = told
            .map(|(place, found)| record(&place.name, found))
            .collect();
        stdout.say(format!("{:#}\n", Value::from(records)).as_bytes());
    } else {
        told.for_each(|(place, found)| say(&place.name, found));
    }
    if let Some(interrupt) = supervisor.interrupt() {
        error!(target: FAILURE, "Stopped by {}.", interrupt.signal);
        return Exit::Signal(interrupt.signal as i32);
    }
    if found.iter().any(is_unanswered) {
        error!(target: FAILURE, "Not every lock could be asked about ({}).", Exit::Unanswered);
        return Exit::Unanswered;
    }
    let held = found.iter().flatten().filter(|finding| is_held(finding));
    info!(target: SUCCESS, "Locks: {} of {} held.", held.count(), found.len());
    Exit::Done
}

async fn ask<T: DeployTool>(supervisor: &Supervisor, inquiry: &Inquiry, place: &Place<T>) -> Found {
    let lock = place.tool.find_lock(supervisor).await?;
    let judge = async |holder: &LockInfo| inquiry.judge(supervisor, &place.tool, holder).await;
    examine(supervisor, &lock, &judge).await
}

fn say(place: &str, found: &Found) {
    match found {
        Ok(finding) => info!("{place}: {finding} {}", forecast(finding)),
        Err(error) => warn!(
            "{place}: Whether the lock is free is not known: {}",
            error.sentence()
        ),
    }
}

/// What `release` would do.
fn forecast(finding: &Finding) -> &'static str {
    match finding {
        Finding::Free | Finding::NeverLocked => "There is nothing to release.",
        Finding::Over(..) => "`softstop release` would release it.",
        Finding::Alive(..) => "`softstop release` would leave it, and wait for LOCK_TIMEOUT.",
        Finding::Doubtful(..) => "(`softstop release` would not do it.)",
    }
}

/// What was found, for machines. What is not known is null.
fn record(place: &str, found: &Found) -> Value {
    let (lock, alive, release, reason, by_hand) = match found {
        Err(error) => (None, None, "unknown", error.to_string(), None),
        Ok(Finding::Free | Finding::NeverLocked) => (None, None, "nothing", String::new(), None),
        Ok(Finding::Over(lock, proof)) => {
            (Some(lock), Some(false), "release", proof.to_string(), None)
        }
        Ok(Finding::Alive(lock, life)) => {
            (lock.as_ref(), Some(true), "wait", life.to_string(), None)
        }
        Ok(Finding::Doubtful(lock, doubt, by_hand)) => (
            lock.as_ref(),
            None,
            "refuse",
            doubt.to_string(),
            Some(by_hand),
        ),
    };
    let state = match found {
        Err(_) => "unknown",
        Ok(finding) if is_held(finding) => "held",
        Ok(Finding::NeverLocked) => "none",
        Ok(_) => "free",
    };
    json!({
        "working_dir": place,
        "state": state,
        "lock": lock,
        "build": lock.and_then(Holder::of).map(|holder| build(&holder)),
        "alive": alive,
        "release": release,
        "reason": reason,
        "by_hand": by_hand,
    })
}

fn build(holder: &Holder) -> Value {
    let owner = &holder.owner;
    json!({
        "workspace": owner.workspace(),
        "repository": owner.repository(),
        "number": owner.build(),
        "pipeline": owner.pipeline().to_string(),
        "step": owner.step().to_string(),
        "run": owner.run(),
        "host": holder.host,
        "link": owner.link(),
    })
}

/// Whether the backend, or Bitbucket, could not be asked.
fn is_unanswered(found: &Found) -> bool {
    match found {
        Err(_) => true,
        Ok(Finding::Doubtful(_, doubt, _)) => doubt.is_for_want_of_an_answer(),
        Ok(_) => false,
    }
}

fn is_held(finding: &Finding) -> bool {
    !matches!(finding, Finding::Free | Finding::NeverLocked)
}
