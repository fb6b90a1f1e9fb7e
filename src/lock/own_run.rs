//! Is this lock the one that a run has left behind, which has just ended here?

use jiff::Timestamp;

use super::evidence::Others;
use super::info::LockInfo;
use super::owner::Holder;
use super::reasons::{Doubt, Proof};
use super::verdict::Verdict;

/// What is known of the run that asks, once it is over.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    /// The `user@host` that the tool wrote into the locks of this run.
    pub(crate) who: &'a str,
    /// The version of the tool that this run used.
    pub(crate) version: &'a str,
    /// When the command was started.
    pub(crate) started: Timestamp,
    /// When the last process of the run was gone.
    pub(crate) ended: Timestamp,
    /// Whether every process of the run is gone.
    pub(crate) processes_gone: bool,
    /// Whether the run's tool was killed; one that ends by itself gives its lock back.
    pub(crate) tool_was_killed: bool,
    /// The operations for which the run can hold a lock.
    pub(crate) operations: &'a [&'a str],
    /// What is known of others that would sign a lock just as this run does.
    pub(crate) others: Others,
}

/// Judges whether `lock` is the lock of `run`, and `run` is over.
pub(crate) fn judge_own(lock: &LockInfo, run: &Run) -> Verdict {
    match doubt(lock, run) {
        None => Verdict::Release(Proof::OwnRun),
        Some(doubt) => Verdict::Refuse(doubt),
    }
}

fn doubt(lock: &LockInfo, run: &Run) -> Option<Doubt> {
    if !run.processes_gone {
        return Some(Doubt::ProcessesRemain);
    }
    if lock.who.is_empty() || lock.who != run.who {
        return Some(Doubt::SomebodyElse);
    }
    if without_prerelease(&lock.version) != without_prerelease(run.version) {
        return Some(Doubt::OtherVersion);
    }
    if !run.operations.contains(&lock.operation.as_str()) {
        return Some(Doubt::OtherOperation);
    }
    match lock.created {
        None => return Some(Doubt::UnknownTime),
        Some(created) if created < run.started => return Some(Doubt::OlderThanTheRun),
        Some(created) if created > run.ended => return Some(Doubt::YoungerThanTheRun),
        Some(_) => {}
    }
    let names_a_build = Holder::of(lock).is_some();
    match run.others {
        others if others.are_excluded(names_a_build) => None,
        Others::NotHere if run.tool_was_killed => None,
        Others::Impossible | Others::NotHere => Some(Doubt::ToolEndedByItself),
        Others::Running => Some(Doubt::OthersRun),
        Others::Hidden => Some(Doubt::OthersHidden),
    }
}

/// A version as a lock has it: `version -json` says `1.12.6-dev` where the lock says `1.12.6`.
fn without_prerelease(version: &str) -> &str {
    version
        .split_once('-')
        .map_or(version, |(version, _)| version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHO: &str = "root@d5c1f0a2";
    const OPERATION: &str = "OperationTypeApply";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn run() -> Run<'static> {
        Run {
            who: WHO,
            version: "1.11.4",
            started: at(10),
            ended: at(20),
            processes_gone: true,
            tool_was_killed: true,
            operations: &[OPERATION],
            others: Others::NotHere,
        }
    }

    fn lock() -> LockInfo {
        LockInfo {
            id: "4711".to_owned(),
            operation: OPERATION.to_owned(),
            who: WHO.to_owned(),
            version: "1.11.4".to_owned(),
            created: Some(at(15)),
            ..LockInfo::default()
        }
    }

    #[test]
    fn the_lock_of_this_run_is_released_once_the_run_is_over() {
        assert_eq!(judge_own(&lock(), &run()), Verdict::Release(Proof::OwnRun));
    }

    #[test]
    fn every_single_doubt_is_enough_to_refuse() {
        type Change = fn(&mut LockInfo, &mut Run<'static>);
        let rows: [(Doubt, Change); 13] = [
            (Doubt::ProcessesRemain, |_, run| run.processes_gone = false),
            (Doubt::OlderThanTheRun, |lock, _| {
                lock.created = Some(at(9));
            }),
            (Doubt::YoungerThanTheRun, |lock, _| {
                lock.created = Some(at(21));
            }),
            (Doubt::SomebodyElse, |lock, _| {
                lock.who = "root@macbook".to_owned();
            }),
            (Doubt::SomebodyElse, |lock, run| {
                lock.who = String::new();
                run.who = "";
            }),
            (Doubt::OtherVersion, |lock, _| {
                lock.version = "1.11.5".to_owned();
            }),
            (Doubt::OtherVersion, |lock, _| lock.version = String::new()),
            (Doubt::OtherOperation, |lock, _| {
                lock.operation = "untaint".to_owned();
            }),
            (Doubt::OtherOperation, |lock, _| {
                lock.operation = String::new();
            }),
            (Doubt::UnknownTime, |lock, _| lock.created = None),
            (Doubt::ToolEndedByItself, |_, run| {
                run.tool_was_killed = false;
            }),
            (Doubt::OthersRun, |_, run| run.others = Others::Running),
            (Doubt::OthersHidden, |_, run| run.others = Others::Hidden),
        ];
        for (expected, change) in rows {
            let (mut lock, mut run) = (lock(), run());
            change(&mut lock, &mut run);
            assert_eq!(judge_own(&lock, &run), Verdict::Refuse(expected));
        }
    }

    #[test]
    fn a_lock_does_not_say_of_which_prerelease_it_is() {
        for (of_lock, of_run, is_same) in [
            ("1.12.6", "1.12.6-dev", true),
            ("1.12.6-rc1", "1.12.6", true),
            ("1.12.6", "1.12.7-dev", false),
            ("", "1.12.6-dev", false),
        ] {
            let lock = LockInfo {
                version: of_lock.to_owned(),
                ..lock()
            };
            let run = Run {
                version: of_run,
                ..run()
            };
            let is_released = judge_own(&lock, &run) == Verdict::Release(Proof::OwnRun);
            assert_eq!(is_released, is_same, "{of_lock:?} {of_run:?}");
        }
    }

    #[test]
    fn a_signature_that_is_this_runs_alone_needs_no_kill() {
        let run = Run {
            others: Others::Impossible,
            tool_was_killed: false,
            ..run()
        };
        assert_eq!(judge_own(&lock(), &run), Verdict::Release(Proof::OwnRun));
    }

    proptest! {
        #[test]
        fn no_lock_of_anybody_else_is_ever_released(
            id in ".*", who in ".*", version in ".*", operation in ".*", second in -100_i64..100,
        ) {
            prop_assume!(who != WHO);
            let lock = LockInfo { id, who, version, operation, created: Some(at(second)), ..LockInfo::default() };
            prop_assert_ne!(judge_own(&lock, &run()), Verdict::Release(Proof::OwnRun));
        }

        #[test]
        fn no_lock_from_outside_the_run_is_ever_released(second in -1000_i64..1000) {
            let lock = LockInfo { created: Some(at(second)), ..lock() };
            let released = judge_own(&lock, &run()) == Verdict::Release(Proof::OwnRun);
            prop_assert_eq!(released, (10..=20).contains(&second));
        }
    }
}
