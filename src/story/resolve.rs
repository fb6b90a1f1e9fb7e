//! The story of a resolution: a person says that something in the journal needs nothing more.

use tracing::{debug, info};

use crate::exit_code::Exit;
use crate::inquiry::Inquiry;
use crate::journal::{Entry, Gap, Record};
use crate::lock::LockInfo;
use crate::recovery::{Finding, examine};
use crate::story::conclusion::{Conclusion, Locks, Reason};
use crate::story::doubt::is_surely_of;
use crate::story::journal::{Journal, Untold, Whose};
use crate::story::locks::{each_lock, unknown};
use crate::story::past::{NOT_LISTED, left_of, look_back, name_of};
use crate::story::places::Place;
use crate::story::stage::Stage;
use crate::tools::ToolError;

/// Strikes these addresses from what is left at the place.
pub(crate) async fn run<S: Stage>(
    stage: &S,
    inquiry: &Inquiry<'_, S>,
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
    // What a deploy makes just now is no past, whatever a person says of what an earlier one has left.
    let untold = untold(stage, inquiry, place).await;
    let mut past = journal
        .past(
            stage,
            directory,
            place_name.as_ref(),
            Whose::ANYBODY,
            untold,
        )
        .await;
    if let Some(place_name) = &place_name {
        past.take_in_moved(place_name, untold == Untold::Over);
    }
    let (mut records, gap) = (past.records, past.gap);
    let (mut compared, prefix) = (records.clone(), format!("{name}: "));
    let stored = look_back(stage, journal, &prefix, tool, &[], &mut compared).await;
    let known = open_names(&compared);
    // What may be of another state only a person's word settles, and that state's deploy may go on.
    let is_by_word_alone = |record: &Record| !is_surely_of(tool, &[], record);
    if let Some(Ok(stored)) = &stored {
        journal.unmask(&mut records, stored);
    }
    for (record, compared) in records.iter_mut().zip(compared) {
        if !is_by_word_alone(record) {
            *record = compared;
        }
    }
    if known.is_empty() {
        records.retain(|record| !is_by_word_alone(record));
        journal.write(stage, &records).await;
        return match gap {
            Some(gap) => unanswered(format!("what is unfinished is not known: {gap}")),
            None => resolved(format!("{name}: nothing is unfinished")),
        };
    }
    let strangers: Vec<String> = addresses
        .iter()
        .filter(|address| !known.contains(address))
        .map(|address| format!("{address:?}"))
        .collect();
    if addresses.is_empty() || !strangers.is_empty() {
        let given = match strangers.as_slice() {
            [] => "ADDRESS names nothing".to_owned(),
            strangers => format!("ADDRESS is {}", strangers.join(", ")),
        };
        let known = known.join(", ");
        let more = gap.map(|gap| format!("; there may be more, because {gap}"));
        let more = more.unwrap_or_default();
        return Conclusion::not_run(format!("{given}: what is unfinished is {known}{more}"));
    }
    records.retain_mut(|record| strike(name, record, addresses) || !is_by_word_alone(record));
    if let Err(why) = journal.try_write(stage, &records).await {
        return unanswered(format!("this could not be written down: {why}"));
    }
    let left = known.iter().filter(|known| !addresses.contains(known));
    let (count, left) = (addresses.len(), left.count());
    match gap {
        None => resolved(format!("{count} resolved, {left} left")),
        Some(gap @ Gap::MayGoOn(_)) => resolved(format!(
            "{count} resolved, {left} left; {gap}, so its record was left alone"
        )),
        Some(gap) => unanswered(format!(
            "{count} resolved; how much is left is not known, because {gap}"
        )),
    }
}

/// What follows for whoever has not told of an end. Only somebody who has the lock makes something, so
/// nobody does while it is free, or its holder is over.
async fn untold<S: Stage>(stage: &S, inquiry: &Inquiry<'_, S>, place: &Place) -> Untold {
    let judge = async |holder: &LockInfo| inquiry.judge(&place.tool, holder).await;
    let found: Vec<Result<Finding, ToolError>> = each_lock(stage, &place.tool, async |lock| {
        examine(&lock, &judge).await
    })
    .await;
    let is_over = |found: &Result<Finding, ToolError>| {
        if let Err(error) = found {
            debug!("{}", unknown(error));
        }
        // Where there is no lock, none will ever tell, and a person knows better.
        matches!(
            found,
            Ok(Finding::Free | Finding::NeverLocked | Finding::Over(..))
        )
    };
    if found.iter().all(is_over) {
        Untold::Over
    } else {
        Untold::PerhapsAlive
    }
}

/// Strikes these addresses from a record. Gives whether one of them was open in it.
fn strike(name: &str, record: &mut Record, addresses: &[String]) -> bool {
    let mut was_meant = false;
    let is_meant = |entry: &Entry| addresses.contains(&left_of(entry).name());
    for entry in &record.entries {
        if entry.is_open() && is_meant(entry) {
            was_meant = true;
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
    record.entries.retain(|entry| !is_meant(entry));
    if record.misses_some() && addresses.iter().any(|address| address == NOT_LISTED) {
        was_meant = true;
        info!(
            "{name}: {} of build {}, which are not listed, need nothing more.",
            record.dropped,
            record.owner.build()
        );
        record.dropped = 0;
    }
    record.end();
    was_meant
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
    let not_listed = records.iter().any(Record::misses_some);
    let not_listed = not_listed.then(|| NOT_LISTED.to_owned());
    open.map(|entry| left_of(entry).name())
        .chain(not_listed)
        .collect()
}
