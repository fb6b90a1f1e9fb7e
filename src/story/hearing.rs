//! Who hears, while a deploy runs, what it makes.

use std::cell::{Cell, RefCell};
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
    unheard: RefCell<Unheard>,
    misses_words: Cell<bool>,
}

/// Whether something may have been made of which nothing was heard.
#[derive(Debug, Default)]
pub(crate) struct Unheard {
    /// What was told when the last tool was seen that may make something and print elsewhere.
    before: Option<Told>,
    /// Whether nothing was heard of such a one until another one came who is heard: what is told from
    /// then on is of that one.
    is_for_good: bool,
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
            unheard: RefCell::default(),
            misses_words: Cell::default(),
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
        self.unheard.borrow_mut().begin(self.told());
    }

    /// Takes in that a tool comes whose words nobody hears, so not either that it was told to stop.
    pub(crate) fn note_silent(&self) {
        self.misses_words.set(true);
    }

    /// Whether a tool may have been told to stop that nobody has heard say so.
    pub(crate) fn may_miss_a_stop(&self) -> bool {
        self.misses_words.get()
    }

    /// Takes in that somebody comes who is heard.
    pub(crate) fn note_heard(&self) {
        self.unheard.borrow_mut().end(|| self.told());
    }

    /// Whether somebody may have made something of which nothing was heard.
    pub(crate) fn misses_some(&self, told: &Told) -> bool {
        self.unheard.borrow().misses_some(told)
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

impl Unheard {
    /// Takes in what was told when one comes who may print elsewhere.
    pub(crate) fn begin(&mut self, told: Told) {
        self.before = Some(told);
    }

    /// Takes in what was told when one comes who is heard.
    pub(crate) fn end(&mut self, told: impl FnOnce() -> Told) {
        if let Some(before) = self.before.take() {
            self.is_for_good |= !told().is_more_than(&before);
        }
    }

    /// Whether nothing was heard of one of them, where this was told by now.
    pub(crate) fn misses_some(&self, told: &Told) -> bool {
        let before = self.before.as_ref();
        self.is_for_good || before.is_some_and(|before| !told.is_more_than(before))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::progress::{Fate, Resource};

    #[test]
    fn what_is_told_after_one_has_come_who_is_heard_is_his() {
        let told = |names: &[&str]| Told {
            resources: names
                .iter()
                .map(|name| Resource::created(name, Fate::Complete, None))
                .collect(),
            ..Told::default()
        };
        for (before, when_heard, at_end, misses_some) in [
            (&[][..], None, &[][..], true),
            (&[], None, &["a"], false),
            (&["a"], None, &["a"], true),
            (&[], Some(&[][..]), &["a"], true),
            (&["a"], Some(&["a"]), &["a", "b"], true),
            // `| tee` has printed it here all the same.
            (&[], Some(&["a"]), &["a"], false),
            (&[], Some(&["a"]), &["a", "b"], false),
        ] {
            let mut unheard = Unheard::default();
            unheard.begin(told(before));
            if let Some(when_heard) = when_heard {
                unheard.end(|| told(when_heard));
            }
            let case = format!("{before:?} {when_heard:?} {at_end:?}");
            assert_eq!(unheard.misses_some(&told(at_end)), misses_some, "{case}");
        }
    }

    #[test]
    fn who_is_heard_later_tells_nothing_of_who_was_not() {
        let mut unheard = Unheard::default();
        unheard.end(Told::default);
        assert!(!unheard.misses_some(&Told::default()), "there was none");
        unheard.begin(Told::default());
        unheard.end(Told::default);
        unheard.begin(Told::default());
        let planned = Told {
            has_plan: true,
            ..Told::default()
        };
        assert!(unheard.misses_some(&planned));
    }
}
