//! Asks Bitbucket whether a step is over.
//!
//! The token goes to the address that was configured and nowhere else: no redirect is followed. And
//! no word of a server is used before the token is struck out of it.

use std::cell::Cell;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, without_braces};
use super::error::{ApiError, Said};
use crate::http_client::{self, innermost};
use crate::lock::StepReport;
use crate::printable::quoted;

/// Where Bitbucket Cloud's API is.
pub(crate) const ADDRESS: &str = "https://api.bitbucket.org";

const LIMITS: Limits = Limits {
    request: Duration::from_secs(5),
    question: Duration::from_secs(15),
    first_pause: Duration::from_millis(500),
};
/// How often a question is asked again.
pub(super) const RETRIES: usize = 3;
/// How many requests one question may need.
pub(crate) const MOST_REQUESTS: usize = RETRIES + 1;

/// With which a question is asked.
#[derive(Debug)]
pub(crate) enum Credentials {
    AccessToken(SecretString),
    ApiToken { email: String, token: SecretString },
}

/// Which step is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) pipeline: &'a str,
    pub(crate) step: &'a str,
}

/// Bitbucket's API.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    /// Without the version of the API.
    address: Url,
    authorization: HeaderValue,
    /// What must never be shown.
    secrets: Vec<SecretString>,
    limits: Limits,
    /// How many requests were sent that nobody has counted yet.
    sent: Cell<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) request: Duration,
    /// Everything that belongs to one question: requests and pauses.
    pub(super) question: Duration,
    pub(super) first_pause: Duration,
}

impl Api {
    pub(crate) fn new(address: &str, credentials: &Credentials) -> Result<Self, String> {
        Self::limited(address, credentials, LIMITS)
    }

    pub(super) fn limited(
        address: &str,
        credentials: &Credentials,
        limits: Limits,
    ) -> Result<Self, String> {
        let address = base(address)?;
        let client = http_client::builder()
            .and_then(|builder| introduced(builder).build())
            .map_err(|error| innermost(&error))?;
        let (authorization, secrets) = authorization(&client, &address, credentials)?;
        Ok(Self {
            client,
            address,
            authorization,
            secrets,
            limits,
            sent: Cell::default(),
        })
    }

    /// Asks how a step stands, and asks again where that may help and there is time left.
    pub(crate) async fn step(&self, question: Question<'_>) -> Result<StepReport, ApiError> {
        let deadline = Instant::now() + self.limits.question;
        let left = || deadline.saturating_duration_since(Instant::now());
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.limits.first_pause)
            .with_max_times(RETRIES)
            .with_jitter();
        let ask = || self.ask(question, self.limits.request.min(left()));
        // Whoever has begun to answer may know that the step runs, whatever silence comes then.
        let mut has_begun_to_answer = false;
        let said = ask
            .retry(pauses)
            .when(ApiError::may_pass)
            .adjust(|error, planned| pause(error, planned, left()))
            .notify(|error, _| has_begun_to_answer |= !error.is_silence())
            .await;
        said.map_err(|error| {
            if has_begun_to_answer && error.is_silence() {
                self.broken_off(question)
            } else {
                error
            }
        })
    }

    /// Asks no second time: whoever waits for a lock asks anew before long.
    pub(crate) async fn step_at_once(
        &self,
        question: Question<'_>,
    ) -> Result<StepReport, ApiError> {
        self.ask(question, self.limits.request).await
    }

    /// How many requests were sent since this was asked last.
    pub(crate) fn take_sent(&self) -> usize {
        self.sent.take()
    }

    async fn ask(&self, question: Question<'_>, limit: Duration) -> Result<StepReport, ApiError> {
        let deadline = Instant::now() + limit;
        let place = || self.place();
        let request = self.send(self.authorized(self.address_of(question)));
        let response = match timeout_at(deadline, request).await {
            Ok(response) => response?,
            Err(_) => return Err(ApiError::TimedOut { place: place() }),
        };
        let (status, wait) = (response.status(), wait(&response));
        let body = match timeout_at(deadline, http_client::body(response)).await {
            Ok(Ok(body)) => body.unwrap_or_default(),
            _ if status.is_success() => return Err(self.broken_off(question)),
            // What an error says besides is not needed.
            _ => String::new(),
        };
        if !status.is_success() {
            return Err(self.refusal(question, status, wait, &body));
        }
        match self.json(&body) {
            Some(json) => answer::read(&json, without_braces(question.step)),
            None => Err(ApiError::NotJson {
                place: place(),
                step: without_braces(question.step).to_owned(),
            }),
        }
    }

    /// Sends a request, and counts it.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        self.sent.set(self.sent.get() + 1);
        request.send().await.map_err(|error| ApiError::Unreachable {
            place: self.place(),
            reason: self.clean(&innermost(&error)),
        })
    }

    pub(super) fn authorized(&self, address: Url) -> RequestBuilder {
        self.unauthorized(address)
            .header(AUTHORIZATION, self.authorization.clone())
    }

    pub(super) fn unauthorized(&self, address: Url) -> RequestBuilder {
        self.client.get(address)
    }

    /// What an answer means that is no success.
    pub(super) fn refusal(
        &self,
        question: Question<'_>,
        status: StatusCode,
        wait: Option<Duration>,
        body: &str,
    ) -> ApiError {
        let json = self.json(body);
        let place = self.place();
        let step = without_braces(question.step).to_owned();
        let repository = format!("{}/{}", question.workspace, question.repository);
        let said = Said(json.as_ref().and_then(message));
        match status {
            StatusCode::UNAUTHORIZED => ApiError::Refused { place, said },
            StatusCode::FORBIDDEN => ApiError::Forbidden {
                place,
                repository,
                said,
            },
            // Any server can lack a page; Bitbucket says so in JSON.
            StatusCode::NOT_FOUND if json.is_some() => ApiError::NotFound {
                place,
                repository,
                step,
                said,
            },
            StatusCode::TOO_MANY_REQUESTS => ApiError::TooManyRequests { place, wait, said },
            status if status.is_server_error() => ApiError::ServerError {
                place,
                status,
                said,
            },
            status => ApiError::Unexpected {
                place,
                step,
                status,
                said,
            },
        }
    }

    pub(super) fn broken_off(&self, question: Question<'_>) -> ApiError {
        ApiError::BrokenOff {
            place: self.place(),
            step: without_braces(question.step).to_owned(),
        }
    }

    fn json(&self, body: &str) -> Option<Value> {
        let json = serde_json::from_str(body).ok()?;
        Some(self.cleaned(json))
    }

    pub(super) fn address_of(&self, question: Question<'_>) -> Url {
        let in_braces = |uuid| format!("{{{}}}", without_braces(uuid));
        let mut address = self.address.clone();
        // Every http address has segments.
        if let Ok(mut segments) = address.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(["2.0", "repositories"])
                .extend([question.workspace, question.repository])
                .extend(["pipelines", &in_braces(question.pipeline)])
                .extend(["steps", &in_braces(question.step)]);
        }
        address
    }

    /// The header that carries the credentials.
    pub(super) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// The address as it is shown.
    pub(super) fn place(&self) -> String {
        self.address.as_str().trim_end_matches('/').to_owned()
    }

    /// Cleans all that a server says, before anything is made of it.
    fn cleaned(&self, json: Value) -> Value {
        match json {
            Value::String(text) => Value::String(self.clean(&text)),
            Value::Array(values) => values
                .into_iter()
                .map(|value| self.cleaned(value))
                .collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (name, self.cleaned(value)))
                .collect(),
            other => other,
        }
    }

    /// Makes a foreign text fit to be shown: without secrets, on one line, and short.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), "…");
        }
        quoted(&text)
    }
}

