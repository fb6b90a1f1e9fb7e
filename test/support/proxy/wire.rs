//! Bytes on their way between a client and a backend.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long the answer to what is said once more is waited for.
const TO_ANSWER: Duration = Duration::from_secs(2);

/// Says this to the backend on a connection of its own.
pub(super) fn say_once_more(target: SocketAddr, question: &[u8]) {
    let mut backend = TcpStream::connect(target).unwrap();
    backend.set_read_timeout(Some(TO_ANSWER)).unwrap();
    backend.write_all(question).unwrap();
    // What the answer says is of no interest, but it says that all is done.
    let _ = backend.read(&mut [0; 4096]).unwrap();
}

/// An answer in the way of HTTP that has nothing but this status.
pub(super) fn error(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

pub(super) fn answer_and_end(mut client: &TcpStream, answer: &str) -> bool {
    // A client that was killed wants no answer.
    let _ = client.write_all(answer.as_bytes());
    // Neither end may wait for the other one.
    let _ = client.shutdown(Shutdown::Both);
    false
}

/// Everything contains nothing.
pub(super) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || bytes.windows(needle.len()).any(|window| window == needle)
}

pub(super) fn has_gone(client: &TcpStream) -> bool {
    // nix does not know this event.
    let gone = PollFlags::RDHUP | PollFlags::HUP;
    let now = Timespec::default();
    poll(&mut [PollFd::new(client, gone)], Some(&now)).unwrap() > 0
}

/// Reads on until the answer in the buffer is whole, where it is one in HTTP.
///
/// The emulator sends head and body one after the other, and Terraform 1.11.4 sometimes closes the
/// connection between the two and asks again, which a lock that was just taken refuses.
fn read_whole(from: &mut TcpStream, buffer: &mut [u8], mut length: usize) -> usize {
    while length < length_of_answer(&buffer[..length]).min(buffer.len()) {
        match from.read(&mut buffer[length..]) {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    length
}

/// How long an answer says that it is, head and body; nothing where it says nothing.
fn length_of_answer(answer: &[u8]) -> usize {
    let text = String::from_utf8_lossy(answer);
    let length = text.split_once("\r\n\r\n").and_then(|(head, _)| {
        let mut lines = head.lines();
        lines.next().filter(|line| line.starts_with("HTTP/1"))?;
        let body = lines.find_map(|line| line.strip_prefix("Content-Length: "))?;
        Some(head.len() + "\r\n\r\n".len() + body.parse::<usize>().ok()?)
    });
    length.unwrap_or(0)
}

pub(super) fn copy(
    mut from: TcpStream,
    mut to: TcpStream,
    may_pass: impl Fn(&TcpStream, &[u8]) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            break;
        }
        let length = read_whole(&mut from, &mut buffer, length);
        let may_pass = may_pass(&from, &buffer[..length]);
        if !may_pass || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
