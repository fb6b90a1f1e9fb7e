//! A tool that tests play.

mod host;
mod lock;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::access::Barred;
use super::error::ToolError;
use super::host::Host;
use super::job::Job;
use super::locking::Locking;
use super::processes::{Prepared, Processes, Purpose, Sighting};
use super::progress::{PlaceName, Reader, Told};
use super::recovering::{Draft, LaidOut, Made, Planned, Recovering, Step};
use super::signing::Signing;
use super::state_keeping::{StateKeeping, UnsavedState, Unstored};
use super::stored::Stored;
use super::telling::Telling;
use crate::environment::Environment;
use crate::lock::LockInfo;
use crate::supervisor::{Listener, Programs, Seen, SeenTool};
pub(crate) use host::{FakeHost, Moments};
pub(crate) use lock::{FakeBackend, FakeLock, Slip, not_given_back};

/// How the fake signs its locks.
pub(crate) const SIGNATURE: &str = "root@vm";
/// The version that its locks carry.
pub(crate) const VERSION: &str = "1.0";

/// A place of the fake.
#[derive(Clone)]
pub(crate) struct FakeTool(pub(crate) Rc<FakePlace>);

pub(crate) struct FakePlace {
    pub(crate) name: &'static str,
    /// By which name a journal knows it, where that is another one's too.
    pub(crate) namesake: Option<&'static str>,
    pub(crate) backends: Vec<Rc<FakeBackend>>,
    pub(crate) has_work: bool,
    /// Other places that a program may be seen to use.
    pub(crate) others: Vec<FakeTool>,
    /// The file in which a state was left.
    pub(crate) unsaved: Option<PathBuf>,
    /// Why the state cannot be stored.
    pub(crate) unstored: RefCell<Option<Unstored>>,
    /// What each plan does, the first one first.
    pub(crate) plans: RefCell<Vec<Planned>>,
    /// Whether the program imports by a plan.
    pub(crate) imports: bool,
    /// Whether other states may go by its name.
    pub(crate) shares_its_name: bool,
    /// What the stored state has.
    pub(crate) stored: RefCell<Stored>,
    /// What a deploy is heard to make.
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) moments: Rc<Moments>,
}

impl FakePlace {
    pub(crate) fn with(moments: &Rc<Moments>, backends: &[&Rc<FakeBackend>]) -> Self {
        Self {
            name: "here",
            namesake: None,
            backends: backends.iter().map(|backend| Rc::clone(backend)).collect(),
            has_work: true,
            others: Vec::new(),
            unsaved: None,
            unstored: RefCell::default(),
            plans: RefCell::default(),
            imports: true,
            shares_its_name: false,
            stored: RefCell::default(),
            told: Arc::default(),
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
        held: None,
        arguments: ["fake", purpose, place].map(str::to_owned).to_vec(),
        directory: PathBuf::from("/"),
        environment: Environment::default(),
        is_heard: true,
    })
}

