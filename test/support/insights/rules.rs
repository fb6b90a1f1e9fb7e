//! What Code Insights take, and what they refuse.

use std::collections::BTreeSet;

use serde_json::{Value, json};

const MOST_ANNOTATIONS: usize = 1_000;
const MOST_AT_ONCE: usize = 100;
const MOST_FIELDS: usize = 10;

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    NotFound,
    TooMany,
    Status(u16),
    /// For this reason.
    Bad(String),
}

impl Refusal {
    pub(super) fn answer(&self) -> (u16, String) {
        let error = |message: &str| json!({"type": "error", "error": {"message": message}});
        let (status, body) = match self {
            Self::NotFound => (404, error("Resource not found")),
            Self::TooMany => (429, error("Rate limit for this resource has been exceeded")),
            Self::Status(status) => (*status, error("Something went wrong")),
            // A service of its own answers here, in a form of its own.
            Self::Bad(message) => {
                let key = "report-service.general.bad-request";
                let body = json!({"key": key, "message": message, "arguments": {}});
                (400, body)
            }
        };
        (status, body.to_string())
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Bad(message.into()))
}

pub(super) fn check_report(body: &Value) -> Result<(), Refusal> {
    if !body.is_object() {
        return bad("The body is not a report.");
    }
    text(body, "title", true, 450)?;
    text(body, "details", true, 2_000)?;
    text(body, "reporter", false, 450)?;
    text(body, "external_id", false, 450)?;
    link(body)?;
    one_of(
        body,
        "report_type",
        &["SECURITY", "COVERAGE", "TEST", "BUG"],
    )?;
    one_of(body, "result", &["PASSED", "FAILED", "PENDING"])?;
    let data = match &body["data"] {
        Value::Null => return Ok(()),
        Value::Array(data) if data.len() <= MOST_FIELDS => data,
        _ => return bad("The data field can hold up to 10 fields."),
    };
    data.iter().try_for_each(check_field)
}

fn check_field(field: &Value) -> Result<(), Refusal> {
    text(field, "title", true, 450)?;
    let value = &field["value"];
    let fits = match field["type"].as_str() {
        None => value.is_string() || value.is_number() || value.is_boolean(),
        Some("BOOLEAN") => value.is_boolean(),
        Some("DATE" | "DURATION" | "NUMBER") => value.is_number(),
        Some("PERCENTAGE") => value
            .as_f64()
            .is_some_and(|part| (0.0..=100.0).contains(&part)),
        Some("LINK") => value["text"].is_string() && value["href"].is_string(),
        Some("TEXT") => value.is_string(),
        Some(_) => false,
    };
    if fits {
        Ok(())
    } else {
        bad(format!(
            "The value of a data field does not fit its type: {field}."
        ))
    }
}

/// All annotations of a request, by their external ids.
pub(super) fn check_annotations(body: &Value) -> Result<Vec<(&str, &Value)>, Refusal> {
    let Value::Array(annotations) = body else {
        return bad("The body is not a list of annotations.");
    };
    if annotations.is_empty() || annotations.len() > MOST_AT_ONCE {
        return bad("There must be between 1 and 100 annotations.");
    }
    let mut all = Vec::new();
    for annotation in annotations {
        text(annotation, "external_id", true, 450)?;
        check_annotation(annotation)?;
        all.push((
            annotation["external_id"].as_str().unwrap_or_default(),
            annotation,
        ));
    }
    let ids: BTreeSet<&str> = all.iter().map(|(id, _)| *id).collect();
    if ids.len() < all.len() {
        return bad("The external_id of an annotation must be unique.");
    }
    Ok(all)
}

pub(super) fn check_annotation(annotation: &Value) -> Result<(), Refusal> {
    text(annotation, "summary", true, 450)?;
    text(annotation, "details", false, 2_000)?;
    text(annotation, "path", false, 2_000)?;
    link(annotation)?;
    if annotation["annotation_type"].is_null() {
        return bad("The annotation_type field is required.");
    }
    one_of(
        annotation,
        "annotation_type",
        &["VULNERABILITY", "CODE_SMELL", "BUG"],
    )?;
    one_of(
        annotation,
        "result",
        &["PASSED", "FAILED", "SKIPPED", "IGNORED"],
    )?;
    one_of(
        annotation,
        "severity",
        &["CRITICAL", "HIGH", "MEDIUM", "LOW"],
    )?;
    match &annotation["line"] {
        Value::Null => Ok(()),
        line if line.is_u64() => Ok(()),
        _ => bad("The line field must be a number."),
    }
}

pub(super) fn check_number(annotations: usize) -> Result<(), Refusal> {
    if annotations > MOST_ANNOTATIONS {
        return bad("A report can hold up to 1000 annotations.");
    }
    Ok(())
}

fn text(body: &Value, name: &str, is_required: bool, limit: usize) -> Result<(), Refusal> {
    match &body[name] {
        Value::Null if !is_required => Ok(()),
        Value::String(text) if is_required && text.is_empty() => {
            bad(format!("The {name} field cannot be empty."))
        }
        Value::String(text) if text.encode_utf16().count() > limit => bad(format!(
            "The {name} field cannot contain more than {limit} characters."
        )),
        Value::String(_) => Ok(()),
        _ => bad(format!("The {name} field is required.")),
    }
}

fn link(body: &Value) -> Result<(), Refusal> {
    match &body["link"] {
        Value::Null => Ok(()),
        Value::String(link) if link.starts_with("https://") || link.starts_with("http://") => {
            Ok(())
        }
        _ => bad("The link field must be a URL."),
    }
}

fn one_of(body: &Value, name: &str, allowed: &[&str]) -> Result<(), Refusal> {
    match &body[name] {
        Value::Null => Ok(()),
        Value::String(word) if allowed.contains(&word.as_str()) => Ok(()),
        _ => bad(format!(
            "The {name} field must be one of {}.",
            allowed.join(", ")
        )),
    }
}
