//! A tool and a host that tests play: locks are values, time is tokio's, and nothing is started.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::access::Barred;
use super::locking::{End, Guarantee, Locked, Locking, Look, Reply};
use super::state_keeping::{StateKeeping, UnsavedState, Unstored};
use super::{Host, Job, Prepared, Processes, Purpose, Sighting, Signing, ToolError};
use crate::environment::Environment;
use crate::identity::{Left, Mark, Neighbours};
use crate::lock::LockInfo;
use crate::supervisor::{Ending, Helped, HelperError, Interrupt, Programs, Seen, SeenTool};

/// How the fake signs its locks.
pub(crate) const SIGNATURE: &str = "root@vm";
/// The version that its locks carry.
pub(crate) const VERSION: &str = "1.0";

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

    async fn pass(&self) {
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
    async fn run_helper(&self, _: Command, _: Duration) -> Result<Helped, HelperError> {
        panic!("nothing is started here");
    }

    async fn run_helper_that_says(
        &self,
        _: Command,
        _: Duration,
        _: u64,
    ) -> Result<Helped, HelperError> {
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

    fn neighbours(&self, _: &Programs) -> io::Result<Neighbours> {
        Ok(self.neighbours)
    }

    fn left_of(&self, _: &Programs, _: Mark, _: &[Mark]) -> io::Result<Left> {
        Ok(self.left)
    }
}

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

    fn release_by_hand(&self, lock: &LockInfo) -> String {
        format!("fake unlock {}", lock.id)
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

/// A place of the fake.
#[derive(Clone)]
pub(crate) struct FakeTool(pub(crate) Rc<FakePlace>);

pub(crate) struct FakePlace {
    pub(crate) name: &'static str,
    pub(crate) backends: Vec<Rc<FakeBackend>>,
    pub(crate) has_work: bool,
    /// Other places that a program may be seen to use.
    pub(crate) others: Vec<FakeTool>,
    /// The file in which a state was left.
    pub(crate) unsaved: Option<PathBuf>,
    /// Why the state cannot be stored.
    pub(crate) unstored: RefCell<Option<Unstored>>,
    pub(crate) moments: Rc<Moments>,
}

impl FakePlace {
    pub(crate) fn with(moments: &Rc<Moments>, backends: &[&Rc<FakeBackend>]) -> Self {
        Self {
            name: "here",
            backends: backends.iter().map(|backend| Rc::clone(backend)).collect(),
            has_work: true,
            others: Vec::new(),
            unsaved: None,
            unstored: RefCell::default(),
            moments: Rc::clone(moments),
        }
    }
}

impl fmt::Debug for FakeTool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name)
    }
}

/// A program of the fake that does this at that place.
pub(crate) fn seen(purpose: &str, place: &str) -> Seen {
    Seen::Tool(SeenTool {
        program: "/bin/fake".into(),
        arguments: ["fake", purpose, place].map(str::to_owned).to_vec(),
        directory: PathBuf::from("/"),
        environment: Environment::default(),
    })
}

impl Processes for FakeTool {
    fn tool_name(&self) -> &'static str {
        "Fake"
    }

    fn programs(&self) -> Programs {
        Programs::new(vec!["fake".to_owned()], &[])
    }

    fn operations_of_a_deploy(&self) -> &'static [&'static str] {
        &["deploy"]
    }

    fn sight(&self, seen: &SeenTool) -> Sighting<Self> {
        let place = &seen.arguments[2];
        let mut places = [self].into_iter().chain(&self.0.others);
        match places.find(|known| known.0.name == place) {
            Some(known) => Sighting::Place(known.clone()),
            None => Sighting::Unclear(format!("there is no {place}")),
        }
    }

    fn purpose(&self, seen: &SeenTool) -> Purpose {
        match seen.arguments[1].as_str() {
            "plan" => Purpose::Plan,
            _ => Purpose::Change,
        }
    }

    fn takes_no_lock(&self, words: &[String]) -> bool {
        words.last().is_some_and(|word| word == "version")
    }

    fn is_named_in(&self, words: &[String]) -> bool {
        words.iter().any(|word| word == "fake")
    }

    async fn introduce(&self, _: &impl Host) {}

    fn default_command(&self, _: &Job, _: Duration) -> Result<Prepared, ToolError> {
        self.own_command(Command::new("fake"))
    }

    fn own_command(&self, command: Command) -> Result<Prepared, ToolError> {
        let files = None;
        Ok(Prepared { command, files })
    }
}

impl Signing for FakeTool {
    fn signature(&self) -> String {
        SIGNATURE.to_owned()
    }

    async fn version(&self, _: &impl Host) -> Result<String, ToolError> {
        self.0.moments.pass().await;
        Ok(VERSION.to_owned())
    }
}

impl Locking for FakeTool {
    type Lock<'a, H: Host + 'a> = FakeLock<'a>;

    fn directory(&self) -> &Path {
        Path::new(self.0.name)
    }

    fn place_name(&self) -> String {
        self.0.name.to_owned()
    }

    fn is_same_place(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }

    fn has_work(&self) -> bool {
        self.0.has_work
    }

    fn barred(&self) -> Vec<Barred> {
        Vec::new()
    }

    fn caveat(&self) -> Option<&'static str> {
        None
    }

    async fn find_locks<'a, H: Host>(&'a self, _: &'a H) -> Result<Vec<FakeLock<'a>>, ToolError> {
        self.0.moments.pass().await;
        let backends = self.0.backends.iter();
        Ok(backends.map(|backend| FakeLock(backend)).collect())
    }
}

impl StateKeeping for FakeTool {
    fn unsaved_state(&self, _: Option<Duration>) -> Option<UnsavedState> {
        UnsavedState::at(self.0.unsaved.clone()?, true)
    }

    async fn save_state(&self, _: &impl Host, _: &UnsavedState) -> Result<(), Unstored> {
        self.0.moments.pass().await;
        match self.0.unstored.borrow_mut().take() {
            Some(unstored) => Err(unstored),
            None => Ok(()),
        }
    }

    fn note_unsaved(&self, _: &UnsavedState) -> io::Result<()> {
        Ok(())
    }

    fn unsaved_state_of(&self, _: &LockInfo) -> Option<UnsavedState> {
        None
    }

    fn operations_of_a_save(&self) -> &'static [&'static str] {
        &["save"]
    }

    fn save_by_hand(&self, state: &UnsavedState) -> String {
        format!("fake push {}", state.path.display())
    }
}
