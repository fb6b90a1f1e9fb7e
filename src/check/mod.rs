//! Reads a pipelines file, and says what is missing for a safe stop.

mod recovery;
mod refused;
mod remark;
mod remedy;
mod rules;
#[cfg(test)]
mod rules_pipelines_table;
#[cfg(test)]
mod rules_properties;
#[cfg(test)]
mod rules_table;
mod tokens;
#[cfg(test)]
mod tokens_table;
#[cfg(test)]
mod ways_table;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;
use tracing::{error, info, warn};

use crate::console::{self, PASTED};
use crate::exit_code::Exit;
use crate::pipelines::document;
use crate::pipelines::pipeline::{Pipeline, Pipelines};
use crate::printable::shortened;
use remark::{Remark, Severity};

/// How many calls that take or release a lock a file may have, and misspelt variables of them: there is
/// something to say of each.
const MOST_CALLS: usize = 1 << 15;

/// How many findings of a file are printed for people. Nobody reads more before mending some.
const MOST_SHOWN: usize = 50;

/// How many lines of a finding are printed for people, and how many characters of each.
const MOST_LINES: usize = 60;
const LONGEST_LINE: usize = 500;

/// What is known of a file.
struct Checked {
    findings: Vec<Remark>,
    /// Whether anything in it is about locks.
    has_calls: bool,
}

/// A finding, as a machine reads it.
#[derive(Serialize)]
struct Found<'a> {
    file: String,
    #[serde(flatten)]
    finding: &'a Remark,
}

/// Checks these files, and says what is found: in words to stderr, or as JSON to stdout.
pub(crate) fn run(files: &[PathBuf], json: bool) -> Exit {
    // There is nobody left to tell where writing fails.
    console::start(false, |message| drop(io::stderr().write_all(message)));
    let mut checked = Vec::new();
    let mut exits = Vec::new();
    for file in files {
        match check(file) {
            Ok(found) => checked.push((file, found)),
            Err(error) => {
                error!(target: console::FAILURE, "{}: {error:#}.", file.display());
                exits.push(Exit::BadVariable);
            }
        }
    }
    if json && (exits.is_empty() || !checked.is_empty()) {
        print(&checked);
    }
    for (file, found) in &checked {
        if !json {
            show(file, &found.findings);
        }
        exits.push(conclude(file, found));
    }
    let is = |exit| exits.contains(&exit);
    match (is(Exit::BadVariable), is(Exit::Failure)) {
        (true, _) => Exit::BadVariable,
        (_, true) => Exit::Failure,
        _ => Exit::Done,
    }
}

fn check(file: &Path) -> anyhow::Result<Checked> {
    let mut text = String::new();
    File::open(file)
        .and_then(|file| {
            let limit = u64::try_from(document::LARGEST).unwrap_or(u64::MAX);
            file.take(limit + 1).read_to_string(&mut text)
        })
        .context("cannot be read")?;
    ensure!(text.len() <= document::LARGEST, "is too large to be read");
    examine(&text)
}

fn examine(text: &str) -> anyhow::Result<Checked> {
    let root = document::read(text).context("is no YAML that can be read")?;
    let pipelines =
        Pipelines::read(&root).context("is no pipelines file: it has no `pipelines`")?;
    let calls = count_calls(&pipelines);
    ensure!(
        calls <= MOST_CALLS,
        "has {calls} calls that take or release a lock, with their misspelt variables, and no more than \
         {MOST_CALLS} can be checked; split it"
    );
    let mut findings = rules::find(&pipelines);
    findings.extend(rules::doubtful(&root));
    findings.extend(refused::find(&root));
    // A sort that keeps the order of equals takes memory for half of them, and equals are one.
    findings.sort_unstable();
    findings.dedup();
    Ok(Checked {
        findings,
        has_calls: calls > 0,
    })
}

/// How many calls there are, and misspelt variables that were meant for one.
fn count_calls(pipelines: &Pipelines) -> usize {
    let steps = pipelines.all.iter().flat_map(Pipeline::all_steps);
    let calls = steps.flat_map(|step| &step.calls);
    calls.map(|call| 1 + call.what.mistakes().len()).sum()
}

fn print(checked: &[(&PathBuf, Checked)]) {
    let found: Vec<Found<'_>> = checked
        .iter()
        .flat_map(|(file, checked)| {
            checked.findings.iter().map(|finding| Found {
                file: file.display().to_string(),
                finding,
            })
        })
        .collect();
    let mut output = io::BufWriter::new(io::stdout());
    // There is nobody left to tell where writing fails.
    let _ = serde_json::to_writer_pretty(&mut output, &found);
    let _ = writeln!(output);
}

fn show(file: &Path, findings: &[Remark]) {
    for finding in findings.iter().take(MOST_SHOWN) {
        say(file, finding);
    }
    if let Some(more) = findings
        .len()
        .checked_sub(MOST_SHOWN)
        .filter(|more| *more > 0)
    {
        let file = file.display();
        warn!(
            "{file}: {} not shown; `--json` prints all.",
            counted(more, "more finding")
        );
    }
}

fn say(file: &Path, finding: &Remark) {
    let Remark {
        position,
        severity,
        reason,
        fix,
    } = finding;
    let place = format!("{}:{}:{}", file.display(), position.line, position.column);
    let (reason, fix) = (readable(reason), readable(fix));
    match severity {
        Severity::Refused | Severity::Error => {
            error!(target: PASTED, "{place}: {reason}\n\n{fix}\n");
        }
        Severity::Warning => warn!(target: PASTED, "{place}: {reason}\n\n{fix}\n"),
    }
}

/// As much of a text as anybody reads. What a file holds is in it, thousands of names of it too.
fn readable(text: &str) -> String {
    let mut lines = text.lines();
    let shown = lines.by_ref().take(MOST_LINES);
    let mut shown: Vec<String> = shown.map(|line| shortened(line, LONGEST_LINE)).collect();
    if let more @ 1.. = lines.count() {
        let more = counted(more, "more line");
        shown.push(format!("… {more} not shown; `--json` prints all."));
    }
    shown.join("\n")
}

fn conclude(file: &Path, checked: &Checked) -> Exit {
    let count = |severity| {
        let found = checked
            .findings
            .iter()
            .filter(|finding| finding.severity == severity);
        found.count()
    };
    let refused = count(Severity::Refused);
    let (errors, warnings) = (refused + count(Severity::Error), count(Severity::Warning));
    let file = file.display();
    if errors > 0 {
        let conclusion = if refused > 0 {
            "Bitbucket refuses it"
        } else {
            "a stop is not safe"
        };
        error!(
            target: console::FAILURE,
            "{file}: {conclusion}: {} and {}.", counted(errors, "error"), counted(warnings, "warning")
        );
        return if refused > 0 {
            Exit::BadVariable
        } else {
            Exit::Failure
        };
    }
    let conclusion = if warnings > 0 {
        format!("no error, but {}", counted(warnings, "warning"))
    } else if checked.has_calls {
        "nothing is missing for a safe stop".to_owned()
    } else {
        "neither softstop nor a deploy by Terraform or OpenTofu was found, so there is nothing to say"
            .to_owned()
    };
    info!(target: console::SUCCESS, "{file}: {conclusion}.");
    Exit::Done
}

fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
