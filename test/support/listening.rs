//! A server that containers reach too, and that stops with the test process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Serves each client by itself, with what all of them share, and tells where.
pub(super) fn listen<S: Send + 'static>(
    shared: &Arc<Mutex<S>>,
    serve: fn(TcpStream, &Mutex<S>) -> io::Result<()>,
) -> SocketAddr {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let shared = Arc::clone(&shared);
            // A client that was killed wants no answer.
            thread::spawn(move || serve(stream, &shared).unwrap_or_default());
        }
    });
    address
}