/// Lets a client say who asks, and be led nowhere else.
pub(super) fn introduced(builder: ClientBuilder) -> ClientBuilder {
    builder
        .redirect(Policy::none())
        .user_agent(concat!("softstop/", env!("CARGO_PKG_VERSION")))
}

/// Reads the address of the API, with or without the version that all its paths begin with.
fn base(address: &str) -> Result<Url, String> {
    let mut url = Url::parse(address.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| format!("expected an http or https address, such as {ADDRESS}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected an address without a user or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected an address that ends with its path".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/2.0").unwrap_or(path).to_owned();
    url.set_path(&path);
    Ok(url)
}

/// The header that carries the credentials, and what of it must never be shown.
fn authorization(
    client: &Client,
    address: &Url,
    credentials: &Credentials,
) -> Result<(HeaderValue, Vec<SecretString>), String> {
    let (Credentials::AccessToken(token) | Credentials::ApiToken { token, .. }) = credentials;
    let bare = token.expose_secret();
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "the token for Bitbucket is empty, or has a blank or a line break in it".to_owned(),
        );
    }
    let request = client.get(address.clone());
    let request = match credentials {
        Credentials::AccessToken(_) => request.bearer_auth(bare),
        Credentials::ApiToken { email, .. } => request.basic_auth(email, Some(bare)),
    };
    let mut request = request.build().map_err(|error| innermost(&error))?;
    let header = request
        .headers_mut()
        .remove(AUTHORIZATION)
        .ok_or("the token for Bitbucket cannot be sent")?;
    let mut secrets = vec![token.clone()];
    // The encoded form of an e-mail address and a token gives both away.
    if let Some((_, encoded)) = header.to_str().ok().and_then(|text| text.split_once(' ')) {
        secrets.push(encoded.into());
    }
    Ok((header, secrets))
}

/// How long to wait before the next request; none where there is no time left for it.
pub(super) fn pause(
    error: &ApiError,
    planned: Option<Duration>,
    left: Duration,
) -> Option<Duration> {
    let wanted = match error {
        ApiError::TooManyRequests { wait, .. } => wait.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    planned
        .map(|planned| planned.max(wanted))
        .filter(|pause| *pause < left)
}

/// How long Bitbucket asks us to keep quiet.
pub(super) fn wait(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn message(json: &Value) -> Option<String> {
    json["error"]["message"].as_str().map(str::to_owned)
}
