//! What becomes of a lock, by table: what its looks show, what the verdict is, and how a release goes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Finding, Patience, Recovery, examine, recover, recover_with_patience};
use crate::lock::{Doubt, Life, LockInfo, Proof, Verdict};
use crate::tools::fake::{FakeBackend, FakeHost, FakeLock, Moments, Slip, not_given_back};
use crate::tools::{ByHand, End, Guarantee, Locked, Look, ToolError};

pub(super) fn lock(id: &str) -> LockInfo {
    LockInfo {
        id: id.to_owned(),
        who: "root@vm".to_owned(),
        created: Some(Timestamp::UNIX_EPOCH),
        ..LockInfo::default()
    }
}

pub(super) fn of_a_look(id: &str) -> LockInfo {
    LockInfo {
        is_of_a_look: true,
        ..lock(id)
    }
}

pub(super) fn held(id: &str) -> Look {
    Look::Held(lock(id))
}

pub(super) fn silent() -> ToolError {
    ToolError::Unknown {
        reason: "it is silent".to_owned(),
    }
}

/// Whose ID begins with `over` is over, with `alive` alive; of anybody else nobody knows.
pub(super) async fn judge(holder: &LockInfo) -> Result<Verdict, ToolError> {
    Ok(match holder.id.as_str() {
        id if id.starts_with("over") => Verdict::Release(Proof::EarlierRun),
        id if id.starts_with("alive") => Verdict::Wait(Life::StillHere),
        _ => Verdict::Refuse(Doubt::NoBuild),
    })
}

fn undisturbed(look: Look) -> Rc<FakeBackend> {
    FakeBackend::showing(&Moments::undisturbed(), look)
}

fn ending_by(end: End, look: Look) -> Rc<FakeBackend> {
    FakeBackend::with_end(&Moments::undisturbed(), look, end)
}

pub(super) fn untouched(finding: Finding) -> Recovery {
    Recovery::Untouched(finding)
}

pub(super) fn freed(id: &str) -> Recovery {
    Recovery::Released(lock(id), Proof::EarlierRun)
}

pub(super) fn by_hand(id: &str) -> ByHand {
    ByHand::Paste(format!("fake unlock {id}"))
}

