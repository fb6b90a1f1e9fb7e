//! No input without a proof ever gives a release.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::owner::tests::{STAMP, any_owner};
use super::verdict_table::{HOST, OPEN, at, lock, owner, rerun, sibling, stranger};
use super::{
    Answer, Doubt, Evidence, Holder, Life, LockInfo, Others, Owner, Presence, Siblings, StepReport,
    Verdict, judge,
};
use crate::mutation::at_least;

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
        Just(Answer::NoToken),
        ("\\PC*", any::<bool>())
            .prop_map(|(reason, was_asked)| Answer::Silence { reason, was_asked }),
        "\\PC*".prop_map(|reason| Answer::Unusable { reason }),
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

fn any_others() -> impl Strategy<Value = Others> {
    prop_oneof![
        Just(Others::Impossible),
        Just(Others::NotHere),
        Just(Others::Running),
        Just(Others::Hidden),
    ]
}

fn any_sighting() -> impl Strategy<Value = Presence> {
    prop_oneof![
        4 => Just(Presence::Nothing),
        1 => Just(Presence::Alive(Life::Container)),
        1 => Just(Presence::Alive(Life::StillHere)),
        1 => Just(Presence::Unclear(Doubt::PerhapsHere)),
    ]
}

/// Whether Bitbucket's answer proves that the run is over, in other words than the verdict's.
fn proves(answer: &Answer, holder: &Owner, created: Option<Timestamp>) -> bool {
    let Answer::Step(report) = answer else {
        return false;
    };
    let latest = report
        .completed
        .map(|completed| completed + SignedDuration::from_secs(60));
    let is_in_time =
        matches!((created, latest), (Some(created), Some(latest)) if created <= latest);
    let is_about_it = match report.run {
        Some(run) => run >= holder.run(),
        None => holder.run() == 1,
    };
    let has_run = report.result.as_deref() != Some("NOT_RUN");
    report.state == "COMPLETED" && is_about_it && has_run && is_in_time
}

proptest! {
    #![proptest_config(at_least(4096))]

    /// The proofs are written out a second time here, in other words than the verdict's.
    #[test]
    fn nothing_is_released_without_a_proof(
        who in any_who(), created in prop::option::of((-200_i64..200).prop_map(at)),
        signature in any_who(), asker in any_asker(), siblings_are_over in any::<bool>(),
        began in (-200_i64..200).prop_map(at),
        others in any_others(), sighting in any_sighting(), answer in any_answer(),
    ) {
        let lock = LockInfo { created, ..lock(&who) };
        let evidence = Evidence {
            signature: &signature, asker: asker.as_ref(), others, began,
            sighting: sighting.clone(),
            siblings: if siblings_are_over { Siblings::Over } else { OPEN },
        };
        let holder = Holder::of(&lock).map(|holder| holder.owner);
        let is_here = !who.is_empty() && who == signature
            && (others == Others::Impossible || others == Others::NotHere && holder.is_some());
        let is_proved = holder.is_some_and(|holder| {
            let asker = asker.as_ref().filter(|asker| asker.is_in_pipeline_of(&holder));
            match asker {
                Some(asker) if asker.run() < holder.run() => false,
                Some(asker) if asker.step() == holder.step() => asker.run() > holder.run(),
                Some(_) if siblings_are_over && created.is_some_and(|created| created < began) => {
                    let is_silent = matches!(answer, Answer::NoToken | Answer::Silence { .. });
                    is_silent || proves(&answer, &holder, created)
                }
                _ => proves(&answer, &holder, created),
            }
        });
        let is_unseen = sighting == Presence::Nothing;
        let released = matches!(judge(&lock, &evidence, &answer), Verdict::Release(_));
        prop_assert_eq!(released, is_unseen && (is_here || is_proved));
    }
}
