//! What a release does, and what a status tells.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_release_of_many_places_ends_as_the_worst_of_them() {
    let world = World::showing(Look::Free);
    let showing = |look| FakeBackend::showing(&world.moments, look);
    let over = || showing(held(&earlier_run()));
    let silence = || {
        let backend = showing(Look::Free);
        backend.then([Err(silent())]);
        backend
    };
    let stuck = || {
        let backend = over();
        backend.slips.borrow_mut().push_back(Slip::Nothing);
        backend
    };
    let rows = [
        (vec![showing(Look::Free)], Exit::Done, "Locks: 1 free."),
        (
            vec![over(), showing(Look::Free), over()],
            Exit::Done,
            "Locks: 2 released, 1 free.",
        ),
        (
            vec![over(), showing(held(PERSON))],
            Exit::Locked,
            "Locks: 1 released, 1 left alone in doubt (exit code 3).",
        ),
        (
            vec![stuck()],
            Exit::Locked,
            "Locks: 1 could not be released (exit code 3).",
        ),
        (
            vec![showing(held(PERSON)), silence(), over()],
            Exit::Unanswered,
            "Locks: 1 released, 1 left alone in doubt, 1 could not be asked about (exit code 4).",
        ),
    ];
    for (backends, exit, words) in rows {
        world.host.cleanups.borrow_mut().clear();
        let backends: Vec<&Rc<FakeBackend>> = backends.iter().collect();
        let conclusion = world.release(&backends).await;
        assert_eq!(
            (conclusion.exit, conclusion.to_string().as_str()),
            (exit, words)
        );
        // Once for each that was released.
        let is_released = |state: &&LockState| matches!(state, LockState::Released(_));
        let count = conclusion.locks.0.iter().filter(is_released).count();
        let cleanups = world.host.cleanups.borrow();
        assert_eq!(cleanups.len(), count);
        for variables in &*cleanups {
            assert_eq!(variables["SOFTSTOP_OUTCOME"], "killed");
            assert_eq!(variables["SOFTSTOP_LOCK"], "released");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_leaves_a_lock_whose_deploy_still_runs_here() {
    let mut world = World::showing(held(&earlier_run()));
    world.host.left = Left::Somebody;
    let conclusion = world.release(&[&world.backend]).await;
    assert_eq!(conclusion.exit, Exit::Done);
    assert_eq!(conclusion.to_string(), "Locks: 1 held by somebody alive.");
    assert!(world.backend.released.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_release_leaves_a_look_of_its_own_although_no_build_has_signed_it() {
    // Nobody else can sign like that, so it would be released as soon as it is judged.
    let world = World::showing(Look::Held(LockInfo {
        is_of_a_look: true,
        created: Some(Timestamp::now() + Duration::from_secs(60)),
        ..lock(SIGNATURE)
    }));
    let conclusion = world.release(&[&world.backend]).await;
    assert_eq!(conclusion.to_string(), "Locks: 1 held by somebody alive.");
    assert!(world.backend.released.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_of_a_release_is_told_and_what_it_did_too() {
    for moment in 1..5 {
        let world = World::interrupted_at(Some(moment), held(&earlier_run()));
        let conclusion = world.release(&[&world.backend]).await;
        assert_eq!(conclusion.outcome, Outcome::Interrupted);
        let words = conclusion.to_string();
        assert!(
            words.starts_with("Stopped by SIGTERM. What is not said"),
            "{words}"
        );
        assert_eq!(conclusion.locks, released(), "{moment}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_tells_what_a_release_would_do_and_does_nothing() {
    let silence = ToolError::Unknown {
        reason: "it is silent".to_owned(),
    };
    let rows = [
        (
            Ok(Look::Free),
            "free",
            "nothing",
            Exit::Done,
            "Locks: 0 of 1 held.",
        ),
        (
            Ok(held(&earlier_run())),
            "held",
            "release",
            Exit::Done,
            "Locks: 1 of 1 held.",
        ),
        (
            Ok(held(PERSON)),
            "held",
            "refuse",
            Exit::Done,
            "Locks: 1 of 1 held.",
        ),
        (
            Err(silence),
            "unknown",
            "unknown",
            Exit::Unanswered,
            "Not every lock could be asked about (exit code 4).",
        ),
    ];
    for (look, state, would, exit, words) in rows {
        let world = World::showing(Look::Free);
        world.backend.then([look]);
        let places = world.places(&[&world.backend]);
        let (inquiry, journal) = (world.inquiry(), world.journal());
        let (looked, conclusion) = status::run(&world.host, &inquiry, &journal, &places).await;
        assert_eq!(
            (conclusion.exit, conclusion.to_string().as_str()),
            (exit, words)
        );
        let records: serde_json::Value = serde_json::from_str(&json::records(&looked)).unwrap();
        assert_eq!(
            (&records[0]["state"], &records[0]["release"]),
            (&state.into(), &would.into())
        );
        assert!(world.backend.released.borrow().is_empty());
    }
}
