//! A record as a report with annotations, and back.
//!
//! Whoever may write to the repository may write a report, so what is read is a claim. It is taken for
//! one only where its id is the one that softstop gives to what it says it is about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Claim, Entry, PlaceName, Record, Stand};
use super::words::{self, LONGEST_DETAILS, length};
use crate::bitbucket::insights::{
    About, Annotation, AnnotationKind, AnnotationResult, Field, FieldValue, MOST_ANNOTATIONS,
    Report, ReportResult, Severity,
};
use crate::lock::Owner;
use crate::tools::progress::{Action, Begun, Fate, Resource};

/// With which the ids of softstop's reports begin.
const BEGINNING: &str = "softstop-";
const REPORTER: &str = "softstop";
/// No limit is published for it; this is how long other short texts may be.
const LONGEST_VALUE: usize = 450;

const STAMP: &str = "Stamp";
const DIRECTORY: &str = "Directory";
const WORKSPACE: &str = "Workspace";
const BACKEND: &str = "Backend";
const LISTED: &str = "Resources";
const NOT_LISTED: &str = "Not listed";
const HAS_PLAN: &str = "Plan known";
const IS_BEHIND: &str = "Behind";

pub(super) const ACTIONS: [Action; 6] = [
    Action::Create,
    Action::Update,
    Action::Replace,
    Action::Destroy,
    Action::Import,
    Action::Read,
];
pub(super) const STAGES: [Fate; 6] = [
    Fate::NotBegun,
    Fate::InFlight,
    Fate::Complete,
    Fate::Failed,
    Fate::GivenUp,
    Fate::InDoubt,
];

/// What tells one resource of a record from the others.
pub(super) type Key = (Option<Box<str>>, Box<str>);

/// The same while the record is there.
pub(super) type Name<'a> = (Option<&'a str>, &'a str);

/// What a report alone says of a record.
pub(super) struct Head {
    /// Its entries are in the annotations.
    record: Record,
    /// How many of the annotations count. There may be others, of an earlier time.
    seats: usize,
}

/// One resource, as an annotation has it for machines.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    address: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Box<str>>,
    action: String,
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_state: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_log: Option<String>,
}

/// The id of the report of one run of a step, of one place.
pub(super) fn id(owner: &Owner, place: &PlaceName) -> String {
    let PlaceName {
        directory,
        workspace,
        backend,
    } = place;
    // No name has a NUL in it that Terraform or the kernel would take.
    let name = format!("{directory}\0{workspace}\0{backend}");
    let hash = digest(&SHA256, name.as_bytes());
    let hash = hash.as_ref().iter().take(8);
    let hash = hash.fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
    format!("{BEGINNING}{}-{}-{hash:016x}", owner.step(), owner.run())
}

/// Whether a report is one of softstop's by its id.
pub(super) fn is_ours(report: &Value) -> bool {
    report["external_id"]
        .as_str()
        .is_some_and(|id| id.starts_with(BEGINNING))
}

pub(super) fn name(entry: &Entry) -> Name<'_> {
    let Resource { unit, address, .. } = &entry.resource;
    (unit.as_deref(), address)
}

pub(super) fn key(entry: &Entry) -> Key {
    (entry.resource.unit.clone(), entry.resource.address.clone())
}

/// The report of a record that is limited. Nothing where its place has a name that is too long.
pub(super) fn report(record: &Record) -> Option<Report> {
    let PlaceName {
        directory,
        workspace,
        backend,
    } = &record.place;
    let text = |title, text: &str| Field {
        title,
        value: FieldValue::Text(text.to_owned()),
    };
    let number = |title, number| Field {
        title,
        value: FieldValue::Number(number),
    };
    let boolean = |title, is_so| Field {
        title,
        value: FieldValue::Boolean(is_so),
    };
    let names = [directory, workspace, backend];
    let is_short = |name: &String| !name.is_empty() && length(name) <= LONGEST_VALUE;
    names.into_iter().all(is_short).then(|| Report {
        external_id: id(&record.owner, &record.place),
        reporter: REPORTER,
        title: words::title(&record.place),
        details: words::details(record),
        about: About::Test,
        result: match record.stand {
            Stand::Running => ReportResult::Pending,
            Stand::Unfinished => ReportResult::Failed,
            Stand::Settled => ReportResult::Passed,
        },
        link: record.owner.link(),
        data: [
            text(STAMP, &record.owner.to_string()),
            text(DIRECTORY, directory),
            text(WORKSPACE, workspace),
            text(BACKEND, backend),
            number(LISTED, record.entries.len()),
            number(NOT_LISTED, record.dropped),
            boolean(HAS_PLAN, record.has_plan),
            boolean(IS_BEHIND, record.is_behind),
        ],
    })
}

/// The annotation that has this seat in a report. Nothing where the resource does not fit.
pub(super) fn annotation(
    owner: &Owner,
    report: &str,
    seat: usize,
    entry: &Entry,
) -> Option<Annotation> {
    let (result, severity) = match (entry.resource.stage, entry.is_stored) {
        (Fate::InFlight | Fate::GivenUp | Fate::InDoubt, _) | (Fate::Complete, Some(false)) => {
            (AnnotationResult::Failed, Severity::High)
        }
        (Fate::Failed, _) => (AnnotationResult::Failed, Severity::Medium),
        (Fate::Complete, _) => (AnnotationResult::Passed, Severity::Low),
        (Fate::NotBegun, _) => (AnnotationResult::Skipped, Severity::Low),
    };
    Some(Annotation {
        external_id: format!("{report}-{seat}"),
        kind: match result {
            AnnotationResult::Failed => AnnotationKind::Bug,
            AnnotationResult::Passed | AnnotationResult::Skipped => AnnotationKind::CodeSmell,
        },
        summary: words::summary(entry),
        details: kept(entry)?,
        result,
        severity,
        link: owner.link(),
    })
}

