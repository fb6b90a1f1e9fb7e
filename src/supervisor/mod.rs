//! Processes, signals, output and time. Knows no Terraform and no Bitbucket.
//!
//! One thread owns all processes: it spawns them, and it alone reaps them. The same thread hears
//! the signals, so nothing here needs a lock; only the bytes of the deploy are moved by others.

mod children;
mod ending;
mod first_process;
mod freeze;
mod grace;
mod guard;
mod helper;
mod kernel;
mod last_words;
mod limits;
mod lines;
mod lookout;
mod memory;
mod neighbours;
mod output;
mod passwd;
mod process;
mod secrets;
mod send;
mod signals;
mod stop;
mod tree;
mod user_name;
mod words;

use std::cell::Cell;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::info;

pub(crate) use first_process::shell_in_between;
pub(crate) use grace::Grace;
pub(crate) use guard::{Guarded, guarded};
pub(crate) use helper::{Helped, HelperError};
pub(crate) use limits::ensure_files;
pub(crate) use lines::{Audience, Listener};
pub(crate) use lookout::{Grounds, Lookout, Seen, SeenTool};
pub(crate) use neighbours::{Left, Mark, Neighbours};
pub(crate) use output::Outlet;
pub(crate) use process::Tools;
pub(crate) use secrets::{forget, hide_ourselves};
pub(crate) use signals::{Interrupt, Interrupts, hold_signals, let_signals_through};
pub(crate) use user_name::{NameError, UserName, user_name};

use children::{Child, Children, Death};
use memory::Kills;

/// How long the kernel may take to bury what was killed.
const BURIAL: Duration = Duration::from_millis(500);

/// Owns every process below softstop.
pub(crate) struct Supervisor {
    children: Children,
    interrupts: watch::Receiver<Interrupts>,
    /// When we began to start processes.
    started: u64,
    grace_period: Duration,
    /// The end of the grace period that is kept for what comes last.
    kept_back: Cell<Duration>,
    stdout: Outlet,
    stderr: Outlet,
}

