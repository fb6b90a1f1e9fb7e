//! An emulator of Bitbucket's Code Insights, after its published specification, as they are reached
//! inside of Pipelines: through an HTTP proxy that knows who asks.
//!
//! It stands on bare sockets, because no server library lets go of a connection without an answer.

mod rules;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use uuid::Uuid;

use super::listening::listen;
use super::prepared;
use rules::Refusal;

/// Where everything is asked for; whoever asks through the proxy says it in full.
const SERVER: &str = "http://api.bitbucket.org";
/// How much of a commit tells it from the others.
const SHORT_COMMIT: usize = 12;

/// A running server; it stops with the test process.
pub struct CodeInsights {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsightsFault {
    /// It is refused, and the client is asked to keep quiet for so many seconds.
    TooManyRequests(Option<u64>),
    /// It is refused with this status.
    Refuse(u16),
    /// It is never answered, while the connection stays open.
    Hang,
    /// It is done, and the connection is cut without an answer.
    LoseAnswer,
}

/// One request, as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightsRequest {
    pub method: String,
    /// Below the address of the API, without its query.
    pub path: String,
    pub query: String,
    /// What was sent; null where nothing was.
    pub body: Value,
}

#[derive(Default)]
struct Shared {
    /// By workspace, repository, and the beginning of the commit; then by external id.
    commits: BTreeMap<String, BTreeMap<String, Report>>,
    requests: Vec<InsightsRequest>,
    /// What goes wrong with the next requests, one after the other.
    faults: Vec<Option<InsightsFault>>,
    /// And with all after them.
    lasting_fault: Option<InsightsFault>,
    /// Connections that wait for ever.
    waiting: Vec<TcpStream>,
}

#[derive(Default)]
struct Report {
    fields: Value,
    annotations: BTreeMap<String, Value>,
}

/// What a journal says of each resource: how far it is, and its id.
pub type Journal = BTreeMap<String, (String, Option<String>)>;

impl CodeInsights {
    pub fn start() -> Self {
        let shared = Arc::default();
        let address = listen(&shared, serve);
        Self { address, shared }
    }

    /// The address of the proxy.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same, as containers reach this machine.
    pub fn proxy_for_containers(&self) -> String {
        let gateway = prepared("SOFTSTOP_TEST_GATEWAY");
        format!("http://{gateway}:{}", self.address.port())
    }

    /// The address of a proxy that is not there.
    pub fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// Lets this go wrong with the next requests, or nothing.
    pub fn fail(&self, faults: impl IntoIterator<Item = impl Into<Option<InsightsFault>>>) {
        let faults = faults.into_iter().map(Into::into);
        self.shared.lock().unwrap().faults.extend(faults);
    }

    /// Lets this go wrong with all requests from now on, or nothing any more.
    pub fn fail_always(&self, fault: Option<InsightsFault>) {
        self.shared.lock().unwrap().lasting_fault = fault;
    }

    /// All requests so far, also those with which something went wrong.
    pub fn requests(&self) -> Vec<InsightsRequest> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// The reports on a commit.
    pub fn reports(&self, workspace: &str, repository: &str, commit: &str) -> Vec<Value> {
        let shared = self.shared.lock().unwrap();
        let reports = shared.commits.get(&place(workspace, repository, commit));
        let reports = reports.into_iter().flat_map(BTreeMap::values);
        reports.map(|report| report.fields.clone()).collect()
    }

    /// The annotations of a report, by its external id.
    pub fn annotations(
        &self,
        workspace: &str,
        repository: &str,
        commit: &str,
        report: &str,
    ) -> Vec<Value> {
        let shared = self.shared.lock().unwrap();
        let reports = shared.commits.get(&place(workspace, repository, commit));
        let report = reports.and_then(|reports| reports.get(report));
        let annotations = report.into_iter().flat_map(|one| one.annotations.values());
        annotations.cloned().collect()
    }

