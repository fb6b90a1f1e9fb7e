//! The store against an emulator of Code Insights.

use jiff::Timestamp;
use serde_json::{Value, json};
use softstop_test_support::{CodeInsights, InsightsFault};
use uuid::Uuid;

use super::form::id;
use super::masked::Masks;
use super::record::{Entry, PlaceName, Record, Stand};
use super::store::Store;
use crate::bitbucket::InsightsError;
use crate::bitbucket::insights::Insights;
use crate::lock::Owner;
use crate::tools::progress::{Fate, Resource};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn owner(step: u128, run: u32) -> Owner {
    let (pipeline, step) = (Uuid::from_u128(1), Uuid::from_u128(step));
    Owner::new("acme", "infra", 42, pipeline, step, run).unwrap()
}

pub(super) fn entry(address: &str, stage: Fate) -> Entry {
    let id = (stage == Fate::Complete).then(|| format!("id-of-{address}"));
    Entry::of(Resource::created(address, stage, id.as_deref()))
}

pub(super) fn record(entries: impl IntoIterator<Item = Entry>) -> Record {
    Record {
        owner: owner(2, 1),
        commit: COMMIT.to_owned(),
        place: PlaceName::on_s3("infra/prod"),
        stand: Stand::Running,
        entries: entries.into_iter().collect(),
        dropped: 0,
        has_plan: true,
        is_behind: false,
    }
}

/// So many resources, in the order of their addresses.
fn many(count: usize, stage: Fate) -> Vec<Entry> {
    (0..count)
        .map(|number| entry(&format!("a.b[{number:05}]"), stage))
        .collect()
}

pub(super) fn store_at(proxy: &str) -> Store {
    let insights = Insights::new(&[proxy], "acme", "infra").unwrap();
    Store::new(insights, Masks::new([], []))
}

async fn read(server: &CodeInsights, record: &Record) -> Option<Record> {
    let store = store_at(&server.proxy());
    let read = store.of_step(COMMIT, &record.owner, &record.place).await;
    read.unwrap()
}

/// What was asked since so many requests.
fn asked(server: &CodeInsights, since: usize) -> Vec<(String, usize)> {
    let requests = server.requests().into_iter().skip(since);
    let size = |body: &Value| body.as_array().map_or(0, Vec::len);
    requests
        .map(|request| (request.method, size(&request.body)))
        .collect()
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let server = CodeInsights::start();
    let record = record([
        entry("a.complete", Fate::Complete),
        entry("a.in_flight", Fate::InFlight),
        entry("a.not_begun", Fate::NotBegun),
    ]);
    assert_eq!(read(&server, &record).await, None);
    let store = store_at(&server.proxy());
    store.write(record.clone()).await.unwrap();
    assert_eq!(read(&server, &record).await, Some(record.clone()));
    assert_eq!(store.on_commit(COMMIT).await, Ok(vec![record]));
    let [report] = &server.reports("acme", "infra", COMMIT)[..] else {
        panic!("there is one report");
    };
    assert_eq!(report["result"], "PENDING");
    assert_eq!(
        report["details"],
        "Build 42 is deploying, or was killed: it has not told of its end.\n\
         How far it is with each resource is listed below."
    );
}

#[tokio::test]
async fn only_what_has_changed_is_written_again() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let mut record = record(many(250, Fate::NotBegun));
    store.write(record.clone()).await.unwrap();
    let put = |size| ("PUT".to_owned(), size);
    let post = |size| ("POST".to_owned(), size);
    assert_eq!(asked(&server, 0), [put(0), post(100), post(100), post(50)]);
    store.write(record.clone()).await.unwrap();
    assert_eq!(asked(&server, 4), []);
    record.entries[7] = entry("a.b[00007]", Fate::InFlight);
    store.write(record.clone()).await.unwrap();
    assert_eq!(asked(&server, 4), [post(1)]);
    record.is_behind = true;
    record.entries[8] = entry("a.b[00008]", Fate::InFlight);
    store.write(record.clone()).await.unwrap();
    // What has become of it first.
    assert_eq!(asked(&server, 5), [post(1), put(0)]);
    assert_eq!(read(&server, &record).await, Some(record));
}

#[tokio::test]
async fn a_record_without_entries_is_written_once() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    assert_eq!(store.write(record([])).await, Ok(1));
    assert_eq!(store.write(record([])).await, Ok(0));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(store.write(record(many(1, Fate::InFlight))).await, Ok(2));
}

