//! Keeps a journal of a deploy while it runs: one record for each place that it is seen to change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::debug;

use crate::bitbucket::InsightsError;
use crate::bitbucket::insights::MOST_ANNOTATIONS;
use crate::journal::{Keeper, Page, PlaceName, Record, SharedPace, Shares, Shelf, Stand};
use crate::story::hearing::{HeardSoFar, Hearing, Unheard};
use crate::story::journal::{Journal, Own, limit_to_write};
use crate::story::past::entries_of;
use crate::story::remains::{Left, Remains};
use crate::supervisor::SeenTool;
use crate::tools::Host;
use crate::tools::progress::{Fate, News, Resource, Told};

/// How long is waited for more once something was heard: a plan is many lines.
const GATHERING: Duration = Duration::from_millis(10);

/// A resource as a place has it: its unit, its address, and all that is told of it.
type Seen<'a> = (Option<&'a str>, &'a str, News<'a>);

/// What is kept of one deploy. Nothing, where no journal is.
pub(super) struct Keeping<'a> {
    own: Option<(&'a Shelf, &'a Own)>,
    telling: Rc<Teller>,
    pace: SharedPace,
    /// How the records of earlier deploys stand by now. Nobody waits until that is written.
    looked_back: RefCell<Vec<Record>>,
    books: RefCell<Vec<Rc<Book<'a>>>>,
    /// Is told when a place is new.
    opened: Notify,
}

/// The record of one place, and who writes it.
struct Book<'a> {
    place: PlaceName,
    heard: Arc<Notify>,
    keeper: Keeper<OwnPage<'a>, Box<dyn Fn() -> Option<Record> + 'a>>,
}

/// Where the record of one place is written.
struct OwnPage<'a> {
    shelf: &'a Shelf,
    own: &'a Own,
    place: PlaceName,
    telling: Rc<Teller>,
}

/// What there is to be told of each place.
struct Teller {
    heard: HeardSoFar,
    /// Where something may be made of which nothing is heard.
    unheard: RefCell<HashMap<PlaceName, Unheard>>,
    shares: RefCell<Shares>,
    /// What an earlier deploy of this very run has left: its record is the one that is written now.
    carried: RefCell<Vec<Record>>,
}

impl Page for OwnPage<'_> {
    /// An earlier deploy of this very run may have left something at this place.
    async fn open(&self) -> Result<(), InsightsError> {
        let Self { own, place, .. } = self;
        let is_known = |carried: &Record| carried.place == *place;
        if !self.telling.carried.borrow().iter().any(is_known) {
            let left = self.shelf.of_step(&own.commit, &own.owner, place).await?;
            let left = left.map(Record::taken_as_over);
            self.telling.carried.borrow_mut().extend(left);
        }
        Ok(())
    }

    async fn write(&self, record: Record) -> Result<u32, InsightsError> {
        self.shelf.write(record).await
    }
}

impl<'a> Keeping<'a> {
    pub(super) fn of(
        journal: &'a Journal,
        hearing: &Hearing,
        mut looked_back: Vec<Record>,
    ) -> Self {
        let own = journal.own();
        // What is left of this very run is written with its own record.
        let is_own = |record: &mut Record| own.is_some_and(|(_, own)| record.owner == own.owner);
        let carried = looked_back.extract_if(.., is_own).collect();
        Self {
            own,
            telling: Rc::new(Teller {
                heard: hearing.heard(),
                unheard: RefCell::default(),
                shares: RefCell::default(),
                carried: RefCell::new(carried),
            }),
            pace: SharedPace::default(),
            looked_back: RefCell::new(looked_back),
            books: RefCell::default(),
            opened: Notify::new(),
        }
    }

    /// Whether something is kept, so that what was heard is asked for until the end.
    pub(super) fn is_any(&self) -> bool {
        self.own.is_some()
    }

    /// Begins the record of a place that may be changed.
    pub(super) fn begin(&self, place: Option<PlaceName>) {
        let (Some((shelf, own)), Some(place)) = (self.own, place) else {
            return;
        };
        let mut books = self.books.borrow_mut();
        if books.iter().any(|book| book.place == place) {
            return;
        }
        let heard = Arc::new(Notify::new());
        // The first record says that a deploy is about to begin.
        heard.notify_one();
        let (telling, of) = (Rc::clone(&self.telling), place.clone());
        let source = move || Some(telling.record(own, &of));
        let page = OwnPage {
            shelf,
            own,
            place: place.clone(),
            telling: Rc::clone(&self.telling),
        };
        let (source, pace) = (Box::new(source), Rc::clone(&self.pace));
        books.push(Rc::new(Book {
            place,
            keeper: Keeper::new(page, source, Arc::clone(&heard), pace),
            heard,
        }));
        self.opened.notify_one();
    }

