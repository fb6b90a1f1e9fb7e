//! The story of a resolution: a person says that something in the journal needs nothing more.

use tracing::info;

use crate::exit_code::Exit;
use crate::journal::{Past, Record};
use crate::story::conclusion::{Conclusion, Locks, Reason};
use crate::story::journal::{Journal, Untold};
use crate::story::past::{left_of, look_back, name_of};
use crate::story::places::Place;
use crate::story::stage::Stage;

/// Strikes these addresses from what is left at the place.
pub(crate) async fn run<S: Stage>(
    stage: &S,
    journal: &Journal,
    place: &Place,
    addresses: &[String],
) -> Conclusion {
    let Place {
        name,
        directory,
        tool,
    } = place;
    let place_name = name_of(tool);
    // A person says that it needs nothing more, whoever has told of it.
    let untold = Untold::Over;
    let past = journal
        .past(stage, directory, place_name.as_ref(), None, untold)
        .await;
    let mut records = match past {
        Past::Unfinished(records) => records,
        Past::Settled => return resolved(format!("{name}: nothing is unfinished")),
        Past::NotKnown(why) => {
            return unanswered(format!("what is unfinished is not known: {why}"));
        }
    };
    look_back(stage, &format!("{name}: "), tool, &mut records).await;
    let known = open_names(&records);
    if known.is_empty() {
        journal.write(stage, &records).await;
        return resolved(format!("{name}: nothing is unfinished"));
    }
    let unknown: Vec<String> = addresses
        .iter()
        .filter(|address| !known.contains(address))
        .map(|address| format!("{address:?}"))
        .collect();
    if addresses.is_empty() || !unknown.is_empty() {
        let given = match unknown.as_slice() {
            [] => "ADDRESS names nothing".to_owned(),
            unknown => format!("ADDRESS is {}", unknown.join(", ")),
        };
        let known = known.join(", ");
        return Conclusion::not_run(format!("{given}: what is unfinished is {known}"));
    }
    for record in &mut records {
        for entry in &record.entries {
            if entry.is_open() && addresses.contains(&left_of(entry).name()) {
                let id = entry.resource.id.as_deref();
                let id = id.map(|id| format!(" (id {})", id.escape_debug()));
                info!(
                    "{name}: {}{} of build {} needs nothing more.",
                    left_of(entry).name(),
                    id.unwrap_or_default(),
                    record.owner.build()
                );
            }
        }
        let is_meant = |address: &String| addresses.contains(address);
        record
            .entries
            .retain(|entry| !is_meant(&left_of(entry).name()));
        record.end();
    }
    if let Err(why) = journal.try_write(stage, &records).await {
        return unanswered(format!("this could not be written down: {why}"));
    }
    let left = open_names(&records).len();
    resolved(format!("{} resolved, {left} left", addresses.len()))
}

fn unanswered(words: String) -> Conclusion {
    Conclusion::looked(Exit::Unanswered, Locks::default(), Reason::Resolved(words))
}

fn resolved(words: String) -> Conclusion {
    Conclusion::looked(Exit::Done, Locks::default(), Reason::Resolved(words))
}

/// The names of all that is open.
fn open_names(records: &[Record]) -> Vec<String> {
    let entries = records.iter().flat_map(|record| &record.entries);
    let open = entries.filter(|entry| entry.is_open());
    open.map(|entry| left_of(entry).name()).collect()
}
