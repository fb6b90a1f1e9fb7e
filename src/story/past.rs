//! What earlier deploys have left that no state knows: compared with the state, said, and written back.

use tracing::{debug, info, warn};

use crate::journal::{Entry, PlaceName, Record};
use crate::story::next_steps::next_steps;
use crate::story::remains::{Kind, Left, names};
use crate::tools::progress::{Stored, Telling};
use crate::tools::{Host, Tool};

/// How many next steps are printed.
const STEPS: usize = 5;

/// How many resources are how far, in which words, and whether somebody has to do something about it.
const KINDS: [(Kind, &str, bool); 8] = [
    (Kind::Complete, "complete and stored", false),
    (
        Kind::PerhapsStored,
        "complete, and whether the state has them is not known",
        false,
    ),
    (Kind::NotStored, "complete and NOT in the state", true),
    (Kind::InFlight, "in flight", true),
    (Kind::MayExist, "given up by their provider", true),
    (Kind::InDoubt, "in doubt", true),
    (Kind::Failed, "failed", false),
    (Kind::NotBegun, "not begun", false),
];

/// How a journal names this place.
pub(super) fn name_of(place: &Tool) -> Option<PlaceName> {
    place.teller()?.journal_name()
}

/// What the state has, where a deploy has used it; nothing where it cannot be read.
pub(super) async fn stored_at<H: Host>(
    host: &H,
    place: &Tool,
    records: &[Record],
) -> Option<Stored> {
    let is_begun = |entry: &Entry| entry.resource.is_begun();
    let was_used = records
        .iter()
        .any(|record| record.entries.iter().any(is_begun));
    if !was_used {
        return None;
    }
    match place.teller()?.stored(host).await {
        Ok(stored) => Some(stored),
        Err(error) => {
            debug!("What the state has is not known: {error}.");
            None
        }
    }
}

/// Compares all that is left with the state, says what is, and how each of them stands.
pub(super) async fn look_back<H: Host>(
    host: &H,
    prefix: &str,
    place: &Tool,
    records: &mut [Record],
) {
    let stored = stored_at(host, place, records).await;
    for record in records {
        if let Some(stored) = &stored {
            record.compare(stored);
        }
        record.end();
        tell(prefix, place, record);
    }
}

/// Says what a deploy was doing, as far as somebody has to know it.
fn tell(prefix: &str, place: &Tool, record: &Record) {
    let left: Vec<Left> = record.entries.iter().map(left_of).collect();
    let summary = summary(record, &left);
    if !record.is_open() {
        info!("{prefix}{summary}");
        return;
    }
    warn!("{prefix}{summary}");
    for (kind, words, _) in KINDS.iter().filter(|(_, _, is_warning)| *is_warning) {
        let of_kind: Vec<&Left> = left.iter().filter(|left| left.kind() == *kind).collect();
        if !of_kind.is_empty() {
            warn!("{prefix}{}: {}.", capitalised(words), names(&of_kind));
        }
    }
    for step in next_steps(&left, place).iter().take(STEPS) {
        warn!("{prefix}{step}");
    }
}

/// What a deploy was doing, in numbers.
pub(super) fn summary(record: &Record, left: &[Left]) -> String {
    let (build, link) = (record.owner.build(), record.owner.link());
    let count = left.len() + record.dropped;
    if count == 0 {
        return format!(
            "What build {build} was making is not known, because nothing of it was heard ({link})."
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

pub(super) fn left_of(entry: &Entry) -> Left {
    Left {
        resource: entry.resource.clone(),
        is_stored: entry.is_stored,
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
