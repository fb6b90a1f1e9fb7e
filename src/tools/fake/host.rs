//! A host that tests play: time is tokio's, and nothing is started.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::identity::{Left, Mark, Neighbours};
use crate::supervisor::{Ending, Helped, HelperError, Interrupt, Programs, Seen};
use crate::tools::host::Host;

/// The moments at which something is waited for, at one of which somebody may ask to stop.
pub(crate) struct Moments {
    count: Cell<u32>,
    interrupt_at: Option<u32>,
    interrupt: watch::Sender<Option<Interrupt>>,
}

impl Moments {
    /// Nobody asks to stop.
    pub(crate) fn undisturbed() -> Rc<Self> {
        Self::interrupted_at(None)
    }

    /// Somebody asks to stop at the moment of this number, the first of which is 1.
    pub(crate) fn interrupted_at(interrupt_at: Option<u32>) -> Rc<Self> {
        Rc::new(Self {
            count: Cell::new(0),
            interrupt_at,
            interrupt: watch::Sender::new(None),
        })
    }

    /// Whether the moment of the interrupt has come.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupt.borrow().is_some()
    }

    pub(super) async fn pass(&self) {
        self.count.set(self.count.get() + 1);
        if self.interrupt_at == Some(self.count.get()) {
            self.interrupt.send_replace(Some(Interrupt {
                signal: Signal::SIGTERM,
                at: Instant::now(),
            }));
        }
        tokio::task::yield_now().await;
    }
}

/// What happens while the deploy runs.
type Act = Box<dyn FnOnce()>;

/// A host on which nothing is real.
pub(crate) struct FakeHost {
    pub(crate) moments: Rc<Moments>,
    pub(crate) neighbours: Neighbours,
    pub(crate) left: Left,
    /// The last commits of the clone, or what git says instead.
    pub(crate) commits: Result<Vec<String>, String>,
    /// What the tools of the deploy are seen to do.
    pub(crate) seen: Vec<Seen>,
    pub(crate) act: RefCell<Option<Act>>,
    /// How the deploy ends.
    pub(crate) ending: RefCell<Option<io::Result<Ending>>>,
    /// The variables of each cleanup that has run.
    pub(crate) cleanups: RefCell<Vec<BTreeMap<String, String>>>,
}

impl FakeHost {
    pub(crate) fn with(moments: &Rc<Moments>) -> Self {
        Self {
            moments: Rc::clone(moments),
            neighbours: Neighbours::NonePossible,
            left: Left::Nobody,
            commits: Ok(Vec::new()),
            seen: Vec::new(),
            act: RefCell::default(),
            ending: RefCell::default(),
            cleanups: RefCell::default(),
        }
    }

    /// Passes a moment in which more than a lock is waited for.
    pub(crate) async fn pass(&self) {
        self.moments.pass().await;
    }
}

impl Host for FakeHost {
    async fn run_helper(&self, command: Command, _: Duration) -> Result<Helped, HelperError> {
        assert_eq!(command.get_program(), "git", "nothing else is started here");
        let (status, stdout, stderr) = match &self.commits {
            Ok(commits) => (0, commits.join("\n"), String::new()),
            Err(why) => (128 << 8, String::new(), why.clone()),
        };
        Ok(Helped {
            status: ExitStatus::from_raw(status),
            stdout,
            stderr,
        })
    }

    async fn run_helper_that_shows(
        &self,
        _: Command,
        _: Duration,
    ) -> Result<Helped<File>, HelperError> {
        panic!("nothing is started here");
    }

    async fn run_amends(&self, _: Command, _: Duration) -> Result<Helped, HelperError> {
        panic!("nothing is started here");
    }

    async fn limited<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        timeout(limit, work).await.ok()
    }

    fn interrupt(&self) -> Option<Interrupt> {
        *self.moments.interrupt.borrow()
    }

    async fn next_interrupt(&self) -> Interrupt {
        let mut interrupt = self.moments.interrupt.subscribe();
        let interrupt = interrupt.wait_for(Option::is_some).await.unwrap();
        interrupt.unwrap()
    }

    fn is_in_vain(&self) -> bool {
        panic!("no lock is real here");
    }

    fn neighbours(&self, _: &Programs) -> io::Result<Neighbours> {
        Ok(self.neighbours)
    }

    fn left_of(&self, _: &Programs, _: Mark, _: &[Mark]) -> io::Result<Left> {
        Ok(self.left)
    }
}