impl Processes for FakeTool {
    fn tool_name(&self) -> &'static str {
        "Fake"
    }

    fn programs(&self) -> Programs {
        Programs::new(vec!["fake".to_owned()], &[])
    }

    fn renew_environment(&mut self) {}

    fn operations_of_a_deploy(&self) -> &'static [&'static str] {
        &["deploy"]
    }

    fn sight(&self, seen: &SeenTool) -> Sighting<Self> {
        if ["version", "unlocked"].contains(&seen.arguments[1].as_str()) {
            return Sighting::Nothing;
        }
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
            "version" => Purpose::Other,
            "tend" => Purpose::Tend,
            _ => Purpose::Change,
        }
    }

    fn takes_no_lock(&self, words: &[String]) -> bool {
        words.last().is_some_and(|word| word == "version")
    }

    fn leaves(&self, words: &[String]) -> bool {
        words.last().is_some_and(|word| word == "elsewhere")
    }

    fn job_takes_no_lock(&self, job: &Job) -> bool {
        matches!(job, Job::ApplyPlan(plan) if plan == "unlocked")
    }

    fn is_named_in(&self, words: &[String]) -> bool {
        words.iter().any(|word| word == "fake")
    }

    async fn introduce(&self, _: &impl Host) {}

    fn default_command(&self, _: &Job, _: Duration, _: bool) -> Result<Prepared, ToolError> {
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

    fn description(&self) -> String {
        format!("fake in {}", self.0.name)
    }

    fn is_same_place(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }

    fn is_set_up_for(&self, used: &Self) -> bool {
        self.is_same_place(used)
    }

    fn has_work(&self) -> bool {
        self.0.has_work
    }

    fn has_work_below(&self) -> bool {
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

    async fn save_by_hand(&self, _: &impl Host, state: &UnsavedState) -> String {
        format!("fake push {}", state.path.display())
    }
}

/// Knows already what there is to be heard.
struct Knowing(Arc<Mutex<Told>>);

impl Listener for Knowing {
    fn hear(&mut self, _: &[u8]) {}
}

impl Reader for Knowing {
    fn told(&self) -> Told {
        self.0.lock().unwrap().clone()
    }

    fn told_in_short(&self, _: usize) -> Told {
        self.told()
    }

    fn take_told(&mut self) -> Told {
        self.told()
    }

    fn forget(&mut self) {}
}

impl Telling for FakeTool {
    fn markers(&self) -> &'static [&'static str] {
        &[]
    }

    fn reader(&self) -> Arc<Mutex<dyn Reader>> {
        Arc::new(Mutex::new(Knowing(Arc::clone(&self.0.told))))
    }

    fn reader_of_log(&self) -> Arc<Mutex<dyn Reader>> {
        self.reader()
    }

    async fn tell_stored(
        &self,
        _: &impl Host,
        tell: &mut dyn FnMut(String, Option<String>),
    ) -> Result<(), ToolError> {
        self.0.moments.pass().await;
        for (address, ids) in &self.0.stored.borrow().0 {
            for id in ids {
                tell(address.clone(), Some(id.clone()));
            }
            if ids.is_empty() {
                tell(address.clone(), None);
            }
        }
        Ok(())
    }

    fn journal_name(&self) -> Option<PlaceName> {
        Some(PlaceName {
            directory: self.0.namesake.unwrap_or(self.0.name).to_owned(),
            workspace: "default".to_owned(),
            backend: "fake".to_owned(),
        })
    }

    fn shares_its_name(&self) -> bool {
        self.0.shares_its_name
    }

    fn import_by_hand(&self, address: &str, id: &str) -> String {
        format!("fake import in {} {address} {id}", self.0.name)
    }
}

impl Recovering for FakeTool {
    async fn imports_by_plan(&self, _: &impl Host) -> Result<bool, ToolError> {
        self.0.moments.pass().await;
        Ok(self.0.imports)
    }

    fn is_address(&self, text: &str) -> bool {
        text.contains('.')
    }

    fn are_of_one_type(&self, one: &str, other: &str) -> bool {
        one.split('.').next() == other.split('.').next()
    }

    fn import_blocks(&self, made: &[Made]) -> String {
        let all = made.iter();
        let blocks = all.map(|Made { address, id }| self.import_by_hand(address, id));
        blocks.collect::<Vec<_>>().join("\n")
    }

    fn lay_out(&self, _: &[Made]) -> io::Result<LaidOut> {
        Ok(LaidOut(PathBuf::from("/nowhere/blocks")))
    }

    fn clear_away(&self) -> io::Result<Option<PathBuf>> {
        Ok(None)
    }

    async fn step(
        &self,
        _: &impl Host,
        _: Step<'_>,
        _: &Job,
        _: Duration,
        _: bool,
    ) -> Result<Prepared, ToolError> {
        self.own_command(Command::new("fake"))
    }

    fn planned(&self, _: &Draft) -> Result<Planned, ToolError> {
        Ok(self.0.plans.borrow_mut().remove(0))
    }
}
