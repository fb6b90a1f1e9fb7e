//! What Bitbucket refuses. A key that nobody knows is not among it: Bitbucket may have learned it.

use super::remark::{Remark, Severity};
use crate::pipelines::document::{Entry, Kind, Node, Position};

/// Keys that belong into a step, or into what holds steps.
const OF_A_STEP: [&str; 22] = [
    "after-script",
    "artifacts",
    "caches",
    "clone",
    "concurrency-group",
    "condition",
    "custom",
    "deployment",
    "environment",
    "fail-fast",
    "image",
    "input-variables",
    "max-time",
    "name",
    "oidc",
    "runs-on",
    "runtime",
    "script",
    "services",
    "size",
    "steps",
    "trigger",
];

/// Finds what makes Bitbucket refuse the file.
pub(super) fn find(root: &Node) -> Vec<Remark> {
    let mut refused = Refused::default();
    if let Some(limit) = root.get("options").and_then(|node| node.entry("max-time")) {
        refused.time_limit(limit);
    }
    let shared = root
        .get("definitions")
        .and_then(|node| node.entry("pipelines"));
    if let Some(shared) = shared {
        refused.section(shared);
    }
    let pipelines = root.entry("pipelines");
    if let Some(pipelines) = pipelines.filter(|entry| refused.has_pairs(entry, "pipelines")) {
        for section in pipelines.value.entries() {
            match &*section.key {
                "default" => refused.pipeline(section),
                "branches" | "custom" | "pull-requests" | "tags" => refused.section(section),
                _ => {}
            }
        }
    }
    refused.findings
}

#[derive(Default)]
struct Refused {
    findings: Vec<Remark>,
}

impl Refused {
    fn say(&mut self, position: Position, reason: &str, fix: &str) {
        self.findings.push(Remark {
            position,
            severity: Severity::Refused,
            reason: format!("Bitbucket refuses the file: {reason}").into(),
            fix: fix.to_owned(),
        });
    }

    fn has_pairs(&mut self, entry: &Entry, example: &str) -> bool {
        let is_right = entry.value.kind() == Kind::Mapping;
        if !is_right {
            let reason = format!("`{}` has to hold pairs; write:", entry.key);
            self.say(entry.position, &reason, &format!("{example}:\n  NAME: …"));
        }
        is_right
    }

    fn is_list(&mut self, entry: &Entry) -> bool {
        let is_right = !entry.value.items().is_empty();
        if !is_right {
            let reason = format!(
                "`{}` has to be a list, and not an empty one; write:",
                entry.key
            );
            self.say(entry.position, &reason, &format!("{}:\n  - …", entry.key));
        }
        is_right
    }

    fn section(&mut self, section: &Entry) {
        if self.has_pairs(section, &section.key) {
            for pipeline in section.value.entries() {
                self.pipeline(pipeline);
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Entry) {
        if pipeline.value.get("import").is_some() || !self.is_list(pipeline) {
            return;
        }
        for item in pipeline.value.items() {
            // What is said of an item is said once, however often it has a key.
            let mut said: Vec<&str> = Vec::new();
            for part in item.entries() {
                let key = &*part.key;
                if !["step", "final", "parallel", "stage"].contains(&key) {
                    continue;
                }
                if !said.contains(&key) {
                    said.push(key);
                    self.beside(item, part);
                }
                match key {
                    "parallel" => self.parallel(part),
                    "stage" => self.stage(part),
                    _ => self.step(&part.value),
                }
            }
        }
    }

    /// What stands beside a step was meant to be in it; then nothing may be left in it.
    fn beside(&mut self, item: &Node, part: &Entry) {
        let others = item.entries().iter();
        let misplaced: Vec<&Entry> = others
            .filter(|other| OF_A_STEP.contains(&&*other.key))
            .collect();
        for other in &misplaced {
            let (key, of) = (&other.key, &part.key);
            let reason = format!("`{key}` stands beside `{of}`, not in it; indent it further:");
            self.say(other.position, &reason, &format!("- {of}:\n    {key}: …"));
        }
        if misplaced.is_empty() && part.value.kind() == Kind::Text {
            let reason = format!("`{}` is empty, or only a text", part.key);
            self.say(
                part.position,
                &reason,
                &format!("- {}:\n    script:\n      - …", part.key),
            );
        }
    }

    fn parallel(&mut self, group: &Entry) {
        let steps = match group.value.kind() {
            Kind::Text => return,
            Kind::Sequence => Some(group),
            Kind::Mapping => group.value.entry("steps"),
        };
        let Some(steps) = steps else {
            let reason = "`parallel` has no `steps`; write:";
            self.say(group.position, reason, "parallel:\n  steps:\n    - step: …");
            return;
        };
        if self.is_list(steps) {
            for item in steps.value.items() {
                if let Some(step) = item.entry("step") {
                    self.beside(item, step);
                    self.step(&step.value);
                }
            }
        }
    }

    fn stage(&mut self, stage: &Entry) {
        let Some(steps) = stage.value.entry("steps") else {
            if stage.value.kind() == Kind::Mapping {
                let reason = "`stage` has no `steps`; write:";
                self.say(stage.position, reason, "stage:\n  steps:\n    - step: …");
            }
            return;
        };
        if self.is_list(steps) {
            for step in steps
                .value
                .items()
                .iter()
                .filter_map(|item| item.get("step"))
            {
                self.step(step);
            }
        }
    }

    fn step(&mut self, step: &Node) {
        for entry in step.entries() {
            match &*entry.key {
                "script" | "after-script" if self.is_list(entry) => self.script(&entry.value),
                "caches" | "services" => drop(self.is_list(entry)),
                "artifacts" => self.artifacts(entry),
                "max-time" => self.time_limit(entry),
                "trigger" if !matches!(entry.value.text(), Some("automatic" | "manual")) => {
                    let reason = "`trigger` is `automatic` or `manual`; write:";
                    self.say(entry.position, reason, "trigger: manual");
                }
                _ => {}
            }
        }
    }

    fn artifacts(&mut self, artifacts: &Entry) {
        let mut listed = artifacts.value.items().iter();
        if listed.any(|item| item.kind() != Kind::Text) {
            let reason = "an item of `artifacts` is a path; what is more stands below `upload`:";
            let fix = "artifacts:\n  upload:\n    - name: …";
            self.say(artifacts.position, reason, fix);
        }
    }

    fn script(&mut self, script: &Node) {
        for item in script.items() {
            let Some(pipe) = item.entry("pipe") else {
                continue;
            };
            let variables = item.entry("variables");
            let is_wrong = |entry: &&Entry| {
                let is_text = entry.value.text().is_some_and(|text| !text.is_empty());
                is_text || entry.value.kind() == Kind::Sequence
            };
            if let Some(variables) = variables.filter(is_wrong) {
                let reason = format!(
                    "the `variables` of a pipe (line {}) have to be pairs; write:",
                    pipe.position.line
                );
                self.say(variables.position, &reason, "variables:\n  NAME: …");
            }
        }
    }

    fn time_limit(&mut self, limit: &Entry) {
        let minutes = limit.value.text().map(str::parse::<u64>);
        if !matches!(minutes, Some(Ok(1..))) {
            let reason = "`max-time` is a number of minutes, without a unit; write:";
            self.say(limit.position, reason, "max-time: 30");
        }
    }
}
