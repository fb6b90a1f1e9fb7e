//! What a look and its verdict have shown, and what became of the lock.

use std::fmt;

use crate::lock::{Doubt, Holder, Life, LockInfo, Proof};
use crate::printable::one_line;
use crate::tools::ByHand;

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
        let said = match self {
            Self::Free => "The lock is free.".to_owned(),
            Self::NeverLocked => "The backend is set up without locking.".to_owned(),
            Self::Over(lock, proof) => judged(lock, &format!("Its holder is over: {proof}.")),
            Self::Alive(Some(lock), life) => judged(lock, &format!("Its holder is alive: {life}.")),
            Self::Alive(None, life) => {
                one_line(&format!("The lock is held. Its holder is alive: {life}."))
            }
            Self::Doubtful(lock, doubt, by_hand) => {
                let left = format!("It is left alone: {doubt}.");
                let judged = match lock {
                    Some(lock) => judged(lock, &left),
                    None => format!("The lock is held. {}", one_line(&left)),
                };
                judged + &by_hand.advice("If you are sure that its holder is over")
            }
        };
        formatter.write_str(&said)
    }
}

/// What was done, besides.
impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched(finding) => finding.fmt(formatter),
            Self::Released(lock, proof) => {
                formatter.write_str(&judged(lock, &format!("It was released: {proof}.")))
            }
            Self::Stuck(lock, proof, reason, by_hand) => {
                let stuck =
                    format!("It was to be released, because {proof}, but is still there.{reason}");
                let advice = by_hand.advice("When the backend can be asked again");
                write!(formatter, "{}{advice}", judged(lock, &stuck))
            }
        }
    }
}

/// A lock, and on a second line what was judged of it, whatever outsiders have said for that.
fn judged(lock: &LockInfo, judgement: &str) -> String {
    format!("{lock}.\n  {}{}", one_line(judgement), step_of(lock))
}

/// Where to look at the step of its holder, where that is a build.
fn step_of(lock: &LockInfo) -> String {
    Holder::of(lock).map_or_else(String::new, |holder| format!(" {}", holder.owner.link()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::printable::is_printable;

    /// Texts of terminals, editors, other systems and attackers.
    const FOREIGN: &str =
        "(\\PC|\\p{C}|\n  |\n|\r|\u{1b}\\[2K|\u{202e}|✔ Locks: 1 released\\.){0,8}";

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
            ByHand::Paste(command.to_owned()),
        );
        let doubtful = Finding::Doubtful(
            Some(anna),
            Doubt::NoBuild,
            ByHand::Paste(command.to_owned()),
        );
        for words in [stuck.to_string(), doubtful.to_string()] {
            let lines: Vec<&str> = words.lines().collect();
            assert_eq!(lines.len(), 4, "{words}");
            assert!(lines[0].contains("held by anna@macbook for OperationTypeApply since"));
            assert!(lines[2].ends_with(" release it by hand:"), "{words}");
            assert_eq!(lines[3].trim_start(), command);
        }
    }

    #[test]
    fn what_no_command_does_is_said_behind_it() {
        let words = ByHand::Words("delete the object".to_owned());
        let unnamed = |by_hand| Finding::Doubtful(None, Doubt::UnknownHolder, by_hand).to_string();
        let said = "The lock is held. It is left alone: the backend does not say who holds it.";
        assert_eq!(unnamed(ByHand::Unknown), said);
        assert_eq!(
            unnamed(words),
            format!("{said}\n  If you are sure that its holder is over, delete the object.")
        );
    }

    prop_compose! {
        fn any_lock()(
            id in FOREIGN, name in FOREIGN, is_build in any::<bool>(), operation in FOREIGN,
        ) -> LockInfo {
            let who = if is_build { format!("{STAMP}@{name}") } else { name };
            LockInfo { id, operation, ..lock(&who) }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_lock_an_api_or_a_tool_says_stays_in_its_line(
            lock in any_lock(), said in FOREIGN,
        ) {
            let proof = Proof::StepCompleted { result: Some(said.clone()) };
            let life = Life::Step { state: said.clone() };
            let doubt = Doubt::NoAnswer { reason: said.clone(), was_asked: true };
            let by_hand = ByHand::Unknown;
            for words in [
                Finding::Over(lock.clone(), proof.clone()).to_string(),
                Finding::Alive(Some(lock.clone()), life).to_string(),
                Finding::Doubtful(Some(lock.clone()), doubt, by_hand.clone()).to_string(),
                Recovery::Released(lock.clone(), proof.clone()).to_string(),
                Recovery::Stuck(lock, proof, said, by_hand).to_string(),
            ] {
                let (first, second) = words.split_once("\n  ").unwrap();
                prop_assert!(is_printable(first) && is_printable(second), "{:?}", words);
            }
        }
    }
}
