//! What a pipelines file says, as far as it matters for a stop.

use std::rc::Rc;

use super::calls::{Call, Softstop, What};
use super::credentials::Credentials;
use super::document::{Entry, Node, Position};
use super::target::Target;
use super::triggers::Trigger;
use super::{releases, script};

/// What `final:` may not have.
const FORBIDDEN: [&str; 2] = ["deployment", "fail-fast"];

/// All pipelines of a file.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    pub(crate) all: Vec<Pipeline>,
    /// Pipelines that are somewhere else: where it is said, and what is said.
    pub(crate) imports: Vec<(Position, String)>,
    pub(crate) triggers: Vec<Trigger>,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    /// Such as `branches: main`.
    pub(crate) name: String,
    pub(crate) position: Position,
    /// Where its items begin.
    pub(crate) column: u32,
    /// Custom pipelines have none, by Bitbucket's schema.
    pub(crate) can_have_final: bool,
    /// The first thing in it that a person starts.
    pub(crate) by_hand: Option<Position>,
    pub(crate) steps: Vec<Step>,
    pub(crate) finals: Vec<Final>,
}

#[derive(Debug)]
pub(crate) struct Step {
    /// The parallel steps of a pipeline that belong together have the same number.
    pub(crate) group: Option<usize>,
    /// What it deploys to, which decides on the values of variables.
    pub(crate) deployment: Option<String>,
    pub(crate) image: Option<Rc<Node>>,
    pub(crate) runner: Option<Rc<Node>>,
    pub(crate) clone: Option<Cloned>,
    /// Steps with the same one wait for each other.
    pub(crate) queue: Option<String>,
    /// A runner of one's own may give more time than Bitbucket's.
    pub(crate) has_own_runner: bool,
    pub(crate) is_on_windows: bool,
    pub(crate) time_limit: Option<TimeLimit>,
    pub(crate) credentials: Credentials,
    pub(crate) calls: Vec<Call>,
}

/// Whether a step has a clone of the repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cloned {
    pub(crate) position: Position,
    pub(crate) is_there: bool,
}

/// How long a step may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimit {
    pub(crate) position: Position,
    pub(crate) minutes: u64,
}

/// One lock of a deploy with softstop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deploy<'a> {
    pub(crate) step: &'a Step,
    pub(crate) call: &'a Call,
    pub(crate) target: &'a Target,
    pub(crate) softstop: &'a Softstop,
}

#[derive(Debug)]
pub(crate) struct Final {
    pub(crate) step: Step,
    pub(crate) position: Position,
    /// Where the lines of its script begin.
    pub(crate) column: u32,
    pub(crate) is_last: bool,
    /// What it has but may not have.
    pub(crate) forbidden: Vec<(Position, String)>,
}

impl Pipelines {
    /// Reads a document; nothing where it is no pipelines file.
    pub(crate) fn read(root: &Node) -> Option<Self> {
        let pipelines = root.entry("pipelines");
        let shared = root
            .get("definitions")
            .and_then(|definitions| definitions.entry("pipelines"));
        if pipelines.is_none() && shared.is_none() {
            return None;
        }
        let mut read = Self::default();
        for section in pipelines.iter().flat_map(|entry| entry.value.entries()) {
            match &*section.key {
                "default" => read.pipeline("default", section, true),
                "custom" => read.section(section, false),
                _ => read.section(section, true),
            }
        }
        if let Some(section) = shared {
            read.section(section, false);
        }
        read.triggers = Trigger::read(root);
        if let Some(options) = root.get("options") {
            read.default_to(options);
        }
        if let Some(clone) = Cloned::read(root) {
            let steps = read.all.iter_mut().flat_map(Pipeline::all_steps_mut);
            steps.for_each(|step| step.clone = step.clone.or(Some(clone)));
        }
        Some(read)
    }

    /// What holds for every step that says nothing else.
    fn default_to(&mut self, options: &Node) {
        let limit = TimeLimit::read(options);
        let runner = options.get("runs-on");
        let is_windows = runner.is_some_and(names_windows);
        for step in self.all.iter_mut().flat_map(Pipeline::all_steps_mut) {
            step.time_limit = step.time_limit.or(limit);
            step.is_on_windows |= is_windows && !step.has_own_runner;
            step.has_own_runner |= runner.is_some();
        }
    }

    fn section(&mut self, section: &Entry, can_have_final: bool) {
        for entry in section.value.entries() {
            let name = format!("{}: {}", section.key, entry.key);
            self.pipeline(&name, entry, can_have_final);
        }
    }