#[tokio::test]
async fn of_too_many_complete_ones_the_newest_are_there_while_nobody_knows_what_the_state_has() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let mut entries = many(1_500, Fate::Complete);
    // Against the order of their addresses.
    for (age, entry) in (0..).zip(&mut entries) {
        entry.resource.begun = Some(Timestamp::from_second(1_800_000_000 - age).unwrap().into());
    }
    entries.reverse();
    for entry in &mut entries[..10] {
        entry.resource.stage = Fate::NotBegun;
        entry.resource.begun = None;
    }
    entries.rotate_left(700);
    let record = record(entries);
    store.write(record.clone()).await.unwrap();
    let read = read(&server, &record).await.unwrap();
    let address = |entry: &Entry| entry.resource.address.clone();
    let there: Vec<Box<str>> = read.entries.iter().map(address).collect();
    let newest: Vec<Box<str>> = many(1_000, Fate::Complete).iter().map(address).collect();
    assert_eq!((there, read.dropped), (newest, 500));
}

#[tokio::test]
async fn what_is_not_listed_of_a_deploy_that_has_ended_counts_only_where_it_is_open() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let mut record = record(many(1_500, Fate::Complete));
    record.stand = Stand::Unfinished;
    for entry in &mut record.entries[1_200..] {
        entry.is_stored = Some(true);
    }
    store.write(record.clone()).await.unwrap();
    let left = read(&server, &record).await.unwrap();
    assert_eq!((left.entries.len(), left.dropped), (1_000, 200));
}

#[tokio::test]
async fn what_got_no_answer_is_written_again() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let record = record(many(150, Fate::NotBegun));
    for lost in 0..3 {
        server.fail([InsightsFault::LoseAnswer]);
        let failed = store.write(record.clone()).await;
        assert!(
            matches!(failed, Err(InsightsError::BrokenOff(_))),
            "{lost}: {failed:?}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    store.write(record.clone()).await.unwrap();
    assert_eq!(read(&server, &record).await, Some(record));
}

#[tokio::test]
async fn what_was_written_without_an_answer_is_not_left_where_it_is_taken_back() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let begun = record([entry("a.b", Fate::InFlight)]);
    let failed = Record {
        is_behind: true,
        ..record([entry("a.b", Fate::Failed)])
    };
    let lost = Some(InsightsFault::LoseAnswer);
    for faults in [vec![lost], vec![None, lost]] {
        store.write(begun.clone()).await.unwrap();
        server.fail(faults);
        assert!(store.write(failed.clone()).await.is_err());
        store.write(begun.clone()).await.unwrap();
        assert_eq!(read(&server, &begun).await.as_ref(), Some(&begun));
    }
}

#[tokio::test]
async fn of_more_resources_than_there_is_room_for_those_in_flight_are_there_at_any_time() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let mut record = record(many(1_500, Fate::NotBegun));
    store.write(record.clone()).await.unwrap();
    for begun in [0..10, 700..710, 1_400..1_500] {
        for entry in &mut record.entries[begun.clone()] {
            entry.resource.stage = Fate::InFlight;
        }
        store.write(record.clone()).await.unwrap();
        let read = read(&server, &record).await.unwrap();
        assert_eq!(read.entries.len(), 1_000);
        assert_eq!(read.dropped, 500);
        let is_there = |entry: &&Entry| read.entries.contains(entry);
        let there = record.entries[begun.clone()].iter().filter(is_there);
        assert_eq!(there.count(), begun.len());
        for entry in &mut record.entries[begun] {
            entry.resource.stage = Fate::Complete;
            entry.is_stored = Some(true);
        }
    }
}

#[tokio::test]
async fn what_leaves_the_journal_is_not_read_any_more() {
    let server = CodeInsights::start();
    let first = record(many(30, Fate::Complete));
    let earlier = store_at(&server.proxy());
    earlier.write(first.clone()).await.unwrap();
    // Another process, which knows of the first one only what it reads.
    let store = store_at(&server.proxy());
    let mut left = store
        .of_step(COMMIT, &first.owner, &first.place)
        .await
        .unwrap()
        .unwrap();
    left.entries
        .retain(|entry| entry.resource.address.ends_with("5]"));
    left.stand = Stand::Unfinished;
    store.write(left.clone()).await.unwrap();
    assert_eq!(left.entries.len(), 3);
    assert_eq!(read(&server, &first).await, Some(left));
}

