//! What speaks for and against a release.

/// What proves that the holder of a lock is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    OwnRun,
    NobodyLeftHere,
    EarlierRun,
    /// Why Bitbucket did not say anything else, where it was to be asked.
    PipelineMovedOn {
        silence: Option<String>,
    },
    StepCompleted {
        result: Option<String>,
    },
}

/// What shows that the holder of a lock is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    StillHere,
    OwnLook,
    Container,
    Step { state: String },
    Process,
    ChangesHands,
}

/// Why a lock is neither released nor waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    ProcessesRemain,
    OlderThanTheRun,
    YoungerThanTheRun,
    SomebodyElse,
    OtherVersion,
    OtherOperation,
    UnknownTime,
    ToolEndedByItself,
    OthersRun,
    OthersHidden,
    UnknownHolder,
    NoBuild,
    PerhapsHere,
    ProcessesHidden {
        reason: String,
    },
    DockerSilent {
        reason: String,
    },
    ThisStep,
    /// Why the order of steps says nothing either, where it might have.
    NoToken {
        order: Option<String>,
    },
    NoAnswer {
        reason: String,
        was_asked: bool,
    },
    UnknownState {
        state: String,
    },
    OtherRun,
    LaterRun,
    NeverRan,
    NoEnd,
    OutlivesItsStep,
}

impl Doubt {
    /// Whether somebody who could tell was not reached.
    pub(crate) fn is_for_want_of_an_answer(&self) -> bool {
        matches!(
            self,
            Self::DockerSilent { .. }
                | Self::NoAnswer {
                    was_asked: false,
                    ..
                }
        )
    }
}
