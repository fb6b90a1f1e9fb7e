//! Passes bytes on, untouched and in order, whatever their reader does.
//!
//! Terraform dies of SIGPIPE when its reader goes, and blocks when its reader stops; either way
//! the lock is left. So a deploy writes into a pipe of ours. A thread drains that pipe into a
//! queue, and another writes the queue out. A slow reader slows the deploy down, as any pipe does,
//! until softstop is asked to stop: from then on the draining waits for nobody.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::iter;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::sync::Notify;

use super::budget::LAST_WORDS;
use super::lines::{Audience, Lines};
use super::pipes::{is_empty, wait_for_bytes, write_whole};
use super::words::Ear;

/// How many bytes one read takes: as many as a Linux pipe holds.
const CHUNK: usize = 64 * 1024;
/// How much a pipe of a deploy may hold: in one of usual size, who writes much waits for each read.
const PIPE: i32 = 256 * 1024;
/// How much of what was written into a pipe may not have come yet: it is full, and a read is on its way.
const MOST_ON_ITS_WAY: u64 = PIPE as u64 + CHUNK as u64;
/// How long to let more come where little has come: a deploy that writes line by line would otherwise
/// wake two threads for each.
const GATHER: Duration = Duration::from_micros(250);
/// How much may wait for a slow reader before the deploy is slowed down.
const QUEUE_LIMIT: usize = 512 * 1024;
/// How much is kept for a reader that does not read while softstop stops; what comes on top of it
/// is dropped.
const STOPPING_LIMIT: usize = 16 * 1024 * 1024;
/// How often the words of a tool are noted: nobody asks so many to stop, so they are somebody's text.
const HEARD_LIMIT: usize = 64;
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
    /// Told when something was written, and when a pipe is at its end.
    progress: Notify,
}

#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// Chunks that were written out, to be filled again.
    spare: Vec<Chunk>,
    bytes: usize,
    /// How many of those of the dead may wait on top of what may always wait.
    room_for_the_dead: u64,
    /// How many bytes ever came.
    came: u64,
    /// How many bytes ever went: they were written out, or had no reader.
    went: u64,
    /// When the words were heard by which tools tell that they were asked to stop.
    heard: Vec<Instant>,
    /// The pipes that are being drained into this queue.
    sources: Vec<Arc<OwnedFd>>,
    writing: bool,
    /// Whether the thread that writes waits until it is told: to tell somebody who does not wait
    /// costs a system call for each short line.
    writer_waits: bool,
    /// How many pipes are not drained because the queue is full.
    sources_waiting: usize,
    /// How many threads are just taking something out of a pipe, and have not brought it here.
    in_hand: usize,
    reader: Reader,
    within_a_line: bool,
}

