//! What a look and its verdict have shown, and what became of the lock.

use std::fmt;

use crate::lock::{Doubt, Holder, Life, LockInfo, Proof};

/// What a look at a lock has shown, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nobody holds it.
    Free,
    /// The backend is set up to take none.
    NeverLocked,
    /// Its holder is over.
    Over(LockInfo, Proof),
    /// Its holder is alive.
    Alive(Option<LockInfo>, Life),
    /// Nobody can tell whether its holder is over.
    Doubtful(Option<LockInfo>, Doubt, ByHand),
}

/// What became of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Its holder was over, and it was released.
    Released(LockInfo, Proof),
    /// It is as it was found.
    Untouched(Finding),
    /// Its holder is over, and yet it could not be released, for this reason.
    Stuck(LockInfo, Proof, String, ByHand),
}

/// The command by which a person releases a lock; empty where nobody knows which lock it is.
pub(super) type ByHand = String;

impl From<Finding> for Recovery {
    fn from(finding: Finding) -> Self {
        Self::Untouched(finding)
    }
}

impl Finding {
    /// The lock that is held, as far as it says anything.
    pub(crate) fn lock(&self) -> Option<&LockInfo> {
        match self {
            Self::Free | Self::NeverLocked => None,
            Self::Over(lock, _) => Some(lock),
            Self::Alive(lock, _) | Self::Doubtful(lock, ..) => lock.as_ref(),
        }
    }
}

impl Recovery {
    /// Whether nobody holds the lock any more.
    pub(crate) fn is_free(&self) -> bool {
        matches!(
            self,
            Self::Released(..) | Self::Untouched(Finding::Free | Finding::NeverLocked)
        )
    }
}

/// What was found, whose it is and since when; on a second line, why it was judged like this; and last,
/// alone on its line, what a person can paste.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => formatter.write_str("The lock is free."),
            Self::NeverLocked => formatter.write_str("The backend is set up without locking."),
            Self::Over(lock, proof) => {
                let step = step_of(lock);
                write!(formatter, "{lock}.\n  Its holder is over: {proof}.{step}")
            }
            Self::Alive(Some(lock), life) => {
                let step = step_of(lock);
                write!(formatter, "{lock}.\n  Its holder is alive: {life}.{step}")
            }
            Self::Alive(None, life) => {
                write!(formatter, "The lock is held. Its holder is alive: {life}.")
            }
            Self::Doubtful(Some(lock), doubt, by_hand) => {
                let step = step_of(lock);
                write!(
                    formatter,
                    "{lock}.\n  It is left alone: {doubt}.{step}\n  If you are sure that its holder is \
                     over, release it by hand:\n  {by_hand}"
                )
            }
            Self::Doubtful(None, doubt, _) => {
                write!(formatter, "The lock is held. It is left alone: {doubt}.")
            }
        }
    }
}

/// What was done, besides.
impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched(finding) => finding.fmt(formatter),
            Self::Released(lock, proof) => {
                let step = step_of(lock);
                write!(formatter, "{lock}.\n  It was released: {proof}.{step}")
            }
            Self::Stuck(lock, proof, reason, by_hand) => {
                let step = step_of(lock);
                write!(
                    formatter,
                    "{lock}.\n  It was to be released, because {proof}, but is still there.{reason}{step}\n  \
                     When the backend can be asked again, release it by hand:\n  {by_hand}"
                )
            }
        }
    }
}

/// Where to look at the step of its holder, where that is a build.
fn step_of(lock: &LockInfo) -> String {
    Holder::of(lock).map_or_else(String::new, |holder| format!(" {}", holder.owner.link()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
        22222222-2222-4222-8222-222222222222/1";

    fn lock(who: &str) -> LockInfo {
        LockInfo {
            id: "6cbb7b1f-8a0f-9ae7-4f04-2c8bbd2ad2e3".to_owned(),
            operation: "OperationTypeApply".to_owned(),
            who: who.to_owned(),
            created: Some("2026-11-23T00:09:13Z".parse().unwrap()),
            ..LockInfo::default()
        }
    }

    fn of_a_build() -> LockInfo {
        lock(&format!("{STAMP}@d5c1f0a2b3c4"))
    }

    #[test]
    fn a_lock_is_said_in_two_lines_that_name_its_holder_and_why_it_was_judged_so() {
        let result = Some("STOPPED".to_owned());
        let proof = Proof::StepCompleted { result };
        let alive = Life::Step {
            state: "IN_PROGRESS".to_owned(),
        };
        for words in [
            Recovery::Released(of_a_build(), proof.clone()).to_string(),
            Finding::Over(of_a_build(), proof).to_string(),
            Finding::Alive(Some(of_a_build()), alive).to_string(),
        ] {
            let [lock, judgement]: [&str; 2] =
                words.lines().collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(
                lock,
                "Lock 6cbb7b1f-8a0f-9ae7-4f04-2c8bbd2ad2e3, held by build 42 of acme/infra on \
                 d5c1f0a2b3c4 for OperationTypeApply since 2026-11-23T00:09:13Z."
            );
            assert!(judgement.contains(": Bitbucket says that its step is "));
            assert!(judgement.ends_with(&step_of(&of_a_build())), "{judgement}");
            assert!(judgement.len() < 200, "{judgement}");
        }
    }

    #[test]
    fn what_a_person_can_paste_is_alone_on_the_last_line() {
        let (anna, command) = (lock("anna@macbook"), "cd infra && terraform force-unlock 7");
        let stuck = Recovery::Stuck(
            anna.clone(),
            Proof::OwnRun,
            " The server said no.".to_owned(),
            command.to_owned(),
        );
        let doubtful = Finding::Doubtful(Some(anna), Doubt::NoBuild, command.to_owned());
        for words in [stuck.to_string(), doubtful.to_string()] {
            let lines: Vec<&str> = words.lines().collect();
            assert_eq!(lines.len(), 4, "{words}");
            assert!(lines[0].contains("held by anna@macbook for OperationTypeApply since"));
            assert!(lines[2].ends_with(" release it by hand:"), "{words}");
            assert_eq!(lines[3].trim_start(), command);
        }
    }
}
