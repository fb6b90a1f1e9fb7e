//! An emulator of what Bitbucket's API says of steps, after its published specification.
//!
//! It stands on bare sockets, because no server library lets go of a connection without an answer.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use uuid::Uuid;

use super::listening::listen;

/// A running server; it stops with the test process.
pub struct Bitbucket {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// How a question about a step is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this result.
    Completed(&'static str),
    InProgress,
    Paused,
    Pending,
    /// A state of tomorrow.
    Named(&'static str),
    Status(u16),
    /// Asks to be left alone for so many seconds.
    RetryAfter(u64),
    Redirect(String),
    /// Never, while the connection stays open.
    Slow,
    /// By closing the connection.
    Cut,
    /// By closing the connection in the midst of an answer.
    Half,
    Html,
    Raw(u16, String),
}

#[derive(Default)]
struct Shared {
    /// The only credentials that are taken, if not all are.
    authorization: Option<String>,
    steps: HashMap<String, Step>,
    logs: HashMap<String, Log>,
    /// The credentials of all requests.
    authorizations: Vec<Option<String>>,
    /// Connections that wait for ever.
    waiting: Vec<TcpStream>,
}

struct Step {
    pipeline: String,
    uuid: String,
    run: Option<u32>,
    completed_on: Option<String>,
    /// In their order; the last one stays.
    answers: Vec<Answer>,
}

struct Log {
    bytes: Vec<u8>,
    /// Where it is, if not here.
    storage: Option<String>,
}

/// What was asked for.
struct Request {
    path: String,
    authorization: Option<String>,
    range: Option<String>,
}

struct Response {
    status: u16,
    header: String,
    body: Vec<u8>,
}

impl Bitbucket {
    pub fn start() -> Self {
        let shared = Arc::default();
        let address = listen(&shared, serve);
        Self { address, shared }
    }

    /// What BITBUCKET_API_URL has to say.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes only this Authorization header.
    pub fn expect(&self, authorization: &str) {
        self.shared.lock().unwrap().authorization = Some(authorization.to_owned());
    }

    /// Gives these answers about a step, one after the other, and then the last one again.
    pub fn set_step(
        &self,
        workspace: &str,
        repository: &str,
        pipeline: &str,
        step: &str,
        answers: impl IntoIterator<Item = Answer>,
    ) {
        let path = path(workspace, repository, pipeline, step);
        let step = Step {
            pipeline: pipeline.to_owned(),
            uuid: step.to_owned(),
            run: Some(1),
            completed_on: Some("2026-11-23T00:10:00.123456Z".to_owned()),
            answers: answers.into_iter().collect(),
        };
        self.shared.lock().unwrap().steps.insert(path, step);
    }

    /// Lets a step have printed this. Whoever asks is sent elsewhere so often before it is there.
    pub fn set_log(
        &self,
        workspace: &str,
        repository: &str,
        pipeline: &str,
        step: &str,
        bytes: &[u8],
        redirects: usize,
    ) {
        let step = path(workspace, repository, pipeline, step);
        let mut paths = vec![format!("{step}/log")];
        let storage = || format!("/storage/{}", Uuid::new_v4());
        paths.extend(std::iter::repeat_with(storage).take(redirects));
        let logs = &mut self.shared.lock().unwrap().logs;
        let mut next = None;
        for path in paths.into_iter().rev() {
            let address = format!("{}{path}", self.url());
            let log = Log {
                bytes: bytes.to_owned(),
                storage: next.replace(address),
            };
            logs.insert(path, log);
        }
    }

    /// Says this of every step that is known by now.
    pub fn set_run(&self, run: Option<u32>, completed_on: Option<&str>) {
        for step in self.shared.lock().unwrap().steps.values_mut() {
            step.run = run;
            step.completed_on = completed_on.map(str::to_owned);
        }
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.authorizations().len()
    }

    /// The Authorization header of every request.
    pub fn authorizations(&self) -> Vec<Option<String>> {
        self.shared.lock().unwrap().authorizations.clone()
    }
}

fn path(workspace: &str, repository: &str, pipeline: &str, step: &str) -> String {
    format!(
        "/2.0/repositories/{workspace}/{repository}/pipelines/%7B{pipeline}%7D/steps/%7B{step}%7D"
    )
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let request = read(&stream)?;
    let mut shared = shared.lock().unwrap();
    let mut is_half = false;
    let response = if let Some(response) = shared.log(&request) {
        response
    } else {
        let answer = shared.answer(&request.path, request.authorization);
        is_half = matches!(answer, Answer::Half);
        match answer {
            Answer::Cut => return Ok(()),
            Answer::Slow => {
                shared.waiting.push(stream);
                return Ok(());
            }
            answer => shared.respond(&request.path, answer),
        }
    };
    drop(shared);
    let Response {
        status,
        header,
        body,
    } = response;
    let length = body.len() + usize::from(is_half);
    write!(
        &stream,
        "HTTP/1.1 {status} \r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    (&stream).write_all(&body)
}

fn read(stream: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut request = Request {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        authorization: None,
        range: None,
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "range" => request.range = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(request)
}

impl Shared {
    /// The log that is asked for, or where it is; nothing where something else is asked for.
    fn log(&mut self, request: &Request) -> Option<Response> {
        let is_stored = request.path.starts_with("/storage/");
        if !is_stored && !request.path.ends_with("/log") {
            return None;
        }
        let authorization = request.authorization.clone();
        // A storage knows by its address who may fetch, and takes no other proof beside that.
        let refusal = if is_stored {
            authorization.is_some().then_some(400)
        } else {
            (!self.is_known(authorization.as_ref())).then_some(401)
        };
        self.authorizations.push(authorization);
        if let Some(status) = refusal {
            return Some(Response::error(status));
        }
        let response = match self.logs.get(&request.path) {
            None => Response::error(404),
            Some(Log {
                storage: Some(address),
                ..
            }) => Response {
                header: format!("Location: {address}\r\n"),
                ..Response::error(307)
            },
            Some(log) => log.end(request.range.as_deref()),
        };
        Some(response)
    }

    fn is_known(&self, authorization: Option<&String>) -> bool {
        match &self.authorization {
            Some(_) => authorization == self.authorization.as_ref(),
            None => authorization.is_some(),
        }
    }

    fn answer(&mut self, path: &str, authorization: Option<String>) -> Answer {
        let is_known = self.is_known(authorization.as_ref());
        self.authorizations.push(authorization);
        if !is_known {
            return Answer::Status(401);
        }
        match self.steps.get_mut(path).map(|step| &mut step.answers) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => Answer::Status(404),
        }
    }

    fn respond(&self, path: &str, answer: Answer) -> Response {
        let step = self.steps.get(path);
        let state = |name: &str, detail: Option<(&str, &str)>| {
            let body = step.map(|step| step.describe(name, detail));
            Response::new(200, body.unwrap_or_default().to_string())
        };
        match answer {
            Answer::Completed(result) => state("COMPLETED", Some(("result", result))),
            Answer::Half => state("COMPLETED", Some(("result", "STOPPED"))),
            Answer::InProgress => state("IN_PROGRESS", Some(("stage", "RUNNING"))),
            Answer::Paused => state("IN_PROGRESS", Some(("stage", "PAUSED"))),
            Answer::Pending => state("PENDING", None),
            Answer::Named(name) => state(name, None),
            Answer::Status(status) => Response::error(status),
            Answer::RetryAfter(seconds) => Response {
                header: format!("Retry-After: {seconds}\r\n"),
                ..Response::error(429)
            },
            Answer::Redirect(address) => Response {
                header: format!("Location: {address}\r\n"),
                ..Response::error(302)
            },
            Answer::Html => Response::new(200, "<html><p>Please log in.</p></html>"),
            Answer::Raw(status, body) => Response::new(status, body),
            Answer::Slow | Answer::Cut => unreachable!("that is no response"),
        }
    }
}

impl Log {
    /// The last bytes, where so many of them are asked for, and all of them otherwise.
    fn end(&self, range: Option<&str>) -> Response {
        let count = range.and_then(|range| range.strip_prefix("bytes=-")?.parse().ok());
        let count = count.map(|count: usize| count.min(self.bytes.len()));
        match count {
            None => Response::new(200, self.bytes.clone()),
            Some(0) => Response::error(416),
            Some(count) => Response::new(206, &self.bytes[self.bytes.len() - count..]),
        }
    }
}

impl Step {
    /// The step in this state; the detail is its stage or its result.
    fn describe(&self, name: &str, detail: Option<(&str, &str)>) -> Value {
        let kind = format!("pipeline_step_state_{}", name.to_lowercase());
        let mut state = json!({"type": kind, "name": name});
        if let Some((field, value)) = detail {
            let kind = format!("{kind}_{}", value.to_lowercase());
            state[field] = json!({"type": kind, "name": value});
        }
        let mut step = json!({
            "type": "pipeline_step",
            "uuid": format!("{{{}}}", self.uuid),
            "name": "Deploy",
            "pipeline": {"type": "pipeline", "uuid": format!("{{{}}}", self.pipeline)},
            "started_on": "2026-11-23T00:09:00.654321Z",
            "state": state,
        });
        if let Some(run) = self.run {
            step["run_number"] = run.into();
        }
        if let (true, Some(time)) = (name == "COMPLETED", &self.completed_on) {
            step["completed_on"] = time.as_str().into();
            step["duration_in_seconds"] = 60.into();
        }
        step
    }
}

impl Response {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            header: String::new(),
            body: body.into(),
        }
    }

    fn error(status: u16) -> Self {
        let message = match status {
            401 => "Token is invalid, expired, or not supported for this endpoint.",
            403 => "Your credentials lack one or more required privilege scopes.",
            404 => "Resource not found",
            429 => "Rate limit for this resource has been exceeded",
            _ => "Something went wrong",
        };
        let error = json!({"type": "error", "error": {"message": message}});
        Self::new(status, error.to_string())
    }
}
