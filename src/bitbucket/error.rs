//! Why a question to Bitbucket has no answer.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

/// Why nothing is known of a step.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ApiError {
    #[error(
        "{place} refused the token with 401{said}: it is not valid, or it has expired. Set BITBUCKET_ACCESS_TOKEN, or ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN, anew"
    )]
    Refused { place: String, said: Said },
    #[error(
        "{place} does not let this token read the pipelines of {repository}{said}. Give an API token the scope read:pipeline:bitbucket, or an access token the permission to read pipelines"
    )]
    Forbidden {
        place: String,
        repository: String,
        said: Said,
    },
    #[error(
        "{place} knows no step {step} in {repository}, or does not show it to this token{said}. Check that the token may read that repository"
    )]
    NotFound {
        place: String,
        repository: String,
        step: String,
        said: Said,
    },
    #[error("{place} has been asked too often{said}. Try again later")]
    TooManyRequests {
        place: String,
        /// How long to keep quiet, where Bitbucket says it.
        wait: Option<Duration>,
        said: Said,
    },
    #[error("{place} failed with {status}{said}. Try again later")]
    ServerError {
        place: String,
        status: StatusCode,
        said: Said,
    },
    #[error(
        "{place} answered with {status}{said}, which says nothing of step {step}. Check BITBUCKET_API_URL"
    )]
    Unexpected {
        place: String,
        step: String,
        status: StatusCode,
        said: Said,
    },
    #[error(
        "{place} answered about step {step} with something that is not JSON, or too much of it. Check BITBUCKET_API_URL, and any proxy on the way"
    )]
    NotJson { place: String, step: String },
    #[error("{place} began an answer about step {step}, and broke off. Try again later")]
    BrokenOff { place: String, step: String },
    #[error("Bitbucket's answer does not say in which state step {step} is. {LOOK_YOURSELF}")]
    Malformed { step: String },
    #[error("Bitbucket was asked about step {step} and answered about another. {LOOK_YOURSELF}")]
    OtherStep { step: String },
    #[error(
        "Bitbucket contradicts itself about step {step}: the state is named {name:?}, but its type {kind:?}. {LOOK_YOURSELF}"
    )]
    Contradiction {
        step: String,
        name: String,
        kind: String,
    },
    #[error("{place} cannot be reached: {reason}. Check BITBUCKET_API_URL, and the network")]
    Unreachable { place: String, reason: String },
    #[error("{place} gave no answer in time. Try again later")]
    TimedOut { place: String },
}

/// How long to keep quiet where Bitbucket does not say for how long.
const QUIET: Duration = Duration::from_secs(60);

const LOOK_YOURSELF: &str = "Look at the build in Bitbucket";

impl ApiError {
    /// Whether Bitbucket was asked and answered; anything else means that it could not be asked.
    pub(crate) fn is_an_answer(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether nothing was said of the step. Anything else may hide that it runs.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::TooManyRequests { .. }
            | Self::ServerError { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. } => true,
            Self::Unexpected { status, .. } => *status == StatusCode::NOT_FOUND,
            Self::NotJson { .. }
            | Self::BrokenOff { .. }
            | Self::Malformed { .. }
            | Self::OtherStep { .. }
            | Self::Contradiction { .. } => false,
        }
    }

    /// How long Bitbucket wants to be left alone.
    pub(crate) fn quiet_time(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { wait, .. } => Some(wait.unwrap_or(QUIET)),
            _ => None,
        }
    }

    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. }
                | Self::ServerError { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::BrokenOff { .. }
        )
    }
}

/// The reason that Bitbucket gives for an error, if it gives one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said(pub(super) Option<String>);

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(message) => write!(formatter, " (it said: {message:?})"),
            None => Ok(()),
        }
    }
}
