//! A server for Terraform's `http` backend.
//!
//! It follows Terraform's documentation of the backend: 423 with the holder's lock info for a
//! LOCK of what is locked. A strict server compares the ID of an UNLOCK and answers 409; a lax one
//! unlocks whatever is locked.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tiny_http::{Header, Request, Response, Server};

/// A running server.
pub struct HttpServer {
    pub address: SocketAddr,
    server: Arc<Server>,
    shared: Arc<Mutex<Shared>>,
}

/// How many requests are answered side by side.
const THREADS: usize = 4;

#[derive(Default)]
struct Shared {
    is_strict: bool,
    state: Option<String>,
    lock: Option<String>,
    /// How many of the next POST requests are refused.
    refused_posts: u32,
    /// After so many refused LOCKs this lock takes the place of the one that is there.
    rival: Option<(u32, String)>,
    /// The method of the next request whose answer is lost after it was done.
    lost_answer: Option<&'static str>,
    refusal: Refusal,
    /// Whether a GET is answered with the lock, where there is one.
    tells_lock: bool,
    /// The status with which every request is sent elsewhere, and where to.
    redirect: Option<(u16, String)>,
    /// What each request came with for its credentials.
    credentials: Vec<Option<String>>,
    /// Where each UNLOCK was sent to.
    unlocked: Vec<String>,
    /// A header without which every request is refused, and its value.
    demand: Option<(&'static str, &'static str)>,
    /// Is told of every request before it is answered.
    witness: Option<Witness>,
}

/// What the answer to a refused LOCK says.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Refusal {
    #[default]
    Holder,
    Nobody,
    /// The body of that very request.
    Echo,
}

type Witness = Box<dyn FnMut(&str, &str) + Send>;

impl HttpServer {
    pub fn start(is_strict: bool) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let address = server.server_addr().to_ip().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            is_strict,
            ..Shared::default()
        }));
        for _ in 0..THREADS {
            let (server, shared) = (Arc::clone(&server), Arc::clone(&shared));
            thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    answer(request, &shared);
                }
            });
        }
        Self {
            address,
            server,
            shared,
        }
    }

    pub fn state(&self) -> Option<String> {
        self.shared.lock().unwrap().state.clone()
    }

    pub fn lock(&self) -> Option<String> {
        self.shared.lock().unwrap().lock.clone()
    }

    pub fn set_lock(&self, lock: &str) {
        self.shared.lock().unwrap().lock = Some(lock.to_owned());
    }

    pub fn remove_lock(&self) {
        self.shared.lock().unwrap().lock = None;
    }

    /// Refuses so many POST requests.
    pub fn refuse_posts(&self, count: u32) {
        self.shared.lock().unwrap().refused_posts = count;
    }

    /// Tells `witness` the method and the body of every request before it is answered.
    pub fn watch(&self, witness: impl FnMut(&str, &str) + Send + 'static) {
        self.shared.lock().unwrap().witness = Some(Box::new(witness));
    }

    /// Lets a rival have the lock right after so many refused LOCK requests.
    pub fn hand_over_after(&self, refusals: u32, lock: &str) {
        self.shared.lock().unwrap().rival = Some((refusals, lock.to_owned()));
    }

    /// From now on, no answer says who holds the lock.
    pub fn name_nobody(&self) {
        self.shared.lock().unwrap().refusal = Refusal::Nobody;
    }

    /// From now on, a refused LOCK is answered with itself.
    pub fn echo(&self) {
        self.shared.lock().unwrap().refusal = Refusal::Echo;
    }

    /// From now on, a GET is answered with the lock, where there is one.
    pub fn tell_lock(&self) {
        self.shared.lock().unwrap().tells_lock = true;
    }

    /// From now on, every request is sent elsewhere.
    pub fn redirect(&self, status: u16, to: &str) {
        self.shared.lock().unwrap().redirect = Some((status, to.to_owned()));
    }

    /// Whether each request so far came with credentials.
    pub fn authorized(&self) -> Vec<bool> {
        let shared = self.shared.lock().unwrap();
        shared.credentials.iter().map(Option::is_some).collect()
    }

    /// The credentials of the last request.
    pub fn last_credentials(&self) -> Option<String> {
        self.shared.lock().unwrap().credentials.last()?.clone()
    }

    /// Path and query of the last UNLOCK.
    pub fn last_unlocked(&self) -> Option<String> {
        self.shared.lock().unwrap().unlocked.last().cloned()
    }

    /// From now on, whoever does not send this header is refused.
    pub fn demand(&self, header: &'static str, value: &'static str) {
        self.shared.lock().unwrap().demand = Some((header, value));
    }

    /// Loses the next answer to this method, after doing what was asked.
    pub fn lose_answer_to(&self, method: &'static str) {
        self.shared.lock().unwrap().lost_answer = Some(method);
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        for _ in 0..THREADS {
            self.server.unblock();
        }
    }
}

