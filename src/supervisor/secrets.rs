//! Keeps secrets of ours from what we start, and gives it what it needs.

use std::ffi::OsStr;

use nix::sys::prctl;

use super::kernel;

/// Hides our own memory and the environment that we were started with from everybody but root: a
/// process of the same user could read them in /proc.
///
/// The kernel undoes this for a program that we start.
pub(crate) fn hide_ourselves() -> nix::Result<()> {
    prctl::set_dumpable(false)
}

/// Takes these variables away from us and all that we start.
///
/// To be called before the first thread is started.
pub(crate) fn forget(variables: &[&str]) {
    for variable in variables {
        kernel::remove_variable(variable);
    }
}

/// Gives this variable to us and all that we start.
///
/// To be called before the first thread is started.
pub(crate) fn remember(variable: &str, value: impl AsRef<OsStr>) {
    kernel::set_variable(variable, value.as_ref());
}