    fn pipeline(&mut self, name: &str, entry: &Entry, can_have_final: bool) {
        if let Some(import) = entry.value.entry("import") {
            let source = import.value.text().unwrap_or_default().to_owned();
            self.imports.push((import.position, source));
            return;
        }
        let mut pipeline = Pipeline {
            name: name.to_owned(),
            position: entry.position,
            column: entry.value.position.column,
            can_have_final,
            by_hand: releases::started_by_hand(&entry.value),
            steps: Vec::new(),
            finals: Vec::new(),
        };
        let items = entry.value.items();
        for (index, item) in items.iter().enumerate() {
            for part in item.entries() {
                pipeline.item(index, part, index + 1 == items.len());
            }
        }
        self.all.push(pipeline);
    }
}

impl Pipeline {
    pub(crate) fn deploys(&self) -> Vec<Deploy<'_>> {
        let calls = self.steps.iter().flat_map(|step| {
            let calls = step.calls.iter();
            calls.map(move |call| (step, call))
        });
        let deploys = calls.filter_map(|(step, call)| match &call.what {
            What::Deploy(softstop) => Some((step, call, softstop)),
            _ => None,
        });
        deploys
            .flat_map(|(step, call, softstop)| {
                call.targets.iter().map(move |target| Deploy {
                    step,
                    call,
                    target,
                    softstop,
                })
            })
            .collect()
    }

    /// All steps, `final:` among them.
    pub(crate) fn all_steps(&self) -> impl Iterator<Item = &Step> {
        let finals = self.finals.iter().map(|last| &last.step);
        self.steps.iter().chain(finals)
    }

    fn all_steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        let finals = self.finals.iter_mut().map(|last| &mut last.step);
        self.steps.iter_mut().chain(finals)
    }

    fn item(&mut self, index: usize, item: &Entry, is_last: bool) {
        let value = &item.value;
        match &*item.key {
            "step" => self.steps.push(Step::read(value, None)),
            "stage" => {
                let environment = environment(value);
                for step in steps(value) {
                    let mut step = Step::read(step, None);
                    step.deployment = step.deployment.or_else(|| environment.clone());
                    self.steps.push(step);
                }
            }
            "parallel" => {
                let parallel = steps(value).map(|step| Step::read(step, Some(index)));
                self.steps.extend(parallel);
            }
            "final" => self.finals.push(Final::read(item, is_last)),
            _ => {}
        }
    }
}

impl Step {
    fn read(node: &Node, group: Option<usize>) -> Self {
        let calls = ["script", "after-script"]
            .iter()
            .filter_map(|key| node.get(key))
            .flat_map(script::read)
            .collect();
        let text = |key| node.get(key).and_then(Node::text).map(str::to_owned);
        let shared = |key| node.entry(key).map(|entry| Rc::clone(&entry.value));
        Self {
            group,
            deployment: environment(node),
            image: shared("image"),
            runner: shared("runs-on"),
            clone: Cloned::read(node),
            queue: text("concurrency-group"),
            has_own_runner: node.get("runs-on").is_some(),
            is_on_windows: node.get("runs-on").is_some_and(names_windows),
            time_limit: TimeLimit::read(node),
            credentials: Credentials::read(node),
            calls,
        }
    }
}

impl Cloned {
    fn read(node: &Node) -> Option<Self> {
        let enabled = node.get("clone")?.entry("enabled")?;
        Some(Self {
            position: enabled.position,
            is_there: enabled.value.text() != Some("false"),
        })
    }
}

impl TimeLimit {
    fn read(node: &Node) -> Option<Self> {
        let limit = node.get("max-time")?;
        Some(Self {
            position: limit.position,
            minutes: limit.text()?.parse().ok()?,
        })
    }
}

impl Final {
    fn read(item: &Entry, is_last: bool) -> Self {
        let node = &item.value;
        let manual = node
            .entry("trigger")
            .filter(|trigger| trigger.value.text() == Some("manual"));
        let forbidden = FORBIDDEN
            .iter()
            .filter_map(|key| node.entry(key))
            .chain(manual)
            .map(|entry| {
                let value = entry.value.text().unwrap_or_default();
                (entry.position, format!("{}: {value}", entry.key))
            })
            .collect();
        Self {
            step: Step::read(node, None),
            position: item.position,
            column: node
                .get("script")
                .map_or(item.position.column, |script| script.position.column),
            is_last,
            forbidden,
        }
    }
}

fn names_windows(runner: &Node) -> bool {
    let labels = runner.get("labels").unwrap_or(runner);
    let mut listed = labels.items().iter().filter_map(|label| label.text());
    labels.text() == Some("windows") || listed.any(|label| label == "windows")
}

/// The steps of a stage or a parallel group, which has them itself or below `steps`.
fn steps(group: &Node) -> impl Iterator<Item = &Node> {
    let steps = group.get("steps").unwrap_or(group);
    steps.items().iter().filter_map(|item| item.get("step"))
}

fn environment(node: &Node) -> Option<String> {
    let found = node.get("deployment").or_else(|| node.get("environment"));
    found.and_then(Node::text).map(str::to_owned)
}
