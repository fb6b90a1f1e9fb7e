//! A record in words, for people who look at the commit.

use super::record::{Entry, PlaceName, Record, Stand};
use crate::tools::progress::Fate;

/// How long texts may be. Bitbucket does not say what it counts, so the longer count counts: that of
/// UTF-16.
const LONGEST_TITLE: usize = 450;
const LONGEST_SUMMARY: usize = 450;
pub(super) const LONGEST_DETAILS: usize = 2_000;

/// The title of a report.
pub(super) fn title(place: &PlaceName) -> String {
    let PlaceName {
        directory,
        workspace,
        ..
    } = place;
    shortened(
        &format!("Deploy of {directory} (workspace {workspace})"),
        LONGEST_TITLE,
    )
}

/// The text of a report.
pub(super) fn details(record: &Record) -> String {
    let build = record.owner.build();
    let stand = match record.stand {
        Stand::Running => "is deploying, or was killed: it has not told of its end",
        Stand::Unfinished => "has ended, and left something that is not settled",
        Stand::Settled => "has ended, and nothing is left to be settled",
    };
    let mut lines = vec![format!("Build {build} {stand}.")];
    // Each word about what happens just now would cost a request as soon as it is over.
    if record.stand == Stand::Running {
        lines.push("How far it is with each resource is listed below.".to_owned());
        if record.is_behind {
            lines.push("What is listed as not begun may have been begun since.".to_owned());
        }
        return lines.join("\n");
    }
    let of = |stage: Fate| {
        let entries = record.entries.iter();
        entries.filter(move |entry| entry.resource.stage == stage)
    };
    for (title, stage) in [
        ("In flight", Fate::InFlight),
        ("May exist", Fate::GivenUp),
        ("In doubt", Fate::InDoubt),
        ("Failed", Fate::Failed),
    ] {
        lines.extend(list(title, of(stage)));
    }
    let by_log = record.entries.iter();
    let by_log = by_log.filter(|entry| entry.claim.is_some());
    lines.extend(list("Told by the log of the step alone", by_log));
    let is_missing = |entry: &&Entry| entry.is_stored == Some(false);
    let missing = of(Fate::Complete).filter(is_missing);
    lines.extend(list("Complete, and not in the state", missing));
    let counts = [
        ("Complete", of(Fate::Complete).count()),
        ("Not begun", of(Fate::NotBegun).count()),
        ("Not listed", record.dropped),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    lines.extend(counts.map(|(title, count)| format!("{title}: {count}.")));
    cut(lines.join("\n"), LONGEST_DETAILS)
}

/// A line of names, where there are any. It stays short, so that the lines after it are seen.
fn list<'a>(title: &str, entries: impl Iterator<Item = &'a Entry>) -> Option<String> {
    const LONGEST_LIST: usize = 300;
    let names: Vec<&str> = entries.map(|entry| &*entry.resource.address).collect();
    let text = shortened(&names.join(", "), LONGEST_LIST);
    (!names.is_empty()).then(|| format!("{title}: {text}."))
}

/// The text of an annotation.
pub(super) fn summary(entry: &Entry) -> String {
    let resource = &entry.resource;
    let stage = match (resource.stage, entry.is_stored) {
        (Fate::InFlight, _) => "In flight",
        (Fate::GivenUp, _) => "May exist",
        (Fate::InDoubt, _) => "In doubt",
        (Fate::Complete, Some(false)) => "Complete, and not in the state",
        (Fate::Complete, _) => "Complete",
        (Fate::Failed, _) => "Failed",
        (Fate::NotBegun, _) => "Not begun",
    };
    let source = match entry.claim {
        Some(_) => ", by the log of the step alone",
        None => "",
    };
    let (action, address) = (resource.action.word(), &resource.address);
    let unit = resource.unit.as_deref();
    let unit = unit.map(|unit| format!(" in {unit}")).unwrap_or_default();
    shortened(
        &format!("{stage}{source}: {action} {address}{unit}"),
        LONGEST_SUMMARY,
    )
}

/// As long as Bitbucket may take it for.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A foreign text on one line, and no longer than it may be.
fn shortened(text: &str, limit: usize) -> String {
    let clean = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    let clean: String = text.chars().map(clean).collect();
    cut(clean, limit)
}

fn cut(text: String, limit: usize) -> String {
    if length(&text) <= limit {
        return text;
    }
    let mut left = limit - 1;
    let fits = |character: &char| {
        let fits = character.len_utf16() <= left;
        left = left.saturating_sub(character.len_utf16());
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}