/// A buffer with room for [`CHUNK`] bytes.
struct Chunk(Vec<u8>);

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
            progress: Notify::new(),
        }));
        let shared = Arc::clone(&outlet.0);
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || shared.write_out(target))?;
        Ok(outlet)
    }

    /// Whether what is written to this one is written to the other one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Starts to drain `source` into this stream, until its last writer is gone, listens for `words` in
    /// it, and lets the `audience` hear its lines.
    pub(super) fn drain(
        &self,
        source: OwnedFd,
        words: &'static str,
        audience: Option<Audience>,
    ) -> io::Result<()> {
        // A longer pipe is no more than faster, so what becomes of this does not matter.
        let _ = fcntl(&source, FcntlArg::F_SETPIPE_SZ(PIPE));
        let source = Arc::new(source);
        let mut queue = self.0.lock();
        queue.sources.push(Arc::clone(&source));
        queue.room_for_the_dead = 0;
        drop(queue);
        let (shared, drained) = (Arc::clone(&self.0), Arc::clone(&source));
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                shared.drain(&drained, Ear::new(words), Lines::new(audience));
                shared.lose(&drained);
            })
            .map(drop)
            .inspect_err(|_no_thread| self.0.lose(&source))
    }

    /// From now on no reader can make a deploy wait.
    pub(super) fn wait_for_nobody(&self) {
        let mut queue = self.0.lock();
        if queue.reader == Reader::WaitedFor {
            queue.reader = Reader::NotWaitedFor;
        }
        self.0.emptied.notify_all();
    }

    /// Who writes into the pipes is dead, so what lies in them is taken out whatever the reader does: a pipe
    /// holds the last lines of a killed deploy for as long as nobody reads the earlier ones.
    pub(super) fn take_from_the_dead(&self) {
        let mut queue = self.0.lock();
        queue.room_for_the_dead = queue.most_in_pipes() + queue.bytes as u64;
        self.0.emptied.notify_all();
    }

    /// Adds a message of softstop's own, on a line of its own. Never waits.
    pub(crate) fn say(&self, message: &[u8]) {
        let mut queue = self.0.lock();
        if queue.within_a_line {
            self.0.push(&mut queue, Chunk::of(b"\n"));
        }
        for part in message.chunks(CHUNK) {
            self.0.push(&mut queue, Chunk::of(part));
        }
    }

    /// A number that changes whenever bytes come or are written out.
    pub(super) fn moved(&self) -> u64 {
        let queue = self.0.lock();
        queue.came + queue.went
    }

    /// When the words were heard by which tools tell that they were asked to stop.
    pub(super) fn heard(&self) -> Vec<Instant> {
        self.0.lock().heard.clone()
    }

    /// Waits until every pipe that was drained into this stream is at its end.
    pub(super) async fn drained(&self) {
        while !self.0.lock().sources.is_empty() {
            self.0.progress.notified().await;
        }
    }

    /// How many bytes ever came.
    pub(super) fn came(&self) -> u64 {
        self.0.lock().came
    }

    /// Whether all has been read that the pipes held when so many bytes had come: they are empty, or
    /// more has come since than they can hold.
    pub(super) fn is_past(&self, came: u64) -> bool {
        let queue = self.0.lock();
        queue.reader == Reader::Gone
            || queue.came - came >= queue.most_in_pipes()
            || queue.are_sources_empty()
    }

    /// Waits until all has been written, or is known to have no reader, that came so far or lies in
    /// the pipes: a deploy may be long over when a slow reader goes on.
    pub(crate) async fn flush(&self) {
        let enough = {
            let queue = self.0.lock();
            queue.came + queue.most_in_pipes()
        };
        while !self.is_written(enough) {
            // What a stranger has written into a pipe goes without a word where nobody reads it.
            let _ = tokio::time::timeout(LAST_WORDS, self.0.progress.notified()).await;
        }
    }

    /// Whether all has been written, or `enough`: a stranger who holds a pipe may write for ever.
    fn is_written(&self, enough: u64) -> bool {
        let queue = self.0.lock();
        let is_all = queue.went == queue.came && queue.in_hand == 0;
        queue.reader == Reader::Gone || queue.went >= enough || is_all && queue.are_sources_empty()
    }
}

impl Chunk {
    /// Not filled with anything: the kernel gives memory page by page, once it is used.
    fn empty() -> Self {
        Self(Vec::with_capacity(CHUNK))
    }

    fn of(bytes: &[u8]) -> Self {
        let mut chunk = Self::empty();
        chunk.0.extend_from_slice(bytes);
        chunk
    }

    fn has_room_for(&self, bytes: &[u8]) -> bool {
        self.0.len() + bytes.len() <= CHUNK
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        let room = usize::try_from(self.room_for_the_dead).unwrap_or(usize::MAX);
        self.reader == Reader::WaitedFor && self.bytes >= QUEUE_LIMIT.saturating_add(room)
    }

    /// How much at the most was written into the pipes, and has not come yet.
    fn most_in_pipes(&self) -> u64 {
        MOST_ON_ITS_WAY * self.sources.len() as u64
    }