    /// All that the reports on a commit of the usual repository say.
    pub fn journal(&self, commit: &str) -> Journal {
        let reports = self.reports("acme", "infra", commit);
        let annotations = reports.iter().flat_map(|report| {
            let id = report["external_id"].as_str().unwrap();
            self.annotations("acme", "infra", commit, id)
        });
        let entries = annotations.map(|annotation| {
            let details = annotation["details"].as_str().unwrap();
            let kept: Value = serde_json::from_str(details).unwrap();
            let text = |name: &str| kept[name].as_str().map(str::to_owned);
            (
                text("address").unwrap(),
                (text("stage").unwrap(), text("id")),
            )
        });
        entries.collect()
    }

    /// Writes a report as somebody else would who may write to the repository, and its annotations.
    pub fn forge(
        &self,
        workspace: &str,
        repository: &str,
        commit: &str,
        report: &Value,
        annotations: &[Value],
    ) {
        let mut shared = self.shared.lock().unwrap();
        let reports = shared.commits.entry(place(workspace, repository, commit));
        let id = report["external_id"].as_str().unwrap_or("forged");
        let forged = reports.or_default().entry(id.to_owned()).or_default();
        forged.fields = report.clone();
        let id = |one: &Value| one["external_id"].as_str().unwrap_or("forged").to_owned();
        let annotations = annotations.iter().map(|one| (id(one), one.clone()));
        forged.annotations = annotations.collect();
    }
}

