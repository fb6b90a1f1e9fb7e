//! A TCP proxy that can hold back what a client says to a backend, and break it in other ways.

mod tls;
mod wire;

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::{prepared, until};
use wire::{answer_and_end, contains, copy, error, has_gone, say_once_more};

/// How often a connection that is held back is looked at: who was killed must not seem alive.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a client may wait for what comes late; softstop waits for no answer longer than 10 s.
const LONGEST_WAIT: Duration = Duration::from_secs(12);
/// How long what comes late waits for the moment at which it does the most harm.
const WORST_MOMENT: Duration = Duration::from_secs(3);
/// How long the backend may take for what was said at that moment.
const TO_TAKE_EFFECT: Duration = Duration::from_millis(100);
/// Passes bytes on, until it is told to hold them.
pub struct Proxy {
    pub address: SocketAddr,
    pub target: SocketAddr,
    gate: Arc<Gate>,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on late.
    Delay(Duration),
    /// It is answered with an error, in the way of HTTP, and the backend never sees it.
    Refuse,
    /// It is answered with another error, after which nobody tries again, and the backend never sees it.
    Forbid,
    /// The connection is ended, and the backend never sees it.
    Cut,
    /// The backend takes it, and its answer is lost.
    LoseAnswer,
    /// The backend takes it, and a gateway on the way says, in the way of HTTP, that it is too late.
    GiveUpOnAnswer,
    /// The backend takes it once the client waits no longer, and then after somebody has said the
    /// worst, where that comes.
    Late {
        worst: &'static str,
        /// Whether it was taken at once too, and only that answer is lost.
        also_at_once: bool,
    },
    /// The backend takes it twice.
    Twice { hears_second: bool },
}

