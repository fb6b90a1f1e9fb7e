//! What is broken in one round, drawn from its seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;

use super::answers::BitbucketSays;
use super::company::Company;
use super::layout::Layout;
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
    /// Who else runs in the same container; then much of the rest is left out.
    pub(super) company: Option<Company>,
}

/// Where the deploy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Beside its guard, as in a build container.
    Host,
    /// As PID 1 of a namespace.
    Namespace,
    /// As PID 1 of a real container.
    Container,
}

/// How the deploy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// softstop's own default.
    Default,
    /// A shell that stays above Terraform.
    Shell,
    /// Terraform's output goes through `tee`.
    Tee,
}

/// Which run of softstop's is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Deploy,
    /// The deploy is killed first, and then the release of its lock is hit.
    Release,
}

/// Which of its processes are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The process that was started: softstop's guard, or PID 1.
    Softstop,
    /// The process that supervises: the guard's child, or PID 1.
    Supervisor,
    Terraform,
    Plugin,
    Shell,
    Tree,
}

/// With which signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    Once(Signal),
    StopThenKill(Duration),
    TermTwice(Duration),
    TermThenKill(Duration),
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moment {
    /// After this part of the time that such a run takes.
    After(f64),
    /// So long after its start, before it can have done much.
    AtStart(Duration),
    /// When softstop reads its configuration, and has been running its own code for a while.
    AtConfiguration,
    /// When softstop looks at the lock.
    AtLook,
    AtLock,
    AtStateWrite,
    AtUnlock,
    InAfterScript,
}

/// How the `final:` step of the pipeline releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastStep {
    /// By the order of steps, which its pipelines file shows.
    ByOrder,
    /// It asks Bitbucket too.
    Asks,
    HasNoFile,
    /// Its pipelines file has a release in a parallel group.
    HasParallelRelease,
}

/// Who else is after the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rival {
    None,
    /// A deploy of another pipeline, begun so long after the first one.
    SecondDeploy(Duration),
    /// Two releases at once.
    SecondRelease,
    /// A person, who takes the lock before the deploy, or after its end.
    Laptop {
        is_first: bool,
    },
}

/// What is drawn from, the usual more than once.
const PLACES: [Place; 5] = [
    Place::Host,
    Place::Host,
    Place::Host,
    Place::Namespace,
    Place::Container,
];
const PROGRAMS: [Program; 4] = [
    Program::Terraform,
    Program::Terraform,
    Program::Terraform,
    Program::OpenTofu,
];
const SCRIPTS: [Script; 3] = [Script::Default, Script::Shell, Script::Tee];
const VICTIMS: [Victim; 4] = [
    Victim::Deploy,
    Victim::Deploy,
    Victim::Deploy,
    Victim::Release,
];
const TARGETS: [Target; 7] = [
    Target::Softstop,
    Target::Supervisor,
    Target::Terraform,
    Target::Plugin,
    Target::Shell,
    // As the Stop button does.
    Target::Tree,
    Target::Tree,
];
const LAST_STEPS: [LastStep; 7] = [
    LastStep::ByOrder,
    LastStep::ByOrder,
    LastStep::ByOrder,
    LastStep::Asks,
    LastStep::Asks,
    LastStep::HasNoFile,
    LastStep::HasParallelRelease,
];

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let kind = one_of(&mut rng, &Kind::REAL);
        let plan = Self {
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
        };
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
        if !self.layout.is_possible(self.kind, self.place) {
            self.layout = Layout::Plain;
        }
        // The containers have no OpenTofu, and the version manager stands for Terraform.
        if self.place == Place::Container || self.layout.stands_for_terraform() {
            self.program = Program::Terraform;
        }
        if self.script == Script::Default && !self.layout.allows_default() {
            self.script = Script::Shell;
        }
        if self.kind == Kind::Local {
            self.trouble = Trouble::None;
        }
        if !self.kind.outlives_its_holder() && matches!(self.rival, Rival::Laptop { .. }) {
            self.rival = Rival::None;
        }
        self
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
    }

    /// It is softstop itself that is hit in its first moments.
    fn be_early(&mut self) {
        self.victim = Victim::Deploy;
        self.layout = Layout::Plain;
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

    /// Tools that are in a line of ancestors differ in what a stop makes of them.
    fn be_stopped_in_the_midst(&mut self) {
        self.victim = Victim::Deploy;
        self.moment = match self.moment {
            Moment::After(part) => Moment::After(0.5 + part / 2.0),
            _ => Moment::AtStateWrite,
        };
        if self.blow.kills() {
            self.blow = Blow::Once(Signal::SIGTERM);
        }
        if self.target != Target::Supervisor {
            self.target = Target::Softstop;
        }
    }
}

impl Blow {
    /// The first signal with which somebody asks to stop.
    pub(super) fn asks(self) -> Option<Signal> {
        match self {
            Self::Once(Signal::SIGKILL) | Self::StopThenKill(_) => None,
            Self::Once(signal) => Some(signal),
            Self::TermTwice(_) | Self::TermThenKill(_) => Some(Signal::SIGTERM),
        }
    }

    pub(super) fn kills(self) -> bool {
        matches!(
            self,
            Self::Once(Signal::SIGKILL) | Self::StopThenKill(_) | Self::TermThenKill(_)
        )
    }
}

pub(super) fn one_of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}

pub(super) fn up_to(rng: &mut Rng, milliseconds: u64) -> Duration {
    Duration::from_millis(rng.u64(..=milliseconds))
}

fn blow(rng: &mut Rng) -> Blow {
    match rng.u8(..9) {
        0..=2 => Blow::Once(Signal::SIGKILL),
        3 => Blow::Once(Signal::SIGTERM),
        4 => Blow::Once(Signal::SIGINT),
        5 => Blow::Once(Signal::SIGHUP),
        6 => Blow::StopThenKill(up_to(rng, 500)),
        7 => Blow::TermTwice(up_to(rng, 600)),
        _ => Blow::TermThenKill(up_to(rng, 1000)),
    }
}

fn moment(rng: &mut Rng) -> Moment {
    match rng.u8(..11) {
        0..=3 => Moment::After(rng.f64()),
        4 => Moment::AtLook,
        5 => Moment::AtLock,
        6 => Moment::AtStateWrite,
        7 => Moment::AtUnlock,
        8 => Moment::AtStart(up_to(rng, 200)),
        9 => Moment::AtConfiguration,
        _ => Moment::InAfterScript,
    }
}

fn rival(rng: &mut Rng) -> Rival {
    match rng.u8(..9) {
        0..=4 => Rival::None,
        5 | 6 => Rival::SecondDeploy(up_to(rng, 2000)),
        7 => Rival::SecondRelease,
        _ => Rival::Laptop {
            is_first: rng.u8(..4) == 0,
        },
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
    pub(super) fn dimensions(&self) -> [(&'static str, String); 14] {
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
        ]
    }
}
