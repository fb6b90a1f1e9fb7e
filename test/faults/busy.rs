//! A machine that is so busy that softstop looks late: until the blow, it stands still again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use super::round::Round;
use super::subject::Subject;
use crate::support::run::{marked, name_of};

/// How long it stands still. No Terraform that takes a lock lives so short.
const STANDSTILL: Duration = Duration::from_millis(150);
/// How long it goes on then.
const MOTION: Duration = Duration::from_millis(60);

/// Ends with the blow at the latest.
pub(super) struct Busy {
    is_over: Arc<AtomicBool>,
    standing: Option<JoinHandle<()>>,
}

impl Round<'_> {
    pub(super) fn be_busy(&self, subject: &mut Subject) -> Option<Busy> {
        if !self.plan.is_busy {
            return None;
        }
        let is_over = Arc::new(AtomicBool::default());
        let (over, mark) = (Arc::clone(&is_over), subject.run().mark().to_owned());
        let standing = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let mut all = marked(&mark);
                all.retain(|pid| name_of(*pid) == "softstop");
                for (signal, time) in [(Signal::SIGSTOP, STANDSTILL), (Signal::SIGCONT, MOTION)] {
                    for pid in &all {
                        // Who has ended meanwhile needs no signal.
                        let _ = kill(*pid, signal);
                    }
                    thread::sleep(time);
                }
            }
        });
        self.truth.note("softstop looks late");
        Some(Busy {
            is_over,
            standing: Some(standing),
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It ends with a softstop that has had time to look.
        let _ = self.standing.take().map(JoinHandle::join);
    }
}
