//! Every row of the verdict.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::owner::tests::{STAMP, any_owner};
use super::{
    Answer, Doubt, Evidence, Holder, Life, LockInfo, Owner, Proof, StepReport, Verdict, judge,
};

const HOST: &str = "d5c1f0a2b3c4";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn lock(who: &str) -> LockInfo {
    LockInfo {
        id: "4711".to_owned(),
        operation: "OperationTypeApply".to_owned(),
        who: who.to_owned(),
        version: "1.11.4".to_owned(),
        created: Some(at(0)),
        ..LockInfo::default()
    }
}

fn stamped() -> LockInfo {
    lock(&format!("{STAMP}@{HOST}"))
}

fn owner(stamp: &str) -> Owner {
    Owner::parse(stamp).unwrap()
}

/// Another step of the same pipeline.
fn sibling() -> Owner {
    owner(&STAMP.replace("22222222-2222", "33333333-3333"))
}

/// The same step, run again.
fn rerun() -> Owner {
    owner(&format!("{}2", &STAMP[..STAMP.len() - 1]))
}

/// A step of another pipeline.
fn stranger() -> Owner {
    owner(
        &STAMP
            .replace("#42", "#43")
            .replace("11111111-1111", "44444444-4444")
            .replace("22222222-2222", "55555555-5555"),
    )
}

/// Nothing is known: nobody asks, and nobody was asked.
fn nothing() -> Evidence<'static> {
    Evidence {
        signature: "root@vm",
        asker: None,
        siblings_are_over: false,
        nobody_left_here: false,
        container_runs: false,
        answer: Answer::NotAsked,
    }
}

fn answered(step: StepReport) -> Evidence<'static> {
    Evidence {
        answer: Answer::Step(step),
        ..nothing()
    }
}

fn step(state: &str, result: Option<&str>) -> StepReport {
    StepReport {
        state: state.to_owned(),
        result: result.map(str::to_owned),
        run: Some(1),
        completed: Some(at(10)),
        stage: None,
    }
}

#[test]
fn an_earlier_run_of_the_step_is_over() {
    let asker = rerun();
    let evidence = Evidence {
        asker: Some(&asker),
        ..nothing()
    };
    assert_eq!(
        judge(&stamped(), &evidence),
        Verdict::Release(Proof::EarlierRun)
    );
}

#[test]
fn the_step_that_asks_is_not_over() {
    let asker = owner(STAMP);
    for siblings_are_over in [false, true] {
        let evidence = Evidence {
            asker: Some(&asker),
            siblings_are_over,
            ..nothing()
        };
        assert_eq!(judge(&stamped(), &evidence), Verdict::Wait(Life::ThisStep));
    }
}

#[test]
fn a_later_run_of_the_step_is_asked_about() {
    let (asker, later) = (owner(STAMP), lock(&format!("{}@{HOST}", rerun())));
    let evidence = Evidence {
        asker: Some(&asker),
        siblings_are_over: true,
        ..nothing()
    };
    assert_eq!(judge(&later, &evidence), Verdict::Refuse(Doubt::NotAsked));
}

#[test]
fn the_final_step_frees_what_its_own_pipeline_has_left() {
    let asker = sibling();
    let evidence = Evidence {
        asker: Some(&asker),
        siblings_are_over: true,
        ..nothing()
    };
    assert_eq!(
        judge(&stamped(), &evidence),
        Verdict::Release(Proof::PipelineMovedOn)
    );
}

#[test]
fn a_parallel_sibling_is_asked_about() {
    let asker = sibling();
    let evidence = Evidence {
        asker: Some(&asker),
        ..nothing()
    };
    assert_eq!(
        judge(&stamped(), &evidence),
        Verdict::Refuse(Doubt::NotAsked)
    );
}

