//! The story of a release: frees what finished builds have left locked, in one directory or many.

use std::slice;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::exit_code::{Exit, Outcome};
use crate::inquiry::Inquiry;
use crate::lock::{Holder, LockInfo, Owner};
use crate::recovery::guarded::Guarded;
use crate::recovery::{Finding, Patience, Recovery, recover_with_patience};
use crate::story::after_script;
use crate::story::conclusion::{Conclusion, LockState, Locks, Reason};
use crate::story::doubt::{is_surely_of, shares_its_name};
use crate::story::journal::{Journal, Untold, Whose};
use crate::story::locks::{each_lock, exit_of_held, state_of, unknown};
use crate::story::logged::{Untraced, catch_up, read_log};
use crate::story::past::{advise, leave_in_doubt, look_back, name_of, tell_in_doubt, tell_way_out};
use crate::story::places::{Place, introduce, side_by_side};
use crate::story::stage::Stage;
use crate::tools::{Locked, StateKeeper, StateKeeping, ToolError, Unstored};

type Recovered = Result<Recovery, ToolError>;

/// What the user wants freed.
pub(crate) struct Release {
    pub(crate) after_script: Option<String>,
    pub(crate) lock_timeout: Duration,
}

/// Frees what can be freed, one place not waiting for another.
pub(crate) async fn run<S: Stage>(
    stage: &S,
    inquiry: &Inquiry<'_, S>,
    journal: &Journal,
    places: &[Place],
    release: &Release,
) -> Conclusion {
    introduce(places);
    let found = side_by_side(places, async |place| {
        let found = free(stage, inquiry, place, release.lock_timeout).await;
        save_left(stage, place, &found).await;
        let unknown = tell_past(stage, inquiry, journal, place, &found).await;
        (found, unknown)
    })
    .await;
    let (found, unknown): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    for (place, found) in places.iter().zip(&found) {
        for found in found {
            say(&place.name, found);
        }
    }
    let unknown = places.iter().zip(&unknown);
    let unknown = unknown.filter_map(|(place, unknown)| Some((place, unknown.as_ref()?)));
    tell_unknown(stage, inquiry, journal, &unknown.collect::<Vec<_>>()).await;
    if let Some(script) = &release.after_script {
        for (place, found) in places.iter().zip(&found) {
            for recovery in found.iter().flatten() {
                if let Recovery::Released(..) = recovery {
                    let killed = of_the_killed(recovery);
                    after_script::run(stage, script, &place.directory, None, &killed).await;
                }
            }
        }
    }
    let found: Vec<Recovered> = found.into_iter().flatten().collect();
    let locks = found.iter().filter_map(state).collect();
    if let Some(interrupt) = stage.interrupt() {
        let rest = ". What is not said to be released above is as it was";
        return Conclusion::stopped(interrupt.signal, rest, Locks(locks));
    }
    let exit = found.iter().map(exit).max_by_key(|exit| exit.code());
    let reason = Reason::Looked(summary(&found));
    Conclusion::looked(exit.unwrap_or(Exit::Done), Locks(locks), reason)
}

async fn free<S: Stage>(
    stage: &S,
    inquiry: &Inquiry<'_, S>,
    place: &Place,
    lock_timeout: Duration,
) -> Vec<Recovered> {
    let judge = async |holder: &LockInfo| inquiry.judge(&place.tool, holder).await;
    each_lock(stage, &place.tool, async |lock| {
        let lock = Guarded {
            host: stage,
            lock,
            keeper: place.tool.state_keeper(),
            left: |keeper: StateKeeper<'_>, holder: &LockInfo| keeper.unsaved_state_of(holder),
        };
        let look = lock.look().await?;
        let patience = Patience {
            place: Some(&place.name),
            until: Instant::now() + lock_timeout,
            also_in_doubt: false,
        };
        recover_with_patience(stage, &lock, look, &judge, patience).await
    })
    .await
}

/// Stores the state that a released holder has left in a file, where that was not done under its lock.
async fn save_left<S: Stage>(stage: &S, place: &Place, found: &[Recovered]) {
    let Place { name, tool, .. } = place;
    let Some(keeper) = tool.state_keeper() else {
        return;
    };
    let Some(state) = keeper.unsaved_state(None) else {
        return;
    };
    let mut holders = found.iter().flatten().filter_map(released);
    let noted = holders.find_map(|holder| keeper.unsaved_state_of(holder));
    let Some(state) = noted else {
        let advice = keeper.save_by_hand(stage, &state).await;
        warn!(
            "{name}: {} holds a state that a deploy could not store, and secrets. It is left alone: \
             it is not known to be of a holder whose lock was released just now. {advice}",
            state.path.display()
        );
        return;
    };
    info!("{name}: {state}");
    match keeper.save_state(stage, &state).await {
        Ok(()) => info!("{name}: {}", state.is_stored()),
        Err(Unstored { reason, advice }) => {
            warn!("{name}: It is not stored now, because {reason}.");
            warn!("{name}: {}", state.to_keep(&advice));
        }
    }
}

