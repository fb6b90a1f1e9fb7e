//! What a deploy has left, as JSON: `docs/report.schema.json` says what may be in it.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::remains::{Left, Remains};
use crate::tools::progress::Stage;

/// Of what form the file is. A field may come with the same number, and none goes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    outcome: &'a str,
    exit_code: u8,
    lock: &'a str,
    lock_id: &'a str,
    heard: bool,
    plan: bool,
    state_read: bool,
    resources: Vec<Row<'a>>,
    dropped: usize,
    next_steps: &'a [String],
}

#[derive(Serialize)]
struct Row<'a> {
    unit: Option<&'a str>,
    address: &'a str,
    action: &'a str,
    stage: &'a str,
    id: Option<&'a str>,
    old_id: Option<&'a str>,
    in_state: Option<bool>,
}

impl<'a> From<&'a Left> for Row<'a> {
    fn from(left: &'a Left) -> Self {
        let resource = &left.resource;
        Self {
            unit: resource.unit.as_deref(),
            address: &resource.address,
            action: resource.action.word(),
            stage: match resource.stage {
                Stage::NotBegun => "not_begun",
                Stage::InFlight => "in_flight",
                Stage::Complete => "complete",
                Stage::Failed => "failed",
                Stage::GivenUp => "may_exist",
                Stage::InDoubt => "in_doubt",
            },
            id: resource.id.as_deref(),
            old_id: resource.old_id.as_deref(),
            in_state: left.is_stored,
        }
    }
}

/// Writes the file, also where there is one.
pub(crate) fn write(remains: &Remains, path: &Path) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        outcome: remains.outcome,
        exit_code: remains.exit_code,
        lock: remains.lock,
        lock_id: &remains.lock_id,
        heard: remains.is_heard,
        plan: remains.has_plan,
        state_read: remains.state_was_read,
        resources: remains.resources.iter().map(Row::from).collect(),
        dropped: remains.dropped,
        next_steps: &remains.next_steps,
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    fs::write(path, text)
}
