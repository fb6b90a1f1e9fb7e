//! The journal of a repository, and what is found in it.

use std::cell::{Cell, RefCell};
use std::path::Path;

use futures_util::{StreamExt, stream};

use crate::bitbucket::InsightsError;
use crate::journal::{PlaceName, Record, Shelf, Stand};
use crate::lock::Owner;
use crate::story::commits::recent_commits;
use crate::tools::Host;

/// The journal of a repository, and who writes into it.
pub(crate) struct Kept {
    pub(crate) shelf: Shelf,
    /// Nothing outside of Pipelines, where nothing is deployed that anybody could know again.
    pub(crate) own: Option<Own>,
}

/// A step that deploys.
pub(crate) struct Own {
    pub(crate) owner: Owner,
    /// The commit of its pipeline.
    pub(crate) commit: String,
}

/// Whose past is asked for.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    /// Whose locks were released.
    pub(super) holders: &'a [Owner],
    pub(super) and_others: bool,
}

impl Whose<'_> {
    pub(super) const ANYBODY: Self = Self {
        holders: &[],
        and_others: true,
    };
}

/// What was found, also where not everything could be asked.
#[derive(Default)]
pub(super) struct FoundRecords {
    pub(super) records: RefCell<Vec<Record>>,
    /// Which holders have left no record, and on which commit it would be.
    pub(super) without: RefCell<Vec<(Owner, String)>>,
    /// Whether anybody has answered.
    pub(super) is_answered: Cell<bool>,
}

impl FoundRecords {
    /// Each once: a holder's is found on its commit too.
    fn take_in(&self, records: impl IntoIterator<Item = Record>) {
        self.is_answered.set(true);
        let mut known = self.records.borrow_mut();
        for record in records {
            let is_it = |one: &Record| one.owner == record.owner && one.place == record.place;
            if !known.iter().any(is_it) {
                known.push(record);
            }
        }
    }
}

impl Kept {
    /// Asks for the records of the holders, and of the others after them: what is known to be left comes
    /// before what may be.
    pub(super) async fn ask<H: Host>(
        &self,
        host: &H,
        directory: &Path,
        place: &PlaceName,
        whose: Whose<'_>,
        found: &FoundRecords,
    ) -> Result<(), String> {
        let mut asked = Ok(());
        for holder in whose.holders {
            if let Some(commit) = holder.commit() {
                let commit = self.in_full(host, directory, commit).await;
                match self.shelf.of_step(&commit, holder, place).await {
                    Ok(None) => {
                        found.is_answered.set(true);
                        found.without.borrow_mut().push((holder.clone(), commit));
                    }
                    Ok(record) => found.take_in(record.map(Record::taken_as_over)),
                    Err(error) => asked = Err(error.to_string()),
                }
            }
        }
        let is_told_where = |holder: &Owner| holder.commit().is_some();
        if whose.and_others || !whose.holders.iter().all(is_told_where) {
            asked = asked.and(self.search(host, directory, found).await);
        }
        asked
    }

    /// Looks for what was left on the own commit, and on those before it.
    async fn search<H: Host>(
        &self,
        host: &H,
        directory: &Path,
        found: &FoundRecords,
    ) -> Result<(), String> {
        let ask = async |commit: String| {
            let records = match self.shelf.on_commit(&commit).await {
                Err(InsightsError::NotFound) => Vec::new(),
                records => records.map_err(|error| error.to_string())?,
            };
            let records = records.into_iter();
            // A deploy that has told nothing yet may just have begun, and be one that nobody hears.
            let has_just_begun = |record: &Record| record.has_told_nothing() && record.dropped <= 1;
            let records = records.filter(|record| !has_just_begun(record));
            let records = records.map(Record::taken_as_over);
            found.take_in(
                records.filter(|record| record.stand != Stand::Running || record.is_open()),
            );
            Ok(())
        };
        let told = recent_commits(host, directory).await;
        let (mut others, untold) = match told {
            Ok(commits) => (commits, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let first = match &self.own {
            Some(own) => Some(own.commit.clone()),
            None => others.first().cloned(),
        };
        // Where nobody answers, nobody is asked fifty times.
        if let Some(first) = first {
            others.retain(|commit| !commit.starts_with(&first));
            ask(first).await?;
        }
        let side_by_side = others.len().max(1);
        let answers = stream::iter(others).map(ask).buffer_unordered(side_by_side);
        let answers: Vec<Result<(), String>> = answers.collect().await;
        answers.into_iter().collect::<Result<(), String>>()?;
        match untold {
            Some(why) => Err(format!(
                "git does not tell the commits before this one: {why}"
            )),
            None => Ok(()),
        }
    }

    /// What of these, of other places, is open and of no deploy that goes on beside this one: the steps
    /// of a pipeline deploy one place each, and side by side.
    pub(super) fn left_elsewhere(&self, mut records: Vec<Record>) -> Vec<Record> {
        records.retain(|record| {
            record.stand != Stand::Settled && record.is_open() && !self.goes_on_beside(record)
        });
        records
    }

    /// Whether it is of another step of the own pipeline, which has not told of its end.
    pub(super) fn goes_on_beside(&self, record: &Record) -> bool {
        let is_beside = |own: &Own| {
            record.owner.is_in_pipeline_of(&own.owner) && !record.owner.is_step_of(&own.owner)
        };
        record.stand == Stand::Running && self.own.as_ref().is_some_and(is_beside)
    }

    /// Whether it is of an earlier run of the own step, which is over where this one runs.
    pub(super) fn is_of_earlier_run(&self, record: &Record) -> bool {
        let is_earlier =
            |own: &Own| record.owner.is_step_of(&own.owner) && record.owner.run() < own.owner.run();
        self.own.as_ref().is_some_and(is_earlier)
    }

    /// A commit of which a stamp has told the begin, as far as the clone knows it.
    pub(super) async fn in_full<H: Host>(&self, host: &H, directory: &Path, begin: &str) -> String {
        let own = self.own.as_ref().map(|own| &own.commit);
        if let Some(own) = own.filter(|own| own.starts_with(begin)) {
            return own.clone();
        }
        let recent = recent_commits(host, directory).await.unwrap_or_default();
        let meant = recent.into_iter().find(|commit| commit.starts_with(begin));
        meant.unwrap_or_else(|| begin.to_owned())
    }
}
