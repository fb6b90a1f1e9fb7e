//! A server of no backend: it lets nobody in, and remembers all that came to it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::listening::listen;

const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// PostgreSQL's request for a password in the clear.
const PASSWORD: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

pub struct Witness {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Witness {
    pub fn start() -> Self {
        let heard = Arc::default();
        let address = listen(&heard, serve);
        Self { address, heard }
    }

    /// All that came so far.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    let mut is_asked = false;
    loop {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Ok(());
        }
        heard.lock().unwrap().extend(&part[..count]);
        request.extend(&part[..count]);
        let is_postgres = request.starts_with(&[0]);
        if is_postgres && is_asked {
            return Ok(());
        }
        if is_postgres {
            is_asked = true;
            stream.write_all(PASSWORD)?;
        } else if is_whole(&String::from_utf8_lossy(&request)) {
            return stream.write_all(REFUSED);
        }
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.to_lowercase();
    let length = length.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
