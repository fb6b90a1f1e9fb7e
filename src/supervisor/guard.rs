//! The guard: a second, sleeping process, so that no deploy outlives its supervisor.
//!
//! softstop forks. The parent, which the caller knows, is the guard: it passes signals on to the
//! child, which supervises, and ends as it ended. Whichever of the two is killed, the other one
//! still has the deploy below it: a guard without its supervisor kills the deploy, and a
//! supervisor without its guard is sent SIGTERM by the kernel and stops gracefully.
//!
//! PID 1 needs no guard: when it dies, the kernel kills all in its namespace. But whoever became
//! PID 1 by `exec` may have children that it has not started, and then there is a guard all the same:
//! they stay the guard's, and below the supervisor is nothing but the deploy.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{ForkResult, Pid, getpid, setsid};

use super::budget::UNHURRIED_BURIAL;
use super::freeze::kill_all;
use super::kernel::{self, Dead};
use super::process::Identity;
use super::signals::heeded;
use super::tree;

/// How long to wait between two sweeps.
const SWEEP: Duration = Duration::from_millis(5);

/// How the guarded part ended, as the guard tells it.
pub(crate) enum Guarded<T> {
    /// This is the supervising process, and that is what it did.
    Supervisor(T),
    /// This is the guard: its supervisor ended by itself, with this code.
    Ended(u8),
    /// This is the guard: its supervisor was killed by the signal of this number, and the deploy
    /// was killed after it.
    Killed(i32),
}

/// Runs `supervise`, in a process of its own where the kernel does not guard it already.
///
/// To be called before any thread is started.
pub(crate) fn guarded<T>(supervise: impl FnOnce() -> T) -> io::Result<Guarded<T>> {
    kernel::notice_dead_children()?;
    let watched = watched_signals();
    watched.thread_set_mask()?;
    let guard = getpid();
    let strangers = strangers()?;
    if guard == Pid::from_raw(1) && strangers.is_empty() {
        return Ok(Guarded::Supervisor(supervise()));
    }
    prctl::set_child_subreaper(true)?;
    match kernel::fork()? {
        ForkResult::Parent { child } => watch(child, &watched, &strangers),
        ForkResult::Child => {
            // A group of its own, so that a Ctrl-C reaches it once, by way of the guard.
            setsid()?;
            kernel::die_with(guard, Signal::SIGTERM)?;
            Ok(Guarded::Supervisor(supervise()))
        }
    }
}

/// Whoever is below us before we start anybody: a tunnel to the backend, perhaps.
fn strangers() -> io::Result<Vec<Identity>> {
    if kernel::find_dead() == Dead::NoChildren {
        return Ok(Vec::new());
    }
    let strangers = tree::descendants()?;
    Ok(strangers.iter().map(|process| process.identity).collect())
}

fn watched_signals() -> SigSet {
    heeded().chain([Signal::SIGCHLD]).collect()
}

fn watch<T>(supervisor: Pid, watched: &SigSet, strangers: &[Identity]) -> io::Result<Guarded<T>> {
    loop {
        match watched.wait()? {
            Signal::SIGCHLD => {
                if let Some(status) = reap_until(supervisor) {
                    return Ok(conclude(status, strangers));
                }
            }
            // A supervisor that has just ended needs no signal.
            signal => drop(kill(supervisor, signal)),
        }
    }
}

fn reap_until(supervisor: Pid) -> Option<ExitStatus> {
    while let Dead::Child(pid) = kernel::find_dead() {
        let status = kernel::reap(pid);
        if pid == supervisor {
            return Some(status);
        }
    }
    None
}

fn conclude<T>(status: ExitStatus, strangers: &[Identity]) -> Guarded<T> {
    if let Some(signal) = status.signal() {
        kill_orphans(strangers);
        return Guarded::Killed(signal);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Guarded::Ended(code.unwrap_or(u8::MAX))
}

/// Kills the deploy that the dead supervisor has left to us, again and again until it is gone.
fn kill_orphans(strangers: &[Identity]) {
    let deadline = Instant::now() + UNHURRIED_BURIAL;
    while Instant::now() < deadline {
        let orphans = || tree::without(tree::descendants().unwrap_or_default(), strangers);
        kill_all(orphans);
        match kernel::find_dead() {
            Dead::NoChildren => return,
            Dead::Child(pid) => drop(kernel::reap(pid)),
            // Where strangers live, the kernel cannot say that all of the deploy is gone.
            Dead::Nobody if !strangers.is_empty() && orphans().iter().all(|orphan| orphan.dead) => {
                return;
            }
            Dead::Nobody => thread::sleep(SWEEP),
        }
    }
}
