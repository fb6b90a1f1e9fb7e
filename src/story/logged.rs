//! What the log of a killed step tells, where there is a token to read it with.

use std::sync::PoisonError;

use tracing::info;

use crate::inquiry::Inquiry;
use crate::journal::{Entry, Past, PlaceName, Record, Stand};
use crate::lock::Owner;
use crate::story::doubt::is_surely_of;
use crate::story::journal::Journal;
use crate::story::past::{entries_of, name_of};
use crate::tools::progress::Told;
use crate::tools::telling::Telling;
use crate::tools::{Host, Teller, Tool};

/// A deploy whose lock was released, and of which no journal tells.
pub(super) struct Untraced {
    pub(super) holder: Option<Owner>,
    /// Why no journal does.
    pub(super) why: String,
    /// The commit on which it has surely left no record, so that what its log tells can be kept there.
    pub(super) room: Option<String>,
}

/// What the log of its step tells of a deploy of which no journal tells; says where that is nothing. A
/// step may have deployed several places, and its log does not say which of them it is about, so nothing
/// of this is imported. What of it is open stays in the journal, where there is one.
pub(super) async fn read_log<H: Host>(
    inquiry: &Inquiry<'_, H>,
    journal: &Journal,
    prefix: &str,
    place: &Tool,
    untraced: &Untraced,
) -> Option<Record> {
    let Untraced { holder, why, room } = untraced;
    let holder = holder.as_ref();
    // The log of a step that runs again may be of its last run.
    let holder = holder.filter(|holder| !is_own_step(inquiry, holder));
    let record = match (holder, name_of(place), place.teller()) {
        (Some(holder), Some(name), Some(teller)) => {
            let log = inquiry.log_of(holder).await;
            log.and_then(|log| logged(&log, teller, (holder, room.clone()), name))
        }
        _ => None,
    };
    match &record {
        Some(_) => info!(
            "{prefix}No journal tells what the deploy has made that held the lock: {why}. The log of \
             its step does:"
        ),
        // Who wants no journal does not want to hear that there is none.
        None if journal.is_off() => {}
        None => info!("{prefix}What the deploy has made that held the lock is not known: {why}."),
    }
    record
}

/// Completes what is known of killed deploys by the logs of their steps. What their steps have deployed
/// elsewhere too, a log does not tell from it; and that of a step which runs again may be of its last run.
pub(super) async fn catch_up<H: Host>(inquiry: &Inquiry<'_, H>, place: &Tool, past: &mut Past) {
    let Some(teller) = place.teller() else {
        return;
    };
    for record in &mut past.records {
        let owner = record.owner.clone();
        let is_own = is_own_step(inquiry, &owner);
        let is_elsewhere = past.elsewhere.iter().any(|other| other.owner == owner);
        let is_meant = !is_own && !is_elsewhere && is_surely_of(place, &past.released, record);
        if is_meant
            && record.may_be_behind()
            && let Some(log) = inquiry.log_of(&owner).await
        {
            record.catch_up(told_by(&log, teller));
        }
    }
}

/// Whether it is the step of this run, in this run or another one.
fn is_own_step<H: Host>(inquiry: &Inquiry<'_, H>, owner: &Owner) -> bool {
    let own = inquiry.build.as_ref();
    own.is_some_and(|own| owner.is_step_of(&own.owner))
}

/// What a log tells; nothing where it tells of no resource.
fn logged(
    log: &[u8],
    teller: Teller<'_>,
    (holder, room): (&Owner, Option<String>),
    place: PlaceName,
) -> Option<Record> {
    let told = told_by(log, teller);
    let entries = entries_of(told.resources).into_iter();
    let record = Record {
        owner: holder.clone(),
        commit: room.unwrap_or_default(),
        place,
        stand: Stand::Unfinished,
        dropped: told.dropped,
        has_plan: told.has_plan,
        is_behind: false,
        entries: entries.map(|entry| Entry::by_log(entry.resource)).collect(),
    };
    (!record.entries.is_empty()).then_some(record)
}

/// Reads the whole lines of a log, without what has ended well and so has stored its state. It may begin
/// in the midst of one, and who was killed may have ended in the midst of another, of which half would be
/// another id.
fn told_by(log: &[u8], teller: Teller<'_>) -> Told {
    let reader = teller.reader_of_log();
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = log.split_inclusive(|byte| *byte == b'\n').skip(1);
    for line in whole.filter_map(|line| line.strip_suffix(b"\n")) {
        let text = String::from_utf8_lossy(line);
        if teller.markers().iter().any(|marker| text.contains(marker)) {
            reader.hear(line.strip_suffix(b"\r").unwrap_or(line));
        }
    }
    let mut told = reader.told();
    for resource in &mut told.resources {
        // It was begun long before it was read.
        resource.begun = None;
        // In the place of a secured variable's value Bitbucket prints its name, as `$NAME`.
        for id in [&mut resource.id, &mut resource.old_id] {
            id.take_if(|id| id.contains('$'));
        }
    }
    told
}
