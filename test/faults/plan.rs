//! What is broken in one round, drawn from its seed.

use std::fmt;

use fastrand::Rng;
use nix::sys::signal::Signal;

use super::answers::BitbucketSays;
use super::change::Change;
use super::company::Company;
use super::drawn::{
    Blow, LAST_STEPS, LastStep, Moment, PLACES, PROGRAMS, Place, Rival, SCRIPTS, Script, TARGETS,
    Target, VICTIMS, Victim, blow, moment, one_of, rival,
};
use super::journaling::{Journaling, Wish};
use super::layout::Layout;
use super::reader::Habit;
use super::trouble::Trouble;
use crate::support::{Kind, Program};

/// One round: the same seed gives the same plan.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) script: Script,
    pub(super) victim: Victim,
    pub(super) target: Target,
    pub(super) blow: Blow,
    pub(super) moment: Moment,
    pub(super) trouble: Trouble,
    pub(super) answer: BitbucketSays,
    pub(super) last_step: LastStep,
    pub(super) rival: Rival,
    pub(super) layout: Layout,
    pub(super) program: Program,
    /// Whether a process outside of the deploy holds its output, and goes on writing.
    pub(super) has_outsider: bool,
    pub(super) reader: Habit,
    /// Whether the machine lets softstop look late.
    pub(super) is_busy: bool,
    /// Who else runs in the same container; then much of the rest is left out.
    pub(super) company: Option<Company>,
    pub(super) journaling: Journaling,
    /// Whether the next deploy can read the log of the broken one.
    pub(super) has_log: bool,
    /// What the next deploy is told to do about what is left.
    pub(super) wish: Wish,
    pub(super) change: Change,
}

