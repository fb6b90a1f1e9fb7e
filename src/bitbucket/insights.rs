//! Code Insights: reports on the commits of one repository, and their annotations.
//!
//! Inside of Pipelines, requests go through a proxy that adds what proves who asks. So there is no
//! token there, and the way to the proxy is not encrypted. From elsewhere they go to the API.

use std::cell::Cell;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Proxy, Request, StatusCode, Url};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::api::{Api, introduced, wait};
use super::error::Said;
use super::insights_error::InsightsError;
use crate::http_client::{self, innermost};

/// How many annotations one request may carry.
pub(crate) const AT_ONCE: usize = 100;
/// How many annotations a report may have.
pub(crate) const MOST_ANNOTATIONS: usize = 1_000;

/// The proxy encrypts what goes on from there.
const ADDRESS: &str = "http://api.bitbucket.org/2.0/repositories";
/// How long one request may take. Nobody waits for what is written here.
const LIMIT_OF_A_REQUEST: Duration = Duration::from_secs(2);
/// How long an answer may be: a page of annotations, each as long as it may be.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// How many reports of one commit are looked through.
const MOST_REPORTS: usize = 1_000;
/// How many pages are asked for: a server may give less at once than it is asked for.
const MOST_PAGES: usize = 100;

/// A report, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "report")]
pub(crate) struct Report {
    pub(crate) external_id: String,
    pub(crate) reporter: &'static str,
    pub(crate) title: String,
    pub(crate) details: String,
    #[serde(rename = "report_type")]
    pub(crate) about: About,
    pub(crate) result: ReportResult,
    pub(crate) link: String,
    /// There may be ten.
    pub(crate) data: [Field; 8],
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum About {
    Test,
}

/// How what is reported has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ReportResult {
    Pending,
    Failed,
    Passed,
}

/// One line of the table that a report shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Field {
    pub(crate) title: &'static str,
    #[serde(flatten)]
    pub(crate) value: FieldValue,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "UPPERCASE")]
pub(crate) enum FieldValue {
    Text(String),
    Number(usize),
    Boolean(bool),
}

