//! No body, however it is mangled, makes a step over that is not.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::answer::{read, without_braces};
use crate::mutation::{at_least, mutated};

const STEP: &str = "22222222-2222-4222-8222-222222222222";

const BODIES: &[&str] = &[
    include_str!("../../test/fixtures/bitbucket/completed.json"),
    include_str!("../../test/fixtures/bitbucket/in_progress.json"),
    include_str!("../../test/fixtures/bitbucket/pending.json"),
    include_str!("../../test/fixtures/bitbucket/not_found.json"),
];

/// What happens to one value of a body.
#[derive(Clone, Debug)]
enum Change {
    Become(Value),
    Rename(String),
    Nest(bool),
    Case(bool),
    BecomeWhole,
}

fn any_change() -> impl Strategy<Value = Change> {
    let value = select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(2),
        json!("2"),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("COMPLETED"),
        json!("completed"),
        json!("IN_PROGRESS"),
        json!("COMPLETED\u{0}"),
        json!([]),
        json!({}),
        json!(["COMPLETED"]),
        json!({"name": "COMPLETED"}),
        json!("pipeline_step_state_completed"),
        json!("{22222222-2222-4222-8222-222222222223}"),
        json!("0000-00-00T00:00:00Z"),
        json!("9999-12-31T23:59:60+23:59"),
    ]);
    let name = select(vec![
        "name", "state", "uuid", "type", "State", "result", "stage", "x",
    ]);
    prop_oneof![
        value.prop_map(Change::Become),
        name.prop_map(|name| Change::Rename(name.to_owned())),
        any::<bool>().prop_map(Change::Nest),
        any::<bool>().prop_map(Change::Case),
        Just(Change::BecomeWhole),
    ]
}

/// A body whose fields are dropped, renamed, retyped, nested or written in another case.
fn reshaped() -> impl Strategy<Value = Value> {
    let changes = vec((any::<Index>(), any_change()), 0..5);
    (select(BODIES), changes).prop_map(|(body, changes)| {
        let mut body: Value = serde_json::from_str(body).unwrap();
        for (place, change) in changes {
            let mut pointers = Vec::new();
            list(&body, "", &mut pointers);
            let pointer = pointers[place.index(pointers.len())].clone();
            apply(&mut body, &pointer, change);
        }
        body
    })
}

fn list(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    pointers.push(pointer.to_owned());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| list(value, &format!("{pointer}/{name}"), pointers)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| list(value, &format!("{pointer}/{index}"), pointers)),
        _ => {}
    }
}

fn apply(body: &mut Value, pointer: &str, change: Change) {
    if let (Change::Rename(new), Some((parent, name))) = (&change, pointer.rsplit_once('/')) {
        let parent = body.pointer_mut(parent).and_then(Value::as_object_mut);
        if let Some((parent, value)) = parent.and_then(|parent| {
            let value = parent.remove(name)?;
            Some((parent, value))
        }) {
            parent.insert(new.clone(), value);
        }
        return;
    }
    let whole = body.clone();
    let Some(value) = body.pointer_mut(pointer) else {
        return;
    };
    match change {
        Change::Become(other) => *value = other,
        Change::Nest(true) => *value = json!([value.take()]),
        Change::Nest(false) => *value = json!({"name": value.take()}),
        Change::Case(is_upper) => {
            if let Some(text) = value.as_str() {
                *value = Value::from(if is_upper {
                    text.to_uppercase()
                } else {
                    text.to_lowercase()
                });
            }
        }
        Change::BecomeWhole => *value = whole,
        Change::Rename(_) => {}
    }
}

/// What the answer has to be where the step is taken for over, in other words than the reader's.
fn says_completed(answer: &Value) -> bool {
    let is_ours = match answer.get("uuid") {
        None | Some(Value::Null) => true,
        Some(uuid) => uuid
            .as_str()
            .is_some_and(|uuid| without_braces(uuid).to_lowercase() == STEP),
    };
    is_ours && answer.pointer("/state/name") == Some(&json!("COMPLETED"))
}

fn check(answer: &Value) -> Result<(), TestCaseError> {
    if let Ok(report) = read(answer, STEP) {
        prop_assert!(
            report.state != "COMPLETED" || says_completed(answer),
            "{answer}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(at_least(1024))]

    #[test]
    fn no_reshaped_answer_makes_a_step_over_that_is_not(answer in reshaped()) {
        check(&answer)?;
    }

    #[test]
    fn no_mutated_answer_makes_a_step_over_that_is_not(body in mutated(BODIES)) {
        if let Ok(answer) = serde_json::from_str(&body) {
            check(&answer)?;
        }
    }
}

#[test]
fn an_answer_that_is_nested_deep_is_none() {
    for open in ["[", "{\"state\":", "{\"a\":[", "[{\"name\":"] {
        assert!(
            serde_json::from_str::<Value>(&open.repeat(100_000)).is_err(),
            "{open}"
        );
    }
}