/// What passes through.
#[derive(Clone, Copy)]
pub enum Passing<'a> {
    /// A client says this to the backend.
    Question(&'a [u8]),
    /// A client has said this, and the backend does not hear it.
    Refused(&'a [u8]),
    /// The backend says this to a client.
    Answer(&'a [u8]),
    /// The backend has said this, and no client hears it.
    Lost(&'a [u8]),
}

/// Is told of everything before it is passed on.
type Witness = Box<dyn FnMut(Passing<'_>) + Send>;

/// What the backend would have to answer to a question and does not, if there is such a thing.
type Objection = fn(&[u8]) -> Option<String>;

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is held back when a client says it.
    needle: Option<Vec<u8>>,
    held: usize,
    /// How many of those who were held back have gone instead of waiting.
    given_up: usize,
    /// How many questions that come late have no answer yet.
    late: usize,
    /// What clients have said, and when.
    said: Vec<(Instant, Vec<u8>)>,
    /// What becomes of messages that hold this, and of how many of them.
    fault: Option<(Vec<u8>, Fault, u32)>,
    witness: Option<Witness>,
    objection: Option<Objection>,
    is_closed: bool,
}

/// What both directions of a connection know of each other.
struct Connection {
    target: SocketAddr,
    /// Whether a question was passed on, and nothing has come back yet.
    is_unanswered: AtomicBool,
    loses_answer: AtomicBool,
    /// Whether the client is told so.
    gives_up: AtomicBool,
    is_late: AtomicBool,
    /// What is said to the backend once more when it has answered.
    repeats: Mutex<Option<Vec<u8>>>,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Self {
        Self::start(target, |client| client)
    }

    /// Speaks TLS to the clients, and not to the backend.
    pub fn with_tls_to(target: SocketAddr) -> Self {
        let config = tls::config();
        Self::start(target, move |client| tls::unwrapped(client, &config))
    }

    fn start(
        target: SocketAddr,
        understand: impl Fn(TcpStream) -> TcpStream + Send + 'static,
    ) -> Self {
        // An address of this machine that containers reach too.
        let gateway: IpAddr = prepared("SOFTSTOP_TEST_GATEWAY").parse().unwrap();
        let listener = TcpListener::bind((gateway, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.state.lock().unwrap().is_closed {
                    break;
                }
                if let Ok(server) = TcpStream::connect(target) {
                    serve(understand(client), server, &shared);
                }
            }
        });
        Self {
            address,
            target,
            gate,
        }
    }

    /// From now on, a question that has an objection gets it for an answer, and the backend never
    /// sees it.
    pub fn object(&self, objection: Objection) {
        self.gate.state.lock().unwrap().objection = Some(objection);
    }

    /// From now on, whoever says `needle` waits, with all that follows.
    pub fn hold(&self, needle: &str) {
        self.gate.state.lock().unwrap().needle = Some(needle.as_bytes().to_vec());
    }

    pub fn wait_until_held(&self) {
        until("the backend is asked", || self.has_held());
    }

    /// Whether somebody was held back.
    pub fn has_held(&self) -> bool {
        self.gate.state.lock().unwrap().held > 0
    }

    /// From now on, so many messages that hold `needle` meet this fault.
    pub fn fail(&self, needle: &str, fault: Fault, times: u32) {
        self.gate.state.lock().unwrap().fault = Some((needle.as_bytes().to_vec(), fault, times));
    }

    /// From now on, nothing fails and nobody is held back.
    pub fn recover(&self) {
        self.gate.state.lock().unwrap().fault = None;
        self.let_go();
    }

    /// Tells `witness` everything before it is passed on.
    pub fn watch(&self, witness: impl FnMut(Passing<'_>) + Send + 'static) {
        self.gate.state.lock().unwrap().witness = Some(Box::new(witness));
    }

    pub fn wait_until_given_up(&self) {
        until("whoever was held back is gone", || {
            self.gate.state.lock().unwrap().given_up > 0
        });
    }

    /// Waits until the backend has done what comes late.
    pub fn wait_until_settled(&self) {
        until("what comes late is done", || {
            self.gate.state.lock().unwrap().late == 0
        });
    }

    /// What clients have said, whether the backend has heard it or not.
    pub fn said(&self) -> Vec<Vec<u8>> {
        let state = self.gate.state.lock().unwrap();
        state.said.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// How much time was between the first message that holds `second` and the last one before it
    /// that holds `first`.
    pub fn between(&self, first: &str, second: &str) -> Duration {
        let state = self.gate.state.lock().unwrap();
        let holds = |bytes: &[u8], needle: &str| contains(bytes, needle.as_bytes());
        let end = state
            .said
            .iter()
            .position(|(_, bytes)| holds(bytes, second))
            .unwrap();
        let begin = state.said[..end]
            .iter()
            .rfind(|(_, bytes)| holds(bytes, first))
            .unwrap();
        state.said[end].0 - begin.0
    }

    pub fn let_go(&self) {
        self.gate.state.lock().unwrap().needle = None;
        self.gate.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.state.lock().unwrap().is_closed = true;
        // Whoever waits for a connection is given one. Where none is left to give, it waits on.
        let _ = TcpStream::connect(self.address);
    }
}

impl Connection {
    fn to(target: SocketAddr) -> Self {
        Self {
            target,
            is_unanswered: AtomicBool::default(),
            loses_answer: AtomicBool::default(),
            gives_up: AtomicBool::default(),
            is_late: AtomicBool::default(),
            repeats: Mutex::default(),
        }
    }
}

impl Gate {
    /// Waits where these bytes are held back; false where they are not to be passed on, or the
    /// client has gone in the meantime.
    fn pass(&self, client: &TcpStream, connection: &Connection, bytes: &[u8]) -> bool {
        let mut state = self.state.lock().unwrap();
        state.said.push((Instant::now(), bytes.to_vec()));
        let is_meant = state
            .needle
            .as_ref()
            .is_some_and(|needle| contains(bytes, needle));
        if is_meant {
            state.held += 1;
            while state.needle.is_some() {
                if has_gone(client) {
                    state.given_up += 1;
                    return false;
                }
                (state, _) = self.changed.wait_timeout(state, LOOK_AGAIN).unwrap();
            }
            // It may have gone since the last look.
            if has_gone(client) {
                return false;
            }
        }
        if let Some(answer) = state.objection.and_then(|objection| objection(bytes)) {
            state.tell(Passing::Refused(bytes));
            return answer_and_end(client, &answer);
        }
        let fault = state.next_fault(bytes);
        if matches!(fault, Some(Fault::Refuse | Fault::Forbid | Fault::Cut)) {
            state.tell(Passing::Refused(bytes));
            return refuse(client, fault);
        }
        if let Some(Fault::Delay(time)) = fault {
            drop(state);
            thread::sleep(time);
            if has_gone(client) {
                return false;
            }
            state = self.state.lock().unwrap();
        }
        if let Some(Fault::Late {
            worst,
            also_at_once,
        }) = fault
        {
            if also_at_once {
                state.tell(Passing::Question(bytes));
                say_once_more(connection.target, bytes);
            }
            connection.is_late.store(true, Ordering::Relaxed);
            state = self.be_late(state, client, worst.as_bytes());
        }
        if let Some(Fault::Twice { hears_second }) = fault {
            state.tell(Passing::Question(bytes));
            if hears_second {
                say_once_more(connection.target, bytes);
            } else {
                *connection.repeats.lock().unwrap() = Some(bytes.to_vec());
            }
        }
        state.tell(Passing::Question(bytes));
        let gives_up = fault == Some(Fault::GiveUpOnAnswer);
        let is_lost = gives_up || fault == Some(Fault::LoseAnswer);
        connection.gives_up.fetch_or(gives_up, Ordering::Relaxed);
        connection.loses_answer.fetch_or(is_lost, Ordering::Relaxed);
        connection.is_unanswered.store(!is_lost, Ordering::Relaxed);
        true
    }

    fn be_settled(&self, connection: &Connection) {
        if connection.is_late.swap(false, Ordering::Relaxed) {
            self.state.lock().unwrap().late -= 1;
        }
    }

    /// Waits until the client has gone, and then for the worst moment.
    fn be_late<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        client: &TcpStream,
        worst: &[u8],
    ) -> MutexGuard<'a, State> {
        state.late += 1;
        let began = Instant::now();
        while !has_gone(client) && began.elapsed() < LONGEST_WAIT {
            (state, _) = self.changed.wait_timeout(state, LOOK_AGAIN).unwrap();
        }
        let (gone, heard) = (Instant::now(), state.said.len());
        while gone.elapsed() < WORST_MOMENT {
            let mut since = state.said[heard..].iter();
            if since.any(|(_, bytes)| contains(bytes, worst)) {
                drop(state);
                thread::sleep(TO_TAKE_EFFECT);
                return self.state.lock().unwrap();
            }
            (state, _) = self.changed.wait_timeout(state, LOOK_AGAIN).unwrap();
        }
        state
    }
}

impl State {
    fn tell(&mut self, passing: Passing<'_>) {
        if let Some(witness) = &mut self.witness {
            witness(passing);
        }
    }

    fn next_fault(&mut self, bytes: &[u8]) -> Option<Fault> {
        let (needle, fault, left) = self.fault.as_mut()?;
        if *left == 0 || !contains(bytes, needle) {
            return None;
        }
        *left -= 1;
        Some(*fault)
    }
}

fn refuse(client: &TcpStream, fault: Option<Fault>) -> bool {
    match fault {
        Some(Fault::Refuse) => answer_and_end(client, &error("500 Internal Server Error")),
        Some(Fault::Forbid) => answer_and_end(client, &error("403 Forbidden")),
        _ => answer_and_end(client, ""),
    }
}

/// Copies both directions, each in a thread of its own.
fn serve(client: TcpStream, server: TcpStream, gate: &Arc<Gate>) {
    let (gate, answer_gate) = (Arc::clone(gate), Arc::clone(gate));
    let Ok(target) = server.peer_addr() else {
        return;
    };
    let connection = Arc::new(Connection::to(target));
    let answers = Arc::clone(&connection);
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        copy(from, to, |client, bytes| {
            gate.pass(client, &connection, bytes)
        });
    });
    thread::spawn(move || {
        let tell = |passing: Passing<'_>| answer_gate.state.lock().unwrap().tell(passing);
        let told = client.try_clone().unwrap();
        copy(server, client, |_, answer| {
            answers.is_unanswered.store(false, Ordering::Relaxed);
            if let Some(question) = answers.repeats.lock().unwrap().take() {
                say_once_more(target, &question);
            }
            answer_gate.be_settled(&answers);
            let is_lost = answers.loses_answer.load(Ordering::Relaxed);
            tell(if is_lost {
                Passing::Lost(answer)
            } else {
                Passing::Answer(answer)
            });
            if answers.gives_up.load(Ordering::Relaxed) {
                answer_and_end(&told, &error("504 Gateway Timeout"));
            }
            !is_lost
        });
        answer_gate.be_settled(&answers);
        // A client that asks again finds done what it has asked for.
        if answers.is_unanswered.load(Ordering::Relaxed) {
            eprintln!("{target} has ended a connection without an answer");
        }
    });
}