#[test]
fn a_pipeline_that_differs_in_any_part_is_another_one() {
    for (from, to) in [
        ("acme", "acne"),
        ("infra", "Infra"),
        ("#42", "#43"),
        ("11111111-1111", "44444444-4444"),
    ] {
        let asker = owner(&STAMP.replace(from, to));
        let evidence = Evidence {
            asker: Some(&asker),
            siblings_are_over: true,
            ..nothing()
        };
        assert_eq!(
            judge(&stamped(), &evidence),
            Verdict::Refuse(Doubt::NotAsked),
            "{to}"
        );
    }
}

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
            judge(&stamped(), &answered(step("COMPLETED", Some(result)))),
            Verdict::Release(Proof::StepCompleted {
                result: Some(result.to_owned())
            })
        );
    }
    let bare = StepReport {
        state: "COMPLETED".to_owned(),
        ..StepReport::default()
    };
    assert_eq!(
        judge(&stamped(), &answered(bare)),
        Verdict::Release(Proof::StepCompleted { result: None })
    );
}

#[test]
fn a_step_that_is_not_completed_is_alive() {
    for state in ["PENDING", "READY", "IN_PROGRESS"] {
        assert_eq!(
            judge(&stamped(), &answered(step(state, None))),
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
        judge(&stamped(), &answered(paused)),
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
            judge(&stamped(), &answered(report)),
            Verdict::Refuse(Doubt::UnknownState {
                state: state.to_owned()
            })
        );
    }
}

#[test]
fn a_step_that_runs_again_has_ended_its_earlier_run() {
    for state in ["PENDING", "READY", "IN_PROGRESS", "COMPLETED"] {
        let report = StepReport {
            run: Some(2),
            ..step(state, None)
        };
        assert_eq!(
            judge(&stamped(), &answered(report)),
            Verdict::Release(Proof::StepRanAgain)
        );
    }
}

#[test]
fn an_answer_about_an_earlier_run_proves_nothing() {
    let later = lock(&format!("{}@{HOST}", rerun()));
    assert_eq!(
        judge(&later, &answered(step("COMPLETED", Some("STOPPED")))),
        Verdict::Refuse(Doubt::LaterRun)
    );
}