fn doubtful(id: &str) -> Finding {
    Finding::Doubtful(Some(lock(id)), Doubt::NoBuild, by_hand(id))
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_released_where_its_holder_is_over_and_else_left() {
    let deleted = ByHand::Words("delete the fake lock".to_owned());
    let rows: [(Look, Recovery, &[&str]); 5] = [
        (Look::Free, untouched(Finding::Free), &[]),
        (held("over"), freed("over"), &["over"]),
        (
            held("alive"),
            untouched(Finding::Alive(Some(lock("alive")), Life::StillHere)),
            &[],
        ),
        (held("anna"), untouched(doubtful("anna")), &[]),
        (
            Look::HeldBySomebody,
            untouched(Finding::Doubtful(None, Doubt::UnknownHolder, deleted)),
            &[],
        ),
    ];
    for (look, expected, released) in rows {
        for guarantee in [Guarantee::Atomic, Guarantee::Compared, Guarantee::Blind] {
            let backend = ending_by(End::Release(guarantee), look.clone());
            let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
            assert_eq!(recovery, expected, "{guarantee:?}");
            assert_eq!(*backend.released.borrow(), released, "{guarantee:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_looks_releases_nothing() {
    for (look, expected) in [
        (Look::Free, Finding::Free),
        (held("over"), Finding::Over(lock("over"), Proof::EarlierRun)),
        (held("anna"), doubtful("anna")),
    ] {
        let backend = undisturbed(look);
        let found = examine(&FakeLock(&backend), &judge).await.unwrap();
        assert_eq!(found, expected);
        assert!(backend.released.borrow().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_has_changed_hands_while_it_was_judged_is_judged_anew() {
    // The first look shows one that is over. What is there when it is to be released, what became of
    // it, and whose release was asked for where the release itself compares, and where it does not.
    let rows: [(Look, Recovery, &[&str], &[&str]); 4] = [
        (
            held("alive"),
            untouched(Finding::Alive(Some(lock("alive")), Life::StillHere)),
            &["over"],
            &[],
        ),
        (
            held("over-2"),
            freed("over-2"),
            &["over", "over-2"],
            &["over-2"],
        ),
        (held("anna"), untouched(doubtful("anna")), &["over"], &[]),
        (Look::Free, untouched(Finding::Free), &["over"], &[]),
    ];
    for (now, expected, comparing, blind) in rows {
        for (guarantee, released) in [
            (Guarantee::Atomic, comparing),
            (Guarantee::Compared, comparing),
            (Guarantee::Blind, blind),
        ] {
            let backend = ending_by(End::Release(guarantee), held("over"));
            let judge = async |holder: &LockInfo| {
                if holder.id == "over" {
                    backend.look.replace(now.clone());
                }
                judge(holder).await
            };
            let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
            assert_eq!(recovery, expected, "{guarantee:?}");
            assert_eq!(*backend.released.borrow(), released, "{guarantee:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_changes_hands_for_ever_is_a_living_one() {
    for guarantee in [Guarantee::Compared, Guarantee::Blind] {
        let backend = ending_by(End::Release(guarantee), held("over"));
        let number = Cell::new(0);
        let judge = async |holder: &LockInfo| {
            number.set(number.get() + 1);
            backend
                .look
                .replace(held(&format!("over-{}", number.get())));
            judge(holder).await
        };
        let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
        let expected = untouched(Finding::Alive(None, Life::ChangesHands));
        assert_eq!(recovery, expected, "{guarantee:?}");
        assert_eq!(number.get(), recover::ROUNDS);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_release_says_is_held_against_what_is_there() {
    let stuck = |reason: &str| {
        let (lock, reason) = (lock("over"), reason.to_owned());
        Recovery::Stuck(lock, Proof::EarlierRun, reason, by_hand("over"))
    };
    let rows: [(Slip, Recovery); 6] = [
        (Slip::Nothing, stuck("")),
        (Slip::Silence, freed("over")),
        (Slip::Half(Look::Free), freed("over")),
        (Slip::Half(held("over")), stuck(" one half is left.")),
        (Slip::Half(held("anna")), untouched(doubtful("anna"))),
        (Slip::Half(held("over-2")), freed("over-2")),
    ];
    for (slip, expected) in rows {
        let backend = undisturbed(held("over"));
        backend.slips.borrow_mut().push_back(slip);
        let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
        assert_eq!(recovery, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_released_where_somebody_who_is_not_named_holds_the_lock_after_it() {
    for slip in [None, Some(Slip::Nothing), Some(Slip::Silence)] {
        let backend = undisturbed(held("over"));
        backend.then([Ok(held("over")), Ok(Look::HeldBySomebody)]);
        backend.slips.borrow_mut().extend(slip);
        let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
        let deleted = ByHand::Words("delete the fake lock".to_owned());
        let doubtful = Finding::Doubtful(None, Doubt::UnknownHolder, deleted);
        assert_eq!(recovery, untouched(doubtful));
        assert_eq!(*backend.released.borrow(), ["over"]);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_a_release_that_may_be_carried_out_yet() {
    let backend = undisturbed(held("over"));
    backend.slips.borrow_mut().push_back(Slip::Unclear);
    let error = recover(&FakeLock(&backend), &judge).await.unwrap_err();
    assert!(error.may_act_yet(), "{error}");
    assert_eq!(
        backend.looked.get(),
        1,
        "no later look says that it is free"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_at_or_judged_is_no_finding() {
    // The look that has no answer: the first one, that after the release, and one that was not given
    // back.
    for (looks, is_released) in [
        (vec![Err(silent())], false),
        (vec![Ok(held("over")), Err(silent())], true),
        (vec![Err(not_given_back())], false),
    ] {
        let backend = undisturbed(Look::Free);
        backend.then(looks);
        assert!(recover(&FakeLock(&backend), &judge).await.is_err());
        assert_eq!(!backend.released.borrow().is_empty(), is_released);
    }
    let backend = undisturbed(held("over"));
    let judge = async |_: &LockInfo| Err(silent());
    assert!(recover(&FakeLock(&backend), &judge).await.is_err());
    assert!(backend.released.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_dies_with_its_process_is_watched_and_never_released() {
    let alive = |holder| untouched(Finding::Alive(holder, Life::Process));
    for (looks, expected) in [
        (vec![held("over"); 5], alive(Some(lock("over")))),
        (vec![Look::HeldBySomebody; 5], alive(None)),
        (
            vec![held("over"), held("over"), Look::Free],
            untouched(Finding::Free),
        ),
    ] {
        let backend = ending_by(End::Death, Look::Free);
        let count = u32::try_from(looks.len()).unwrap();
        backend.then(looks.into_iter().map(Ok));
        let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
        assert_eq!(recovery, expected);
        assert_eq!(backend.looked.get(), count);
        assert!(backend.released.borrow().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_of_somebody_else_is_waited_for_and_not_judged() {
    let backend = undisturbed(Look::Free);
    let passing = Look::Held(of_a_look("over"));
    backend.then([Ok(passing.clone()), Ok(passing.clone()), Ok(held("alive"))]);
    let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
    let alive = Finding::Alive(Some(lock("alive")), Life::StillHere);
    assert_eq!(recovery, untouched(alive));
    // One that stays is a lock like any other.
    let backend = undisturbed(passing);
    let began = Instant::now();
    let recovery = recover(&FakeLock(&backend), &judge).await.unwrap();
    assert!(matches!(recovery, Recovery::Released(..)), "{recovery}");
    assert!(began.elapsed() >= recover::LINGER);
}

/// What became of a lock for which there was so much patience, and how long that took.
async fn wait(backend: &FakeBackend, time: u64, also_in_doubt: bool) -> (Recovery, Duration) {
    let (recovery, time) = try_to_wait(backend, time, also_in_doubt).await;
    (recovery.unwrap(), time)
}

/// The same, or why there was no answer in the end.
async fn try_to_wait(
    backend: &FakeBackend,
    time: u64,
    also_in_doubt: bool,
) -> (Result<Recovery, ToolError>, Duration) {
    let host = FakeHost::with(&Moments::undisturbed());
    let (lock, began) = (FakeLock(backend), Instant::now());
    let patience = Patience {
        place: None,
        until: began + Duration::from_secs(time),
        also_in_doubt,
    };
    let look = lock.look().await.unwrap();
    let recovery = recover_with_patience(&host, &lock, look, &judge, patience).await;
    (recovery, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_living_holder_is_waited_for_and_one_in_doubt_where_that_is_wanted() {
    // Who holds the lock, whether the doubtful are waited for, whether it is waited for.
    for (id, also_in_doubt, is_waited_for) in [
        ("alive", false, true),
        ("alive", true, true),
        ("anna", false, false),
        ("anna", true, true),
    ] {
        let backend = undisturbed(held(id));
        let (recovery, time) = wait(&backend, 60, also_in_doubt).await;
        assert!(!recovery.is_free());
        let seconds = if is_waited_for { 60 } else { 0 };
        assert_eq!(time.as_secs(), seconds, "{id} {also_in_doubt}");
        // One that is given back meanwhile.
        let backend = undisturbed(held(id));
        backend.then([Ok(held(id)), Ok(held(id)), Ok(Look::Free)]);
        let (recovery, time) = wait(&backend, 60, also_in_doubt).await;
        assert_eq!(recovery.is_free(), is_waited_for, "{id} {also_in_doubt}");
        assert!(time < Duration::from_secs(7), "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_ends_while_it_is_waited_for_has_its_lock_released() {
    let backend = undisturbed(held("alive"));
    backend.then([Ok(held("alive")), Ok(held("over"))]);
    let (recovery, _) = wait(&backend, 60, false).await;
    assert_eq!(recovery, freed("over"));
    assert_eq!(*backend.released.borrow(), ["over"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_while_a_lock_is_waited_for_ends_no_patience() {
    let passing = || {
        Err(ToolError::LockServer {
            address: "http://locks".to_owned(),
            reason: "connection refused".to_owned(),
        })
    };
    let backend = undisturbed(held("alive"));
    backend.then([Ok(held("alive")), passing(), passing(), Ok(held("over"))]);
    let (recovery, _) = wait(&backend, 60, false).await;
    assert_eq!(recovery, freed("over"));

    for (then, seconds) in [(passing as fn() -> _, 6), (|| Err(silent()), 3)] {
        let backend = undisturbed(held("alive"));
        backend.then([Ok(held("alive")), then(), then(), then(), then()]);
        let (recovery, time) = try_to_wait(&backend, 6, false).await;
        assert!(recovery.is_err());
        let rounded = time + Duration::from_millis(500);
        assert_eq!(rounded.as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_once_there_is_a_request_to_stop() {
    // From the first look on, at each moment of the wait.
    for number in 1..20 {
        let moments = Moments::interrupted_at(Some(number));
        let host = FakeHost::with(&moments);
        let backend = FakeBackend::showing(&moments, held("alive"));
        let (lock, began) = (FakeLock(&backend), Instant::now());
        let patience = Patience {
            place: None,
            until: began + Duration::from_secs(600),
            also_in_doubt: false,
        };
        let look = lock.look().await.unwrap();
        let recovery = recover_with_patience(&host, &lock, look, &judge, patience).await;
        assert!(!recovery.unwrap().is_free());
        assert_eq!(backend.looked.get(), number, "it ends with that look");
        assert!(moments.was_interrupted() && backend.released.borrow().is_empty());
    }
}
