//! Reads a pipelines file, and says what is missing for a safe stop.

#[cfg(test)]
mod any_text;
mod document;
mod findings;
mod pipelines;
pub(crate) mod releases;
mod remedy;
mod script;
mod shell;
mod surroundings;
mod target;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use tracing::{error, info, warn};

use crate::exit_code::Exit;
use crate::pipe::console;
use findings::{Finding, Severity};
use pipelines::Pipelines;

/// Checks this file, and says what is found: in words to stderr, or as JSON to stdout.
pub(crate) fn run(file: &Path, json: bool) -> Exit {
    // There is nobody left to tell where writing fails.
    console::start(false, |message| drop(io::stderr().write_all(message)));
    let pipelines = match read(file) {
        Ok(pipelines) => pipelines,
        Err(error) => {
            error!(target: console::FAILURE, "{}: {error:#}.", file.display());
            return Exit::BadVariable;
        }
    };
    let findings = findings::find(&pipelines);
    if json {
        let answer = serde_json::json!(findings);
        let _ = writeln!(io::stdout(), "{answer:#}");
    } else {
        for finding in &findings {
            say(file, finding);
        }
    }
    conclude(file, &pipelines, &findings)
}

fn read(file: &Path) -> anyhow::Result<Pipelines> {
    let mut text = String::new();
    File::open(file)
        .and_then(|file| {
            let limit = u64::try_from(document::LARGEST).unwrap_or(u64::MAX);
            file.take(limit + 1).read_to_string(&mut text)
        })
        .context("cannot be read")?;
    ensure!(text.len() <= document::LARGEST, "is too large to be read");
    let root = document::read(&text).context("is no YAML that can be read")?;
    Pipelines::read(&root).context("is no pipelines file: it has no `pipelines`")
}

fn say(file: &Path, finding: &Finding) {
    let Finding {
        position,
        severity,
        reason,
        fix,
    } = finding;
    let place = format!("{}:{}:{}", file.display(), position.line, position.column);
    match severity {
        Severity::Error => error!("{place}: {reason}\n\n{fix}\n"),
        Severity::Warning => warn!("{place}: {reason}\n\n{fix}\n"),
    }
}

fn conclude(file: &Path, pipelines: &Pipelines, findings: &[Finding]) -> Exit {
    let count = |severity| {
        let found = findings
            .iter()
            .filter(|finding| finding.severity == severity);
        found.count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let file = file.display();
    if errors > 0 {
        error!(
            target: console::FAILURE,
            "{file}: a stop is not safe: {} and {}.", counted(errors, "error"), counted(warnings, "warning")
        );
        return Exit::Failure;
    }
    let mut steps = pipelines.all.iter().flat_map(|pipeline| &pipeline.steps);
    let conclusion = if warnings > 0 {
        format!("no error, but {}", counted(warnings, "warning"))
    } else if steps.all(|step| step.calls.is_empty()) {
        "neither softstop nor a deploy by Terraform was found, so there is nothing to say"
            .to_owned()
    } else {
        "nothing is missing for a safe stop".to_owned()
    };
    info!(target: console::SUCCESS, "{file}: {conclusion}.");
    Exit::Done
}

fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
