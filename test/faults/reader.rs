//! Whoever reads the output of the deploy, as far as it is not stderr.

use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use fastrand::Rng;
use nix::fcntl::{FcntlArg, fcntl};

use crate::support::{Run, Softstop};

/// What the reader does from the blow on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    Reads,
    /// It keeps its end, and reads nothing more.
    Stops,
    /// It closes its end.
    Goes,
}

/// A reader that does not read all.
pub(super) struct Reader {
    has_enough: Arc<AtomicBool>,
    /// Who holds the end of the pipe waits for the end of this.
    held: Sender<()>,
    copying: JoinHandle<()>,
    copy: PathBuf,
}

impl Habit {
    /// The usual more often.
    pub(super) fn drawn(rng: &mut Rng) -> Self {
        match rng.u8(..10) {
            0 => Self::Stops,
            1 => Self::Goes,
            _ => Self::Reads,
        }
    }

    /// Starts a run with such a reader.
    pub(super) fn start(self, softstop: Softstop, scratch: &Path) -> (Run, Option<Reader>) {
        if self == Self::Reads {
            return (softstop.start(), None);
        }
        let (mut output, end) = pipe().unwrap();
        // It is full soon.
        fcntl(&end, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        let copy = scratch.join("read");
        let mut file = File::create(&copy).unwrap();
        let has_enough = Arc::new(AtomicBool::default());
        let (held, over) = channel();
        let enough = Arc::clone(&has_enough);
        let copying = thread::spawn(move || {
            let mut part = [0; 512];
            while !enough.load(Ordering::Relaxed)
                && let Ok(count @ 1..) = output.read(&mut part)
            {
                file.write_all(&part[..count]).unwrap();
            }
            if self == Self::Stops {
                // Nobody sends anything.
                let _ = over.recv();
            }
        });
        let run = softstop.start_with_stdout(copy.clone(), end);
        let reader = Reader {
            has_enough,
            held,
            copying,
            copy,
        };
        (run, Some(reader))
    }
}

impl Reader {
    /// The next part that is read is the last one.
    pub(super) fn has_enough(&self) {
        self.has_enough.store(true, Ordering::Relaxed);
    }

    /// All that was read.
    pub(super) fn finish(self) -> String {
        drop(self.held);
        self.copying.join().unwrap();
        let bytes = fs::read(&self.copy).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
