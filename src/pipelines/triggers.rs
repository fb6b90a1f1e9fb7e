//! Pipelines that the end of a pipeline starts: one that its own end starts never ends.

use super::document::{Node, Position};

/// How deep a condition may be nested: it is read by recursion.
const DEEPEST: usize = 32;

/// A trigger, as far as it starts pipelines when pipelines end.
#[derive(Debug)]
pub(crate) struct Trigger {
    pub(crate) position: Position,
    condition: String,
    /// The custom pipelines that it starts.
    pub(crate) pipelines: Vec<String>,
}

impl Trigger {
    /// Reads the triggers of a file.
    pub(crate) fn read(root: &Node) -> Vec<Self> {
        let completed = root
            .get("triggers")
            .and_then(|node| node.get("pipeline-completed"));
        let items = completed.map(Node::items).unwrap_or_default();
        let triggers = items.iter().filter_map(|item| {
            let condition = item.entry("condition")?;
            let pipelines = item.get("pipelines")?.items().iter();
            Some(Self {
                position: condition.position,
                condition: condition.value.text()?.to_owned(),
                pipelines: pipelines
                    .filter_map(|name| name.text().map(str::to_owned))
                    .collect(),
            })
        });
        triggers.collect()
    }

    /// How many characters are read to know whether a pipeline can start it.
    pub(crate) fn length(&self) -> usize {
        self.condition.len()
    }

    /// Whether the end of this custom pipeline can start it; not where that cannot be read.
    pub(crate) fn can_start_after(&self, pipeline: &str) -> bool {
        let mut condition = Condition {
            rest: &self.condition,
            pipeline,
            is_readable: true,
        };
        let answer = condition.any(0);
        condition.is_readable && condition.rest.trim().is_empty() && answer != Some(false)
    }
}

/// Reads a condition. What only the running pipeline knows is nothing.
struct Condition<'a> {
    rest: &'a str,
    /// The name of the pipeline that has ended.
    pipeline: &'a str,
    is_readable: bool,
}

impl<'a> Condition<'a> {
    fn any(&mut self, depth: usize) -> Option<bool> {
        let mut answer = self.all(depth);
        while self.takes("||") {
            let other = self.all(depth);
            answer = match (answer, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        answer
    }

    fn all(&mut self, depth: usize) -> Option<bool> {
        let mut answer = self.single(depth);
        while self.takes("&&") {
            let other = self.single(depth);
            answer = match (answer, other) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        answer
    }

    fn single(&mut self, depth: usize) -> Option<bool> {
        if depth == DEEPEST {
            self.is_readable = false;
            return None;
        }
        if self.takes("!") {
            return self.single(depth + 1).map(|answer| !answer);
        }
        if self.takes("(") {
            let answer = self.any(depth + 1);
            self.is_readable &= self.takes(")");
            return answer;
        }
        let one = self.value();
        if self.takes("==") {
            self.value().zip(one).map(|(one, other)| one == other)
        } else if self.takes("!=") {
            self.value().zip(one).map(|(one, other)| one != other)
        } else {
            None
        }
    }

    /// A text, or a variable of which it is known what it is.
    fn value(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let (text, rest) = self.rest[1..].split_once(quote).unwrap_or((self.rest, ""));
            self.rest = rest;
            return Some(text);
        }
        let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_inside(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        // What a function says of it is not known.
        self.is_readable &= !name.is_empty() && !rest.starts_with('(');
        match name {
            "BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN" => Some(self.pipeline),
            "BITBUCKET_TRIGGER_PIPELINE_SELECTOR_TYPE" => Some("custom"),
            _ => None,
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_does_not_rule_itself_out_can_start_itself() {
        let rows = [
            (r#"BITBUCKET_TRIGGER_PIPELINE_STATUS == "STOPPED""#, true),
            (
                r#"BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN == "deploy""#,
                false,
            ),
            (
                r#"BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN == "tidy""#,
                true,
            ),
            (
                r#"A == "b" && BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN != "tidy""#,
                false,
            ),
            (
                r#"A == "b" || !(BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN == 'x')"#,
                true,
            ),
            (
                r#"BITBUCKET_TRIGGER_PIPELINE_SELECTOR_TYPE == "branches""#,
                false,
            ),
            (
                r#"glob(BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN, "d*")"#,
                false,
            ),
            ("((", false),
            ("", false),
        ];
        for (condition, can_start) in rows {
            let trigger = Trigger {
                position: Position { line: 1, column: 1 },
                condition: condition.to_owned(),
                pipelines: Vec::new(),
            };
            assert_eq!(trigger.can_start_after("tidy"), can_start, "{condition}");
        }
    }
}
