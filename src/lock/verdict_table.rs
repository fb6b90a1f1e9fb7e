//! Every row of the verdict that is not Bitbucket's answer alone.

use jiff::Timestamp;

use super::owner::tests::STAMP;
use super::{
    Answer, Doubt, Evidence, Life, LockInfo, Others, Owner, Presence, Proof, Siblings, StepReport,
    Verdict, judge,
};

pub(super) const HOST: &str = "d5c1f0a2b3c4";

pub(super) const OPEN: Siblings = Siblings::Open { reason: None };

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn lock(who: &str) -> LockInfo {
    LockInfo {
        id: "4711".to_owned(),
        operation: "OperationTypeApply".to_owned(),
        who: who.to_owned(),
        version: "1.11.4".to_owned(),
        created: Some(at(0)),
        ..LockInfo::default()
    }
}

pub(super) fn stamped() -> LockInfo {
    lock(&format!("{STAMP}@{HOST}"))
}

pub(super) fn owner(stamp: &str) -> Owner {
    Owner::parse(stamp).unwrap()
}

/// Another step of the same pipeline.
pub(super) fn sibling() -> Owner {
    owner(&STAMP.replace("22222222-2222", "33333333-3333"))
}

/// The same step, run again.
pub(super) fn rerun() -> Owner {
    owner(&format!("{}2", &STAMP[..STAMP.len() - 1]))
}

/// A step of another pipeline.
pub(super) fn stranger() -> Owner {
    owner(
        &STAMP
            .replace("#42", "#43")
            .replace("11111111-1111", "44444444-4444")
            .replace("22222222-2222", "55555555-5555"),
    )
}

/// Nothing is known: nobody asks, and nobody was asked.
pub(super) fn nothing() -> Evidence<'static> {
    Evidence {
        signature: "root@vm",
        asker: None,
        siblings: OPEN,
        began: at(5),
        others: Others::Hidden,
        sighting: Presence::Nothing,
    }
}

pub(super) fn answered(step: StepReport) -> Answer {
    Answer::Step(step)
}

pub(super) fn step(state: &str, result: Option<&str>) -> StepReport {
    StepReport {
        state: state.to_owned(),
        result: result.map(str::to_owned),
        run: Some(1),
        completed: Some(at(10)),
        stage: None,
    }
}

/// The verdict about a lock of `STAMP`, where this step asks and nobody else was asked.
fn asked_by(asker: &Owner, siblings: Siblings) -> Verdict {
    let evidence = Evidence {
        asker: Some(asker),
        siblings,
        ..nothing()
    };
    judge(&stamped(), &evidence, &Answer::NoToken)
}

#[test]
fn an_earlier_run_of_the_step_is_over() {
    assert_eq!(
        asked_by(&rerun(), OPEN),
        Verdict::Release(Proof::EarlierRun)
    );
}

#[test]
fn the_step_that_asks_cannot_tell_whether_it_is_over_elsewhere() {
    for siblings in [OPEN, Siblings::Over] {
        assert_eq!(
            asked_by(&owner(STAMP), siblings),
            Verdict::Refuse(Doubt::ThisStep)
        );
    }
}

#[test]
fn a_later_run_than_the_askers_is_never_over_for_the_asker() {
    let later_sibling = owner(
        &rerun()
            .to_string()
            .replace("22222222-2222", "33333333-3333"),
    );
    for holder in [rerun(), later_sibling] {
        let (asker, later) = (owner(STAMP), lock(&format!("{holder}@{HOST}")));
        let evidence = Evidence {
            asker: Some(&asker),
            siblings: Siblings::Over,
            ..nothing()
        };
        let completed = StepReport {
            run: Some(2),
            ..step("COMPLETED", None)
        };
        for answer in [Answer::NoToken, Answer::Step(completed)] {
            assert_eq!(
                judge(&later, &evidence, &answer),
                Verdict::Refuse(Doubt::LaterRun)
            );
        }
        let alive = Answer::Step(step("IN_PROGRESS", None));
        let verdict = judge(&later, &evidence, &alive);
        assert!(matches!(verdict, Verdict::Wait(Life::Step { .. })));
    }
}

#[test]
fn the_final_step_frees_what_its_own_pipeline_has_left() {
    assert_eq!(
        asked_by(&sibling(), Siblings::Over),
        Verdict::Release(Proof::PipelineMovedOn { silence: None })
    );
}

#[test]
fn a_sibling_that_took_its_lock_since_is_not_left_behind() {
    let asker = sibling();
    let silence = Answer::Silence {
        reason: "429".to_owned(),
        was_asked: true,
    };
    for created in [Some(at(5)), Some(at(6)), None] {
        let lock = LockInfo {
            created,
            ..stamped()
        };
        let evidence = Evidence {
            asker: Some(&asker),
            siblings: Siblings::Over,
            ..nothing()
        };
        let verdict = judge(&lock, &evidence, &Answer::NoToken);
        let Verdict::Refuse(Doubt::NoToken { order: Some(_) }) = verdict else {
            panic!("{created:?}: {verdict:?}");
        };
        let verdict = judge(&lock, &evidence, &silence);
        assert!(matches!(verdict, Verdict::Refuse(Doubt::NoAnswer { .. })));
    }
}