fn place(workspace: &str, repository: &str, commit: &str) -> String {
    let commit = commit.get(..SHORT_COMMIT).unwrap_or(commit);
    format!("{workspace}/{repository}/{commit}")
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let request = read(&stream)?;
    let mut shared = shared.lock().unwrap();
    shared.requests.push(request.clone());
    let fault = if shared.faults.is_empty() {
        shared.lasting_fault
    } else {
        shared.faults.remove(0)
    };
    let (mut header, mut answer) = (String::new(), Err(Refusal::TooMany));
    match fault {
        Some(InsightsFault::Hang) => {
            shared.waiting.push(stream);
            return Ok(());
        }
        Some(InsightsFault::LoseAnswer) => {
            // Who does not hear of it does not hear of what is wrong with it either.
            let _ = shared.answer(&request);
            return Ok(());
        }
        Some(InsightsFault::TooManyRequests(seconds)) => {
            if let Some(seconds) = seconds {
                header = format!("Retry-After: {seconds}\r\n");
            }
        }
        Some(InsightsFault::Refuse(status)) => answer = Err(Refusal::Status(status)),
        None => answer = shared.answer(&request),
    }
    drop(shared);
    let (status, body) = match answer {
        Ok(Value::Null) => (204, String::new()),
        Ok(body) => (200, body.to_string()),
        Err(refusal) => refusal.answer(),
    };
    // There are clients that want to know of which type nothing is.
    let kind = if body.is_empty() {
        "text/html"
    } else {
        "application/json"
    };
    write!(
        &stream,
        "HTTP/1.1 {status} \r\n{header}Content-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn read(stream: &TcpStream) -> io::Result<InsightsRequest> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or_default();
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let target = target.strip_prefix(SERVER).unwrap_or(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(InsightsRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

impl Shared {
    fn answer(&mut self, request: &InsightsRequest) -> Result<Value, Refusal> {
        let path = request.path.strip_prefix("/2.0/repositories/");
        let path: Vec<&str> = path.ok_or(Refusal::NotFound)?.split('/').collect();
        let [
            workspace,
            repository,
            "commit",
            commit,
            "reports",
            rest @ ..,
        ] = &path[..]
        else {
            return Err(Refusal::NotFound);
        };
        let reports = self.commits.entry(place(workspace, repository, commit));
        let reports = reports.or_default();
        match (request.method.as_str(), rest) {
            ("GET", []) => Ok(request.page(reports.values().map(|report| &report.fields))),
            ("PUT", [id]) => {
                rules::check_report(&request.body)?;
                let id = external_id(reports.iter().map(|(id, one)| (id, &one.fields)), id);
                let report = reports.entry(id.clone()).or_default();
                report.fields = stored("report", &id, &report.fields, &request.body);
                Ok(report.fields.clone())
            }
            (method, [id, rest @ ..]) => {
                let id = external_id(reports.iter().map(|(id, one)| (id, &one.fields)), id);
                if method == "DELETE" && rest.is_empty() {
                    let gone = reports.remove(&id).map(|_| Value::Null);
                    return gone.ok_or(Refusal::NotFound);
                }
                let report = reports.get_mut(&id).ok_or(Refusal::NotFound)?;
                report.answer(request, rest)
            }
            _ => Err(Refusal::NotFound),
        }
    }
}

impl Report {
    fn answer(&mut self, request: &InsightsRequest, path: &[&str]) -> Result<Value, Refusal> {
        let annotations = &mut self.annotations;
        match (request.method.as_str(), path) {
            ("GET", []) => Ok(self.fields.clone()),
            ("GET", ["annotations"]) => Ok(request.page(annotations.values())),
            ("POST", ["annotations"]) => {
                let all = rules::check_annotations(&request.body)?;
                let new = all.iter().filter(|(id, _)| !annotations.contains_key(*id));
                rules::check_number(annotations.len() + new.count())?;
                let write = |(id, body): (&str, &Value)| {
                    let annotation = annotations.entry(id.to_owned()).or_default();
                    *annotation = stored("report_annotation", id, annotation, body);
                    annotation.clone()
                };
                Ok(all.into_iter().map(write).collect())
            }
            ("PUT", ["annotations", id]) => {
                rules::check_annotation(&request.body)?;
                let id = external_id(annotations.iter(), id);
                let new = usize::from(!annotations.contains_key(&id));
                rules::check_number(annotations.len() + new)?;
                let annotation = annotations.entry(id.clone()).or_default();
                *annotation = stored("report_annotation", &id, annotation, &request.body);
                Ok(annotation.clone())
            }
            ("GET", ["annotations", id]) => {
                let id = external_id(annotations.iter(), id);
                annotations.get(&id).cloned().ok_or(Refusal::NotFound)
            }
            ("DELETE", ["annotations", id]) => {
                let id = external_id(annotations.iter(), id);
                let gone = annotations.remove(&id).map(|_| Value::Null);
                gone.ok_or(Refusal::NotFound)
            }
            _ => Err(Refusal::NotFound),
        }
    }
}

impl InsightsRequest {
    /// The page that is asked for.
    fn page<'a>(&self, all: impl ExactSizeIterator<Item = &'a Value>) -> Value {
        let given = |name: &str| {
            let mut pairs = self
                .query
                .split('&')
                .filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(key, _)| *key == name);
            found.and_then(|(_, value)| value.parse::<usize>().ok())
        };
        let length = given("pagelen").unwrap_or(10).clamp(1, 100);
        let page = given("page").unwrap_or(1).max(1);
        let size = all.len();
        let values: Vec<&Value> = all.skip((page - 1) * length).take(length).collect();
        let mut answer = json!({"page": page, "pagelen": length, "size": size, "values": values});
        if page * length < size {
            let (path, next) = (&self.path, page + 1);
            answer["next"] = json!(format!(
                "https://api.bitbucket.org{path}?page={next}&pagelen={length}"
            ));
        }
        answer
    }
}

/// The external id of what is named by it, or by the UUID that it was given.
fn external_id<'a>(all: impl Iterator<Item = (&'a String, &'a Value)>, named: &str) -> String {
    let named = named.replace("%7B", "{").replace("%7D", "}");
    let mut all = all.filter(|(_, fields)| fields["uuid"] == named.as_str());
    all.next().map_or(named.clone(), |(id, _)| id.clone())
}

/// What there is after a part of it was written.
fn stored(kind: &str, id: &str, before: &Value, body: &Value) -> Value {
    let now = "2026-11-23T00:10:00.123456Z";
    let mut fields = before.as_object().cloned().unwrap_or_default();
    if fields.is_empty() {
        let uuid = format!("{{{}}}", Uuid::new_v4());
        fields.insert("uuid".to_owned(), json!(uuid));
        fields.insert("created_on".to_owned(), json!(now));
    }
    fields.extend(body.as_object().cloned().unwrap_or_default());
    fields.insert("type".to_owned(), json!(kind));
    fields.insert("external_id".to_owned(), json!(id));
    fields.insert("updated_on".to_owned(), json!(now));
    Value::Object(fields)
}
