//! What is broken in one round, drawn from its seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;

use super::layout::Layout;
use crate::support::proxy::Fault;
use crate::support::{Answer, Kind, Program};

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
    pub(super) rival: Rival,
    pub(super) layout: Layout,
    pub(super) program: Program,
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
    /// When softstop looks at the lock.
    AtLook,
    AtLock,
    AtStateWrite,
    AtUnlock,
    InAfterScript,
}

/// What is wrong with the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// Every answer is late.
    Slow,
    /// So many requests are answered with 500.
    ServerErrors(u32),
    /// So many connections are cut.
    Cuts(u32),
    /// A write of the state hangs until the run is over.
    HangingStateWrite,
    /// The server takes a lock, and its answer is lost.
    LostLockAnswer,
}

/// What Bitbucket says of the step once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BitbucketSays {
    Completed,
    Running,
    Unauthorized,
    NotFound,
    ServerError,
    TimeOut,
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
const ANSWERS: [BitbucketSays; 10] = [
    BitbucketSays::Completed,
    BitbucketSays::Completed,
    BitbucketSays::Completed,
    BitbucketSays::Completed,
    BitbucketSays::Completed,
    BitbucketSays::Running,
    BitbucketSays::Unauthorized,
    BitbucketSays::NotFound,
    BitbucketSays::ServerError,
    BitbucketSays::TimeOut,
];

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Self {
            seed,
            kind: one_of(&mut rng, &Kind::REAL),
            place: one_of(&mut rng, &PLACES),
            script: one_of(&mut rng, &SCRIPTS),
            victim: one_of(&mut rng, &VICTIMS),
            target: one_of(&mut rng, &TARGETS),
            blow: blow(&mut rng),
            moment: moment(&mut rng),
            trouble: trouble(&mut rng),
            answer: one_of(&mut rng, &ANSWERS),
            rival: rival(&mut rng),
            layout: one_of(&mut rng, &Layout::DRAWN),
            program: one_of(&mut rng, &PROGRAMS),
        };
        plan.made_possible()
    }

    /// Not everything goes together; what does not is left out.
    fn made_possible(mut self) -> Self {
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
        if self.answer == BitbucketSays::TimeOut && matches!(self.rival, Rival::SecondDeploy(_)) {
            // It asks too, again and again, and would not be done in time.
            self.answer = BitbucketSays::ServerError;
        }
        if !self.layout.is_possible(self.kind, self.place) {
            self.layout = Layout::Plain;
        }
        // The containers have no OpenTofu, and the version manager stands for Terraform.
        if self.place == Place::Container || self.layout == Layout::Shim {
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

impl Trouble {
    /// The fault of a proxy, and how often it comes.
    pub(super) fn fault(self) -> Option<(Fault, u32)> {
        match self {
            Self::None | Self::HangingStateWrite => None,
            Self::Slow => Some((Fault::Delay(Duration::from_millis(60)), u32::MAX)),
            Self::ServerErrors(times) => Some((Fault::Refuse, times)),
            Self::Cuts(times) => Some((Fault::Cut, times)),
            Self::LostLockAnswer => Some((Fault::LoseAnswer, 1)),
        }
    }
}

impl BitbucketSays {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Completed => Answer::Completed("STOPPED"),
            Self::Running => Answer::InProgress,
            Self::Unauthorized => Answer::Status(401),
            Self::NotFound => Answer::Status(404),
            Self::ServerError => Answer::Status(500),
            Self::TimeOut => Answer::Slow,
        }
    }

    /// The exit code of a `release` that may not release because of this answer.
    pub(super) fn exit_code(self) -> i32 {
        match self {
            Self::Completed | Self::Running => 0,
            Self::NotFound => 3,
            Self::Unauthorized | Self::ServerError | Self::TimeOut => 4,
        }
    }
}

fn one_of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}

fn up_to(rng: &mut Rng, milliseconds: u64) -> Duration {
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
    match rng.u8(..9) {
        0..=3 => Moment::After(rng.f64()),
        4 => Moment::AtLook,
        5 => Moment::AtLock,
        6 => Moment::AtStateWrite,
        7 => Moment::AtUnlock,
        _ => Moment::InAfterScript,
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.u8(..10) {
        0..=4 => Trouble::None,
        5 => Trouble::Slow,
        6 => Trouble::ServerErrors(rng.u32(1..4)),
        7 => Trouble::Cuts(rng.u32(1..4)),
        8 => Trouble::HangingStateWrite,
        _ => Trouble::LostLockAnswer,
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
    pub(super) fn dimensions(&self) -> [(&'static str, String); 11] {
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
            ("rival", name(&self.rival)),
        ]
    }
}
