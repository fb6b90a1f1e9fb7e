//! How a deploy ended, and the exit codes of softstop, in one place.

use std::fmt;
use std::process::{ExitCode, Termination};

/// How the deploy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
    /// softstop was asked to stop.
    Interrupted,
    /// The command was killed, and not by softstop.
    Killed,
}

/// How softstop ends, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is done.
    Done,
    /// The command ended by itself, with this code.
    Command(u8),
    /// The signal of this number ended the command, or interrupted the run.
    Signal(i32),
    /// A variable has a value that cannot be used.
    BadVariable,
    /// The lock is held and stays held.
    Locked,
    /// The backend, or Bitbucket, could not be asked.
    Unanswered,
    /// What earlier deploys have left stands in the way.
    Unfinished,
    /// Anything else.
    Failure,
}

/// The code of a shell for a command that is found but cannot be run.
pub(crate) const CANNOT_RUN: u8 = 126;
/// The code of a shell for a command that is not found.
pub(crate) const NOT_FOUND: u8 = 127;

impl Outcome {
    /// The word for it in SOFTSTOP_OUTCOME.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
        }
    }
}

impl Exit {
    /// The code that the caller of softstop reads.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Command(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Self::BadVariable => 2,
            Self::Locked => 3,
            Self::Unanswered => 4,
            Self::Unfinished => 5,
            Self::Failure => 1,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit code {}", self.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_gives_128_and_its_number() {
        for signal in 1..=64 {
            assert_eq!(i32::from(Exit::Signal(signal).code()), 128 + signal);
        }
    }

    #[test]
    fn the_code_of_the_command_is_passed_on() {
        for code in 0..=u8::MAX {
            assert_eq!(Exit::Command(code).code(), code);
        }
    }
}
