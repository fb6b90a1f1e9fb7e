//! How a run of softstop ended, as a value: whatever tells of it is a view of this.

use std::fmt;

use nix::sys::signal::Signal;

use crate::exit_code::{Exit, Outcome};
use crate::printable::one_line;

/// How a run of softstop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conclusion {
    pub(crate) outcome: Outcome,
    pub(crate) exit: Exit,
    pub(crate) locks: Locks,
    pub(crate) reason: Reason,
}

/// Why it ended like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody asked softstop to stop before it was done, which leaves this to be said.
    Stopped(Signal, &'static str),
    /// Nothing was run, for this reason.
    NotRun(String),
    /// Nothing was deployed, for what follows these words.
    NotBegun(String),
    /// What earlier deploys have left stands in the way, for this reason.
    Unfinished(String),
    /// The command has run.
    Ran {
        was_a_plan: bool,
        lacked_memory: bool,
    },
    /// The locks were looked at, or released where they could be, with this result.
    Looked(String),
    /// Not every lock could be asked about.
    Unanswered,
    /// What is unfinished was resolved, with this result.
    Resolved(String),
}

/// What became of one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    /// Nobody holds it, by the word of the backend.
    Free,
    /// It was left behind, and was released.
    Released(String),
    /// It is held, by somebody else or by nobody knows whom.
    Held(Option<String>),
    /// Its holder is over, and it could not be released.
    Stuck(String),
    /// It could not be asked about, or nobody knows which one it is.
    Unknown,
}

/// What became of all locks that a deploy has used. None where there is none to look after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locks(pub(crate) Vec<LockState>);

impl LockState {
    pub(crate) fn is_free(&self) -> bool {
        matches!(self, Self::Free | Self::Released(_))
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Free => "the lock is free",
            Self::Released(_) => "its lock was released",
            Self::Held(_) | Self::Stuck(_) => "the lock is held",
            Self::Unknown => "the lock could not be asked about",
        }
    }
}

impl Locks {
    /// The one that says most: what a person has to know first.
    fn foremost(&self) -> Option<&LockState> {
        self.0.iter().max_by_key(|state| match state {
            LockState::Held(_) | LockState::Stuck(_) => 3,
            LockState::Unknown => 2,
            LockState::Released(_) => 1,
            LockState::Free => 0,
        })
    }

    /// The word for all of them in SOFTSTOP_LOCK.
    pub(crate) fn word(&self) -> &'static str {
        match self.foremost() {
            Some(LockState::Held(_) | LockState::Stuck(_)) => "held",
            Some(LockState::Unknown) => "unknown",
            Some(LockState::Released(_)) => "released",
            Some(LockState::Free) => "free",
            None => "none",
        }
    }

    /// The IDs of the locks that this is about, separated by blanks.
    pub(crate) fn ids(&self) -> String {
        let ids: Vec<String> = self
            .0
            .iter()
            .filter_map(|state| match state {
                LockState::Released(id) | LockState::Stuck(id) => Some(id),
                LockState::Held(id) => id.as_ref(),
                LockState::Free | LockState::Unknown => None,
            })
            .map(|id| one_line(id))
            .collect();
        ids.join(" ")
    }

    /// Whether there is nothing that a person would have to know of.
    pub(crate) fn are_quiet(&self) -> bool {
        self.0.iter().all(|state| *state == LockState::Free)
    }
}

impl fmt::Display for Locks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.foremost(), self.0.len()) {
            (None, _) => formatter.write_str("there is no lock to look after"),
            (Some(state), 1) => formatter.write_str(state.words()),
            (Some(state), count) if self.0.iter().all(|other| other.words() == state.words()) => {
                write!(formatter, "of each of {count} locks: {}", state.words())
            }
            (Some(state), count) => write!(formatter, "of one of {count} locks: {}", state.words()),
        }
    }
}

impl Conclusion {
    /// Of a run that was asked to stop before it was done.
    pub(crate) fn stopped(signal: Signal, more: &'static str, locks: Locks) -> Self {
        Self {
            outcome: Outcome::Interrupted,
            exit: Exit::Signal(signal as i32),
            locks,
            reason: Reason::Stopped(signal, more),
        }
    }

