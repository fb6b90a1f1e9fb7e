//! Who hears, while a deploy runs, what it makes.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::supervisor::{Audience, Listener};
use crate::tools::Tool;
use crate::tools::progress::{Reader, Told};
use crate::tools::telling::Telling;

/// Who hears what the deploy makes. Nobody, where its tool does not tell.
pub(crate) struct Hearing {
    heard: HeardSoFar,
    pub(crate) audience: Option<Audience>,
    /// What was told when the last tool was seen that may change something and print elsewhere.
    before_unheard: RefCell<Option<Told>>,
}

/// What was heard so far, and when there is more of it.
#[derive(Clone)]
pub(crate) struct HeardSoFar {
    reader: Option<Arc<Mutex<dyn Reader>>>,
    /// Is told whenever something was heard.
    pub(crate) news: Arc<Notify>,
}

/// Hands on each line to the reader, and says so.
struct Announcing {
    reader: Arc<Mutex<dyn Reader>>,
    news: Arc<Notify>,
}

impl Listener for Announcing {
    fn hear(&mut self, line: &[u8]) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.hear(line);
        self.news.notify_one();
    }
}

impl Hearing {
    pub(crate) fn of(tool: &Tool) -> Self {
        let teller = tool.teller();
        let reader = teller.map(|teller| teller.reader());
        let news = Arc::new(Notify::new());
        let audience = teller.zip(reader.clone()).map(|(teller, reader)| {
            let news = Arc::clone(&news);
            let listener = Announcing { reader, news };
            Audience::new(teller.markers(), Arc::new(Mutex::new(listener)))
        });
        let heard = HeardSoFar { reader, news };
        Self {
            heard,
            audience,
            before_unheard: RefCell::default(),
        }
    }

    pub(crate) fn heard(&self) -> HeardSoFar {
        self.heard.clone()
    }

    pub(crate) fn told(&self) -> Told {
        self.heard.told()
    }

    /// Takes in that somebody may make something of which nothing is heard.
    pub(crate) fn note_unheard(&self) {
        self.before_unheard.replace(Some(self.told()));
    }

    /// Whether that one may have made something: nothing was heard since.
    pub(crate) fn misses_some(&self, told: &Told) -> bool {
        let before = self.before_unheard.borrow();
        before
            .as_ref()
            .is_some_and(|before| !told.is_more_than(before))
    }

    /// The same where nobody asks again.
    pub(crate) fn take_told(&self) -> Told {
        self.heard.ask(Reader::take_told)
    }

    /// Forgets what was heard: it was of another run than the one that comes.
    pub(crate) fn forget(&self) {
        self.heard.ask(Reader::forget);
    }
}

impl HeardSoFar {
    pub(crate) fn told(&self) -> Told {
        self.ask(|reader| reader.told())
    }

    /// The same, with no more resources than so many where all are of one unit.
    pub(crate) fn told_in_short(&self, most: usize) -> Told {
        self.ask(|reader| reader.told_in_short(most))
    }

    fn ask<A: Default>(&self, question: impl FnOnce(&mut (dyn Reader + 'static)) -> A) -> A {
        let reader = self.reader.as_ref();
        let reader = reader.map(|reader| reader.lock().unwrap_or_else(PoisonError::into_inner));
        reader.map_or_else(A::default, |mut reader| question(&mut *reader))
    }
}
