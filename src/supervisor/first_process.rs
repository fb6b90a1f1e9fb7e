//! Whether a signal to the first process of a container reaches us.

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use super::process;

/// The programs that wait for what they have started, and pass no signal on to it.
const SHELLS: [&str; 7] = ["ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"];

/// The shell that keeps a stop from us: whoever stops a container signals its first process, and
/// nobody else. A shell that has a trap for the signal may pass it on.
///
/// To be called before we fork.
pub(crate) fn shell_in_between() -> Option<String> {
    let first = Pid::from_raw(1);
    if getppid() != first || process::catches(first, Signal::SIGTERM) {
        return None;
    }
    // Where its executable is hidden from us, the name that everybody may read counts.
    let name = process::executable(first).unwrap_or_else(|_hidden| process::name(first));
    is_shell(&name).then_some(name)
}

/// A login shell is called `-sh`, and one that busybox provides may be `busybox.static`.
fn is_shell(name: &str) -> bool {
    let name = name.trim_start_matches('-');
    let name = name.split('.').next().unwrap_or(name);
    SHELLS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_known_by_their_names() {
        for name in ["sh", "-bash", "dash", "busybox", "busybox.static"] {
            assert!(is_shell(name), "{name}");
        }
        for name in ["", "tini", "docker-init", "systemd", "softstop", "bashful"] {
            assert!(!is_shell(name), "{name}");
        }
    }
}
