//! A TCP proxy that can hold back what a client says to a backend.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{prepared, until};

/// How often a connection that is held back is looked at: who was killed must not seem alive.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Passes bytes on, until it is told to hold them.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    gate: Arc<Gate>,
}

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
    /// What clients have said, and when.
    said: Vec<(Instant, Vec<u8>)>,
}

impl Proxy {
    pub(crate) fn to(target: SocketAddr) -> Self {
        // An address of this machine that containers reach too.
        let gateway: IpAddr = prepared("SOFTSTOP_TEST_GATEWAY").parse().unwrap();
        let listener = TcpListener::bind((gateway, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                let gate = Arc::clone(&shared);
                let is_asked = Arc::new(AtomicBool::new(false));
                let is_unanswered = Arc::clone(&is_asked);
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    copy(from, to, |client, bytes| {
                        is_asked.store(true, Ordering::Relaxed);
                        gate.pass(client, bytes)
                    });
                });
                thread::spawn(move || {
                    copy(server, client, |_, _| {
                        is_unanswered.store(false, Ordering::Relaxed);
                        true
                    });
                    // A client that asks again finds done what it has asked for.
                    if is_unanswered.load(Ordering::Relaxed) {
                        eprintln!("{target} has ended a connection without an answer");
                    }
                });
            }
        });
        Self { address, gate }
    }

    /// From now on, whoever says `needle` waits, with all that follows.
    pub(crate) fn hold(&self, needle: &str) {
        self.gate.state.lock().unwrap().needle = Some(needle.as_bytes().to_vec());
    }

    pub(crate) fn wait_until_held(&self) {
        until("the backend is asked", || {
            self.gate.state.lock().unwrap().held > 0
        });
    }

    pub(crate) fn wait_until_given_up(&self) {
        until("whoever was held back is gone", || {
            self.gate.state.lock().unwrap().given_up > 0
        });
    }

    /// How much time was between the first message that holds `second` and the last one before it
    /// that holds `first`.
    pub(crate) fn between(&self, first: &str, second: &str) -> Duration {
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

    pub(crate) fn let_go(&self) {
        self.gate.state.lock().unwrap().needle = None;
        self.gate.changed.notify_all();
    }
}

impl Gate {
    /// Waits where these bytes are held back; false where the client has gone in the meantime.
    fn pass(&self, client: &TcpStream, bytes: &[u8]) -> bool {
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
        }
        true
    }
}

/// Everything contains nothing.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || bytes.windows(needle.len()).any(|window| window == needle)
}

fn has_gone(client: &TcpStream) -> bool {
    let gone = PollFlags::RDHUP | PollFlags::HUP;
    let now = Timespec::default();
    poll(&mut [PollFd::new(client, gone)], Some(&now)).unwrap() > 0
}

fn copy(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn(&TcpStream, &[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            break;
        }
        let may_pass = may_pass(&from, &buffer[..length]);
        if !may_pass || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
