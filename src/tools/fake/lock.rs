//! Locks that are values.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::host::Moments;
use crate::lock::LockInfo;
use crate::tools::error::ToolError;
use crate::tools::locking::{ByHand, End, Guarantee, Locked, Look, Reply};

/// How a release goes that is not as it should be.
pub(crate) enum Slip {
    /// It says that it has released, and has not.
    Nothing,
    /// It says nothing, and has released.
    Silence,
    /// It releases one half, and this is seen of the other one.
    Half(Look),
    /// It may be carried out yet.
    Unclear,
}

/// A lock, as the backend has it.
pub(crate) struct FakeBackend {
    moments: Rc<Moments>,
    pub(crate) end: End,
    pub(crate) look: RefCell<Look>,
    /// What the next looks show, whatever was there before.
    pub(crate) looks: RefCell<VecDeque<Result<Look, ToolError>>>,
    pub(crate) slips: RefCell<VecDeque<Slip>>,
    pub(crate) released: RefCell<Vec<String>>,
    pub(crate) looked: Cell<u32>,
}

impl FakeBackend {
    pub(crate) fn showing(moments: &Rc<Moments>, look: Look) -> Rc<Self> {
        Self::with_end(moments, look, End::Release(Guarantee::Compared))
    }

    pub(crate) fn with_end(moments: &Rc<Moments>, look: Look, end: End) -> Rc<Self> {
        Rc::new(Self {
            moments: Rc::clone(moments),
            end,
            look: RefCell::new(look),
            looks: RefCell::default(),
            slips: RefCell::default(),
            released: RefCell::default(),
            looked: Cell::new(0),
        })
    }

    /// Lets the next looks show this, one after the other; the last one stays.
    pub(crate) fn then(&self, looks: impl IntoIterator<Item = Result<Look, ToolError>>) {
        self.looks.borrow_mut().extend(looks);
    }
}

/// A lock of the fake.
pub(crate) struct FakeLock<'a>(pub(crate) &'a FakeBackend);

impl Locked for FakeLock<'_> {
    async fn look(&self) -> Result<Look, ToolError> {
        self.0.moments.pass().await;
        self.0.looked.set(self.0.looked.get() + 1);
        if let Some(look) = self.0.looks.borrow_mut().pop_front() {
            self.0.look.replace(look?);
        }
        Ok(self.0.look.borrow().clone())
    }

    async fn release(&self, lock: &LockInfo) -> Result<Reply, ToolError> {
        self.0.moments.pass().await;
        let is_there = matches!(&*self.0.look.borrow(), Look::Held(held) if held.id == lock.id);
        let is_blind = self.0.end.is_blind();
        self.0.released.borrow_mut().push(lock.id.clone());
        match self.0.slips.borrow_mut().pop_front() {
            Some(Slip::Nothing) => Ok(Reply::Released),
            Some(Slip::Silence) => {
                self.0.look.replace(Look::Free);
                Err(ToolError::Unknown {
                    reason: "it said nothing".to_owned(),
                })
            }
            Some(Slip::Half(rest)) => {
                self.0.look.replace(rest);
                Ok(Reply::Half("one half is left".to_owned()))
            }
            Some(Slip::Unclear) => Ok(Reply::Unclear(not_given_back())),
            None if is_there || is_blind => {
                self.0.look.replace(Look::Free);
                Ok(Reply::Released)
            }
            None if *self.0.look.borrow() == Look::Free => Ok(Reply::Gone("gone".to_owned())),
            None => Ok(Reply::Changed("another one is there".to_owned())),
        }
    }

    fn end(&self) -> End {
        self.0.end
    }

    fn release_by_hand(&self, lock: &LockInfo) -> ByHand {
        ByHand::Paste(format!("fake unlock {}", lock.id))
    }

    fn unnamed_by_hand(&self) -> ByHand {
        ByHand::Words("delete the fake lock".to_owned())
    }
}

/// A look, or a release, that may yet take somebody's lock away.
pub(crate) fn not_given_back() -> ToolError {
    ToolError::NotGivenBack {
        address: "http://fake".to_owned(),
        id: "4711".to_owned(),
        reason: "it gave no answer in time".to_owned(),
        by_hand: "fake unlock 4711".to_owned(),
    }
}