/// One finding of a report, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "type", rename = "report_annotation")]
pub(crate) struct Annotation {
    pub(crate) external_id: String,
    #[serde(rename = "annotation_type")]
    pub(crate) kind: AnnotationKind,
    pub(crate) summary: String,
    pub(crate) details: String,
    pub(crate) result: AnnotationResult,
    pub(crate) severity: Severity,
    pub(crate) link: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AnnotationKind {
    Bug,
    CodeSmell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum AnnotationResult {
    Passed,
    Failed,
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    High,
    Medium,
    Low,
}

/// Code Insights of one repository.
#[derive(Debug)]
pub(crate) struct Insights {
    /// By each proxy one, in the order in which they are tried.
    ways: Vec<Client>,
    /// The first that may lead there.
    way: Cell<usize>,
    /// Below which all repositories are.
    address: String,
    /// Whether a token proves who asks.
    has_token: bool,
    workspace: String,
    repository: String,
}

impl Insights {
    pub(crate) fn new(
        proxies: &[&str],
        workspace: &str,
        repository: &str,
    ) -> Result<Self, InsightsError> {
        let ways = proxies.iter().map(|proxy| way(proxy)).collect();
        let ways: reqwest::Result<Vec<Client>> = ways;
        Ok(Self {
            ways: ways.map_err(|error| InsightsError::Unusable(innermost(&error)))?,
            way: Cell::default(),
            address: ADDRESS.to_owned(),
            has_token: false,
            workspace: workspace.to_owned(),
            repository: repository.to_owned(),
        })
    }

    /// By the API, with its token, from anywhere.
    pub(crate) fn by_api(
        api: &Api,
        workspace: &str,
        repository: &str,
    ) -> Result<Self, InsightsError> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, api.authorization())]);
        let client = http_client::builder().and_then(|builder| {
            introduced(builder)
                .timeout(LIMIT_OF_A_REQUEST)
                .default_headers(headers)
                .build()
        });
        Ok(Self {
            ways: vec![client.map_err(|error| InsightsError::Unusable(innermost(&error)))?],
            way: Cell::default(),
            address: format!("{}/2.0/repositories", api.place()),
            has_token: true,
            workspace: workspace.to_owned(),
            repository: repository.to_owned(),
        })
    }

    pub(crate) fn workspace(&self) -> &str {
        &self.workspace
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// Writes a report, or writes it anew. The annotations that it has stay.
    pub(crate) async fn put_report(
        &self,
        commit: &str,
        report: &Report,
    ) -> Result<(), InsightsError> {
        let address = self.address(&[commit, "reports", &report.external_id])?;
        let body = serde_json::to_vec(report).map_err(unusable)?;
        self.write(Method::PUT, address, body).await
    }

    /// Writes annotations, or writes those anew that there are. There may be `AT_ONCE` of them.
    pub(crate) async fn post_annotations(
        &self,
        commit: &str,
        report: &str,
        annotations: impl IntoIterator<Item: Serialize>,
    ) -> Result<(), InsightsError> {
        let address = self.address(&[commit, "reports", report, "annotations"])?;
        // One after the other, because each is long.
        let mut body = Vec::new();
        let mut json = serde_json::Serializer::new(&mut body);
        json.collect_seq(annotations).map_err(unusable)?;
        self.write(Method::POST, address, body).await
    }

    /// One report, where there is one of that id.
    pub(crate) async fn report(
        &self,
        commit: &str,
        id: &str,
    ) -> Result<Option<Value>, InsightsError> {
        let address = self.address(&[commit, "reports", id])?;
        match self.read(address).await {
            Ok(report) => Ok(Some(report)),
            Err(InsightsError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The reports of a commit, those of others too.
    pub(crate) async fn reports(&self, commit: &str) -> Result<Vec<Value>, InsightsError> {
        self.pages(self.address(&[commit, "reports"])?, MOST_REPORTS)
            .await
    }

    /// All annotations of a report.
    pub(crate) async fn annotations(
        &self,
        commit: &str,
        report: &str,
    ) -> Result<Vec<Value>, InsightsError> {
        let address = self.address(&[commit, "reports", report, "annotations"])?;
        self.pages(address, MOST_ANNOTATIONS).await
    }

    /// The values of all pages. They are asked for by their numbers: where `next` leads is the word
    /// of a server.
    async fn pages(&self, address: Url, most: usize) -> Result<Vec<Value>, InsightsError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut address = address.clone();
            address
                .query_pairs_mut()
                .append_pair("pagelen", "100")
                .append_pair("page", &page.to_string());
            let mut answer = self.read(address).await?;
            let Value::Array(values) = answer["values"].take() else {
                return Err(InsightsError::Malformed);
            };
            let is_last = values.is_empty() || answer["next"].is_null();
            all.extend(values);
            if is_last || all.len() >= most {
                break;
            }
        }
        all.truncate(most);
        Ok(all)
    }

    async fn read(&self, address: Url) -> Result<Value, InsightsError> {
        let answer = self.ask(Request::new(Method::GET, address)).await?;
        let json = serde_json::from_str(&answer).ok();
        json.filter(Value::is_object)
            .ok_or(InsightsError::Malformed)
    }

    async fn write(
        &self,
        method: Method,
        address: Url,
        body: Vec<u8>,
    ) -> Result<(), InsightsError> {
        let mut request = Request::new(method, address);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        request.body_mut().replace(body.into());
        self.ask(request).await?;
        Ok(())
    }

    /// Asks by the first way that leads there.
    async fn ask(&self, request: Request) -> Result<String, InsightsError> {
        for (way, client) in self.ways.iter().enumerate().skip(self.way.get()) {
            // What is sent is long, and is not copied. Only a stream could not be sent again.
            let Some(request) = request.try_clone() else {
                break;
            };
            match Box::pin(answer(client, request)).await {
                Err(InsightsError::NotThere) => {}
                answer => {
                    self.way.set(way);
                    return answer.map_err(|error| self.fit_to_be_shown(error));
                }
            }
        }
        Err(self.fit_to_be_shown(InsightsError::NotThere))
    }

    /// A server that was told a token may repeat it, and where there is one there is no proxy.
    fn fit_to_be_shown(&self, error: InsightsError) -> InsightsError {
        match error {
            InsightsError::Refused { status, .. } if self.has_token => InsightsError::Refused {
                status,
                said: Said(None),
            },
            InsightsError::NotThere if self.has_token => {
                InsightsError::Unusable(format!("{} cannot be reached", self.address))
            }
            error => error,
        }
    }

    /// The address of something that belongs to a commit.
    fn address(&self, path: &[&str]) -> Result<Url, InsightsError> {
        let unusable = |error: &dyn ToString| InsightsError::Unusable(error.to_string());
        let mut address = Url::parse(&self.address).map_err(|error| unusable(&error))?;
        address
            .path_segments_mut()
            .map_err(|()| unusable(&self.address))?
            .extend([self.workspace.as_str(), &self.repository, "commit"])
            .extend(path);
        Ok(address)
    }
}

async fn answer(client: &Client, request: Request) -> Result<String, InsightsError> {
    let response = client
        .execute(request)
        .await
        .map_err(|error| InsightsError::of(&error))?;
    let (status, wait) = (response.status(), wait(&response));
    let body = http_client::body_within(BODY_LIMIT, response).await;
    if status.is_success() {
        let body = body.map_err(|error| InsightsError::of(&error))?;
        return body.ok_or(InsightsError::Malformed);
    }
    // What an error says besides is not needed.
    let said = body.ok().flatten().unwrap_or_default();
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => InsightsError::TooManyRequests { wait },
        // Any server can lack a page; Bitbucket says so in JSON.
        StatusCode::NOT_FOUND if is_object(&said) => InsightsError::NotFound,
        status => InsightsError::refused(status, &said),
    })
}

/// A client of a proxy, and of no other that the environment may name.
fn way(proxy: &str) -> reqwest::Result<Client> {
    introduced(http_client::plain_builder())
        .no_proxy()
        .proxy(Proxy::http(proxy)?)
        .timeout(LIMIT_OF_A_REQUEST)
        .build()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unusable(error: serde_json::Error) -> InsightsError {
    InsightsError::Unusable(error.to_string())
}

fn is_object(text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|json: Value| json.is_object())
}
