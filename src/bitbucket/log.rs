//! The log of a step: what it had printed when it ended.

use std::time::Duration;

use reqwest::header::{LOCATION, RANGE};
use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::api::{self, Api, Question};
use super::error::ApiError;
use crate::http_client;

/// How much of the end of a log is read.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;
/// How many requests it may need: Bitbucket sends whoever asks on to a storage.
pub(crate) const REQUESTS_FOR_A_LOG: usize = 2;
/// How long all of it may take.
const LIMIT_OF_A_LOG: Duration = Duration::from_secs(15);

impl Api {
    /// The end of a step's log, which may begin in the midst of a line.
    ///
    /// It is asked for once, since whoever needs it can do without.
    pub(crate) async fn log(&self, question: Question<'_>) -> Result<Vec<u8>, ApiError> {
        let deadline = Instant::now() + LIMIT_OF_A_LOG;
        let answer = timeout_at(deadline, self.ask_for_log(question)).await;
        answer.unwrap_or_else(|_| {
            Err(ApiError::TimedOut {
                place: self.place(),
            })
        })
    }

    async fn ask_for_log(&self, question: Question<'_>) -> Result<Vec<u8>, ApiError> {
        let mut address = self.address_of(question);
        // Every http address has segments.
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.push("log");
        }
        let range = format!("bytes=-{LONGEST}");
        let request = self.authorized(address).header(RANGE, &range);
        let mut response = self.send(request).await?;
        if let Some(storage) = storage(&response) {
            // The address itself lets whoever knows it read the log, so the token stays here.
            let request = self.unauthorized(storage).header(RANGE, range);
            response = self.send(request).await?;
        }
        match response.status() {
            status if status.is_success() => {}
            // Of nothing there is no end.
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Vec::new()),
            status => {
                let wait = api::wait(&response);
                let body = http_client::body(response).await.ok().flatten();
                let body = body.unwrap_or_default();
                return Err(self.refusal(question, status, wait, &body));
            }
        }
        let end = end(response).await;
        end.ok_or_else(|| self.broken_off(question))
    }
}

/// Where a redirect leads, unless what was encrypted would not be any more.
fn storage(response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let storage = response.url().join(location).ok()?;
    let is_as_safe = storage.scheme() == "https" || storage.scheme() == response.url().scheme();
    (response.status().is_redirection() && is_as_safe && storage.has_host()).then_some(storage)
}

/// The last bytes of an answer, whether the server gives all of it or the end alone.
async fn end(mut response: Response) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        // Seldom, because what stays is moved.
        if bytes.len() > 2 * LONGEST {
            bytes.drain(..bytes.len() - LONGEST);
        }
    }
    bytes.drain(..bytes.len().saturating_sub(LONGEST));
    Some(bytes)
}
