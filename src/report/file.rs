//! What a deploy has left, as JSON: `docs/report.schema.json` says what may be in it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use tracing::warn;

use crate::story::conclusion::Conclusion;
use crate::story::remains::{Heard, Left, Remains};

/// Of what form the file is. A field may come with the same number, and none goes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    outcome: &'a str,
    exit_code: u8,
    lock: &'a str,
    lock_id: String,
    heard: bool,
    plan: bool,
    state_read: bool,
    #[serde(serialize_with = "rows")]
    resources: &'a Remains<'a>,
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

impl<'a> From<Left<'a>> for Row<'a> {
    fn from(left: Left<'a>) -> Self {
        let resource = left.resource;
        Self {
            unit: resource.unit.as_deref(),
            address: &resource.address,
            action: resource.action.word(),
            stage: left.stage.word(),
            id: resource.id.as_deref(),
            old_id: resource.old_id.as_deref(),
            in_state: left.is_stored,
        }
    }
}

/// One row after the other: there may be very many.
fn rows<S: Serializer>(remains: &Remains<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(remains.left().map(Row::from))
}

/// Writes the file, also where there is one, and beside it what brings into the state what it lacks.
/// The deploy is over, so one that cannot be written changes nothing.
pub(crate) fn write(conclusion: &Conclusion, remains: &Remains<'_>, path: &Path) {
    let written = write_document(conclusion, remains, path);
    let written = written.and_then(|()| write_imports(remains, &beside(path)));
    if let Err(error) = written {
        let path = path.display();
        warn!("The report cannot be written to {path}: {error}.");
    }
}

/// Where the imports are: by a name that is no configuration, even where the report lies beside one.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".imports.txt");
    PathBuf::from(name)
}

fn write_imports(remains: &Remains<'_>, path: &Path) -> io::Result<()> {
    let Some(imports) = remains.imports() else {
        // What an earlier deploy has written there may be all that tells of it.
        return Ok(());
    };
    let mut imports = imports.peekable();
    if imports.peek().is_none() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let mut file = BufWriter::new(File::create(path)?);
    for text in imports {
        file.write_all(text.as_bytes())?;
    }
    file.flush()
}

fn write_document(conclusion: &Conclusion, remains: &Remains<'_>, path: &Path) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        outcome: conclusion.outcome.word(),
        exit_code: conclusion.exit.code(),
        lock: conclusion.locks.word(),
        lock_id: conclusion.locks.ids(),
        heard: remains.heard != Heard::Nothing,
        plan: remains.heard == Heard::Plan,
        state_read: remains.known.is_some(),
        resources: remains,
        dropped: remains.told.dropped,
        next_steps: &remains.next_steps,
    };
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut file, &document)?;
    file.write_all(b"\n")?;
    file.flush()
}
