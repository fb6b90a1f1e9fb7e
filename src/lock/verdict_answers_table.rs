//! What is concluded from Bitbucket's answers.

use super::verdict_table::{HOST, answered, at, lock, nothing, rerun, stamped, step};
use super::{Answer, Doubt, Life, LockInfo, Proof, StepReport, Verdict, judge};

#[test]
fn another_pipeline_is_over_once_bitbucket_says_so() {
    for result in [
        "SUCCESSFUL",
        "FAILED",
        "ERROR",
        "STOPPED",
        "EXPIRED",
        "OF_TOMORROW",
    ] {
        assert_eq!(
            judge(
                &stamped(),
                &nothing(),
                &answered(step("COMPLETED", Some(result)))
            ),
            Verdict::Release(Proof::StepCompleted {
                result: Some(result.to_owned())
            })
        );
    }
    let bare = StepReport {
        state: "COMPLETED".to_owned(),
        completed: Some(at(10)),
        ..StepReport::default()
    };
    assert_eq!(
        judge(&stamped(), &nothing(), &answered(bare)),
        Verdict::Release(Proof::StepCompleted { result: None })
    );
}

#[test]
fn a_step_that_is_not_completed_is_alive() {
    for state in ["PENDING", "READY", "IN_PROGRESS"] {
        assert_eq!(
            judge(&stamped(), &nothing(), &answered(step(state, None))),
            Verdict::Wait(Life::Step {
                state: state.to_owned()
            })
        );
    }
    let paused = StepReport {
        stage: Some("PAUSED".to_owned()),
        ..step("IN_PROGRESS", None)
    };
    assert_eq!(
        judge(&stamped(), &nothing(), &answered(paused)),
        Verdict::Wait(Life::Step {
            state: "IN_PROGRESS, PAUSED".to_owned()
        })
    );
}

#[test]
fn a_state_of_tomorrow_proves_nothing() {
    for state in ["", "completed", "COMPLETED ", "DONE", "PAUSED", "HALTED"] {
        let report = StepReport {
            run: Some(9),
            ..step(state, Some("SUCCESSFUL"))
        };
        assert_eq!(
            judge(&stamped(), &nothing(), &answered(report)),
            Verdict::Refuse(Doubt::UnknownState {
                state: state.to_owned()
            })
        );
    }
}

#[test]
fn a_step_that_has_run_again_and_ended_is_over() {
    let report = |state| StepReport {
        run: Some(2),
        ..step(state, Some("SUCCESSFUL"))
    };
    assert_eq!(
        judge(&stamped(), &nothing(), &answered(report("COMPLETED"))),
        Verdict::Release(Proof::StepCompleted {
            result: Some("SUCCESSFUL".to_owned())
        })
    );
    // The run that goes on may be the very one that holds the lock, if Bitbucket counts otherwise.
    assert_eq!(
        judge(&stamped(), &nothing(), &answered(report("IN_PROGRESS"))),
        Verdict::Wait(Life::Step {
            state: "IN_PROGRESS".to_owned()
        })
    );
}

#[test]
fn an_answer_about_an_earlier_run_proves_nothing() {
    let later = lock(&format!("{}@{HOST}", rerun()));
    assert_eq!(
        judge(
            &later,
            &nothing(),
            &answered(step("COMPLETED", Some("STOPPED")))
        ),
        Verdict::Refuse(Doubt::OtherRun)
    );
    let nameless = StepReport {
        run: None,
        ..step("COMPLETED", Some("STOPPED"))
    };
    assert_eq!(
        judge(&later, &nothing(), &answered(nameless)),
        Verdict::Refuse(Doubt::OtherRun)
    );
}

#[test]
fn a_step_that_was_never_run_holds_no_lock() {
    assert_eq!(
        judge(
            &stamped(),
            &nothing(),
            &answered(step("COMPLETED", Some("NOT_RUN")))
        ),
        Verdict::Refuse(Doubt::NeverRan)
    );
}

#[test]
fn a_lock_that_was_taken_after_its_step_is_held_by_something_that_outlives_it() {
    for (created, is_released) in [
        (-3600, true),
        (10, true),
        (69, true),
        (71, false),
        (3600, false),
    ] {
        let lock = LockInfo {
            created: Some(at(created)),
            ..stamped()
        };
        let verdict = judge(
            &lock,
            &nothing(),
            &answered(step("COMPLETED", Some("STOPPED"))),
        );
        let expected = if is_released {
            Verdict::Release(Proof::StepCompleted {
                result: Some("STOPPED".to_owned()),
            })
        } else {
            Verdict::Refuse(Doubt::OutlivesItsStep)
        };
        assert_eq!(verdict, expected, "created {created} s after");
    }
}

#[test]
fn without_both_times_nobody_can_tell_whether_the_lock_is_younger_than_the_end_of_its_step() {
    let ended = step("COMPLETED", Some("STOPPED"));
    let endless = StepReport {
        completed: None,
        ..ended.clone()
    };
    let timeless = LockInfo {
        created: None,
        ..stamped()
    };
    for (lock, report, doubt) in [
        (stamped(), endless, Doubt::NoEnd),
        (timeless, ended, Doubt::UnknownTime),
    ] {
        assert_eq!(
            judge(&lock, &nothing(), &answered(report)),
            Verdict::Refuse(doubt)
        );
    }
}

#[test]
fn without_an_answer_nothing_is_proved() {
    let rows = [
        (Answer::NoToken, Doubt::NoToken { order: None }),
        (
            Answer::Silence {
                reason: "401".to_owned(),
                was_asked: false,
            },
            Doubt::NoAnswer {
                reason: "401".to_owned(),
                was_asked: false,
            },
        ),
    ];
    for (answer, doubt) in rows {
        assert_eq!(
            judge(&stamped(), &nothing(), &answer),
            Verdict::Refuse(doubt)
        );
    }
}