#[tokio::test]
async fn one_commit_holds_the_records_of_several_steps_runs_and_places() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let mut all = Vec::new();
    for (step, run, directory) in [(2, 1, "a"), (2, 1, "b"), (2, 2, "a"), (3, 1, "a")] {
        let mut record = record([entry(directory, Fate::InFlight)]);
        record.owner = owner(step, run);
        directory.clone_into(&mut record.place.directory);
        store.write(record.clone()).await.unwrap();
        all.push(record);
    }
    for record in &all {
        assert_eq!(read(&server, record).await.as_ref(), Some(record));
    }
    let mut found = store.on_commit(COMMIT).await.unwrap();
    let name = |record: &Record| id(&record.owner, &record.place);
    found.sort_by_key(name);
    all.sort_by_key(name);
    assert_eq!(found, all);
    assert_eq!(store.on_commit(&COMMIT[..12]).await.unwrap().len(), 4);
    assert_eq!(store.on_commit("ffffffffffff").await, Ok(Vec::new()));
}

#[tokio::test]
async fn of_what_is_settled_the_entries_are_only_counted() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let mut record = record(many(3, Fate::Complete));
    record.stand = Stand::Settled;
    store.write(record.clone()).await.unwrap();
    let before = server.requests().len();
    let [read] = &store.on_commit(COMMIT).await.unwrap()[..] else {
        panic!("there is one record");
    };
    assert_eq!((read.stand, read.dropped), (Stand::Settled, 3));
    assert_eq!(server.requests().len(), before + 1);
}

#[tokio::test]
async fn reports_of_others_and_forged_ones_are_passed_over() {
    let server = CodeInsights::start();
    let store = store_at(&server.proxy());
    let record = record([entry("a.b", Fate::InFlight)]);
    store.write(record.clone()).await.unwrap();
    let own = server.reports("acme", "infra", COMMIT).remove(0);
    let forge = |id: &str, stamp: &str| {
        let mut report = own.clone();
        report["external_id"] = json!(id);
        report["data"][0]["value"] = json!(stamp);
        server.forge("acme", "infra", COMMIT, &report, &[]);
    };
    let stamp = record.owner.to_string();
    forge("coverage-1", &stamp);
    forge("softstop-1", &stamp);
    let abroad = Owner::parse(&stamp.replace("infra", "other")).unwrap();
    forge(&id(&abroad, &record.place), &abroad.to_string());
    assert!(matches!(
        store.of_step(COMMIT, &record.owner, &record.place).await,
        Err(InsightsError::Malformed)
    ));
    assert_eq!(store.on_commit(COMMIT).await, Ok(Vec::new()));
}

#[tokio::test]
async fn no_secret_is_written() {
    let server = CodeInsights::start();
    let insights = Insights::new(&[&server.proxy()], "acme", "infra").unwrap();
    let words = ["--backend-config=password=given-to-softstop"];
    let variables = [
        ("DB_PASSWORD", "hunter22-hunter22"),
        ("HOME", "/infra/prod"),
    ];
    let store = Store::new(insights, Masks::new(variables, words));
    let mut secret = entry("a.b[\"hunter22-hunter22\"]", Fate::Complete);
    secret.resource.unit = Some("given-to-softstop".into());
    let mut with_id = entry("a.c", Fate::Complete);
    with_id.resource.id = Some("x:given-to-softstop".into());
    let record = record([secret, with_id]);
    store.write(record.clone()).await.unwrap();
    let sent = format!("{:?}", server.requests());
    assert!(
        !sent.contains("hunter22") && !sent.contains("given-to"),
        "{sent}"
    );
    let read = store.of_step(COMMIT, &record.owner, &record.place).await;
    let read = read.unwrap().unwrap();
    let addresses = read.entries.iter().map(|one| &*one.resource.address);
    assert_eq!(addresses.collect::<Vec<_>>(), ["a.c", "a.b[\"***\"]"]);
    assert!(read.entries.iter().all(|one| one.resource.id.is_none()));
}

#[tokio::test]
async fn without_a_proxy_nothing_is_known() {
    let record = record([]);
    let store = store_at(&CodeInsights::nobody());
    let written = store.write(record.clone()).await;
    assert_eq!(written, Err(InsightsError::NotThere));
    assert_eq!(store.on_commit(COMMIT).await, Err(InsightsError::NotThere));
    let read = store.of_step(COMMIT, &record.owner, &record.place).await;
    assert_eq!(read, Err(InsightsError::NotThere));
}

#[tokio::test]
async fn the_proxy_of_a_pipe_is_found_behind_one_that_is_not_there() {
    let server = CodeInsights::start();
    let proxies = [CodeInsights::nobody(), server.proxy()];
    let proxies = proxies.each_ref().map(String::as_str);
    let insights = Insights::new(&proxies, "acme", "infra").unwrap();
    let store = Store::new(insights, Masks::new([], []));
    let record = record([entry("a.b", Fate::InFlight)]);
    store.write(record.clone()).await.unwrap();
    assert_eq!(read(&server, &record).await, Some(record));
}
