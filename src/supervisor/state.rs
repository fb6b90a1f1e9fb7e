//! What the supervisor owns: children, requests to stop, output, and the time that is left.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use nix::sys::prctl;
use tokio::sync::watch;
use tokio::time::Instant;

use super::budget::{Budget, Phase};
use super::children::Children;
use super::output::Outlet;
use super::process::{self, Process};
use super::signals::{self, Interrupt, Interrupts, let_signals_through};
use super::tree;

/// Owns every process below softstop.
pub(crate) struct Supervisor {
    pub(super) children: Children,
    pub(super) interrupts: watch::Receiver<Interrupts>,
    /// When we began to start processes.
    started: u64,
    pub(super) grace_period: Duration,
    /// Whether anything of the deploy was told to stop.
    pub(super) has_told: Cell<bool>,
    /// How many were said to be alive that cannot be killed.
    pub(super) unkilled: Cell<usize>,
    /// What we are at, and since when.
    phase: Cell<(Phase, Instant)>,
    pub(super) stdout: Outlet,
    /// The same one where both are one file.
    pub(super) stderr: Outlet,
}

impl Supervisor {
    /// Starts to supervise, on the current thread and its tokio `LocalSet`.
    pub(crate) fn start(
        grace_period: Duration,
        stdout: Outlet,
        stderr: Outlet,
    ) -> io::Result<Self> {
        // PID 1 is given orphans in any case; anybody else has to ask for them.
        prctl::set_child_subreaper(true)?;
        let supervisor = Self {
            children: Children::new()?,
            interrupts: signals::listen()?,
            started: process::now()?,
            grace_period,
            has_told: Cell::default(),
            unkilled: Cell::new(0),
            phase: Cell::new((Phase::Alone, Instant::now())),
            stdout,
            stderr,
        };
        // What was held back can be heard now.
        let_signals_through()?;
        Ok(supervisor)
    }

    /// Says what comes now, which decides how much of the grace period is kept for what comes later.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set((phase, Instant::now()));
    }

    /// What is left of the grace period, once it has begun.
    pub(super) fn budget(&self) -> Option<Budget> {
        let (phase, since) = self.phase.get();
        self.interrupt().map(|interrupt| Budget {
            signal: interrupt.at,
            period: self.grace_period,
            phase,
            since,
        })
    }

    /// Whether softstop was asked to stop before anything was begun.
    pub(crate) fn is_in_vain(&self) -> bool {
        let budget = self.budget();
        budget.is_some_and(|budget| matches!(budget.phase, Phase::LookBefore))
    }

    /// The signal that asked softstop to stop, if one did.
    pub(crate) fn interrupt(&self) -> Option<Interrupt> {
        self.interrupts.borrow().first
    }

    /// Waits until softstop is asked to stop.
    pub(crate) async fn next_interrupt(&self) -> Interrupt {
        let mut interrupts = self.interrupts.clone();
        loop {
            if let Some(interrupt) = interrupts.borrow_and_update().first {
                return interrupt;
            }
            if interrupts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Every process but us, our guard, and what we have started.
    pub(crate) fn others(&self) -> io::Result<Vec<Process>> {
        tree::others(self.started)
    }
}
