//! Keeps a journal of a deploy while it runs: one record for each place that it is seen to change.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, OnceCell};
use tokio::time::{sleep, timeout};

use crate::journal::{Entry, Keeper, Past, PlaceName, Record, Shares, Shelf, Stand};
use crate::story::hearing::{Heard, Hearing};
use crate::story::journal::{Journal, Own, limit_to_write};
use crate::story::past::entries_of;
use crate::story::remains::{Left, Remains};
use crate::tools::Host;
use crate::tools::progress::Fate;

/// How long is waited for more once something was heard: a plan is many lines.
const GATHERING: Duration = Duration::from_millis(10);
/// How long the begin of a record may wait for what it has to carry on.
const LIMIT_TO_READ: Duration = Duration::from_secs(2);

/// What is kept of one deploy. Nothing, where no journal is.
pub(super) struct Keeping<'a> {
    own: Option<(&'a Shelf, &'a Own)>,
    /// Whether there was an answer when it was asked about the past.
    answers: bool,
    telling: Rc<Teller>,
    books: RefCell<Vec<Rc<Book<'a>>>>,
    /// Is told when a place is new.
    opened: Notify,
}

/// The record of one place, and who writes it.
struct Book<'a> {
    place: PlaceName,
    heard: Arc<Notify>,
    /// Whether it was read what there is to carry on.
    was_read: OnceCell<()>,
    keeper: Keeper<&'a Shelf, Box<dyn Fn() -> Option<Record> + 'a>>,
}

/// What there is to be told of each place.
struct Teller {
    heard: Heard,
    shares: RefCell<Shares>,
    /// What an earlier deploy of this very run has left: its record is the one that is written now.
    carried: RefCell<Vec<Record>>,
}

impl<'a> Keeping<'a> {
    pub(super) fn of(journal: &'a Journal, hearing: &Hearing, past: &Past) -> Self {
        let own = journal.own();
        let carried = match (own, past) {
            (Some((_, own)), Past { records, .. }) => {
                let of_own = records.iter().filter(|record| record.owner == own.owner);
                of_own.cloned().collect()
            }
            (None, _) => Vec::new(),
        };
        Self {
            own,
            answers: past.is_answered(),
            telling: Rc::new(Teller {
                heard: hearing.heard(),
                shares: RefCell::default(),
                carried: RefCell::new(carried),
            }),
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
        books.push(Rc::new(Book {
            place,
            keeper: Keeper::new(shelf, Box::new(source), Arc::clone(&heard)),
            was_read: OnceCell::new(),
            heard,
        }));
        self.opened.notify_one();
    }

    /// Takes in that a place is used, and perhaps changed.
    pub(super) fn note(&self, place: Option<PlaceName>, may_change: bool) {
        if self.own.is_none() {
            return;
        }
        let told = || self.telling.heard.told();
        self.telling.shares.borrow_mut().note(place.clone(), told);
        if may_change {
            self.begin(place);
        }
    }

    /// Writes what is heard. It never ends, and costs nothing while nothing is heard.
    pub(super) async fn keep(&self) -> Infallible {
        let mut keepers = FuturesUnordered::new();
        loop {
            let books = self.books.borrow().clone();
            for book in &books[keepers.len()..] {
                let book = Rc::clone(book);
                keepers.push(async move {
                    self.read_own(&book).await;
                    book.keeper.keep().await;
                });
            }
            tokio::select! {
                () = self.opened.notified() => {}
                () = self.gather() => {}
                Some(()) = keepers.next() => {}
            }
            // Whatever has cut the gathering short.
            for book in &books {
                book.heard.notify_one();
            }
        }
    }

    /// Reads what an earlier deploy of this very run has left at this place, before its record is
    /// written over.
    async fn read_own(&self, book: &Book<'_>) {
        let Some((shelf, own)) = self.own.filter(|_| self.answers) else {
            return;
        };
        let place = &book.place;
        let read = async || {
            let is_known = |carried: &Record| carried.place == *place;
            if self.telling.carried.borrow().iter().any(is_known) {
                return;
            }
            let asked = shelf.of_step(&own.commit, &own.owner, place);
            if let Ok(Ok(Some(record))) = timeout(LIMIT_TO_READ, asked).await {
                self.telling.carried.borrow_mut().push(record);
            }
        };
        book.was_read.get_or_init(read).await;
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
            self.read_own(book).await;
            let record = self.telling.last_record(own, &book.place, remains);
            book.keeper.finish(record, limit).await
        });
        host.limited(limit, join_all(writes)).await;
    }
}

impl Teller {
    /// What is known now of a place.
    fn record(&self, own: &Own, place: &PlaceName) -> Record {
        let mut record = self.told(own, place);
        self.carry_into(&mut record);
        record
    }

    /// What this run itself has told.
    fn told(&self, own: &Own, place: &PlaceName) -> Record {
        let told = self.shares.borrow().of(place, self.heard.told());
        Record {
            owner: own.owner.clone(),
            commit: own.commit.clone(),
            place: place.clone(),
            stand: Stand::Running,
            entries: entries_of(&told),
            dropped: told.dropped,
            has_plan: told.has_plan,
        }
    }

    /// Adds what an earlier deploy of this very run has left.
    fn carry_into(&self, record: &mut Record) {
        let carried = self.carried.borrow();
        for carried in carried.iter().filter(|one| one.place == record.place) {
            for entry in carried.entries.iter().filter(|entry| entry.is_open()) {
                carry(&mut record.entries, entry);
            }
        }
    }

    /// The same when all is over.
    fn last_record(&self, own: &Own, place: &PlaceName, remains: &Remains) -> Record {
        let mut record = self.told(own, place);
        if !remains.state_is_kept {
            record.doubt_failures();
        }
        for entry in &mut record.entries {
            let is_it = |left: &&Left| left.resource == entry.resource;
            let is_complete = entry.resource.stage == Fate::Complete;
            let is_stored = match remains.resources.iter().find(is_it) {
                // A tool that has ended well has stored its state.
                Some(_) if remains.is_plain && is_complete => Some(true),
                Some(left) => left.is_stored,
                None => None,
            };
            entry.is_stored = is_stored.or(entry.is_stored);
        }
        // After that, because what this deploy has made is not what the earlier one has left.
        self.carry_into(&mut record);
        record.end();
        record
    }
}

/// Adds what was left, also in the place of the same resource where nothing is open about that.
fn carry(entries: &mut Vec<Entry>, left: &Entry) {
    let (unit, address) = (&left.resource.unit, &left.resource.address);
    let is_same =
        |entry: &&mut Entry| entry.resource.unit == *unit && entry.resource.address == *address;
    match entries.iter_mut().find(is_same) {
        Some(entry) if entry.is_open() => {}
        Some(entry) => {
            *entry = left.clone();
            // What the state has at this address is what was made since.
            if left.resource.id.is_none() {
                entry.is_stored = Some(false);
            }
        }
        None => entries.push(left.clone()),
    }
}
