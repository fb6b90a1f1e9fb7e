//! One line that Terraform has printed with `-json`.

use serde::Deserialize;

use super::line::{Event, Id, Said, is_canceled, unit};
use crate::tools::progress::Action;

/// How every such line begins.
const BEGIN: &str = "{\"@level\":\"";

/// A line, as far as it matters.
#[derive(Deserialize)]
struct Line {
    r#type: String,
    #[serde(default)]
    change: Option<Change>,
    #[serde(default)]
    hook: Option<Hook>,
    #[serde(default)]
    diagnostic: Option<Diagnostic>,
    #[serde(default)]
    changes: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    operation: String,
    #[serde(default)]
    add: u32,
    #[serde(default)]
    change: u32,
    #[serde(default)]
    remove: u32,
}

impl Summary {
    /// How much was changed, where it is not a plan that ends with such a line too.
    fn of_a_run(&self) -> Option<u32> {
        let all = self.add.saturating_add(self.change);
        let is_run = matches!(self.operation.as_str(), "apply" | "destroy");
        is_run.then(|| all.saturating_add(self.remove))
    }
}

#[derive(Deserialize)]
struct Change {
    resource: Resource,
    action: String,
}

#[derive(Deserialize)]
struct Hook {
    resource: Resource,
    #[serde(default)]
    action: String,
    #[serde(default)]
    id_key: String,
    #[serde(default)]
    id_value: String,
}

#[derive(Deserialize)]
struct Resource {
    addr: String,
}

#[derive(Deserialize)]
struct Diagnostic {
    severity: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    address: String,
}

/// The part of a line that is JSON of Terraform's, and what stands before it.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    line.find(BEGIN).map(|place| line.split_at(place))
}

/// What this JSON tells, if anything.
pub(super) fn read(prefix: &str, json: &str) -> Option<Said> {
    let line: Line = serde_json::from_str(json.trim_end()).ok()?;
    let (address, event) = line.event()?;
    Some(Said {
        unit: unit(prefix),
        address,
        event,
    })
}

impl Line {
    fn event(self) -> Option<(String, Event)> {
        if let Some(changes) = self.changes.and_then(|changes| changes.of_a_run()) {
            return Some((String::new(), Event::Ended { changes }));
        }
        match (
            self.r#type.as_str(),
            self.change,
            self.hook,
            self.diagnostic,
        ) {
            ("version", ..) => Some((String::new(), Event::Plan)),
            ("planned_change", Some(change), ..) => {
                // That a resource was imported is never told, so nobody would learn that it is done.
                let action = action(&change.action).filter(|action| *action != Action::Import)?;
                Some((change.resource.addr, Event::Planned(action)))
            }
            ("diagnostic", .., Some(told)) => {
                let is_canceled = is_canceled(&told.summary) || is_canceled(&told.detail);
                let is_about = told.severity == "error" && !told.address.is_empty();
                is_about.then_some((told.address, Event::Failed { is_canceled }))
            }
            (kind, _, Some(hook), _) => {
                let action = action(&hook.action)?;
                let id = match hook.id_key.as_str() {
                    "id" => Id::Whole(hook.id_value),
                    _ => Id::None,
                };
                let event = match kind {
                    "apply_start" => Event::Begun(action, id),
                    "apply_progress" => Event::GoesOn(action),
                    "apply_complete" => Event::Complete(action, id),
                    "apply_errored" => Event::Failed { is_canceled: false },
                    _ => return None,
                };
                Some((hook.resource.addr, event))
            }
            _ => None,
        }
    }
}

fn action(word: &str) -> Option<Action> {
    Some(match word {
        "create" => Action::Create,
        "update" => Action::Update,
        "replace" => Action::Replace,
        "delete" => Action::Destroy,
        "import" => Action::Import,
        "read" => Action::Read,
        _ => return None,
    })
}