/// How a command and everything it started ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Nothing where the command cannot even be killed.
    pub(crate) status: Option<ExitStatus>,
    /// The signal that asked softstop to stop before the command had ended.
    pub(crate) interrupt: Option<Interrupt>,
    /// Whether a tool was surely killed: softstop had to, or the command was one and was.
    pub(crate) tool_was_killed: bool,
    /// Whether no process of the command is left.
    pub(crate) tree_gone: bool,
    /// Whether the kernel has killed somebody here meanwhile for lack of memory.
    pub(crate) lacked_memory: bool,
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
            kept_back: Cell::default(),
            stdout,
            stderr,
        };
        // What was held back can be heard now.
        let_signals_through()?;
        Ok(supervisor)
    }

    /// The grace period, once it has begun.
    pub(crate) fn grace(&self, reserve: Duration) -> Option<Grace> {
        self.interrupt().map(|interrupt| Grace {
            began: interrupt.at,
            period: self.grace_period,
            reserve,
        })
    }

    /// The signal that asked softstop to stop, if one did.
    pub(crate) fn interrupt(&self) -> Option<Interrupt> {
        self.interrupts.borrow().first
    }

    /// Runs the deploy to its end, and ends everything that it started.
    ///
    /// When softstop is asked to stop, `tools` are stopped the way they want, and what has not
    /// stopped when the `reserve` of the grace period begins is killed. What the deploy prints is heard
    /// by the `audience`.
    pub(crate) async fn run_deploy(
        &self,
        command: Command,
        tools: &Tools,
        reserve: Duration,
        audience: &Audience,
    ) -> io::Result<Ending> {
        let kills = Kills::watch();
        let child = self.spawn_passing_output(command, tools.words(), Some(audience))?;
        let mut running = Running::new(child);
        tokio::select! {
            biased;
            () = running.end() => {}
            interrupt = self.next_interrupt() => announce(interrupt, self.grace_period),
        }
        let interrupt = self.interrupt().filter(|_| running.death.is_none());
        let tree = self.end_tree(&mut running, tools, reserve).await;
        self.output_drained().await;
        let death = running.into_death().await;
        let was_killed =
            |death: &Death| death.status.signal().is_some() && tools.contain(&death.name);
        Ok(Ending {
            tool_was_killed: tree.tool_was_killed || death.as_ref().is_some_and(was_killed),
            status: death.map(|death| death.status),
            interrupt,
            tree_gone: tree.is_gone,
            lacked_memory: kills.is_some_and(|kills| kills.is_any()),
        })
    }

    /// Runs a command that is not to be interrupted: it has until the end of the grace period.
    pub(crate) async fn run_cleanup(&self, command: Command) -> io::Result<ExitStatus> {
        let mut running = Running::new(self.spawn_passing_output(command, "", None)?);
        tokio::select! {
            biased;
            () = running.end() => {}
            () = self.grace_ends() => {}
        }
        self.kill_tree().await;
        self.output_drained().await;
        let death = running.into_death().await;
        death
            .map(|death| death.status)
            .ok_or_else(|| io::Error::other("it cannot be killed"))
    }

    /// Keeps the last part of the grace period for what comes last, at most half of what is left:
    /// no helper runs in it.
    pub(crate) fn keep_back(&self, time: Duration) {
        let left = self
            .grace(Duration::ZERO)
            .map_or(self.grace_period, |grace| {
                grace.ends().saturating_duration_since(Instant::now())
            });
        self.kept_back.set(time.min(left / 2));
    }

    /// Gives helpers no more than `time` once softstop is asked to stop.
    pub(crate) fn hurry(&self, time: Duration) {
        self.kept_back.set(self.grace_period.saturating_sub(time));
    }

    fn spawn_passing_output(
        &self,
        mut command: Command,
        words: &'static str,
        audience: Option<&Audience>,
    ) -> io::Result<Child> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.children.spawn(&mut command)?;
        let pumps = [
            (&self.stdout, child.stdout.take()),
            (&self.stderr, child.stderr.take()),
        ];
        for (outlet, source) in pumps {
            let audience = audience.cloned();
            if let Some(Err(error)) = source.map(|source| outlet.drain(source, words, audience)) {
                // It leads a group of its own, and is not reaped yet.
                let _ = killpg(child.pid, Signal::SIGKILL);
                return Err(error);
            }
        }
        Ok(child)
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

    /// Returns when the grace period ends, with just enough left of it to bury the dead.
    async fn grace_ends(&self) {
        self.next_interrupt().await;
        self.wait_for_no_reader();
        if let Some(grace) = self.grace(BURIAL) {
            tokio::time::sleep_until(grace.reserve_begins()).await;
        }
    }
}

/// A command between its start and its end.
struct Running {
    pid: Pid,
    answer: oneshot::Receiver<Death>,
    death: Option<Death>,
}

impl Running {
    fn new(child: Child) -> Self {
        Self {
            pid: child.pid,
            answer: child.death,
            death: None,
        }
    }

    async fn end(&mut self) {
        if self.death.is_none() {
            self.death = (&mut self.answer).await.ok();
        }
    }

    fn look(&mut self) {
        if self.death.is_none() {
            self.death = self.answer.try_recv().ok();
        }
    }

    /// Signals it alone. Once it is reaped, its number may be somebody else's.
    fn signal(&self, signal: Signal) {
        if self.death.is_none() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Signals it and all that it has started, and that has not left its group.
    fn signal_group(&self, signal: Signal) {
        if self.death.is_none() {
            let _ = killpg(self.pid, signal);
        }
    }

    /// How it died, where it has: a process that cannot be killed is not waited for.
    async fn into_death(mut self) -> Option<Death> {
        // What is not there in time is not there.
        let _ = tokio::time::timeout(BURIAL, self.end()).await;
        self.death
    }
}

fn announce(interrupt: Interrupt, grace_period: Duration) {
    info!(
        "{} received: stopping the deploy, for {} at the most.",
        interrupt.signal.as_str(),
        humantime::format_duration(grace_period)
    );
}
