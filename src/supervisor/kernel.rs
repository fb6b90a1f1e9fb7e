//! The few system calls that Rust cannot check for us: fork, what runs between fork and exec, a
//! look for a dead child, a wait whose raw status is kept, what becomes of a signal, a file that the
//! event loop waits for, and a change of the environment.
#![expect(unsafe_code, reason = "each block says why it is sound")]

use std::env;
use std::ffi::OsStr;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::inotify::Inotify;
use nix::sys::prctl;
use nix::sys::signal::{self, SigHandler, Signal};
use nix::sys::timerfd::TimerFd;
use nix::unistd::{ForkResult, Pid, getpid, getppid, setsid};
use tokio::io::unix::AsyncFd;

/// What a look for a dead child found.
#[derive(PartialEq)]
pub(super) enum Dead {
    /// This child is dead, and waits to be reaped.
    Child(Pid),
    /// There are children, and all of them live.
    Nobody,
    /// There is no child at all; as we adopt orphans, nothing below us lives.
    NoChildren,
}

/// Finds a dead child, and leaves it on the process table, where its name can still be read.
///
/// nix refuses a status that names a real-time signal, so the call is made by hand.
pub(super) fn find_dead() -> Dead {
    // SAFETY: it is made of integers and pointers, for which zero is a value.
    let mut found: libc::siginfo_t = unsafe { mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a live value of this frame, and waitid keeps none of it.
    let answer = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut found, options) };
    // SAFETY: waitid fills in what belongs to a dead child; where there is none, it is zero.
    match (answer, unsafe { found.si_pid() }) {
        (0, pid) if pid != 0 => Dead::Child(Pid::from_raw(pid)),
        // No other failure is a proof that nobody lives.
        (-1, _) if Errno::last() == Errno::ECHILD => Dead::NoChildren,
        _ => Dead::Nobody,
    }
}

/// Takes a dead child off the process table.
///
/// nix refuses a status that names a real-time signal, and std waits for no adopted orphan, so the
/// call is made by hand.
pub(super) fn reap(dead: Pid) -> ExitStatus {
    // A status that could not be had must not look like success.
    let mut status = libc::SIGKILL;
    // SAFETY: the pointer is to a live integer of this frame, and waitpid keeps none of it.
    unsafe { libc::waitpid(dead.as_raw(), &raw mut status, 0) };
    ExitStatus::from_raw(status)
}

/// Makes the kernel tell us of dead children, also where whoever started us ignores theirs: an
/// ignored SIGCHLD is inherited through exec, and then statuses are thrown away.
pub(super) fn notice_dead_children() -> nix::Result<()> {
    // SAFETY: no handler of ours is replaced, and the default one runs no code of ours.
    unsafe { signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map(drop)
}

/// Whether whoever started us has made us ignore this signal, as `nohup` does with SIGHUP.
pub(super) fn is_ignored(signal: Signal) -> bool {
    // SAFETY: it is made of integers and pointers, for which zero is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: nothing is set, the pointer is to a live value of this frame, and none of it is kept.
    let answer = unsafe { libc::sigaction(signal as i32, ptr::null(), &raw mut action) };
    answer == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Makes `command` start in a session of its own, and die with the thread that starts it.
///
/// A session of its own keeps a terminal's Ctrl-C away from the deploy: softstop alone decides who
/// is signalled.
pub(super) fn detach(command: &mut Command) {
    let parent = getpid();
    // SAFETY: setsid, prctl and getppid are async-signal-safe, and the closure allocates nothing.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            die_with(parent, Signal::SIGKILL)
        });
    }
}

/// Asks the kernel for `signal` when `parent`, which must be our parent, dies.
///
/// The kernel sends it when the parent's thread ends, not its process: spawn from the main thread.
pub(super) fn die_with(parent: Pid, signal: Signal) -> io::Result<()> {
    prctl::set_pdeathsig(signal)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err(Errno::ESRCH.into())
    }
}

/// A file of the kernel's that owns its number.
pub(super) trait Telling: AsFd {}

impl Telling for Inotify {}
impl Telling for TimerFd {}

/// Lets the event loop wait for what such a file tells.
pub(super) fn awaited<F: Telling>(file: F) -> io::Result<AsyncFd<Awaited<F>>> {
    // SAFETY: the number is that of a file which the value owns, and gives away to nobody.
    unsafe { AsyncFd::register(Awaited(file)) }.map_err(Into::into)
}

/// What the kernel tells by a file, as the event loop wants it.
pub(super) struct Awaited<F>(pub(super) F);

impl<F: Telling> AsRawFd for Awaited<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Forks. To be called before the first thread is started.
pub(super) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the process has one thread, so the child inherits no lock that nobody will open.
    unsafe { nix::unistd::fork() }
}

/// Sets a variable for us and all that we start. To be called before the first thread is started.
pub(crate) fn set_variable(name: &str, value: &OsStr) {
    // SAFETY: the process has one thread, so nobody reads the environment meanwhile.
    unsafe { env::set_var(name, value) }
}

/// Takes a variable away from us and all that we start. To be called before the first thread is
/// started.
pub(super) fn remove_variable(name: &str) {
    // SAFETY: the process has one thread, so nobody reads the environment meanwhile.
    unsafe { env::remove_var(name) }
}