#[test]
fn a_parallel_sibling_is_asked_about() {
    assert_eq!(
        asked_by(&sibling(), OPEN),
        Verdict::Refuse(Doubt::NoToken { order: None })
    );
}

#[test]
fn why_the_order_of_steps_proves_nothing_is_told_where_it_might_have() {
    let reason = Some("no clone".to_owned());
    let siblings = Siblings::Open {
        reason: reason.clone(),
    };
    assert_eq!(
        asked_by(&sibling(), siblings.clone()),
        Verdict::Refuse(Doubt::NoToken { order: reason })
    );
    assert_eq!(
        asked_by(&stranger(), siblings),
        Verdict::Refuse(Doubt::NoToken { order: None })
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
        assert_eq!(
            asked_by(&owner(&STAMP.replace(from, to)), Siblings::Over),
            Verdict::Refuse(Doubt::NoToken { order: None }),
            "{to}"
        );
    }
}

#[test]
fn what_bitbucket_says_of_a_sibling_beats_the_order_of_steps() {
    let asker = sibling();
    let judged = |answer| {
        let evidence = Evidence {
            asker: Some(&asker),
            siblings: Siblings::Over,
            ..nothing()
        };
        judge(&stamped(), &evidence, &answer)
    };
    assert_eq!(
        judged(Answer::Step(step("IN_PROGRESS", None))),
        Verdict::Wait(Life::Step {
            state: "IN_PROGRESS".to_owned()
        })
    );
    assert_eq!(
        judged(Answer::Step(step("COMPLETED", None))),
        Verdict::Release(Proof::StepCompleted { result: None })
    );
    let reason = "it answered about another step".to_owned();
    assert_eq!(
        judged(Answer::Unusable {
            reason: reason.clone()
        }),
        Verdict::Refuse(Doubt::NoAnswer {
            reason,
            was_asked: false
        })
    );
    let silence = Answer::Silence {
        reason: "500".to_owned(),
        was_asked: false,
    };
    assert_eq!(
        judged(silence),
        Verdict::Release(Proof::PipelineMovedOn {
            silence: Some("500".to_owned())
        })
    );
}

#[test]
fn a_holder_that_was_seen_beats_every_proof() {
    let (sibling, rerun) = (sibling(), rerun());
    let silence = Doubt::DockerSilent {
        reason: "Docker gave no answer".to_owned(),
    };
    let sightings = [
        (
            Presence::Alive(Life::Container),
            Verdict::Wait(Life::Container),
        ),
        (
            Presence::Unclear(Doubt::PerhapsHere),
            Verdict::Refuse(Doubt::PerhapsHere),
        ),
        (
            Presence::Alive(Life::StillHere),
            Verdict::Wait(Life::StillHere),
        ),
        (Presence::Unclear(silence.clone()), Verdict::Refuse(silence)),
    ];
    for (sighting, expected) in sightings {
        for asker in [None, Some(&sibling), Some(&rerun)] {
            let evidence = Evidence {
                asker,
                siblings: Siblings::Over,
                signature: &format!("{STAMP}@{HOST}"),
                others: Others::Impossible,
                sighting: sighting.clone(),
                ..nothing()
            };
            let answer = answered(step("COMPLETED", Some("STOPPED")));
            assert_eq!(judge(&stamped(), &evidence, &answer), expected);
        }
    }
}

#[test]
fn a_lock_that_could_only_be_signed_here_is_over_when_nobody_is_left_here() {
    let (stamped, plain) = (format!("{STAMP}@{HOST}"), format!("root@{HOST}"));
    // Of a build it is enough to see its machine; others may have a machine of the same name.
    for (who, others, is_over) in [
        (&stamped, Others::Impossible, true),
        (&stamped, Others::NotHere, true),
        (&stamped, Others::Running, false),
        (&stamped, Others::Hidden, false),
        (&plain, Others::Impossible, true),
        (&plain, Others::NotHere, false),
        (&plain, Others::Running, false),
        (&plain, Others::Hidden, false),
    ] {
        let evidence = Evidence {
            signature: who,
            others,
            ..nothing()
        };
        let verdict = judge(&lock(who), &evidence, &Answer::NoToken);
        let is_released = verdict == Verdict::Release(Proof::NobodyLeftHere);
        assert_eq!(is_released, is_over, "{who}, {others:?}");
        assert_eq!(
            judge(&lock("root@macbook"), &evidence, &Answer::NoToken),
            Verdict::Refuse(Doubt::NoBuild)
        );
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
            siblings: Siblings::Over,
            others: Others::Impossible,
            ..nothing()
        };
        assert_eq!(
            judge(
                &lock(who),
                &evidence,
                &answered(step("COMPLETED", Some("STOPPED")))
            ),
            Verdict::Refuse(Doubt::NoBuild),
            "{who}"
        );
    }
    let evidence = Evidence {
        signature: "",
        others: Others::Impossible,
        ..nothing()
    };
    assert_eq!(
        judge(&lock(""), &evidence, &Answer::NoToken),
        Verdict::Refuse(Doubt::UnknownHolder)
    );
}
