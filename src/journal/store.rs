//! Where records are kept: on the commits of a repository.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::rc::Rc;

use serde_json::Value;
use tokio::sync::OnceCell;
use tracing::debug;

use super::form::{self, Head, Key, key, name};
use super::masked::Masks;
use super::record::{Entry, PlaceName, Record};
use crate::bitbucket::InsightsError;
use crate::bitbucket::insights::{AT_ONCE, Annotation, Insights, Report};
use crate::environment::Environment;
use crate::lock::Owner;

/// The records of one repository.
#[derive(Debug)]
pub(crate) struct Store {
    insights: Insights,
    masks: RefCell<Masks>,
    /// What was read on each commit: several places ask for the same ones.
    read: RefCell<HashMap<String, Rc<OnceCell<Vec<Record>>>>>,
    /// What is known to be in each report.
    written: RefCell<HashMap<String, Written>>,
}

#[derive(Debug, Default)]
struct Written {
    report: Option<Report>,
    /// How many seats it says to count; nothing where it may not be there.
    listed: Option<usize>,
    seats: Vec<Seat>,
}

/// The place of one resource in a report. A report can have so many of them and no more, and what has
/// come into it stays; so who goes leaves the seat to another one.
#[derive(Debug, Default)]
struct Seat {
    resource: Option<Key>,
    written: Option<Mark>,
}

/// What tells an annotation from others. It is not kept itself: they are long, and there are many.
type Mark = u64;

/// A seat on which something else is to be written.
struct Changed<'a> {
    seat: usize,
    entry: &'a Entry,
    mark: Mark,
}

impl Store {
    pub(crate) fn new(insights: Insights, masks: Masks) -> Self {
        Self {
            insights,
            masks: RefCell::new(masks),
            read: RefCell::default(),
            written: RefCell::default(),
        }
    }

    /// A text as it is written down.
    pub(super) fn hide(&self, text: &str) -> String {
        self.masks.borrow().text(text)
    }

    /// Hides the secrets of a program too.
    pub(super) fn hide_those_of(&self, environment: &Environment, words: &[String]) {
        self.masks.borrow_mut().learn(environment, words);
    }

    /// Writes what has changed since it was written last, and tells how many requests that took.
    pub(crate) async fn write(&self, record: Record) -> Result<u32, InsightsError> {
        let record = self.masks.borrow().hide(record.limited());
        let commit = record.commit.as_str();
        let report = form::report(&record).ok_or_else(|| {
            let why = "the name of the place is empty, or too long for a report";
            InsightsError::Unusable(why.to_owned())
        })?;
        let id = report.external_id.clone();
        let changed = self.changed(&id, &record);
        let mut requests = 0;
        // Nothing can be noted in a report that is not there. And it says how many seats count, so
        // whoever reads it before the rest is written sees that some are missing. Otherwise what has
        // become of each resource comes first: a kill may come before the second request.
        let count = record.entries.len();
        if self.known(&id, |known| {
            known.listed.is_none_or(|listed| count > listed)
        }) {
            requests += 1;
            self.put(commit, &report, count).await?;
        }
        for some in changed.chunks(AT_ONCE) {
            self.known(&id, |known| known.note(some, |_| None));
            let annotations = some.iter();
            let annotations = annotations.filter_map(|Changed { seat, entry, .. }| {
                form::annotation(&record.owner, &id, *seat, entry)
            });
            requests += 1;
            let done = self.insights.post_annotations(commit, &id, annotations);
            done.await?;
            self.known(&id, |known| known.note(some, |changed| Some(changed.mark)));
        }
        if self.known(&id, |known| known.report.as_ref() != Some(&report)) {
            requests += 1;
            self.put(commit, &report, count).await?;
        }
        Ok(requests)
    }

    async fn put(&self, commit: &str, report: &Report, listed: usize) -> Result<(), InsightsError> {
        let id = &report.external_id;
        // Without an answer, nobody knows which of the two is there.
        self.known(id, |known| known.report = None);
        self.insights.put_report(commit, report).await?;
        self.known(id, |known| {
            known.report = Some(report.clone());
            known.listed = Some(listed);
        });
        Ok(())
    }

    /// The record of this run of a step, of this place.
    pub(crate) async fn of_step(
        &self,
        commit: &str,
        owner: &Owner,
        place: &PlaceName,
    ) -> Result<Option<Record>, InsightsError> {
        let id = form::id(owner, place);
        let Some(report) = self.insights.report(commit, &id).await? else {
            return Ok(None);
        };
        let head = self.head(&report, commit).ok_or(InsightsError::Malformed)?;
        if head.id() != id {
            return Err(InsightsError::Malformed);
        }
        Ok(Some(self.whole(commit, head).await?))
    }

