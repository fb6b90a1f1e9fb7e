//! No input without a proof ever gives a release.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::owner::tests::{STAMP, any_owner};
use super::verdict_table::{HOST, at, lock, owner, rerun, sibling, stranger};
use super::{Answer, Evidence, Holder, LockInfo, Owner, StepReport, Verdict, judge};

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