/// Says what the deploys have left that are over, and writes down what became of it.
async fn tell_past<S: Stage>(
    stage: &S,
    inquiry: &Inquiry<'_, S>,
    journal: &Journal,
    place: &Place,
    found: &[Recovered],
) -> Option<Untraced> {
    let Place {
        name,
        directory,
        tool,
    } = place;
    let is_free = |found: &Recovered| found.as_ref().is_ok_and(Recovery::is_free);
    if stage.interrupt().is_some() || !found.iter().all(is_free) {
        return None;
    }
    let released = found.iter().flatten().find_map(released);
    let was_released = released.is_some();
    let holder = released.and_then(Holder::of).map(|holder| holder.owner);
    let place_name = name_of(tool);
    let is_unlocked =
        |found: &Recovered| matches!(found, Ok(Recovery::Untouched(Finding::NeverLocked)));
    let untold = if found.iter().any(is_unlocked) || shares_its_name(tool) {
        Untold::PerhapsAlive
    } else {
        Untold::Over
    };
    let holders: Vec<Owner> = holder.iter().cloned().collect();
    let whose = Whose {
        holders: &holders,
        and_others: holders.is_empty(),
    };
    let past = journal.past(stage, directory, place_name.as_ref(), whose, untold);
    let mut past = past.await;
    catch_up(inquiry, tool, &mut past).await;
    if let Some(place_name) = &place_name {
        past.take_in_moved(place_name, false);
    }
    leave_in_doubt(stage, journal, tool, &mut past.in_doubt).await;
    tell_in_doubt(&format!("{name}: "), &past.in_doubt);
    let is_told = holder.as_ref().is_some_and(|holder| past.tells_of(holder));
    if !past.records.is_empty() {
        let (prefix, records) = (format!("{name}: "), &mut past.records);
        look_back(stage, journal, &prefix, tool, &past.released, records).await;
        advise(&prefix, tool, records);
        tell_way_out(&prefix, records);
        records.retain(|record| is_surely_of(tool, &past.released, record));
        journal.write(stage, records).await;
    }
    let room = holder.as_ref().and_then(|holder| past.room_for(holder));
    let why = past.gap?.to_string();
    if was_released && !is_told {
        return Some(Untraced { holder, why, room });
    }
    debug!("{name}: What was left is not known: {why}.");
    None
}

/// Says once that it is not known what was left. The log of a step says of no line which of several
/// places it is about.
async fn tell_unknown<S: Stage>(
    stage: &S,
    inquiry: &Inquiry<'_, S>,
    journal: &Journal,
    unknown: &[(&Place, &Untraced)],
) {
    match unknown {
        [(Place { name, tool, .. }, untraced)] => {
            let prefix = format!("{name}: ");
            let Some(mut record) = read_log(inquiry, journal, &prefix, tool, untraced).await else {
                return;
            };
            let (released, records) = ([record.owner.clone()], slice::from_mut(&mut record));
            look_back(stage, journal, &prefix, tool, &released, records).await;
            advise(&prefix, tool, records);
            tell_way_out(&prefix, records);
            if record.is_kept() {
                journal.write(stage, slice::from_ref(&record)).await;
            }
        }
        [(_, Untraced { why, .. }), ..] if !journal.is_off() => {
            info!("What the deploys have made that held these locks is not known: {why}.");
        }
        _ => {}
    }
}

/// The lock that was released.
fn released(recovery: &Recovery) -> Option<&LockInfo> {
    match recovery {
        Recovery::Released(lock, _) => Some(lock),
        _ => None,
    }
}

/// How the deploy ended whose lock was released: what Stop has killed, it has killed by SIGKILL.
fn of_the_killed(recovery: &Recovery) -> Conclusion {
    Conclusion {
        outcome: Outcome::Killed,
        exit: Exit::Signal(nix::libc::SIGKILL),
        locks: Locks(state_of(recovery.clone()).into_iter().collect()),
        reason: Reason::Ran {
            was_a_plan: false,
            lacked_memory: false,
        },
    }
}

fn say(place: &str, found: &Recovered) {
    match found {
        Ok(recovery) if recovery.is_free() => info!("{place}: {recovery}"),
        Ok(recovery) => warn!("{place}: {recovery}"),
        Err(error) => warn!("{place}: {}", unknown(error)),
    }
}

fn state(found: &Recovered) -> Option<LockState> {
    match found {
        Ok(recovery) => state_of(recovery.clone()),
        Err(_) => Some(LockState::Unknown),
    }
}

/// How many locks became what.
fn summary(found: &[Recovered]) -> String {
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
    summary.join(", ")
}

/// A lock that somebody alive holds is nothing that a finished step has left.
fn exit(found: &Recovered) -> Exit {
    match found {
        Err(_) => Exit::Unanswered,
        Ok(Recovery::Untouched(Finding::Alive(..))) => Exit::Done,
        Ok(recovery) if recovery.is_free() => Exit::Done,
        Ok(recovery) => exit_of_held(recovery),
    }
}
