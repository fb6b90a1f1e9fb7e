//! What earlier deploys have left at this place.

use tracing::{debug, info};

use super::Story;
use super::before::Before;
use crate::exit_code::Outcome;
use crate::journal::{Past, Record};
use crate::lock::Holder;
use crate::story::hearing::Hearing;
use crate::story::past::{look_back, name_of, stored_at, tell_by_log, tell_way_out};
use crate::story::stage::Stage;
use crate::tools::progress::Stored;
use crate::tools::{Locking, Processes, Tool, ToolError};

impl<S: Stage> Story<'_, S> {
    /// What is known of the deploys before this one, while nobody holds the lock: said, and compared
    /// with what the state has.
    pub(super) async fn past(&self, before: &Before) -> (Past, Result<Stored, ToolError>) {
        let mut stored = Ok(Stored::default());
        if self.tool.takes_no_lock(&self.deploy.runs.words()) || !self.tool.has_work() {
            let why = "nothing that may have one was looked at";
            return (Past::NotKnown(why.to_owned()), stored);
        }
        let mut past = self.untold_past(before).await;
        match &mut past {
            Past::Settled => {}
            Past::NotKnown(why) if before.released.is_empty() || self.journal.is_off() => {
                debug!("What earlier deploys have left is not known: {why}.");
            }
            Past::NotKnown(why) => {
                let holder = before.released.iter().find_map(Holder::of);
                let holder = holder.map(|holder| holder.owner);
                let (tool, inquiry) = (self.tool, self.inquiry);
                tell_by_log(self.stage, inquiry, "", tool, holder.as_ref(), why).await;
            }
            Past::Unfinished(records) => {
                let read = look_back(self.stage, "", self.tool, records).await;
                stored = read.unwrap_or(stored);
                tell_way_out("", records);
                self.journal.write(self.stage, records).await;
                records.retain(Record::is_open);
                if records.is_empty() {
                    past = Past::Settled;
                }
            }
        }
        (past, stored)
    }

    /// The same before it is said and compared.
    async fn untold_past(&self, before: &Before) -> Past {
        let place = name_of(self.tool);
        let ask = async |holder: Option<&Holder>| {
            let owner = holder.map(|holder| &holder.owner);
            let (directory, place) = (&self.deploy.directory, place.as_ref());
            let untold = before.untold();
            let asked = self
                .journal
                .past(self.stage, directory, place, owner, untold);
            asked.await
        };
        let mut past = ask(None).await;
        for holder in before.released.iter().filter_map(Holder::of) {
            // Where nobody has answered, nobody is waited for a second time.
            let is_answered = !matches!(past, Past::NotKnown(_));
            if is_answered && !is_in(&past, &holder) {
                past = both(ask(Some(&holder)).await, past);
            }
        }
        past
    }

    /// Strikes out what the state has after this deploy.
    pub(super) async fn settle(
        &self,
        past: Past,
        places: &[&Tool],
        hearing: &Hearing,
        outcome: Outcome,
    ) {
        let Past::Unfinished(mut records) = past else {
            return;
        };
        // What is left of this very run is written with its own record.
        if let Some((_, own)) = self.journal.own() {
            records.retain(|record| record.owner != own.owner);
        }
        let is_meant = |place: &&&Tool| {
            let name = name_of(place);
            records
                .iter()
                .all(|record| Some(&record.place) == name.as_ref())
        };
        let Some(place) = places.iter().find(is_meant) else {
            return;
        };
        if outcome != Outcome::Succeeded || records.is_empty() {
            return;
        }
        let Some(Ok(stored)) = stored_at(self.stage, place, &records).await else {
            return;
        };
        let told = hearing.told();
        for record in &mut records {
            record.compare_after(&told, &stored);
            record.end();
            if !record.is_open() {
                info!("What build {} has left is settled.", record.owner.build());
            }
        }
        self.journal.write(self.stage, &records).await;
    }
}

fn is_in(past: &Past, holder: &Holder) -> bool {
    match past {
        Past::Unfinished(records) => records.iter().any(|record| record.owner == holder.owner),
        Past::Settled | Past::NotKnown(_) => false,
    }
}

/// What is known of the one whose lock was released, and of the others, who have answered.
fn both(of_holder: Past, of_others: Past) -> Past {
    match (of_holder, of_others) {
        (Past::Unfinished(mut records), Past::Unfinished(others)) => {
            records.extend(others);
            Past::Unfinished(records)
        }
        (Past::Unfinished(records), _) | (_, Past::Unfinished(records)) => {
            Past::Unfinished(records)
        }
        (of_holder, _) => of_holder,
    }
}