    /// All records on this commit, as they were when they were first asked for. Of those that are settled
    /// the entries are only counted.
    pub(crate) async fn on_commit(&self, commit: &str) -> Result<Vec<Record>, InsightsError> {
        let read = {
            let mut read = self.read.borrow_mut();
            Rc::clone(read.entry(commit.to_owned()).or_default())
        };
        let records = read.get_or_try_init(|| self.read_commit(commit)).await?;
        Ok(records.clone())
    }

    async fn read_commit(&self, commit: &str) -> Result<Vec<Record>, InsightsError> {
        let mut records = Vec::new();
        for report in self.insights.reports(commit).await? {
            if !form::is_ours(&report) {
                continue;
            }
            match self.head(&report, commit) {
                Some(head) if head.is_settled() => records.push(head.without_entries()),
                Some(head) => records.push(self.whole(commit, head).await?),
                None => debug!("A report on commit {commit} is not what softstop writes."),
            }
        }
        Ok(records)
    }

    /// What a report says, where it is about this repository.
    fn head(&self, report: &Value, commit: &str) -> Option<Head> {
        let head = Head::read(report, commit)?;
        let is_here = head.owner().workspace() == self.insights.workspace()
            && head.owner().repository() == self.insights.repository();
        is_here.then_some(head)
    }

    async fn whole(&self, commit: &str, head: Head) -> Result<Record, InsightsError> {
        let id = head.id();
        let annotations = self.insights.annotations(commit, &id).await?;
        let (record, seated) = head.with(&annotations);
        let seats = seated.into_iter().map(|resource| Seat {
            resource,
            written: None,
        });
        // What is written next keeps the seats.
        let seats: Vec<Seat> = seats.collect();
        let (report, listed) = (None, Some(seats.len()));
        self.known(&id, |known| {
            *known = Written {
                report,
                listed,
                seats,
            }
        });
        Ok(record)
    }

    /// Seats the resources of a record, and gives those that are not written yet as they are.
    fn changed<'a>(&self, id: &str, record: &'a Record) -> Vec<Changed<'a>> {
        let mut entries: Vec<&Entry> = record.entries.iter().collect();
        entries.sort_unstable_by(|one, other| name(one).cmp(&name(other)));
        self.known(id, |known| {
            seat(&mut known.seats, &entries);
            let seats = known.seats.iter().enumerate();
            let changed = seats.filter_map(|(number, seat)| {
                let entry = entries[index(&entries, seat.resource.as_ref()?)?];
                let mark = mark(&form::annotation(&record.owner, id, number, entry)?);
                (seat.written != Some(mark)).then_some(Changed {
                    seat: number,
                    entry,
                    mark,
                })
            });
            changed.collect()
        })
    }

    fn known<R>(&self, id: &str, use_it: impl FnOnce(&mut Written) -> R) -> R {
        let mut written = self.written.borrow_mut();
        use_it(written.entry(id.to_owned()).or_default())
    }
}

impl Written {
    /// Notes what is on these seats by now.
    fn note(&mut self, some: &[Changed<'_>], what: impl Fn(&Changed<'_>) -> Option<Mark>) {
        for changed in some {
            if let Some(seat) = self.seats.get_mut(changed.seat) {
                seat.written = what(changed);
            }
        }
    }
}

fn mark(annotation: &Annotation) -> Mark {
    let mut hasher = DefaultHasher::new();
    annotation.hash(&mut hasher);
    hasher.finish()
}

/// Where a resource is among these, which are in the order of their names.
fn index(entries: &[&Entry], (unit, address): &Key) -> Option<usize> {
    let wanted = (unit.as_deref(), &**address);
    let found = entries.binary_search_by(|entry| name(entry).cmp(&wanted));
    found.ok()
}

/// Gives each of these a seat, as many as they are, and those who have one keep it where they can.
fn seat(seats: &mut Vec<Seat>, entries: &[&Entry]) {
    let mut are_seated = vec![false; entries.len()];
    for seat in seats.iter_mut() {
        let stays = |key: &Key| {
            let index = index(entries, key);
            index.is_some_and(|index| !mem::replace(&mut are_seated[index], true))
        };
        seat.resource = seat.resource.take().filter(stays);
    }
    let standing = entries.iter().zip(are_seated);
    let standing = standing.filter(|(_, is_seated)| !is_seated);
    let mut standing = standing.map(|(entry, _)| key(entry));
    for seat in seats.iter_mut().filter(|seat| seat.resource.is_none()) {
        seat.resource = standing.next();
    }
    let new = standing.map(|key| Seat {
        resource: Some(key),
        written: None,
    });
    seats.extend(new);
    // Those on the last seats move up to the empty ones. What is on a seat that nobody has any more
    // does not count.
    let last = seats.drain(entries.len().min(seats.len())..);
    let mut moving: Vec<Key> = last.filter_map(|seat| seat.resource).collect();
    for seat in seats.iter_mut().filter(|seat| seat.resource.is_none()) {
        seat.resource = moving.pop();
    }
}
