//! What a status has found, for machines. What is not known is null.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::journal::{Entry, Record};
use crate::lock::{Holder, LockInfo};
use crate::printable;
use crate::recovery::Finding;
use crate::story::status::Looked;

/// All that was found, as a list.
pub(crate) fn records(looked: &[Looked]) -> String {
    let records: Vec<Value> = looked.iter().map(record).collect();
    printable::escaped(&format!("{:#}\n", Value::from(records))).into_owned()
}

fn record(looked: &Looked) -> Value {
    let (lock, alive, release, reason, by_hand) = match &looked.found {
        Err(error) => (None, None, "unknown", error.to_string(), None),
        Ok(Finding::Free | Finding::NeverLocked) => (None, None, "nothing", String::new(), None),
        Ok(Finding::Over(lock, proof)) => {
            (Some(lock), Some(false), "release", proof.to_string(), None)
        }
        Ok(Finding::Alive(lock, life)) => {
            (lock.as_ref(), Some(true), "wait", life.to_string(), None)
        }
        Ok(Finding::Doubtful(lock, doubt, by_hand)) => (
            lock.as_ref(),
            None,
            "refuse",
            doubt.to_string(),
            by_hand.text(),
        ),
    };
    let state = match &looked.found {
        Err(_) => "unknown",
        Ok(_) if looked.is_held() => "held",
        Ok(Finding::NeverLocked) => "none",
        Ok(_) => "free",
    };
    json!({
        "working_dir": looked.place,
        "state": state,
        "lock": lock.map(fields),
        "build": lock.and_then(Holder::of).map(|holder| build(&holder)),
        "alive": alive,
        "release": release,
        "reason": reason,
        "by_hand": by_hand,
        "journal": looked.record.as_ref().map(journal),
    })
}

fn fields(lock: &LockInfo) -> Map<String, Value> {
    let fields = [
        ("ID", json!(lock.id)),
        ("Operation", json!(lock.operation)),
        ("Who", json!(lock.who)),
        ("Version", json!(lock.version)),
        ("Created", json!(lock.created)),
    ];
    let more = lock.more.iter().map(|(name, text)| (*name, json!(text)));
    let all = fields.into_iter().chain(more);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the holder was heard to do.
fn journal(record: &Record) -> Value {
    let resource = |entry: &Entry| {
        json!({
            "unit": entry.resource.unit,
            "address": entry.resource.address,
            "action": entry.resource.action.word(),
            "stage": entry.resource.stage.word(),
            "id": entry.resource.id,
            "begun": entry.resource.begun.map(Timestamp::from),
        })
    };
    json!({
        "commit": record.commit,
        "plan": record.has_plan,
        "resources": record.entries.iter().map(resource).collect::<Vec<_>>(),
        "dropped": record.dropped,
    })
}

fn build(holder: &Holder) -> Value {
    let owner = &holder.owner;
    json!({
        "workspace": owner.workspace(),
        "repository": owner.repository(),
        "number": owner.build(),
        "pipeline": owner.pipeline().to_string(),
        "step": owner.step().to_string(),
        "run": owner.run(),
        "host": holder.host,
        "link": owner.link(),
    })
}
