//! What earlier deploys have left that no state knows: compared with the state, said, and written back.

use tracing::{debug, info, warn};

use crate::journal::{Entry, PlaceName, Record};
use crate::lock::Owner;
use crate::story::doubt::{has_moved, is_surely_of};
use crate::story::journal::Journal;
use crate::story::next_steps::next_steps;
use crate::story::remains::{Kind, Left, listed};
use crate::tools::progress::Resource;
use crate::tools::stored::Stored;
use crate::tools::telling::Telling;
use crate::tools::{Host, Tool, ToolError};

/// Of how many deploys is said that they may go on.
const MOST_IN_DOUBT: usize = 3;
/// How many next steps are printed.
const STEPS: usize = 5;
/// By which name a person resolves what a journal does not list. No address is without a dot.
pub(super) const NOT_LISTED: &str = "not-listed";

/// How many resources are how far, in which words, and whether somebody has to do something about it.
const KINDS: [(Kind, &str, bool); 8] = [
    (Kind::Complete, "complete and stored", false),
    (
        Kind::PerhapsStored,
        "complete, and whether the state has them is not known",
        true,
    ),
    (Kind::NotStored, "complete and NOT in the state", true),
    (Kind::InFlight, "in flight", true),
    (
        Kind::MayExist,
        "perhaps there, because they have failed, were given up, or may have begun unheard",
        true,
    ),
    (Kind::InDoubt, "in doubt", true),
    (Kind::Failed, "failed", false),
    // Who was killed may have begun it all the same, and have had no time to say so.
    (Kind::NotBegun, "not heard to have begun", false),
];

/// How a journal names this place.
pub(super) fn name_of(place: &Tool) -> Option<PlaceName> {
    place.teller()?.journal_name()
}

/// What the state has, or why it cannot be read; nothing where no deploy has used it.
pub(super) async fn stored_at<H: Host>(
    host: &H,
    place: &Tool,
    records: &[Record],
) -> Option<Result<Stored, ToolError>> {
    let is_begun = |entry: &Entry| entry.resource.is_begun();
    let was_used = records
        .iter()
        .any(|record| record.entries.iter().any(is_begun));
    if !was_used {
        return None;
    }
    let stored = place.teller()?.stored(host).await;
    if let Err(error) = &stored {
        debug!("What the state has is not known: {error}.");
    }
    Some(stored)
}

/// Compares all that is left with the state, says what is, and how each of them stands. Gives what the
/// state has, as far as it was read. It is the state of those whose lock was `released`.
pub(super) async fn look_back<H: Host>(
    host: &H,
    journal: &Journal,
    prefix: &str,
    place: &Tool,
    released: &[Owner],
    records: &mut [Record],
) -> Option<Result<Stored, ToolError>> {
    let stored = stored_at(host, place, records).await;
    if let Some(Ok(stored)) = &stored {
        journal.unmask(records, stored);
    }
    for record in records {
        let is_surely_of_it = is_surely_of(place, released, record);
        match &stored {
            Some(Ok(stored)) if is_surely_of_it => record.compare(stored),
            Some(Ok(stored)) => record.compare_by_id(stored),
            Some(Err(_)) | None => {}
        }
        record.end();
        // What the state has by its id is not written then, and would be told at each deploy.
        if record.is_open() || is_surely_of_it {
            tell(prefix, record);
        }
        if !record.is_open() || is_surely_of_it {
            continue;
        }
        if has_moved(place, record) {
            info!(
                "{prefix}That may be about another state, because that deploy has used another type of \
                 backend ({}). Only `softstop resolve` settles it, or a deploy with that backend.",
                record.place.backend
            );
        } else {
            info!(
                "{prefix}That may be about another state, because settings of the backend are not in \
                 the configuration. Look at the step which one it is."
            );
        }
    }
    stored
}

/// What was told of these resources, as a journal has it.
pub(super) fn entries_of(resources: Vec<Resource>) -> Vec<Entry> {
    let resources = resources.into_iter();
    let resources = resources.filter(Resource::leaves_something);
    resources.map(Entry::of).collect()
}

/// Says what a person can do about what stays in the journal.
pub(super) fn tell_way_out(prefix: &str, records: &[Record]) {
    let kept = records.iter().filter(|record| record.is_kept());
    let mut entries = kept.flat_map(|record| &record.entries);
    if entries.any(Entry::is_open) {
        info!(
            "{prefix}It stays in the journal until the state has it, or until `softstop resolve \
             ADDRESS` says that it needs nothing more."
        );
    }
    if records.iter().any(Record::misses_some) {
        info!(
            "{prefix}What is not listed no state can settle: it stays until `softstop resolve \
             {NOT_LISTED}` says that somebody has looked."
        );
    }
}

