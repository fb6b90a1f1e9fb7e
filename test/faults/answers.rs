//! What Bitbucket says of a step, and what may follow from it.

use crate::support::Answer;

/// What Bitbucket says of the step once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BitbucketSays {
    Completed,
    Running,
    Unauthorized,
    NotFound,
    ServerError,
    TimeOut,
    /// The name of the state and its type do not fit.
    Contradiction,
    /// It does not say when the step was completed.
    NoEnd,
    OtherStep,
    Truncated,
    /// 200, and nothing else.
    Empty,
    /// This once, and then silence.
    RunningOnce,
    EmptyOnce,
}

/// When the answers of a step say that it has ended: after any lock of a round.
const COMPLETED_ON: &str = "2099-01-01T00:00:00.123456Z";

impl BitbucketSays {
    /// What is drawn from, the usual more than once.
    pub(super) const DRAWN: [Self; 17] = [
        Self::Completed,
        Self::Completed,
        Self::Completed,
        Self::Completed,
        Self::Completed,
        Self::Running,
        Self::Unauthorized,
        Self::NotFound,
        Self::ServerError,
        Self::TimeOut,
        Self::Contradiction,
        Self::NoEnd,
        Self::OtherStep,
        Self::Truncated,
        Self::Empty,
        Self::RunningOnce,
        Self::EmptyOnce,
    ];

    /// One after the other; the last one stays.
    pub(super) fn answers(self) -> Vec<Answer> {
        let silence = self.falls_silent().then(|| Self::ServerError.answer());
        [self.answer()].into_iter().chain(silence).collect()
    }

    /// Whether whoever asks twice hears less than before.
    pub(super) fn falls_silent(self) -> bool {
        matches!(self, Self::RunningOnce | Self::EmptyOnce)
    }

    fn answer(self) -> Answer {
        let completed = |kind: &str, rest: &str| {
            let state = format!(r#""state": {{"name": "COMPLETED", "type": "{kind}"}}"#);
            Answer::Raw(200, format!("{{{state}{rest}}}"))
        };
        let end = format!(r#", "completed_on": "{COMPLETED_ON}""#);
        match self {
            Self::Completed => Answer::Completed("STOPPED"),
            Self::Running | Self::RunningOnce => Answer::InProgress,
            Self::Unauthorized => Answer::Status(401),
            Self::NotFound => Answer::Status(404),
            Self::ServerError => Answer::Status(500),
            Self::TimeOut => Answer::Slow,
            Self::Contradiction => completed("pipeline_step_state_in_progress", &end),
            Self::NoEnd => completed("pipeline_step_state_completed", ""),
            Self::OtherStep => {
                let other = r#", "uuid": "{1b7ae3d0-0000-4000-8000-00000000000b}""#;
                completed("pipeline_step_state_completed", &format!("{end}{other}"))
            }
            Self::Truncated => Answer::Raw(200, r#"{"state": {"name": "COMPLE"#.to_owned()),
            Self::Empty | Self::EmptyOnce => Answer::Raw(200, String::new()),
        }
    }

    /// Whether it may be about a step that lives, whatever else speaks for its end.
    pub(super) fn vetoes(self) -> bool {
        match self {
            Self::Running
            | Self::RunningOnce
            | Self::Contradiction
            | Self::NoEnd
            | Self::OtherStep
            | Self::Truncated
            | Self::Empty
            | Self::EmptyOnce => true,
            Self::Completed
            | Self::Unauthorized
            | Self::NotFound
            | Self::ServerError
            | Self::TimeOut => false,
        }
    }

    /// The exit code of a `release` that may not release because of this answer.
    pub(super) fn exit_code(self) -> i32 {
        match self {
            Self::Completed | Self::Running | Self::RunningOnce => 0,
            Self::NotFound | Self::NoEnd => 3,
            Self::Unauthorized
            | Self::ServerError
            | Self::TimeOut
            | Self::Contradiction
            | Self::OtherStep
            | Self::Truncated
            | Self::Empty
            | Self::EmptyOnce => 4,
        }
    }
}
