//! Sends a signal to the one process that is meant.

use nix::sys::signal::{Signal, kill};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use tracing::debug;

use super::process::{self, Identity};

/// Sends these signals, each to just this process.
pub(super) fn send(signals: &[(Identity, Signal)]) {
    for (to, signal) in signals {
        debug!("{signal} to process {}.", to.pid);
        send_one(*to, *signal);
    }
}

/// A number may be another process's by now, so the process is held by a handle before it is asked
/// for its start time. A process that has just ended needs no signal.
fn send_one(to: Identity, signal: Signal) {
    let handle = rustix::process::Pid::from_raw(to.pid.as_raw())
        .ok_or(Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    if process::one(to.pid).is_none_or(|process| process.identity != to) {
        return;
    }
    let named = rustix::process::Signal::from_named_raw(signal as i32).ok_or(Errno::INVAL);
    let sent = handle.and_then(|handle| pidfd_send_signal(handle, named?));
    // A kernel before 5.3, or a container in which such handles are not allowed.
    if sent.is_err_and(|error| error != Errno::SRCH) {
        // It may have ended meanwhile.
        let _ = kill(to.pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn a_number_that_another_process_has_now_is_not_hit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let living = process::one(Pid::from_raw(child.id().cast_signed())).unwrap();
        let earlier = process::tests::process(living.identity.pid.as_raw(), 1);
        send(&[(earlier.identity, Signal::SIGKILL)]);
        send(&[(living.identity, Signal::SIGTERM)]);
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    }
}
