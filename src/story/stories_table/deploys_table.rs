//! What becomes of a deploy.

use std::fs::{self, File};
use std::time::SystemTime;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_deploy_is_concluded_by_how_its_command_ended() {
    let failure = |kind: io::ErrorKind| Err(io::Error::from(kind));
    let rows = [
        (
            Ok(ended(0)),
            Outcome::Succeeded,
            Exit::Done,
            "Deploy succeeded.",
        ),
        (
            Ok(ended(7 << 8)),
            Outcome::Failed,
            Exit::Command(7),
            "Deploy failed with exit code 7; the lock is free.",
        ),
        (
            Ok(killed()),
            Outcome::Killed,
            Exit::Signal(SIGKILL),
            "Deploy was killed (exit code 137); the lock is free.",
        ),
        (
            Ok(ended(137 << 8)),
            Outcome::Killed,
            Exit::Signal(SIGKILL),
            "Deploy was killed (exit code 137); the lock is free.",
        ),
        (
            Ok(Ending {
                lacked_memory: true,
                ..killed()
            }),
            Outcome::Killed,
            Exit::Signal(SIGKILL),
            "Deploy was killed for lack of memory (exit code 137); the lock is free.",
        ),
        (
            failure(io::ErrorKind::NotFound),
            Outcome::Failed,
            Exit::Command(127),
            "Deploy failed with exit code 127; there is no lock to look after.",
        ),
        (
            failure(io::ErrorKind::PermissionDenied),
            Outcome::Failed,
            Exit::Command(126),
            "Deploy failed with exit code 126; there is no lock to look after.",
        ),
    ];
    for (ending, outcome, exit, words) in rows {
        let mut world = World::showing(Look::Free);
        world.ending(ending);
        let conclusion = world.deploy().await;
        assert_eq!((conclusion.outcome, conclusion.exit), (outcome, exit));
        assert_eq!(conclusion.to_string(), words);
        let cleanups = world.host.cleanups.borrow();
        assert_eq!(cleanups[0]["SOFTSTOP_OUTCOME"], outcome.word());
        assert_eq!(cleanups[0]["SOFTSTOP_EXIT_CODE"], exit.code().to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_begins_where_the_lock_is_free_or_its_holder_is_over() {
    // What is held before, whether it is deployed, the exit, and the locks.
    let locked = Exit::Locked;
    let rows = [
        (Look::Free, true, Exit::Done, free()),
        (held(&earlier_run()), true, Exit::Done, free()),
        (held(SIGNATURE), true, Exit::Done, free()),
        (held(PERSON), false, locked, left_held()),
        (
            Look::HeldBySomebody,
            false,
            locked,
            Locks(vec![LockState::Held(None)]),
        ),
    ];
    for (look, is_deployed, exit, locks) in rows {
        let mut world = World::showing(look.clone());
        let conclusion = world.deploy().await;
        assert_eq!(world.has_deployed(), is_deployed, "{look:?}");
        assert_eq!((conclusion.exit, conclusion.locks.clone()), (exit, locks));
        let says_so = conclusion.to_string().starts_with("Nothing was deployed. ");
        assert_eq!(says_so, !is_deployed, "{conclusion}");
        assert_eq!(world.host.cleanups.borrow().len(), usize::from(is_deployed));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deployed_after_a_look_or_a_release_that_may_act_yet() {
    let mut world = World::showing(Look::Free);
    world.backend.then([Err(not_given_back())]);
    let after_a_look = (world.deploy().await, world.has_deployed());
    let mut world = World::showing(held(&earlier_run()));
    world.backend.slips.borrow_mut().push_back(Slip::Unclear);
    let after_a_release = (world.deploy().await, world.has_deployed());
    for (conclusion, is_deployed) in [after_a_look, after_a_release] {
        assert!(!is_deployed);
        assert_eq!(conclusion.exit, Exit::Unanswered);
        let words = conclusion.to_string();
        assert!(words.starts_with("Nothing was deployed, because the lock server"));
        assert!(words.ends_with("fake unlock 4711"), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_cannot_be_asked_about_keeps_no_deploy_from_beginning() {
    let mut world = World::showing(Look::Free);
    world.backend.then([Err(silent()), Err(silent())]);
    let conclusion = world.deploy().await;
    assert!(world.has_deployed());
    assert_eq!(conclusion.exit, Exit::Done);
    assert_eq!(conclusion.locks, Locks(vec![LockState::Unknown]));
    assert_eq!(world.host.cleanups.borrow()[0]["SOFTSTOP_LOCK"], "unknown");
}

#[tokio::test(start_paused = true)]
async fn the_lock_that_a_killed_deploy_leaves_is_released_where_it_is_surely_its_own() {
    // Who else could sign like that, whether all processes are gone, and what becomes of the lock.
    let rows = [
        (Neighbours::NonePossible, true, released()),
        (Neighbours::NoneHere, true, released()),
        (Neighbours::Some, true, left_held()),
        (Neighbours::Hidden, true, left_held()),
        (Neighbours::NonePossible, false, left_held()),
    ];
    for (neighbours, tree_gone, locks) in rows {
        let mut world = World::showing(Look::Free);
        world.host.neighbours = neighbours;
        world.ending(Ok(Ending {
            tree_gone,
            ..killed()
        }));
        world.leave_a_lock();
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.locks, locks, "{neighbours:?} {tree_gone}");
        let cleanups = world.host.cleanups.borrow();
        assert_eq!(cleanups[0]["SOFTSTOP_LOCK"], locks.word());
        assert_eq!(cleanups[0]["SOFTSTOP_LOCK_ID"], "4711");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_at_any_moment_leaves_no_lock_of_the_deploys_own_and_takes_no_other() {
    for who in [None, Some(earlier_run())] {
        let mut moment = 1;
        loop {
            let look = who.as_ref().map_or(Look::Free, |who| held(who));
            let mut world = World::interrupted_at(Some(moment), look);
            world.ending(Ok(killed()));
            world.leave_a_lock();
            let conclusion = world.deploy().await;
            if !world.moments.was_interrupted() {
                assert!(moment > 8, "{moment}");
                break;
            }
            match (world.has_deployed(), conclusion.outcome) {
                (false, outcome) => {
                    assert_eq!(outcome, Outcome::Interrupted, "{moment}");
                    let words = conclusion.to_string();
                    assert_eq!(words, "Stopped by SIGTERM before the deploy began.");
                    assert!(world.host.cleanups.borrow().is_empty());
                }
                // What comes after the command changes nothing of how it ended.
                (true, outcome) => {
                    assert!(matches!(outcome, Outcome::Interrupted | Outcome::Killed));
                    assert_eq!(conclusion.locks, released(), "{moment}");
                    assert_eq!(*world.backend.look.borrow(), Look::Free);
                    assert_eq!(world.host.cleanups.borrow().len(), 1);
                }
            }
            moment += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_lock_that_a_deploy_has_used_is_told_and_the_worst_one_counts() {
    let mut world = World::showing(Look::Free);
    let second = FakeBackend::showing(&world.moments, Look::Free);
    let third = FakeBackend::showing(&world.moments, held(PERSON));
    let elsewhere = FakePlace {
        name: "elsewhere",
        ..FakePlace::with(&world.moments, &[&second, &third])
    };
    world.place.others.push(FakeTool(Rc::new(elsewhere)));
    world.host.seen = vec![
        seen("apply", "here"),
        seen("apply", "elsewhere"),
        seen("apply", "here"),
        seen("apply", "nowhere"),
    ];
    let conclusion = world.deploy().await;
    let states = &conclusion.locks.0;
    assert_eq!(states.len(), 4, "{states:?}");
    assert!(states.contains(&LockState::Unknown), "{states:?}");
    let words = "Deploy succeeded, but of one of 4 locks: the lock is held.";
    assert_eq!(conclusion.to_string(), words);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_of_which_no_tool_was_seen_leaves_the_lock_unknown() {
    let mut world = World::showing(Look::Free);
    world.host.seen.clear();
    let conclusion = world.deploy().await;
    assert_eq!(conclusion.locks, Locks(vec![LockState::Unknown]));
    let mut world = World::showing(Look::Free);
    world.deploy.runs = Runs::Command("fake".to_owned(), vec!["version".to_owned()]);
    world.deploy().await;
    let looks = world.backend.looked.get();
    assert_eq!(
        looks, 1,
        "nothing is looked at before a command that takes no lock"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_is_told_to_take_no_lock_has_none_to_look_after_and_ends_plainly_well() {
    // Whether it is the default command, what was seen, and what became of the locks.
    let unknown = || Locks(vec![LockState::Unknown]);
    for (is_job, seen_to, locks) in [
        (true, "version", Locks::default()),
        (false, "unlocked", Locks::default()),
        (false, "version", unknown()),
    ] {
        let mut world = World::showing(Look::Free);
        world.host.seen = vec![seen(seen_to, "here")];
        if is_job {
            world.deploy.runs = Runs::Job(Job::ApplyPlan(PathBuf::from("unlocked")));
        }
        let is_plain = locks == Locks::default();
        let told = |_: &Conclusion, remains: &Remains| {
            assert_eq!(remains.is_plain, is_plain, "{is_job} {seen_to}");
        };
        let conclusion = world.deploy_telling(ASKER, &told).await;
        assert_eq!(conclusion.locks, locks, "{is_job} {seen_to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_told_from_a_deploy() {
    for (purposes, words) in [
        (vec!["plan"], "Plan succeeded."),
        (vec!["plan", "apply"], "Deploy succeeded."),
    ] {
        let mut world = World::showing(Look::Free);
        let seen = purposes.iter().map(|purpose| seen(purpose, "here"));
        world.host.seen = seen.collect();
        assert_eq!(world.deploy().await.to_string(), words);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_without_locks_has_none_to_look_after() {
    let mut world = World::showing(held(PERSON));
    world.place.backends.clear();
    let conclusion = world.deploy().await;
    assert!(world.has_deployed());
    assert_eq!(conclusion.locks, Locks::default());
    assert_eq!(world.host.cleanups.borrow()[0]["SOFTSTOP_LOCK"], "none");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_left_is_stored_only_while_the_lock_is_free() {
    let scratch = tempfile::tempdir().unwrap();
    for (is_left, is_free, can_be_stored) in [
        (true, true, true),
        (true, true, false),
        (true, false, true),
        (false, true, true),
    ] {
        let mut world = World::showing(Look::Free);
        let file = scratch.path().join("errored.state");
        world.place.unsaved = Some(file.clone());
        if !can_be_stored {
            world.place.unstored.replace(Some(Unstored {
                reason: silent(),
                advice: "Push it.".to_owned(),
            }));
        }
        let backend = Rc::clone(&world.backend);
        world.host.act.replace(Some(Box::new(move || {
            if is_left {
                // The clock of a file system may be behind the one that the story reads.
                let later = SystemTime::now() + Duration::from_secs(1);
                File::create(&file).unwrap().set_modified(later).unwrap();
            }
            if !is_free {
                backend.look.replace(held(PERSON));
            }
        })));
        let looks = |world: &World| world.backend.looked.get();
        let conclusion = world.deploy().await;
        let expected = if is_free { free() } else { left_held() };
        assert_eq!(conclusion.locks, expected);
        // Storing may take the lock, so one that failed is looked after once more.
        let more = u32::from(is_left && is_free && !can_be_stored);
        assert_eq!(looks(&world), 2 + more);
        fs::remove_file(scratch.path().join("errored.state")).unwrap_or_default();
    }
}

/// The lock of somebody who has come later.
fn taken_since() -> Look {
    Look::Held(LockInfo {
        id: "4712".to_owned(),
        ..lock(PERSON)
    })
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_lock_that_was_just_released_is_waited_for_as_anybody_else() {
    for (lock_timeout, is_deployed) in [(Duration::ZERO, false), (Duration::from_secs(60), true)] {
        let mut world = World::showing(Look::Free);
        world.deploy.lock_timeout = lock_timeout;
        let looks = [
            held(&earlier_run()),
            taken_since(),
            taken_since(),
            Look::Free,
        ];
        world.backend.then(looks.map(Ok));
        let backend = Rc::clone(&world.backend);
        world.host.act.replace(Some(Box::new(move || {
            assert_eq!(*backend.look.borrow(), Look::Free);
        })));
        let conclusion = world.deploy().await;
        assert_eq!(world.has_deployed(), is_deployed);
        assert_eq!(*world.backend.released.borrow(), ["4711"]);
        let exit = if is_deployed {
            Exit::Done
        } else {
            Exit::Locked
        };
        assert_eq!(conclusion.exit, exit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_the_command_leaves_behind_it_keeps_it_from_nothing() {
    for (word, look, is_deployed, released) in [
        ("elsewhere", held(PERSON), true, 0),
        ("elsewhere", Look::HeldBySomebody, true, 0),
        ("elsewhere", held(&earlier_run()), true, 1),
        ("here", held(PERSON), false, 0),
    ] {
        let mut world = World::showing(look);
        world.deploy.runs = Runs::Command("fake".to_owned(), vec![word.to_owned()]);
        world.deploy.lock_timeout = Duration::from_secs(60);
        world.host.seen.clear();
        let began = tokio::time::Instant::now();
        world.deploy().await;
        assert_eq!(world.has_deployed(), is_deployed, "{word}");
        assert_eq!(world.backend.released.borrow().len(), released, "{word}");
        let has_waited = began.elapsed() >= Duration::from_secs(60);
        assert_eq!(has_waited, !is_deployed, "{word}");
    }
}