    /// Of a deploy that did not begin, for what follows these words.
    pub(crate) fn not_begun(exit: Exit, locks: Locks, words: String) -> Self {
        Self {
            outcome: Outcome::Failed,
            exit,
            locks,
            reason: Reason::NotBegun(words),
        }
    }

    /// Of a deploy that did not begin, because of what earlier ones have left.
    pub(crate) fn unfinished(locks: Locks, why: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            exit: Exit::Unfinished,
            locks,
            reason: Reason::Unfinished(why.to_owned()),
        }
    }

    /// Of a run for which something is missing.
    pub(crate) fn not_run(why: String) -> Self {
        Self {
            outcome: Outcome::Failed,
            exit: Exit::BadVariable,
            locks: Locks::default(),
            reason: Reason::NotRun(why),
        }
    }

    /// Of a run that has looked at locks.
    pub(crate) fn looked(exit: Exit, locks: Locks, reason: Reason) -> Self {
        let outcome = match exit {
            Exit::Done => Outcome::Succeeded,
            _ => Outcome::Failed,
        };
        Self {
            outcome,
            exit,
            locks,
            reason,
        }
    }
}

/// The last line of a run.
impl fmt::Display for Conclusion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exit = self.exit;
        match &self.reason {
            Reason::Stopped(signal, more) => write!(formatter, "Stopped by {signal}{more}."),
            Reason::NotRun(why) => write!(formatter, "Nothing was run: {why}."),
            Reason::NotBegun(words) => write!(formatter, "Nothing was deployed{words}"),
            Reason::Unfinished(why) => {
                write!(formatter, "Nothing was deployed, because {why} ({exit})")?;
                if self.locks.are_quiet() {
                    write!(formatter, ".")
                } else {
                    write!(formatter, "; {}.", self.locks)
                }
            }
            Reason::Ran {
                was_a_plan,
                lacked_memory,
            } => self.tell_of_the_command(*was_a_plan, *lacked_memory, formatter),
            Reason::Looked(result) if exit == Exit::Done => write!(formatter, "Locks: {result}."),
            Reason::Looked(result) => write!(formatter, "Locks: {result} ({exit})."),
            Reason::Resolved(result) if exit == Exit::Done => {
                write!(formatter, "Journal: {result}.")
            }
            Reason::Resolved(result) => write!(formatter, "Journal: {result} ({exit})."),
            Reason::Unanswered => {
                write!(formatter, "Not every lock could be asked about ({exit}).")
            }
        }
    }
}

impl Conclusion {
    fn tell_of_the_command(
        &self,
        was_a_plan: bool,
        lacked_memory: bool,
        formatter: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let what = if was_a_plan { "Plan" } else { "Deploy" };
        let (exit, locks) = (self.exit, &self.locks);
        match self.outcome {
            Outcome::Succeeded if locks.are_quiet() => write!(formatter, "{what} succeeded."),
            Outcome::Succeeded => write!(formatter, "{what} succeeded, but {locks}."),
            Outcome::Failed => write!(formatter, "{what} failed with {exit}; {locks}."),
            Outcome::Killed if lacked_memory => write!(
                formatter,
                "{what} was killed for lack of memory ({exit}); {locks}."
            ),
            Outcome::Killed => write!(formatter, "{what} was killed ({exit}); {locks}."),
            Outcome::Interrupted => write!(formatter, "{what} was interrupted ({exit}); {locks}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_locks_the_word_is_the_one_that_says_most() {
        use LockState::{Free, Held, Released, Unknown};
        let id = || "4711".to_owned();
        for (states, word, ids) in [
            (vec![], "none", ""),
            (vec![Free], "free", ""),
            (vec![Free, Released(id())], "released", "4711"),
            (vec![Released(id()), Unknown], "unknown", "4711"),
            (
                vec![Held(Some("12".to_owned())), Unknown, Released(id())],
                "held",
                "12 4711",
            ),
            (vec![Held(None), Free], "held", ""),
        ] {
            let locks = Locks(states);
            assert_eq!((locks.word(), locks.ids().as_str()), (word, ids));
        }
    }
}