#[test]
fn a_step_that_was_never_run_holds_no_lock() {
    assert_eq!(
        judge(&stamped(), &answered(step("COMPLETED", Some("NOT_RUN")))),
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
        let verdict = judge(&lock, &answered(step("COMPLETED", Some("STOPPED"))));
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
fn a_running_container_beats_every_proof_of_another_step() {
    let (sibling, rerun) = (sibling(), rerun());
    for asker in [None, Some(&sibling), Some(&rerun)] {
        let evidence = Evidence {
            asker,
            siblings_are_over: true,
            container_runs: true,
            ..answered(step("COMPLETED", Some("STOPPED")))
        };
        assert_eq!(judge(&stamped(), &evidence), Verdict::Wait(Life::Container));
    }
}

#[test]
fn a_lock_that_could_only_be_signed_here_is_over_when_nobody_is_left_here() {
    for who in [format!("{STAMP}@{HOST}"), format!("root@{HOST}")] {
        let evidence = Evidence {
            signature: &who,
            nobody_left_here: true,
            ..nothing()
        };
        assert_eq!(
            judge(&lock(&who), &evidence),
            Verdict::Release(Proof::NobodyLeftHere)
        );
        assert_eq!(
            judge(&lock("root@macbook"), &evidence),
            Verdict::Refuse(Doubt::NoBuild)
        );
    }
}

#[test]
fn without_an_answer_nothing_is_proved() {
    let rows = [
        (Answer::NotAsked, Doubt::NotAsked),
        (Answer::NoToken, Doubt::NoToken),
        (
            Answer::Nothing {
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
        let evidence = Evidence {
            answer,
            ..nothing()
        };
        assert_eq!(judge(&stamped(), &evidence), Verdict::Refuse(doubt));
    }
}

#[test]
fn a_lock_of_no_build_is_left_alone_whatever_is_known() {
    let asker = rerun();
    for who in [
        "root@macbook",
        "anna",
        "acme/infra#42@vm",
        &format!("x{STAMP}"),
    ] {
        let evidence = Evidence {
            asker: Some(&asker),
            siblings_are_over: true,
            nobody_left_here: true,
            ..answered(step("COMPLETED", Some("STOPPED")))
        };
        assert_eq!(
            judge(&lock(who), &evidence),
            Verdict::Refuse(Doubt::NoBuild),
            "{who}"
        );
    }
    let evidence = Evidence {
        signature: "",
        nobody_left_here: true,
        ..nothing()
    };
    assert_eq!(
        judge(&lock(""), &evidence),
        Verdict::Refuse(Doubt::UnknownHolder)
    );
}

prop_compose! {
    fn any_report()(
        state in prop_oneof![
            Just("COMPLETED".to_owned()), Just("IN_PROGRESS".to_owned()), Just("PENDING".to_owned()), "\\PC*",
        ],
        result in prop::option::of(prop_oneof![Just("STOPPED".to_owned()), Just("NOT_RUN".to_owned()), "\\PC*"]),
        stage in prop::option::of("\\PC*"),
        run in prop::option::of(0_u32..4),
        completed in prop::option::of((-200_i64..200).prop_map(at)),
    ) -> StepReport {
        StepReport { state, stage, result, run, completed }
    }
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::NotAsked),
        Just(Answer::NoToken),
        ("\\PC*", any::<bool>())
            .prop_map(|(reason, was_asked)| Answer::Nothing { reason, was_asked }),
        any_report().prop_map(Answer::Step),
    ]
}

fn any_asker() -> impl Strategy<Value = Option<Owner>> {
    prop_oneof![
        Just(None),
        Just(Some(owner(STAMP))),
        Just(Some(sibling())),
        Just(Some(rerun())),
        Just(Some(stranger())),
        any_owner().prop_map(Some),
    ]
}

fn any_who() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("{STAMP}@{HOST}")),
        Just(format!("{}@{HOST}", rerun())),
        Just("root@macbook".to_owned()),
        any_owner().prop_map(|owner| format!("{owner}@vm")),
        "\\PC*",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The proofs are written out a second time here, in other words than the verdict's.
    #[test]
    fn nothing_is_released_without_a_proof(
        who in any_who(), created in prop::option::of((-200_i64..200).prop_map(at)),
        signature in any_who(), asker in any_asker(), siblings_are_over in any::<bool>(),
        nobody_left_here in any::<bool>(), container_runs in any::<bool>(), answer in any_answer(),
    ) {
        let lock = LockInfo { created, ..lock(&who) };
        let evidence = Evidence {
            signature: &signature, asker: asker.as_ref(), siblings_are_over, nobody_left_here,
            container_runs, answer: answer.clone(),
        };
        let is_here = nobody_left_here && !who.is_empty() && who == signature;
        let holder = Holder::of(&lock).map(|holder| holder.owner);
        let is_proved = holder.is_some_and(|holder| {
            let is_relative = asker.as_ref().is_some_and(|asker| {
                let same_pipeline = asker.is_in_pipeline_of(&holder);
                let same_step = asker.step() == holder.step();
                same_pipeline && if same_step { asker.run() > holder.run() } else { siblings_are_over }
            });
            let is_answered = matches!(&answer, Answer::Step(report) if {
                let took_it_late = created.zip(report.completed).is_some_and(|(created, completed)| {
                    created > completed + SignedDuration::from_secs(60)
                });
                let ended = report.state == "COMPLETED" && report.run.is_none_or(|run| run == holder.run())
                    && report.result.as_deref() != Some("NOT_RUN") && !took_it_late;
                let ran_again = ["PENDING", "READY", "IN_PROGRESS", "COMPLETED"]
                    .contains(&report.state.as_str()) && report.run > Some(holder.run());
                ended || ran_again
            });
            !container_runs && (is_relative || is_answered)
        });
        let released = matches!(judge(&lock, &evidence), Verdict::Release(_));
        // The step that asks is alive, whatever Bitbucket says of it.
        prop_assert!(!released || is_here || is_proved);
    }
}