/// Many a blow leaves a lease on azurerm that names nobody, and only a person breaks that: docs/limits.md.
fn kinds() -> Vec<Kind> {
    let is_drawn = |kind: &Kind| *kind != Kind::Azurerm;
    Kind::ALL.into_iter().filter(is_drawn).collect()
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let kind = one_of(&mut rng, &kinds());
        let mut plan = Self {
            seed,
            kind,
            place: one_of(&mut rng, &PLACES),
            script: one_of(&mut rng, &SCRIPTS),
            victim: one_of(&mut rng, &VICTIMS),
            target: one_of(&mut rng, &TARGETS),
            blow: blow(&mut rng),
            moment: moment(&mut rng),
            trouble: Trouble::drawn(&mut rng, kind),
            answer: one_of(&mut rng, &BitbucketSays::DRAWN),
            last_step: one_of(&mut rng, &LAST_STEPS),
            rival: rival(&mut rng),
            layout: one_of(&mut rng, &Layout::DRAWN),
            program: one_of(&mut rng, &PROGRAMS),
            has_outsider: rng.u8(..8) == 0,
            company: Company::drawn(&mut rng),
            journaling: Journaling::drawn(&mut rng),
            wish: Wish::drawn(&mut rng),
            change: Change::drawn(&mut rng),
            reader: Habit::drawn(&mut rng),
            has_log: rng.u8(..3) == 0,
            is_busy: rng.u8(..10) == 0,
        };
        if rng.u8(..5) == 0 {
            plan.be_stopped_by_the_button();
        }
        plan.made_possible()
    }

    /// Not everything goes together; what does not is left out.
    fn made_possible(mut self) -> Self {
        if self.company.is_some() && !self.kind.outlives_its_holder() {
            self.company = None;
        }
        if self.company.is_some() {
            self.be_in_company();
        }
        if self.victim == Victim::Release {
            // A release is one softstop and a Terraform at a time, and has no place to stop at.
            self.place = Place::Host;
            if matches!(self.target, Target::Plugin | Target::Shell) {
                self.target = Target::Supervisor;
            }
            if matches!(self.moment, Moment::AtLock | Moment::AtStateWrite) {
                self.moment = Moment::AtLook;
            }
            if self.moment == Moment::InAfterScript {
                self.moment = Moment::AtUnlock;
            }
            // It writes no state.
            if self.trouble == Trouble::HangingStateWrite {
                self.trouble = Trouble::Slow;
            }
            // Nobody is there to be released where the lock is another one's.
            self.rival = match self.rival {
                Rival::Laptop { .. } => Rival::None,
                rival => rival,
            };
            // Between its check and its delete, or on a lax server, a release hits whoever has the
            // lock by then: docs/limits.md. To hold it back there keeps that window open.
            let is_second = matches!(self.rival, Rival::SecondDeploy(_));
            let is_atomic = matches!(self.kind, Kind::HttpStrict | Kind::Gcs | Kind::Kubernetes);
            if self.moment == Moment::AtUnlock && !is_atomic && is_second {
                self.rival = Rival::None;
            }
        }
        if matches!(self.moment, Moment::AtStart(_) | Moment::AtConfiguration) {
            self.be_early();
        }
        if self.layout.has_tools_in_line() {
            self.be_stopped_in_the_midst();
        }
        if matches!(self.trouble, Trouble::LateUnlock { .. }) {
            // A strict one refuses it then.
            self.kind = Kind::HttpLax;
            if !self.blow.kills() {
                // Whoever goes on although the lock was not given back is left alone.
                self.target = Target::Plugin;
            }
        }
        // What a lax server does late, or twice, hits whoever has the lock by then: docs/limits.md.
        let is_untimely = self.trouble.is_untimely() && self.kind == Kind::HttpLax;
        if is_untimely && matches!(self.rival, Rival::SecondDeploy(_)) {
            self.rival = Rival::None;
        }
        if self.answer == BitbucketSays::TimeOut && self.last_step == LastStep::Asks {
            // The two releases would take most of a minute.
            self.last_step = LastStep::ByOrder;
        }
        if self.answer == BitbucketSays::TimeOut && matches!(self.rival, Rival::SecondDeploy(_)) {
            // It asks too, again and again, and would not be done in time.
            self.answer = BitbucketSays::ServerError;
        }
        if self.answer.falls_silent() && matches!(self.rival, Rival::SecondDeploy(_)) {
            // It may be the one who hears the only word.
            self.rival = Rival::None;
        }
        if !self.layout.is_possible(self.kind, self.place) {
            self.layout = Layout::Plain;
        }
        if self.layout == Layout::RemovedWorkspace {
            // One that is killed while it makes a workspace is a limit of README's.
            self.victim = Victim::Deploy;
            self.moment = self.moment.while_locked();
        }
        if self.layout.has_two_environments() {
            self.be_killed_in_the_first_environment();
        }
        // The containers have no OpenTofu, and the version manager stands for Terraform.
        if self.place == Place::Container || self.layout.stands_for_terraform() {
            self.program = Program::Terraform;
        }
        if self.layout == Layout::Renamed {
            self.program = Program::OpenTofu;
        }
        if self.script == Script::Default && !self.layout.allows_default() {
            self.script = Script::Shell;
        }
        if self.place == Place::Container || self.victim == Victim::Release {
            self.reader = Habit::Reads;
        }
        if self.kind == Kind::Local {
            self.trouble = Trouble::None;
        }
        if !self.kind.outlives_its_holder() && matches!(self.rival, Rival::Laptop { .. }) {
            self.rival = Rival::None;
        }
        self
    }

    /// Whether the journal tells of all that the broken deploy does. Of several places that are used
    /// one after the other, it tells of the first one.
    pub(super) fn has_whole_journal(&self) -> bool {
        // A workspace that is made and removed again is a second place.
        let has_one_place = !matches!(
            self.layout,
            Layout::TwoStates | Layout::Nested | Layout::RemovedWorkspace
        );
        // Nothing is written before it was read what is there.
        has_one_place && !self.is_busy && self.journaling == Journaling::Kept
    }

    /// All that counts is who signs what, and who is over.
    fn be_in_company(&mut self) {
        self.place = Place::Container;
        self.victim = Victim::Deploy;
        self.target = Target::Softstop;
        self.moment = Moment::After(0.5);
        self.layout = Layout::Plain;
        self.trouble = Trouble::None;
        self.rival = Rival::None;
        self.has_outsider = false;
        self.reader = Habit::Reads;
        self.is_busy = false;
        self.has_log = false;
        self.journaling = Journaling::Nowhere;
        self.change = Change::Creates;
    }

    /// It is softstop itself that is hit in its first moments.
    fn be_early(&mut self) {
        self.victim = Victim::Deploy;
        self.layout = Layout::Plain;
        self.is_busy = false;
        if !matches!(self.target, Target::Supervisor | Target::Tree) {
            self.target = Target::Softstop;
        }
        if self.moment == Moment::AtConfiguration {
            // Whom the kernel spares the signals that nobody listens to.
            self.place = Place::Namespace;
            self.target = Target::Softstop;
            // OpenTofu takes its time over so many files.
            self.program = Program::Terraform;
            self.blow = Blow::Once(self.blow.asks().unwrap_or(Signal::SIGTERM));
        }
    }

    /// The whole step is gone at once, with the lock in its hands: what all recovery is about.
    fn be_stopped_by_the_button(&mut self) {
        self.victim = Victim::Deploy;
        self.target = Target::Tree;
        self.blow = Blow::Once(Signal::SIGKILL);
        self.moment = self.moment.while_locked();
    }

    /// Where Terraform dies, the script goes on, and the directory says afterwards what came last.
    fn be_killed_in_the_first_environment(&mut self) {
        self.victim = Victim::Deploy;
        if self.blow.kills() {
            self.target = Target::Terraform;
            self.moment = self.moment.while_locked();
        }
    }

    /// Tools that are in a line of ancestors differ in what a stop makes of them.
    fn be_stopped_in_the_midst(&mut self) {
        self.victim = Victim::Deploy;
        self.moment = match self.moment {
            Moment::AtUnlock => Moment::AtStateWrite,
            moment => moment.while_locked(),
        };
        if self.blow.kills() {
            self.blow = Blow::Once(Signal::SIGTERM);
        }
        if self.target != Target::Supervisor {
            self.target = Target::Softstop;
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (dimension, value) in self.dimensions() {
            write!(formatter, "{dimension}: {value}; ")?;
        }
        write!(
            formatter,
            "{:?}, {:?}, {:?}, {:?}",
            self.blow, self.moment, self.trouble, self.rival
        )
    }
}