fn answer(mut request: Request, shared: &Mutex<Shared>) {
    let mut body = String::new();
    if request.as_reader().read_to_string(&mut body).is_err() {
        return;
    }
    let method = request.method().to_string();
    let mut shared = shared.lock().unwrap();
    let credentials = request
        .headers()
        .iter()
        .find(|header| header.field.equiv("Authorization"))
        .map(|header| header.value.to_string());
    shared.credentials.push(credentials);
    if method == "UNLOCK" {
        shared.unlocked.push(request.url().to_owned());
    }
    let is_refused = shared.demand.is_some_and(|(name, value)| {
        let mut headers = request.headers().iter();
        !headers.any(|header| header.field.equiv(name) && header.value.as_str() == value)
    });
    let mut headers = Vec::new();
    let (status, text) = match &shared.redirect {
        Some((status, to)) => {
            headers.push(Header::from_bytes("Location", to.as_bytes()).unwrap());
            (*status, String::new())
        }
        None if is_refused => (401, String::new()),
        None => shared.answer(&method, body),
    };
    if shared.lost_answer == Some(method.as_str()) {
        shared.lost_answer = None;
        drop(request.into_writer());
        return;
    }
    drop(shared);
    let response = Response::new(
        status.into(),
        headers,
        Cursor::new(text.clone().into_bytes()),
        Some(text.len()),
        None,
    );
    // A client that was killed wants no answer.
    let _ = request.respond(response);
}

impl Shared {
    fn answer(&mut self, method: &str, body: String) -> (u16, String) {
        if let Some(witness) = &mut self.witness {
            witness(method, &body);
        }
        match method {
            "GET" if self.tells_lock && self.lock.is_some() => {
                (200, self.lock.clone().unwrap_or_default())
            }
            "GET" => match &self.state {
                Some(state) => (200, state.clone()),
                None => (204, String::new()),
            },
            "POST" => {
                if self.refused_posts > 0 {
                    self.refused_posts -= 1;
                    return (500, String::new());
                }
                self.state = Some(body);
                (200, String::new())
            }
            "LOCK" => self.lock(body),
            "UNLOCK" => {
                let is_right = id_of(&body) == self.lock.as_deref().and_then(id_of);
                if self.is_strict && !is_right {
                    return (409, String::new());
                }
                self.lock = None;
                (200, String::new())
            }
            _ => (405, String::new()),
        }
    }

    fn lock(&mut self, body: String) -> (u16, String) {
        let Some(lock) = self.lock.clone() else {
            self.lock = Some(body);
            return (200, String::new());
        };
        if let Some((refusals, rival)) = &mut self.rival {
            *refusals -= 1;
            if *refusals == 0 {
                self.lock = Some(rival.clone());
                self.rival = None;
            }
        }
        let answer = if self.refusal == Refusal::Echo {
            body
        } else if self.refusal == Refusal::Nobody {
            String::new()
        } else {
            lock
        };
        (423, answer)
    }
}

fn id_of(lock: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    lock["ID"].as_str().map(str::to_owned)
}