    /// Hides what a tool was given that softstop was not: a command may set secrets for it. Whoever is seen
    /// late may have been heard before; what was written of it by then is written over.
    pub(super) fn hide_secrets_of(&self, seen: &SeenTool) {
        if let Some((shelf, _)) = self.own {
            shelf.hide_those_of(&seen.environment, &seen.arguments);
        }
    }

    /// Takes in that somebody comes who is heard, wherever that is.
    pub(super) fn note_heard(&self) {
        let Teller {
            heard,
            shares,
            unheard,
            ..
        } = &*self.telling;
        for (place, unheard) in &mut *unheard.borrow_mut() {
            unheard.end(|| shares.borrow().of(place, heard.told()));
        }
    }

    /// Takes in that a place is used, and perhaps changed, and whether what is made there is heard.
    pub(super) fn note(&self, place: Option<PlaceName>, may_change: bool, is_heard: bool) {
        if self.own.is_none() {
            return;
        }
        let Teller {
            heard,
            shares,
            unheard,
            ..
        } = &*self.telling;
        shares.borrow_mut().note(place.clone(), || heard.told());
        if may_change
            && !is_heard
            && let Some(place) = &place
        {
            let before = shares.borrow().of(place, heard.told());
            let mut unheard = unheard.borrow_mut();
            unheard.entry(place.clone()).or_default().begin(before);
            heard.news.notify_one();
        }
        if may_change {
            self.begin(place);
        }
    }

    /// Writes what is heard. It never ends, and costs nothing while nothing is heard.
    pub(super) async fn keep(&self) -> Infallible {
        let mut keepers = FuturesUnordered::new();
        let mut looked_back = pin!(self.write_looked_back());
        let mut is_written = false;
        loop {
            let books = self.books.borrow().clone();
            for book in &books[keepers.len()..] {
                let book = Rc::clone(book);
                keepers.push(async move { book.keeper.keep().await });
            }
            tokio::select! {
                () = self.opened.notified() => {}
                () = self.gather() => {}
                () = &mut looked_back, if !is_written => is_written = true,
                Some(()) = keepers.next() => {}
            }
            // Whatever has cut the gathering short.
            for book in &books {
                book.heard.notify_one();
            }
        }
    }

    /// Writes how the records of earlier deploys stand by now, where that is not done yet.
    async fn write_looked_back(&self) {
        let Some((shelf, _)) = self.own else {
            return;
        };
        let records = self.looked_back.borrow().clone();
        let writes = records.into_iter().map(|record| shelf.write(record));
        match try_join_all(writes).await {
            Ok(_) => self.looked_back.borrow_mut().clear(),
            Err(error) => debug!("The journal was not written: {error}."),
        }
    }

    async fn gather(&self) {
        self.telling.heard.news.notified().await;
        sleep(GATHERING).await;
    }

    /// Writes how the deploy has ended, as far as there is time for it.
    pub(super) async fn finish<H: Host>(&self, host: &H, remains: &Remains) {
        let Some((_, own)) = self.own else {
            return;
        };
        let limit = limit_to_write(host);
        let books = self.books.borrow().clone();
        let writes = books.iter().map(async |book| {
            let last = || self.telling.last_record(own, &book.place, remains);
            book.keeper.finish(last, limit).await
        });
        // What this run had left elsewhere before has no other record to stand in.
        let is_elsewhere = |left: &mut Record| books.iter().all(|book| book.place != left.place);
        let elsewhere: Vec<Record> = {
            let mut carried = self.telling.carried.borrow_mut();
            carried.extract_if(.., is_elsewhere).collect()
        };
        self.replace_looked_back(elsewhere);
        let all = join(join_all(writes), self.write_looked_back());
        host.limited(limit, all).await;
    }

    /// Writes how `earlier` deploys stand after this one, as far as there is time for it.
    pub(super) async fn write_earlier<H: Host>(&self, host: &H, earlier: Vec<Record>) {
        if !earlier.is_empty() {
            self.replace_looked_back(earlier);
            let limit = limit_to_write(host);
            host.limited(limit, self.write_looked_back()).await;
        }
    }

    /// What was heard that this place may have made: all that is not known to be of another one. Nothing
    /// where it may have made more than that.
    pub(super) fn perhaps_made_at(&self, place: &PlaceName) -> Option<Told> {
        let Teller { heard, shares, .. } = &*self.telling;
        let (shares, told) = (shares.borrow(), heard.told());
        let of_it = shares.of(place, told.clone());
        let is_all = told.dropped == 0 && !self.telling.is_unheard(place, &of_it);
        is_all.then(|| shares.perhaps_of(place, told))
    }

