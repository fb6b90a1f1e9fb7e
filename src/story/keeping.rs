//! Keeps a journal of a deploy while it runs: one record for each place that it is seen to change.

use std::cell::RefCell;
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
use crate::journal::{Keeper, Page, PlaceName, Record, SharedPace, Shelf};
use crate::story::hearing::Hearing;
use crate::story::journal::{Journal, Own, limit_to_write};
use crate::story::records::Telling;
use crate::story::remains::Remains;
use crate::supervisor::SeenTool;
use crate::tools::Host;
use crate::tools::progress::{Resource, Told};

/// How long is waited for more once something was heard: a plan is many lines.
const GATHERING: Duration = Duration::from_millis(10);

/// What is kept of one deploy. Nothing, where no journal is.
pub(super) struct Keeping<'a> {
    own: Option<(&'a Shelf, &'a Own)>,
    telling: Rc<Telling>,
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
    telling: Rc<Telling>,
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
            telling: Rc::new(Telling::of(hearing.heard(), carried)),
            pace: SharedPace::default(),
            looked_back: RefCell::new(looked_back),
            books: RefCell::default(),
            opened: Notify::new(),
        }
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
        let Telling {
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
        let Telling {
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
    pub(super) async fn finish<H: Host>(&self, host: &H, remains: &Remains<'_>) {
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

    /// What of all that was `told` this place may have made: what is not known to be of another one. Nothing
    /// where it may have made more than that.
    pub(super) fn perhaps_made_at<'t>(
        &self,
        place: &PlaceName,
        told: &'t Told,
    ) -> Option<Vec<&'t Resource>> {
        let is_all = told.dropped == 0 && !self.telling.misses_some_of(place, told);
        is_all.then(|| self.telling.shares.borrow().perhaps_of(place, told))
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
