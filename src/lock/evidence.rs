//! What is known of the holder of a lock.

use jiff::Timestamp;

use super::owner::Owner;
use super::reasons::{Doubt, Life};
use super::step::StepReport;

/// What is known beside the lock itself.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    /// The `user@host` that a lock of whoever asks would carry.
    pub(crate) signature: &'a str,
    /// Who else can sign like that.
    pub(crate) others: Others,
    /// The step that asks, where a step does.
    pub(crate) asker: Option<&'a Owner>,
    pub(crate) siblings: Siblings,
    /// When whoever asks began to.
    pub(crate) began: Timestamp,
    pub(crate) sighting: Presence,
}

/// What the order of steps says of the other steps in the asker's pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Siblings {
    /// The pipeline has moved on, so each of them is over.
    Over,
    /// Some may run; why it cannot be told, where it might have been.
    Open { reason: Option<String> },
}

/// What was seen of the holder itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing, which proves nothing: it may be where nobody looked.
    Nothing,
    Alive(Life),
    /// Something that leaves it open whether it is alive.
    Unclear(Doubt),
}

/// What Bitbucket says of the step that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is no token to ask with.
    NoToken,
    /// It said nothing of the step; whether it was reached at all.
    Silence {
        reason: String,
        was_asked: bool,
    },
    /// It said something that cannot be used, so it may know that the step runs.
    Unusable {
        reason: String,
    },
    Step(StepReport),
}

/// Whether anybody else could have signed a lock just as a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// The signature is this run's alone.
    Impossible,
    /// Nobody on this machine, but another machine may have the same name.
    NotHere,
    /// Somebody who is running now.
    Running,
    /// Perhaps somebody who cannot be seen.
    Hidden,
}

impl Others {
    /// Whether nobody else can have signed a lock, which names a build or does not.
    ///
    /// A step signs on one machine only, so for the name of its build it is enough to see all of
    /// that machine.
    pub(super) fn are_excluded(self, names_a_build: bool) -> bool {
        match self {
            Self::Impossible => true,
            Self::NotHere => names_a_build,
            Self::Running | Self::Hidden => false,
        }
    }
}