/// An entry for machines: an id that is too long is none, and without its address it is none itself.
pub(super) fn kept(entry: &Entry) -> Option<String> {
    let resource = &entry.resource;
    let mut kept = Kept {
        address: resource.address.clone(),
        unit: resource.unit.clone(),
        action: resource.action.word().to_owned(),
        stage: resource.stage.word().to_owned(),
        id: resource.id.clone(),
        old_id: resource.old_id.clone(),
        begun: resource.begun.map(Timestamp::from),
        in_state: entry.is_stored,
        by_log: entry.claim.map(|claim| claim.word().to_owned()),
    };
    let fitting = |kept: &Kept| {
        let text = serde_json::to_string(kept).ok();
        text.filter(|text| length(text) <= LONGEST_DETAILS)
    };
    let text = fitting(&kept);
    let text = text.or_else(|| {
        kept.old_id = None;
        fitting(&kept)
    });
    text.or_else(|| {
        kept.id = None;
        fitting(&kept)
    })
}

impl Head {
    /// Reads what a report on `commit` says. Nothing where it is none of softstop's, or says less, or
    /// something else, than its id.
    pub(super) fn read(report: &Value, commit: &str) -> Option<Self> {
        let fields = report["data"].as_array()?;
        let field = |title: &str| {
            let field = fields.iter().find(|field| field["title"] == title)?;
            Some(&field["value"])
        };
        let text = |title| field(title)?.as_str().map(str::to_owned);
        let number = |title| whole(field(title)?);
        let owner = Owner::parse(&text(STAMP)?)?;
        let place = PlaceName {
            directory: text(DIRECTORY)?,
            workspace: text(WORKSPACE)?,
            backend: text(BACKEND)?,
        };
        let stand = match report["result"].as_str()? {
            "PENDING" => Stand::Running,
            "FAILED" => Stand::Unfinished,
            "PASSED" => Stand::Settled,
            _ => return None,
        };
        let seats = number(LISTED)?;
        let agrees = report["external_id"] == id(&owner, &place).as_str();
        (agrees && seats <= MOST_ANNOTATIONS).then_some(())?;
        Some(Self {
            record: Record {
                owner,
                commit: commit.to_owned(),
                place,
                stand,
                entries: Vec::new(),
                dropped: number(NOT_LISTED)?,
                has_plan: field(HAS_PLAN)?.as_bool()?,
                is_behind: field(IS_BEHIND).and_then(Value::as_bool) == Some(true),
            },
            seats,
        })
    }

    pub(super) fn id(&self) -> String {
        id(&self.record.owner, &self.record.place)
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.record.owner
    }

    pub(super) fn is_settled(&self) -> bool {
        self.record.stand == Stand::Settled
    }

    /// The record without its entries, which are counted.
    pub(super) fn without_entries(self) -> Record {
        self.with(&[]).0
    }

    /// The record with what its annotations say, and which seat each resource has. What cannot be
    /// read is counted.
    pub(super) fn with(self, annotations: &[Value]) -> (Record, Vec<Option<Key>>) {
        let Self { mut record, seats } = self;
        let beginning = format!("{}-", id(&record.owner, &record.place));
        let mut seated: BTreeMap<usize, Entry> = BTreeMap::new();
        for annotation in annotations {
            let seat = annotation["external_id"].as_str();
            let seat = seat.and_then(|id| id.strip_prefix(&beginning)?.parse().ok());
            let seat = seat.filter(|seat| *seat < seats);
            if let Some((seat, entry)) = seat.zip(entry(annotation)) {
                seated.insert(seat, entry);
            }
        }
        let keys = (0..seats).map(|seat| seated.get(&seat).map(key)).collect();
        record.dropped = record.dropped.saturating_add(seats - seated.len());
        let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
        for entry in seated.into_values() {
            let known = entries.entry(key(&entry)).or_insert_with(|| entry.clone());
            if *known != entry {
                known.resource.stage = Fate::InDoubt;
            }
        }
        record.entries = entries.into_values().collect();
        (record, keys)
    }
}

/// What an annotation says of a resource, where all of it is known.
fn entry(annotation: &Value) -> Option<Entry> {
    let kept: Kept = serde_json::from_str(annotation["details"].as_str()?).ok()?;
    let action = ACTIONS.into_iter().find(|one| one.word() == kept.action)?;
    let stage = STAGES.into_iter().find(|one| one.word() == kept.stage)?;
    // No tool prints such a name, and whoever reads it in a log could take it for a line of ours.
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let is_named = is_plain(&kept.address) && kept.unit.as_deref().is_none_or(is_plain);
    is_named.then_some(Entry {
        resource: Resource {
            unit: kept.unit,
            address: kept.address,
            action,
            stage,
            id: kept.id,
            old_id: kept.old_id,
            begun: kept.begun.map(Begun::from),
        },
        is_stored: kept.in_state,
        claim: kept.by_log.as_deref().and_then(claim),
    })
}

fn claim(word: &str) -> Option<Claim> {
    Claim::ALL.into_iter().find(|claim| claim.word() == word)
}

/// A server may say `3.0` of what was written as `3`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked before"
)]
fn whole(value: &Value) -> Option<usize> {
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..1e9).contains(number);
    let number = value.as_f64().filter(is_whole)?;
    Some(number as usize)
}
