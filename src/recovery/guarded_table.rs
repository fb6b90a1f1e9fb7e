//! What becomes of a lock whose holder has left a state in a file, by table.

use std::cell::RefCell;
use std::rc::Rc;

use super::guarded::Guarded;
use super::recovery_table::{by_hand, freed, held, judge, lock, of_a_look, silent, untouched};
use super::{Finding, Recovery, recover};
use crate::lock::{Life, LockInfo, Proof};
use crate::tools::fake::{FakeBackend, FakeHost, FakeLock, FakePlace, FakeTool, Moments};
use crate::tools::{End, Guarantee, Look, StateKeeper, StateKeeping, Tool, ToolError, Unstored};

/// What became of a lock of which the looks show this, and whether its keeper was asked to store a state.
struct Ended {
    recovery: Result<Recovery, ToolError>,
    was_asked: bool,
    released: Vec<String>,
}

async fn recovered(looks: Vec<Result<Look, ToolError>>, guarantee: Guarantee) -> Ended {
    let moments = Moments::undisturbed();
    let backend = FakeBackend::with_end(&moments, held("over"), End::Release(guarantee));
    backend.then(looks);
    let left = tempfile::NamedTempFile::new().unwrap();
    let place = Rc::new(FakePlace {
        unsaved: Some(left.path().to_owned()),
        unstored: RefCell::new(Some(Unstored {
            reason: silent(),
            advice: String::new(),
        })),
        ..FakePlace::with(&moments, &[])
    });
    let tool = Tool::from(FakeTool(Rc::clone(&place)));
    let guarded = Guarded {
        host: &FakeHost::with(&moments),
        lock: FakeLock(&backend),
        keeper: tool.state_keeper(),
        left: |keeper: StateKeeper<'_>, _: &LockInfo| keeper.unsaved_state(None),
    };
    Ended {
        recovery: recover(&guarded, &judge).await,
        was_asked: place.unstored.borrow().is_none(),
        released: backend.released.take(),
    }
}

fn kept_by_look() -> ToolError {
    ToolError::KeptByLook {
        reason: "its ID is 4711".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_is_stored_only_under_the_lock_of_the_run_that_has_left_it() {
    let alive = || untouched(Finding::Alive(Some(lock("alive")), Life::StillHere));
    // What the looks show: to judge by, before the state is stored, and after it; whether its keeper is
    // asked to store it, what becomes of the lock, and whose release was asked for.
    let rows: [(&[&str], bool, Recovery, &[&str]); 3] = [
        (&["over"], true, freed("over"), &["over"]),
        (&["over", "alive"], false, alive(), &[]),
        (&["over", "over", "alive"], true, alive(), &[]),
    ];
    for (looks, is_stored, expected, released) in rows {
        for guarantee in [Guarantee::Atomic, Guarantee::Compared] {
            let looks = looks.iter().map(|id| Ok(held(id))).collect();
            let ended = recovered(looks, guarantee).await;
            assert_eq!(ended.recovery.unwrap(), expected, "{guarantee:?}");
            assert_eq!(ended.was_asked, is_stored, "{expected} {guarantee:?}");
            assert_eq!(ended.released, released, "{expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_before_a_release_is_no_release() {
    let reason = " it is silent.".to_owned();
    let stuck = Recovery::Stuck(lock("over"), Proof::EarlierRun, reason, by_hand("over"));
    let rows = [
        (held("over"), stuck),
        (Look::Free, untouched(Finding::Free)),
        (
            held("alive"),
            untouched(Finding::Alive(Some(lock("alive")), Life::StillHere)),
        ),
    ];
    // The look before the state is stored, and the one after it.
    for before in [1, 2] {
        for (after, expected) in &rows {
            let mut looks: Vec<_> = (0..before).map(|_| Ok(held("over"))).collect();
            looks.extend([Err(silent()), Ok(after.clone())]);
            let ended = recovered(looks, Guarantee::Compared).await;
            assert_eq!(ended.recovery.unwrap(), *expected, "{before}");
            assert!(ended.released.is_empty(), "{before} {expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_a_look_before_a_release_that_has_left_its_own_lock() {
    for before in [1, 2] {
        let mut looks: Vec<_> = (0..before).map(|_| Ok(held("over"))).collect();
        looks.extend([Err(kept_by_look()), Ok(Look::Held(of_a_look("4711")))]);
        let ended = recovered(looks, Guarantee::Compared).await;
        let error = ended.recovery.unwrap_err();
        assert!(error.may_act_yet(), "{error}");
        assert!(ended.released.is_empty(), "{before}");
    }
}
