//! What earlier deploys have left at this place.

use tracing::{debug, info, warn};

use super::Story;
use super::before::Before;
use crate::exit_code::Outcome;
use crate::journal::{Gap, Past, PlaceName, Record, Stand};
use crate::lock::Owner;
use crate::story::doubt::{is_surely_of, shares_its_name};
use crate::story::journal::{Untold, Whose};
use crate::story::keeping::Keeping;
use crate::story::logged::{Untraced, catch_up, read_log};
use crate::story::past::{
    leave_in_doubt, look_back, name_of, open_in, stored_at, tell_in_doubt, tell_way_out,
};
use crate::story::remains::Remains;
use crate::story::stage::Stage;
use crate::tools::recovering::Made;
use crate::tools::stored::Stored;
use crate::tools::{Locking, Processes, Tool, ToolError};

/// Of how many deploys is said what they have left at other places.
const MOST_ELSEWHERE: usize = 3;

/// What is known of earlier deploys.
pub(super) struct LookedBack {
    pub(super) past: Past,
    /// What the state has.
    pub(super) stored: Result<Stored, ToolError>,
    /// How each record stands by now that is surely about this state, which is not written yet.
    pub(super) records: Vec<Record>,
}

impl<S: Stage> Story<'_, S> {
    /// What is known of the deploys before this one, while nobody holds the lock: said, and compared
    /// with what the state has.
    pub(super) async fn past(&self, before: &Before) -> LookedBack {
        let mut stored = Ok(Stored::default());
        let is_a_command = !self.deploy.runs.is_the_tools();
        let has_work = self.tool.has_work();
        if self.tool.takes_no_lock(&self.deploy.runs.words()) || !has_work && !is_a_command {
            let why = "nothing that may have one was looked at";
            return LookedBack {
                past: Past::not_asked(why),
                stored,
                records: Vec::new(),
            };
        }
        let mut past = self.untold_past(before).await;
        if !has_work {
            past.records.clear();
            past.in_doubt.clear();
        }
        catch_up(self.inquiry, self.tool, &mut past).await;
        // Who deploys beside this one tells of it in a step of his own.
        let goes_on_beside = |record: &Record| self.journal.goes_on_beside(record);
        past.in_doubt.retain(|record| !goes_on_beside(record));
        let here = name_of(self.tool);
        // A command may well write the backend block itself, and use the state that a record is about.
        if let Some(here) = here.as_ref().filter(|_| !is_a_command) {
            past.take_in_moved(here, false);
        }
        past.elsewhere.retain(|record| {
            let is_in_reach = |here: &PlaceName| record.place.is_in_reach_of(here);
            is_a_command && here.as_ref().is_some_and(is_in_reach)
        });
        if let Some(logged) = self.tell_gap(&past, before).await {
            past.records.insert(0, logged);
        }
        if !past.records.is_empty() {
            let (records, released) = (&mut past.records, &past.released);
            let (journal, tool) = (self.journal, self.tool);
            let read = look_back(self.stage, journal, "", tool, released, records).await;
            stored = read.unwrap_or(stored);
            tell_way_out("", records);
        }
        leave_in_doubt(self.stage, self.journal, self.tool, &mut past.in_doubt).await;
        tell_in_doubt("", &past.in_doubt);
        tell_elsewhere(&past.elsewhere, here.as_ref());
        let is_sure = |record: &Record| is_surely_of(self.tool, &past.released, record);
        // It cannot be written down that a deploy has stopped for what may be another state's.
        let unsure = past.records.iter_mut().filter(|record| !is_sure(record));
        unsure.for_each(Record::heed_all);
        let known = past.records.iter();
        let known = known.filter(|record| record.is_kept() && is_sure(record));
        let records = known.cloned().collect();
        past.records.retain(Record::is_open);
        LookedBack {
            past,
            stored,
            records,
        }
    }

    /// The same before it is said and compared.
    async fn untold_past(&self, before: &Before) -> Past {
        let holders: Vec<Owner> = before.holders().collect();
        let (directory, place) = (&self.deploy.directory, name_of(self.tool));
        let whose = Whose {
            holders: &holders,
            and_others: true,
        };
        // That this state's lock is free says nothing of a deploy that uses another one.
        let untold = if shares_its_name(self.tool) {
            Untold::PerhapsAlive
        } else {
            before.untold()
        };
        let journal = self.journal;
        let past = journal.past(self.stage, directory, place.as_ref(), whose, untold);
        past.await
    }

    /// Says what is not known of them, and gives what a log tells of it.
    async fn tell_gap(&self, past: &Past, before: &Before) -> Option<Record> {
        let gap = past.gap.as_ref()?;
        let untold = before.holders().find(|holder| !past.tells_of(holder));
        let is_nameless = before.holders().count() < before.released.len();
        match gap {
            _ if untold.is_some() || is_nameless && past.records.is_empty() => {
                let untraced = Untraced {
                    room: untold.as_ref().and_then(|holder| past.room_for(holder)),
                    holder: untold,
                    why: gap.to_string(),
                };
                return read_log(self.inquiry, self.journal, "", self.tool, &untraced).await;
            }
            _ if self.journal.is_off() => {}
            Gap::Silent(why) => {
                info!("What earlier deploys have made that no state knows is not known: {why}.");
            }
            Gap::Incomplete(why) => info!(
                "Whether earlier deploys have made more that no state knows is not known: {why}."
            ),
            gap => debug!("What earlier deploys have left is not known: {gap}."),
        }
        None
    }

    /// Strikes out what the state has after this deploy where that has ended well, or notes for what it has
    /// stopped. What it may have made itself is noted in either case. Gives what has changed by that.
    pub(super) async fn settled(
        &self,
        past: Past,
        places: &[&Tool],
        (keeping, remains): (&Keeping<'_>, &Remains<'_>),
        outcome: Outcome,
        stopped_for: &[Made],
    ) -> Vec<Record> {
        let mut records = past.records;
        records.retain(Record::is_kept);
        // What is left of this very run is written with its own record.
        if let Some((_, own)) = self.journal.own() {
            records.retain(|record| record.owner != own.owner);
        }
        let here = records.len();
        records.extend(past.elsewhere);
        let before = records.clone();
        let is_over_well = outcome == Outcome::Succeeded;
        if !is_over_well {
            for record in &mut records[..here] {
                record.heed(stopped_for);
            }
        }
        let mut settled = Vec::new();
        let names: Vec<PlaceName> = places.iter().copied().filter_map(name_of).collect();
        for place in places {
            let Some(name) = name_of(place) else {
                continue;
            };
            // Two states of one directory have one name, and none of them settles what is the other's.
            if names.iter().filter(|other| **other == name).count() > 1 {
                continue;
            }
            let mut records: Vec<Record> = records
                // Who has not told of an end may go on, and writes it himself.
                .extract_if(.., |record| {
                    record.place == name
                        && record.stand != Stand::Running
                        && is_surely_of(place, &past.released, record)
                })
                .collect();
            let told = keeping.perhaps_made_at(&name, &remains.told);
            for record in &mut records {
                record.note_made_again(told.as_deref());
            }
            if is_over_well {
                self.settle_at(place, &mut records).await;
            }
            settled.extend(records);
        }
        settled.extend(records);
        settled.retain(|record| !before.contains(record));
        settled
    }

    /// Strikes out of these what the state has by now.
    async fn settle_at(&self, place: &Tool, records: &mut [Record]) {
        let Some(Ok(stored)) = stored_at(self.stage, place, records).await else {
            return;
        };
        self.journal.unmask(records, &stored);
        for record in records {
            record.compare(&stored);
            record.end();
            if !record.is_open() {
                info!("What build {} has left is settled.", record.owner.build());
            }
        }
    }
}

/// Says what is left where this deploy may come to, and was not seen to yet.
fn tell_elsewhere(records: &[Record], here: Option<&PlaceName>) {
    for record in records.iter().take(MOST_ELSEWHERE) {
        let (build, place) = (record.owner.build(), &record.place);
        let open = open_in(record);
        let end = match record.stand {
            Stand::Running => " It has not told of its end, and may go on.",
            Stand::Unfinished | Stand::Settled => "",
        };
        let is_moved = here.is_some_and(|here| record.is_of_another_backend(here));
        let way = if is_moved {
            let backend = &place.backend;
            format!(
                "Whether the state has it is compared only after a deploy that has used a backend of \
                 type {backend} there; otherwise `softstop resolve` settles it."
            )
        } else {
            let way = "Whether the state has it is compared only where WORKING_DIR and WORKSPACE name \
                 that place.";
            way.to_owned()
        };
        warn!(
            "Build {build} has made in {place}, or may have, what its state may not have: {open}.{end} \
             {way}"
        );
    }
    if let Some(more @ 1..) = records.len().checked_sub(MOST_ELSEWHERE) {
        warn!("The same is known of {more} more deploys.");
    }
}
