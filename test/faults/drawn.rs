//! What a plan is drawn from.

use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;

use crate::support::Program;

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
    /// By its pipelines file, somebody may start a step beside it.
    HasStepByHand,
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
pub(super) const PLACES: [Place; 5] = [
    Place::Host,
    Place::Host,
    Place::Host,
    Place::Namespace,
    Place::Container,
];
pub(super) const PROGRAMS: [Program; 4] = [
    Program::Terraform,
    Program::Terraform,
    Program::Terraform,
    Program::OpenTofu,
];
pub(super) const SCRIPTS: [Script; 3] = [Script::Default, Script::Shell, Script::Tee];
pub(super) const VICTIMS: [Victim; 4] = [
    Victim::Deploy,
    Victim::Deploy,
    Victim::Deploy,
    Victim::Release,
];
pub(super) const TARGETS: [Target; 6] = [
    Target::Softstop,
    Target::Supervisor,
    Target::Terraform,
    Target::Plugin,
    Target::Shell,
    Target::Tree,
];
pub(super) const LAST_STEPS: [LastStep; 7] = [
    LastStep::ByOrder,
    LastStep::ByOrder,
    LastStep::Asks,
    LastStep::Asks,
    LastStep::HasNoFile,
    LastStep::HasParallelRelease,
    LastStep::HasStepByHand,
];

impl Moment {
    /// The same or another one, at which a deploy has its lock.
    pub(super) fn while_locked(self) -> Self {
        match self {
            Self::After(part) => Self::After(0.5 + part / 2.0),
            Self::AtUnlock => Self::AtUnlock,
            _ => Self::AtStateWrite,
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

pub(super) fn blow(rng: &mut Rng) -> Blow {
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

pub(super) fn moment(rng: &mut Rng) -> Moment {
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

pub(super) fn rival(rng: &mut Rng) -> Rival {
    match rng.u8(..9) {
        0..=4 => Rival::None,
        5 | 6 => Rival::SecondDeploy(up_to(rng, 2000)),
        7 => Rival::SecondRelease,
        _ => Rival::Laptop {
            is_first: rng.u8(..4) == 0,
        },
    }
}
