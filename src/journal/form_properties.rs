//! What is written keeps every limit and is read back, and nothing that is read is taken for more than
//! it is.

use std::collections::BTreeSet;
use std::slice::from_ref;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use uuid::Uuid;

use super::form::{ACTIONS, Head, STAGES, annotation, id, key, report};
use super::record::{Claim, Entry, PlaceName, Record, Stand};
use crate::lock::Owner;
use crate::mutation::{at_least, mutated};
use crate::tools::progress::{Fate, Resource};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A report as it is written, and an annotation of it.
const REPORT: &str = r#"{"external_id":"softstop-22222222-2222-4222-8222-222222222222-1-854acb64896a19c0","title":"Deploy of . (workspace default)","details":"Build 42 is deploying.","result":"PENDING","data":[{"title":"Stamp","type":"TEXT","value":"acme/infra#42/11111111-1111-4111-8111-111111111111/22222222-2222-4222-8222-222222222222/1"},{"title":"Directory","type":"TEXT","value":"."},{"title":"Workspace","type":"TEXT","value":"default"},{"title":"Backend","type":"TEXT","value":"s3"},{"title":"Resources","type":"NUMBER","value":1},{"title":"Not listed","type":"NUMBER","value":0},{"title":"Plan known","type":"BOOLEAN","value":true}]}"#;
const ANNOTATION: &str = r#"{"external_id":"softstop-22222222-2222-4222-8222-222222222222-1-854acb64896a19c0-0","summary":"Complete: create a.b","details":"{\"address\":\"a.b\",\"action\":\"create\",\"stage\":\"complete\",\"id\":\"i-1\"}"}"#;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,8}\\.[a-z]{1,8}",
        "module\\.[a-z]{1,3}\\[\"[^\"]{0,9}\"\\]\\.x\\.y",
        "\\PC{1,40}",
        any::<String>(),
        select(vec![500, 1_024, 2_100]).prop_map(|length| "x".repeat(length)),
        select(vec![300, 900]).prop_map(|length| "\u{1f512}\"".repeat(length)),
    ]
}

/// What a tool may print as a name.
fn any_name() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| text.replace(char::is_control, ""))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let names = (option::of(any_name()), any_name());
    let ids = (option::of(any_text()), option::of(any_text()));
    let begun = option::of(1..4_000_000_000_i64);
    let rest = (
        select(&ACTIONS),
        select(&STAGES),
        begun,
        any::<Option<bool>>(),
        option::of(select(&Claim::ALL)),
    );
    (names, ids, rest).prop_map(|((unit, address), (id, old_id), rest)| {
        let (action, stage, begun, is_stored, claim) = rest;
        Entry {
            resource: Resource {
                unit: unit.map(String::into),
                address: address.into(),
                action,
                stage,
                id: id.map(String::into),
                old_id: old_id.map(String::into),
                begun: begun.map(|second| Timestamp::from_second(second).unwrap().into()),
            },
            is_stored,
            claim,
        }
    })
}

prop_compose! {
    fn any_record()(
        entries in vec(any_entry(), 0..8),
        stand in select(vec![Stand::Running, Stand::Unfinished, Stand::Settled]),
        place in ("[a-z./]{1,30}|\\PC{1,400}", "[a-z]{1,9}|\\PC{1,40}", "s3|pg|http"),
        step in 1_u128..,
        run in 1_u32..,
        dropped in 0..10_000_usize,
        has_plan: bool,
        is_behind: bool,
    ) -> Record {
        let (directory, workspace, backend) = place;
        let (pipeline, step) = (Uuid::from_u128(1), Uuid::from_u128(step));
        let mut entries = entries;
        for (number, entry) in entries.iter_mut().enumerate() {
            let address = format!("{}{number}", entry.resource.address);
            entry.resource.address = address.into();
        }
        entries.sort_by_key(key);
        Record {
            owner: Owner::new("acme", "infra", 42, pipeline, step, run).unwrap(),
            commit: COMMIT.to_owned(),
            place: PlaceName { directory, workspace, backend },
            stand,
            entries,
            dropped,
            has_plan,
            is_behind,
        }
    }
}