    /// Takes in how the records of earlier deploys stand by now.
    fn replace_looked_back(&self, earlier: Vec<Record>) {
        let mut looked_back = self.looked_back.borrow_mut();
        let is_same = |one: &Record, other: &Record| {
            one.owner == other.owner && one.place == other.place && one.commit == other.commit
        };
        looked_back.retain(|old| !earlier.iter().any(|new| is_same(old, new)));
        looked_back.extend(earlier);
    }
}

impl Teller {
    /// What is known now of a place.
    fn record(&self, own: &Own, place: &PlaceName) -> Record {
        let told = self.shares.borrow().of(place, self.told_now(place));
        let is_unheard = self.is_unheard(place, &told);
        let mut record = record_of(own, place, told);
        // It is not known, which is more than nothing.
        if is_unheard {
            record.dropped = record.dropped.max(1);
        }
        let is_all = record.dropped == 0;
        self.carry_into(&mut record, is_all);
        record
    }

    /// What was told so far, and no more of it than a record holds where all of it is this place's.
    fn told_now(&self, place: &PlaceName) -> Told {
        let is_carried = |carried: &Record| carried.place == *place;
        let is_shared = self.shares.borrow().are_several();
        if is_shared || self.carried.borrow().iter().any(is_carried) {
            self.heard.told()
        } else {
            self.heard.told_in_short(MOST_ANNOTATIONS)
        }
    }

    /// Whether something may have been made there of which nothing is `told`.
    fn is_unheard(&self, place: &PlaceName, told: &Told) -> bool {
        let unheard = self.unheard.borrow();
        unheard
            .get(place)
            .is_some_and(|unheard| unheard.misses_some(told))
    }

    /// What the deploy has left, by the names that it has at this place.
    fn left_at<'a>(
        &self,
        place: &PlaceName,
        remains: &'a Remains,
        is_of_one_unit: bool,
    ) -> HashMap<Seen<'a>, &'a Left> {
        let shares = self.shares.borrow();
        let seen = |left: &'a Left| {
            let Resource { unit, address, .. } = &left.resource;
            let unit = match unit.as_deref() {
                Some(unit) if shares.is_surely_at(place, unit, is_of_one_unit)? => None,
                unit => unit,
            };
            Some(((unit, address.as_str(), left.resource.news()), left))
        };
        remains.resources.iter().filter_map(seen).collect()
    }

    /// Adds what an earlier deploy of this very run has left, where the record lists all that was made
    /// since, or not.
    fn carry_into(&self, record: &mut Record, is_all: bool) {
        let (carried, place) = (self.carried.borrow(), record.place.clone());
        for mut carried in carried.iter().filter(|one| one.place == place).cloned() {
            if !is_all {
                carried.note_made_again(None);
            }
            record.carry(&carried);
        }
    }

    /// The same when all is over.
    fn last_record(&self, own: &Own, place: &PlaceName, remains: &Remains) -> Record {
        let told = self.heard.told();
        let is_of_one_unit = told.is_of_one_unit();
        let told = self.shares.borrow().of(place, told);
        let is_unheard = self.is_unheard(place, &told);
        let is_all = told.dropped == 0 && !is_unheard;
        let mut record = record_of(own, place, told);
        if !remains.state_is_kept {
            record.doubt_failures();
        }
        let left = self.left_at(place, remains, is_of_one_unit);
        for entry in &mut record.entries {
            let is_complete = entry.resource.stage == Fate::Complete;
            let Resource { unit, address, .. } = &entry.resource;
            let seen = (unit.as_deref(), address.as_str(), entry.resource.news());
            let is_stored = match left.get(&seen) {
                // A tool that has ended well has stored its state.
                Some(_) if remains.is_plain && is_complete => Some(true),
                Some(left) => left.is_stored,
                None => None,
            };
            entry.is_stored = is_stored.or(entry.is_stored);
        }
        let is_of_several = self.shares.borrow().are_several();
        let is_all_settled = !remains.resources.iter().any(Left::may_be_made_again);
        if remains.is_plain || remains.state_is_kept && is_of_several && is_all_settled {
            record.dropped = 0;
        } else if !remains.state_is_kept && is_unheard {
            record.dropped = record.dropped.max(1);
        }
        // After that, because what this deploy has made is not what the earlier one has left.
        self.carry_into(&mut record, is_all);
        record.end();
        record
    }
}

/// What this run itself has `told` of a place.
fn record_of(own: &Own, place: &PlaceName, told: Told) -> Record {
    Record {
        owner: own.owner.clone(),
        commit: own.commit.clone(),
        place: place.clone(),
        stand: Stand::Running,
        dropped: told.dropped,
        has_plan: told.has_plan,
        // Whoever writes it knows that.
        is_behind: false,
        entries: entries_of(told.resources),
    }
}
