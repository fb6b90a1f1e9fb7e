//! Passes bytes on, untouched and in order, whatever their reader does.
//!
//! Terraform dies of SIGPIPE when its reader goes, and blocks when its reader stops; either way
//! the lock is left. So a deploy writes into a pipe of ours. A thread drains that pipe into a
//! queue, and another writes the queue out. A slow reader slows the deploy down, as any pipe does,
//! until softstop is asked to stop: from then on the draining waits for nobody.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::Notify;

/// How many bytes one read takes: as many as a Linux pipe holds.
const CHUNK: usize = 64 * 1024;
/// How much may wait for a slow reader before the deploy is slowed down.
const QUEUE_LIMIT: usize = 512 * 1024;
/// How much is kept for a reader that does not read while softstop stops; what comes on top of it
/// is dropped.
const STOPPING_LIMIT: usize = 16 * 1024 * 1024;
/// The threads only copy, and their stacks count as memory of the supervisor.
const STACK: usize = 64 * 1024;

/// One stream out of softstop: a queue, and the thread that writes it out.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Told when there is something to write.
    filled: Condvar,
    /// Told when there is room again.
    emptied: Condvar,
    /// Told when all that came has been written.
    idle: Notify,
}

#[derive(Default)]
struct Queue {
    chunks: VecDeque<Vec<u8>>,
    /// Buffers that were written out, to be filled again.
    spare: Vec<Vec<u8>>,
    bytes: usize,
    /// How many bytes ever came, and were written out.
    moved: u64,
    /// How many pipes are being drained into this queue.
    sources: usize,
    writing: bool,
    reader: Reader,
    within_a_line: bool,
}

/// What is expected of whoever reads the stream.
#[derive(Default, PartialEq, Eq)]
enum Reader {
    /// A slow one slows the deploy down.
    #[default]
    WaitedFor,
    /// softstop stops, and cannot wait any more.
    NotWaitedFor,
    /// It has closed its end.
    Gone,
}

impl Outlet {
    /// Starts to write to a copy of `target`.
    pub(crate) fn open(target: BorrowedFd<'_>) -> io::Result<Self> {
        let target = File::from(target.try_clone_to_owned()?);
        let outlet = Self(Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            idle: Notify::new(),
        }));
        let shared = Arc::clone(&outlet.0);
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || shared.write_out(target))?;
        Ok(outlet)
    }

    /// Starts to drain `source` into this stream, until its last writer is gone.
    pub(super) fn drain(&self, source: OwnedFd) -> io::Result<()> {
        self.0.lock().sources += 1;
        let shared = Arc::clone(&self.0);
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                shared.drain(File::from(source));
                shared.lock().sources -= 1;
                shared.idle.notify_one();
            })
            .map(drop)
    }

    /// From now on no reader can make a deploy wait.
    pub(super) fn wait_for_nobody(&self) {
        let mut queue = self.0.lock();
        if queue.reader == Reader::WaitedFor {
            queue.reader = Reader::NotWaitedFor;
        }
        self.0.emptied.notify_all();
    }

    /// Adds a message of softstop's own, on a line of its own. Never waits.
    pub(crate) fn say(&self, message: &[u8]) {
        let mut queue = self.0.lock();
        let mut chunk = Vec::with_capacity(message.len() + 1);
        if queue.within_a_line {
            chunk.push(b'\n');
        }
        chunk.extend_from_slice(message);
        self.0.push(&mut queue, chunk);
    }

    /// A number that changes whenever bytes come or are written out.
    pub(super) fn moved(&self) -> u64 {
        self.0.lock().moved
    }

    /// Whether all that came so far has been written out.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_written()
    }

    /// Waits until every pipe that was drained into this stream is at its end.
    pub(super) async fn drained(&self) {
        while self.0.lock().sources > 0 {
            self.0.idle.notified().await;
        }
    }

    /// Waits until all that came has been written, or is known to have no reader.
    pub(crate) async fn flush(&self) {
        while !self.0.lock().is_idle() {
            self.0.idle.notified().await;
        }
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.sources == 0 && self.is_written()
    }

    fn is_written(&self) -> bool {
        self.chunks.is_empty() && !self.writing
    }

    fn is_full(&self) -> bool {
        self.reader == Reader::WaitedFor && self.bytes >= QUEUE_LIMIT
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A queue is whole after every statement, so a panic elsewhere cannot have broken it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, queue: &mut Queue, chunk: Vec<u8>) {
        if let Some(last) = chunk.last() {
            queue.within_a_line = *last != b'\n';
        }
        if queue.reader == Reader::Gone || queue.bytes >= STOPPING_LIMIT {
            queue.spare.push(chunk);
            return;
        }
        queue.bytes += chunk.len();
        queue.moved += chunk.len() as u64;
        match queue.chunks.back_mut() {
            // Short lines share a buffer: a queue of bytes must not become a queue of buffers.
            Some(last) if last.len() + chunk.len() <= CHUNK => {
                last.extend_from_slice(&chunk);
                queue.spare.push(chunk);
            }
            _ => queue.chunks.push_back(chunk),
        }
        self.filled.notify_one();
    }

    fn drain(&self, mut source: File) {
        loop {
            let mut chunk = self.lock().spare.pop().unwrap_or_default();
            chunk.resize(CHUNK, 0);
            match source.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => chunk.truncate(length),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            let mut queue = self.lock();
            while queue.is_full() {
                queue = self
                    .emptied
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            self.push(&mut queue, chunk);
        }
    }

    fn write_out(&self, mut target: File) {
        let mut queue = self.lock();
        loop {
            if let Some(chunk) = queue.chunks.pop_front() {
                queue.writing = true;
                drop(queue);
                let written = write_whole(&mut target, &chunk);
                queue = self.lock();
                queue.writing = false;
                queue.bytes -= chunk.len();
                queue.moved += chunk.len() as u64;
                queue.spare.push(chunk);
                if written.is_err() {
                    queue.reader = Reader::Gone;
                    queue.bytes = 0;
                    queue.chunks.clear();
                }
                self.emptied.notify_all();
            } else {
                self.idle.notify_one();
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Writes all of `bytes`, also where whoever shares our output has made it non-blocking.
fn write_whole(target: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match target.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(
                    &mut [PollFd::new(target.as_fd(), PollFlags::POLLOUT)],
                    PollTimeout::NONE,
                )?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