/// What a server would have of a record.
fn written(record: &Record) -> Option<(Value, Vec<Value>)> {
    let report = report(record)?;
    let annotations = record.entries.iter().enumerate().map(|(seat, entry)| {
        let annotation = annotation(&record.owner, &report.external_id, seat, entry);
        serde_json::to_value(annotation.unwrap()).unwrap()
    });
    let annotations = annotations.collect();
    Some((serde_json::to_value(&report).unwrap(), annotations))
}

fn length(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

/// Whether the ids that a record has are those that were written, or none where one was too long.
fn is_read_back(read: &Record, wrote: &Record) -> bool {
    let without = |entry: &Entry, id: bool, old_id: bool| {
        let mut entry = entry.clone();
        entry.resource.id = entry.resource.id.filter(|_| id);
        entry.resource.old_id = entry.resource.old_id.filter(|_| old_id);
        entry
    };
    let mut entries: Vec<&Entry> = wrote.entries.iter().collect();
    entries.sort_by_key(|entry| key(entry));
    let is_same = |(read, wrote): (&Entry, &Entry)| {
        read == wrote
            || *read == without(wrote, true, false)
            || *read == without(wrote, false, false)
    };
    read.entries.len() == entries.len()
        && read.entries.iter().zip(entries).all(is_same)
        && (Record {
            entries: Vec::new(),
            ..read.clone()
        }) == (Record {
            entries: Vec::new(),
            ..wrote.clone()
        })
}

proptest! {
    #[test]
    fn a_record_is_read_back_up_to_the_limits(record in any_record()) {
        let kept = record.clone().limited();
        let all = |record: &Record| record.entries.len() + record.dropped;
        let open = |record: &Record| {
            record.entries.iter().filter(|entry| entry.is_open()).count() + record.dropped
        };
        prop_assert!(open(&kept) >= open(&record), "nothing open is forgotten");
        prop_assert!(all(&kept) == all(&record) || record.stand == Stand::Unfinished);
        let Some((report, annotations)) = written(&kept) else {
            prop_assert!(record.place.directory.encode_utf16().count() > 450);
            return Ok(());
        };
        let head = Head::read(&report, COMMIT).unwrap();
        let (read, seats) = head.with(&annotations);
        prop_assert!(is_read_back(&read, &kept), "{read:#?}\n{kept:#?}");
        prop_assert_eq!(seats.len(), kept.entries.len());
        let is_short = |entry: &Entry| {
            serde_json::to_string(&format!("{:?}", entry.resource)).unwrap().len() < 1_000
        };
        if record.entries.iter().all(is_short) {
            prop_assert_eq!(read, record);
        }
    }

    #[test]
    fn no_limit_is_passed(record in any_record()) {
        let kept = record.clone().limited();
        let Some((report, annotations)) = written(&kept) else { return Ok(()); };
        prop_assert!(length(&report["title"]) <= 450);
        prop_assert!(length(&report["details"]) <= 2_000);
        prop_assert!(report["data"].as_array().unwrap().len() <= 10);
        prop_assert!(annotations.len() <= 1_000);
        let ids: BTreeSet<&str> =
            annotations.iter().map(|one| one["external_id"].as_str().unwrap()).collect();
        prop_assert_eq!(ids.len(), annotations.len());
        for annotation in &annotations {
            prop_assert!(length(&annotation["summary"]) <= 450);
            prop_assert!(length(&annotation["details"]) <= 2_000);
            let summary = annotation["summary"].as_str().unwrap();
            prop_assert!(!summary.contains(char::is_control), "{summary:?}");
        }
    }
}

proptest! {
    #![proptest_config(at_least(1024))]

    #[test]
    fn no_mangled_report_is_taken_for_that_of_another_step_or_place(text in mutated(&[REPORT])) {
        let Ok(report) = serde_json::from_str::<Value>(&text) else { return Ok(()); };
        let Some(head) = Head::read(&report, COMMIT) else { return Ok(()); };
        let record = head.without_entries();
        let expected = id(&record.owner, &record.place);
        prop_assert_eq!(report["external_id"].as_str(), Some(expected.as_str()));
        prop_assert!(record.entries.is_empty());
    }

    #[test]
    fn a_mangled_annotation_is_counted_or_says_what_is_in_it(text in mutated(&[ANNOTATION])) {
        let Ok(annotation) = serde_json::from_str::<Value>(&text) else { return Ok(()); };
        let report = serde_json::from_str(REPORT).unwrap();
        let (record, _) = Head::read(&report, COMMIT).unwrap().with(from_ref(&annotation));
        prop_assert_eq!(record.entries.len() + record.dropped, 1);
        for entry in &record.entries {
            let details: Value =
                serde_json::from_str(annotation["details"].as_str().unwrap()).unwrap();
            prop_assert_eq!(details["address"].as_str(), Some(&*entry.resource.address));
            prop_assert_eq!(details["id"].as_str(), entry.resource.id.as_deref());
        }
    }
}

fn report_with(field: &str, value: &Value) -> Value {
    let mut report: Value = serde_json::from_str(REPORT).unwrap();
    for one in report["data"].as_array_mut().unwrap() {
        if one["title"] == field {
            one["value"] = value.clone();
        }
    }
    report
}

#[test]
fn a_report_whose_id_is_not_that_of_its_stamp_and_place_is_none() {
    let report: Value = serde_json::from_str(REPORT).unwrap();
    assert!(Head::read(&report, COMMIT).is_some());
    let stamp = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
         22222222-2222-4222-8222-222222222222/2";
    for (field, value) in [
        ("Stamp", json!(stamp)),
        ("Stamp", json!("root")),
        ("Stamp", json!(null)),
        ("Directory", json!("prod")),
        ("Workspace", json!("prod")),
        ("Backend", json!("pg")),
        ("Resources", json!(1001)),
        ("Resources", json!(-1)),
        ("Resources", json!(0.5)),
        ("Resources", json!("1")),
        ("Not listed", json!(1e300)),
        ("Plan known", json!("true")),
    ] {
        let forged = report_with(field, &value);
        assert!(Head::read(&forged, COMMIT).is_none(), "{field}: {value}");
    }
}

#[test]
fn what_contradicts_itself_is_in_doubt_and_what_is_missing_is_counted() {
    let report = report_with("Resources", &json!(3));
    let mut annotations: Vec<Value> = Vec::new();
    for (seat, of) in [
        (0, "complete"),
        (1, "in_flight"),
        (3, "complete"),
        (7, "failed"),
    ] {
        let mut annotation: Value = serde_json::from_str(ANNOTATION).unwrap();
        let id = annotation["external_id"].as_str().unwrap();
        annotation["external_id"] = json!(format!("{}{seat}", id.trim_end_matches('0')));
        let details = annotation["details"]
            .as_str()
            .unwrap()
            .replace("complete", of);
        annotation["details"] = json!(details);
        annotations.push(annotation);
    }
    let (record, _) = Head::read(&report, COMMIT).unwrap().with(&annotations);
    let [entry] = &record.entries[..] else {
        panic!("{record:?}");
    };
    assert_eq!(entry.resource.stage, Fate::InDoubt);
    assert_eq!(record.dropped, 1);
}

#[test]
fn what_only_a_log_tells_is_shown_to_people_as_such() {
    let made = || Resource::created("a.b", Fate::Complete, Some("1"));
    for (entry, details, summary) in [
        (
            Entry::by_log(made()),
            "Told by the log of the step alone: a.b.",
            "In doubt, by the log of the step alone: create a.b",
        ),
        (Entry::of(made()), "Complete: 1.", "Complete: create a.b"),
    ] {
        let head = Head::read(&serde_json::from_str(REPORT).unwrap(), COMMIT).unwrap();
        let record = Record {
            stand: Stand::Unfinished,
            entries: vec![entry],
            ..head.without_entries()
        };
        let said = report(&record).unwrap().details;
        assert!(said.lines().any(|line| line == details), "{said}");
        assert_eq!(said.contains("by the log"), details.contains("by the log"));
        let id = id(&record.owner, &record.place);
        let written = annotation(&record.owner, &id, 0, &record.entries[0]).unwrap();
        assert_eq!(written.summary, summary);
    }
}