/// Says what a deploy was doing, as far as somebody has to know it.
fn tell(prefix: &str, record: &Record) {
    let left: Vec<Left> = record.entries.iter().map(left_of).collect();
    let summary = summary(record, &left);
    if !record.is_open() {
        info!("{prefix}{summary}");
        return;
    }
    warn!("{prefix}{summary}");
    for (kind, words, _) in KINDS.iter().filter(|(_, _, is_warning)| *is_warning) {
        // Of what is complete and not open, such as a change, nobody has to know more.
        let is_told = |entry: &Entry| *kind != Kind::PerhapsStored || entry.is_open();
        let told = left.iter().zip(&record.entries);
        let told = told.filter(|(left, entry)| left.kind() == *kind && is_told(entry));
        let named = listed(told.map(|(left, _)| left));
        if !named.is_empty() {
            warn!("{prefix}{}: {named}.", capitalised(words));
        }
    }
    if record.is_behind {
        info!(
            "{prefix}The deploy went on faster than its journal may be written, so what that has as \
             planned may have begun."
        );
    }
    let by_log = left.iter().zip(&record.entries);
    let by_log = by_log.filter(|(_, entry)| entry.is_open() && entry.claim.is_some());
    let by_log = listed(by_log.map(|(left, _)| left.name()));
    if !by_log.is_empty() {
        info!(
            "{prefix}Only the log of its step tells of {by_log}, and that may be about another deploy \
             there."
        );
    }
    if record.misses_some() {
        let (count, build) = (record.dropped, record.owner.build());
        if left.is_empty() {
            warn!("{prefix}Nothing is listed: look into the log of build {build}.");
        } else {
            warn!("{prefix}{count} more are not listed: look into the log of build {build}.");
        }
    }
}

/// Says what a person has to do about it before the next deploy.
pub(super) fn advise(prefix: &str, place: &Tool, records: &[Record]) {
    for record in records.iter().filter(|record| record.is_open()) {
        let left = record.entries.iter().map(left_of);
        for step in next_steps(left, place).iter().take(STEPS) {
            warn!("{prefix}{step}");
        }
    }
}

/// What a deploy was doing, in numbers.
pub(super) fn summary(record: &Record, left: &[Left<'_>]) -> String {
    let (build, link) = (record.owner.build(), record.owner.link());
    let count = left.len() + record.dropped;
    if left.is_empty() && !record.has_plan {
        return format!(
            "What build {build} was making is not known, because nothing was heard that is surely of \
             this place ({link})."
        );
    }
    let mut parts = Vec::new();
    for (kind, words, _) in KINDS {
        let count = left.iter().filter(|left| left.kind() == kind).count();
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    }
    if record.dropped > 0 {
        parts.push(format!("{} that are not listed", record.dropped));
    }
    if !record.has_plan {
        parts.push("and what was not begun is not known".to_owned());
    }
    format!(
        "Build {build} was applying {count}: {} ({link}).",
        parts.join(", ")
    )
}

pub(super) fn left_of(entry: &Entry) -> Left<'_> {
    Left {
        resource: &entry.resource,
        stage: entry.resource.stage,
        is_stored: entry.is_stored,
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Leaves of what may go on only what the state does not have by its id, which is of a deploy that has
/// ended but for its record, or has stored that already. Nothing of it is written.
pub(super) async fn leave_in_doubt<H: Host>(
    host: &H,
    journal: &Journal,
    place: &Tool,
    records: &mut Vec<Record>,
) {
    if let Some(Ok(stored)) = stored_at(host, place, records).await {
        journal.unmask(records, &stored);
        for record in records.iter_mut() {
            record.compare_by_id(&stored);
        }
        records.retain(Record::is_open);
    }
}

/// Says what is open where nobody knows whether it is still being made, or which state it is about.
pub(super) fn tell_in_doubt(prefix: &str, records: &[Record]) {
    for record in records.iter().take(MOST_IN_DOUBT) {
        let (build, link, open) = (record.owner.build(), record.owner.link(), open_in(record));
        warn!(
            "{prefix}Build {build} has not told of its end, and may go on ({link}). What it has made \
             here, or may have, the state is not known to have: {open}. Look at its step; once that is \
             over, `softstop resolve` compares it, and lists what is left."
        );
    }
    if let Some(more @ 1..) = records.len().checked_sub(MOST_IN_DOUBT) {
        warn!("{prefix}The same is known of {more} more deploys.");
    }
}

/// What is open in a record, whether it is listed or not.
pub(super) fn open_in(record: &Record) -> String {
    let open = record.entries.iter().filter(|entry| entry.is_open());
    let listed = listed(open.clone().map(left_of));
    match (open.count(), record.misses_some()) {
        (_, false) => listed,
        (0, true) => format!("{} that are not listed", record.dropped),
        (_, true) => format!("{listed}; {} more are not listed", record.dropped),
    }
}