    fn are_sources_empty(&self) -> bool {
        self.sources.iter().all(|source| is_empty(source))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A queue is whole after every statement, so a panic elsewhere cannot have broken it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds `chunk`, and gives another one to be filled.
    fn push(&self, queue: &mut Queue, chunk: Chunk) -> Chunk {
        let bytes = &chunk.0;
        if let Some(last) = bytes.last() {
            queue.within_a_line = *last != b'\n';
        }
        if queue.reader == Reader::Gone || queue.bytes >= STOPPING_LIMIT {
            return chunk;
        }
        queue.bytes += bytes.len();
        queue.came += bytes.len() as u64;
        if mem::take(&mut queue.writer_waits) {
            self.filled.notify_one();
        }
        match queue.chunks.back_mut() {
            // Short lines share a buffer: a queue of bytes must not become a queue of buffers.
            Some(last) if last.has_room_for(bytes) => {
                last.0.extend_from_slice(bytes);
                chunk
            }
            _ => {
                queue.chunks.push_back(chunk);
                queue.spare.pop().unwrap_or_else(Chunk::empty)
            }
        }
    }

    /// A pipe is at its end, or nobody drains it.
    fn lose(&self, source: &Arc<OwnedFd>) {
        let is_another = |other: &Arc<OwnedFd>| !Arc::ptr_eq(other, source);
        self.lock().sources.retain(is_another);
        self.progress.notify_one();
    }

    fn drain(&self, source: &OwnedFd, mut ear: Ear, mut lines: Lines) {
        let mut chunk = Chunk::empty();
        loop {
            chunk.0.clear();
            wait_for_bytes(source);
            // Whoever sees an empty pipe has to see that it was not empty before.
            self.lock().in_hand += 1;
            // nix reads into memory that was cleared before.
            let read = rustix::io::read(source, spare_capacity(&mut chunk.0));
            if !matches!(read, Ok(1..)) {
                self.lock().in_hand -= 1;
                match read {
                    Err(Errno::INTR) => continue,
                    _ => return,
                }
            }
            let is_little = chunk.0.len() < CHUNK;
            let heard = ear.hear(&chunk.0);
            lines.find(&chunk.0);
            let mut queue = self.lock();
            if heard > 0 && queue.heard.len() < HEARD_LIMIT {
                queue.heard.extend(iter::repeat_n(Instant::now(), heard));
            }
            if queue.is_full() {
                // Who stops reading makes us wait, and a deploy may be killed meanwhile, and what it has
                // made is told then.
                drop(queue);
                lines.tell();
                queue = self.lock();
            }
            while queue.is_full() {
                queue.sources_waiting += 1;
                queue = self
                    .emptied
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.sources_waiting -= 1;
            }
            chunk = self.push(&mut queue, chunk);
            queue.in_hand -= 1;
            drop(queue);
            // The bytes are on their way, so that nobody waits for what is made of them.
            lines.tell();
            if is_little {
                thread::sleep(GATHER);
            }
        }
    }

    fn write_out(&self, mut target: File) {
        let mut queue = self.lock();
        loop {
            if let Some(chunk) = queue.chunks.pop_front() {
                queue.writing = true;
                drop(queue);
                let written = write_whole(&mut target, &chunk.0);
                queue = self.lock();
                queue.writing = false;
                queue.bytes -= chunk.0.len();
                queue.went += chunk.0.len() as u64;
                queue.spare.push(chunk);
                if written.is_err() {
                    queue.reader = Reader::Gone;
                    queue.bytes = 0;
                    queue.went = queue.came;
                    queue.chunks.clear();
                }
                self.progress.notify_one();
                if queue.sources_waiting > 0 {
                    self.emptied.notify_all();
                }
            } else {
                queue.writer_waits = true;
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.writer_waits = false;
            }
        }
    }
}
