//! Why a report could not be written or read.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use thiserror::Error;
use tracing::debug;

use super::error::Said;
use crate::http_client::innermost;
use crate::printable::quoted;

/// Why Code Insights could not be asked, or did not do it.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum InsightsError {
    #[error("there is no proxy to Bitbucket's Code Insights, as there is inside of Pipelines")]
    NotThere,
    #[error("Bitbucket's Code Insights have been asked too often")]
    TooManyRequests {
        /// How long to keep quiet, where Bitbucket says it.
        wait: Option<Duration>,
    },
    #[error("Bitbucket's Code Insights gave no answer in time")]
    TimedOut,
    #[error("Bitbucket's Code Insights broke off: {0}")]
    BrokenOff(String),
    #[error("Bitbucket's Code Insights know no such commit or report")]
    NotFound,
    #[error("Bitbucket's Code Insights answered with {status}{said}")]
    Refused { status: StatusCode, said: Said },
    #[error("Bitbucket's Code Insights answered with something that cannot be read")]
    Malformed,
    #[error("Bitbucket's Code Insights cannot be asked: {0}")]
    Unusable(String),
}

impl InsightsError {
    /// What a failed request means.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_connect() {
            debug!("The proxy to Code Insights: {}.", innermost(error));
            Self::NotThere
        } else {
            Self::BrokenOff(innermost(error))
        }
    }

    /// With the reason, which Code Insights give in a form of their own.
    pub(super) fn refused(status: StatusCode, body: &str) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let messages = [&json["error"]["message"], &json["message"]];
        let said = messages.into_iter().find_map(Value::as_str);
        Self::Refused {
            status,
            said: Said(said.map(quoted)),
        }
    }

    /// Whether the same may be done at another time.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::TooManyRequests { .. } | Self::TimedOut | Self::BrokenOff(_) => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::NotThere | Self::NotFound | Self::Malformed | Self::Unusable(_) => false,
        }
    }
}
