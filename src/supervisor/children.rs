//! The children of softstop: one thread spawns them, and it alone reaps them.
//!
//! `tokio::process` reaps too, and where two reap, statuses get lost; so it is not used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::process::{Command, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::Pid;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use super::kernel::{self, Dead};
use super::process;

/// How many are reaped before anything else has its turn: as many as most machines have numbers for.
const AT_ONCE: usize = 32 * 1024;

/// A child that was spawned, and will be reaped.
pub(super) struct Child {
    pub(super) pid: Pid,
    /// Answers when the child is reaped.
    pub(super) death: oneshot::Receiver<Death>,
}

/// How a child died.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) status: ExitStatus,
    /// What it was when it died: a shell may have become a tool.
    pub(super) name: String,
}

/// Everything that softstop has spawned and not reaped yet.
#[derive(Clone)]
pub(super) struct Children {
    registered: Rc<RefCell<HashMap<Pid, oneshot::Sender<Death>>>>,
    reaped: Rc<Notify>,
}

impl Children {
    /// Starts to reap, on the current thread.
    pub(super) fn new() -> io::Result<Self> {
        let children = Self {
            registered: Rc::default(),
            reaped: Rc::default(),
        };
        let deaths = signal(SignalKind::child())?;
        tokio::task::spawn_local(children.clone().reap_for_ever(deaths));
        Ok(children)
    }

    /// Spawns `command` in a session of its own.
    ///
    /// Between the fork and the registration nothing is awaited, so the reaper, which runs on this
    /// same thread, cannot meet a child that it does not know.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        kernel::detach(command);
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let (sender, death) = oneshot::channel();
        self.registered.borrow_mut().insert(pid, sender);
        Ok(Child { pid, death })
    }

    /// Waits until a child is reaped, but no longer than `at_most`.
    pub(super) async fn reaped_or(&self, at_most: Duration) {
        // Both ends of the wait mean the same to the caller: look again.
        let _ = tokio::time::timeout(at_most, self.reaped.notified()).await;
    }

    async fn reap_for_ever(self, mut deaths: Signal) {
        loop {
            while !self.reap_the_dead() {
                tokio::task::yield_now().await;
            }
            deaths.recv().await;
        }
    }

    /// Reaps the dead, and tells whether that were all: it has an end also where somebody starts and
    /// dies again and again.
    pub(super) fn reap_the_dead(&self) -> bool {
        for _ in 0..AT_ONCE {
            let Dead::Child(pid) = kernel::find_dead() else {
                return true;
            };
            self.reap(pid);
            self.reaped.notify_one();
        }
        false
    }

    fn reap(&self, pid: Pid) {
        let Some(sender) = self.registered.borrow_mut().remove(&pid) else {
            // An orphan: nobody waits for it, and there may be thousands.
            kernel::reap(pid);
            return;
        };
        let name = process::name(pid);
        let status = kernel::reap(pid);
        // Nobody waits any more for a helper that was given up.
        let _ = sender.send(Death { status, name });
    }
}

/// Whether the kernel knows no child of ours, and so, as we adopt orphans, nothing below us.
pub(super) fn none_left() -> bool {
    kernel::find_dead() == Dead::NoChildren
}