impl Plan {
    /// What the rounds are counted by.
    pub(super) fn dimensions(&self) -> [(&'static str, String); 20] {
        let name = |value: &dyn fmt::Debug| {
            let text = format!("{value:?}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        let target = match (self.target, self.place) {
            (target, Place::Host) => name(&target),
            (Target::Softstop | Target::Supervisor, _) => "PID 1".to_owned(),
            (target, _) => name(&target),
        };
        let blow = match self.blow {
            Blow::Once(signal) => signal.to_string(),
            blow => name(&blow),
        };
        [
            ("backend", name(&self.kind)),
            ("place", name(&self.place)),
            ("program", name(&self.program)),
            ("layout", name(&self.layout)),
            ("command", name(&self.script)),
            ("hit", format!("{target} of {:?}", self.victim)),
            ("signal", blow),
            ("moment", name(&self.moment)),
            ("trouble", name(&self.trouble)),
            ("answer", name(&self.answer)),
            ("final", name(&self.last_step)),
            ("rival", name(&self.rival)),
            ("company", name(&self.company.map(|company| company.who))),
            ("outsider", self.has_outsider.to_string()),
            ("busy", self.is_busy.to_string()),
            ("reader", name(&self.reader)),
            ("journal", name(&self.journaling)),
            ("log", self.has_log.to_string()),
            ("unfinished", name(&self.wish)),
            ("change", name(&self.change)),
        ]
    }
}
