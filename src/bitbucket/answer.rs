//! Reads what Bitbucket answers about a step: lenient in what may be missing or new, strict in what
//! a conclusion will rest on.

use serde_json::Value;

use super::error::ApiError;
use crate::lock::StepReport;

/// Reads the answer to a question about `step`.
pub(super) fn read(answer: &Value, step: &str) -> Result<StepReport, ApiError> {
    let step = || step.to_owned();
    if !is_about(&answer["uuid"], &step()) {
        return Err(ApiError::OtherStep { step: step() });
    }
    let state = &answer["state"];
    let Some(name) = name(state) else {
        return Err(ApiError::Malformed { step: step() });
    };
    if !fits(&state["type"], &name) {
        return Err(ApiError::Contradiction {
            step: step(),
            name,
            kind: state["type"].as_str().unwrap_or_default().to_owned(),
        });
    }
    Ok(StepReport {
        state: name,
        stage: self::name(&state["stage"]),
        result: self::name(&state["result"]),
        run: number(&answer["run_number"]),
        completed: answer["completed_on"]
            .as_str()
            .and_then(|time| time.parse().ok()),
    })
}

/// A UUID comes with braces or without.
pub(super) fn without_braces(uuid: &str) -> &str {
    uuid.trim_matches(['{', '}'])
}

fn is_about(uuid: &Value, step: &str) -> bool {
    match uuid {
        Value::Null => true,
        Value::String(uuid) => without_braces(uuid).eq_ignore_ascii_case(without_braces(step)),
        _ => false,
    }
}

fn name(part: &Value) -> Option<String> {
    part["name"]
        .as_str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// Whether the type of a state is the longer form of its name, as in
/// `pipeline_step_state_completed_stopped`.
fn fits(kind: &Value, name: &str) -> bool {
    let rest = match kind {
        Value::Null => return true,
        Value::String(kind) => kind
            .strip_prefix("pipeline_step_state_")
            .and_then(|kind| kind.strip_prefix(name.to_lowercase().as_str())),
        _ => None,
    };
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        value => value.as_u64()?.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const STEP: &str = "1b7ae3d0-0000-4000-8000-00000000000a";

    #[test]
    fn a_step_that_was_stopped_is_read() {
        let answer = json!({
            "type": "pipeline_step",
            "uuid": format!("{{{}}}", STEP.to_uppercase()),
            "run_number": 2,
            "completed_on": "2026-11-23T00:10:00.123456+00:00",
            "state": {
                "type": "pipeline_step_state_completed",
                "name": "COMPLETED",
                "result": {"type": "pipeline_step_state_completed_stopped", "name": "STOPPED"},
            },
        });
        let expected = StepReport {
            state: "COMPLETED".to_owned(),
            stage: None,
            result: Some("STOPPED".to_owned()),
            run: Some(2),
            completed: Some("2026-11-23T00:10:00.123456Z".parse().unwrap()),
        };
        assert_eq!(read(&answer, STEP), Ok(expected));
    }

    #[test]
    fn what_is_missing_or_new_does_no_harm() {
        let report = |state: &str| StepReport {
            state: state.to_owned(),
            ..StepReport::default()
        };
        for (answer, expected) in [
            (json!({"state": {"name": "PENDING"}}), report("PENDING")),
            (
                json!({"state": {"name": "TELEPORTED"}}),
                report("TELEPORTED"),
            ),
            (
                json!({
                    "run_number": "3",
                    "completed_on": "yesterday",
                    "colour": {"name": "blue"},
                    "state": {
                        "name": "COMPLETED",
                        "type": "pipeline_step_state_completed_by_hand",
                        "result": "STOPPED",
                        "stage": {"name": ["RUNNING"]},
                        "more": {"state": {"name": "IN_PROGRESS"}},
                    },
                }),
                StepReport {
                    run: Some(3),
                    ..report("COMPLETED")
                },
            ),
        ] {
            assert_eq!(read(&answer, STEP), Ok(expected), "{answer}");
        }
    }

    #[test]
    fn a_run_that_is_no_number_is_not_known() {
        for run in [
            json!(-1),
            json!(1.5),
            json!(u64::MAX),
            json!("2nd"),
            json!([2]),
        ] {
            assert_eq!(number(&run), None, "{run}");
        }
    }

    #[test]
    fn an_answer_without_a_state_is_none() {
        for answer in [
            json!([]),
            json!("COMPLETED"),
            json!({}),
            json!({"state": "COMPLETED"}),
            json!({"state": {"name": null}}),
            json!({"state": {"name": ""}}),
            json!({"state": {"result": {"name": "STOPPED"}}}),
        ] {
            let error = read(&answer, STEP).unwrap_err();
            assert!(matches!(error, ApiError::Malformed { .. }), "{answer}");
        }
    }

    #[test]
    fn an_answer_about_another_step_is_none() {
        for uuid in [json!("{1b7ae3d0-0000-4000-8000-00000000000b}"), json!(7)] {
            let answer = json!({"uuid": uuid, "state": {"name": "COMPLETED"}});
            let error = read(&answer, STEP).unwrap_err();
            assert!(matches!(error, ApiError::OtherStep { .. }), "{uuid}");
        }
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_none() {
        for kind in [
            json!("pipeline_step_state_in_progress"),
            json!("pipeline_step_state_completedly"),
            json!("pipeline_state_completed"),
            json!(true),
        ] {
            let answer = json!({"state": {"name": "COMPLETED", "type": kind}});
            let error = read(&answer, STEP).unwrap_err();
            assert!(matches!(error, ApiError::Contradiction { .. }), "{kind}");
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "(pipeline_step_state_)?(completed|COMPLETED)".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let field = prop_oneof!["name", "type", "state", "uuid", "result", "stage", ".*"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(field, inner, 0..4)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic_or_see_a_state_that_is_not_there(
            uuid in anything(), name in anything(), kind in anything(), rest in anything(),
        ) {
            let state = json!({"name": name, "type": kind, "result": rest, "stage": rest});
            let answer = json!({"uuid": uuid, "state": state, "run_number": rest, "completed_on": rest});
            for answer in [answer, rest, state] {
                if let Ok(report) = read(&answer, STEP) {
                    prop_assert_eq!(answer["state"]["name"].as_str(), Some(report.state.as_str()));
                }
            }
        }
    }
}
