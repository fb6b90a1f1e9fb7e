//! What to paste.

use std::collections::HashSet;

use crate::pipelines::calls::Means;
use crate::pipelines::document::{Entry, Kind, Node};
use crate::pipelines::pipeline::Deploy;
use crate::pipelines::shell::quoted;

/// Variables of a deploy that a release does not need, or has in its own words.
const NOT_COPIED: [&str; 9] = [
    "MODE",
    "TF_CLI_ARGS_plan",
    "COMMAND",
    "WORKING_DIR",
    "WORKSPACE",
    "TF_WORKSPACE",
    "BACKEND_CONFIG",
    "GRACE_PERIOD",
    "LOCK_TIMEOUT",
];

/// The last column at which something can be pasted.
const FARTHEST: u32 = 100;

/// A `final:` step that releases the locks of these deploys, as an item at this column.
pub(super) fn final_step(deploys: &[Deploy<'_>], column: u32) -> String {
    let mut lines = vec!["- final:".to_owned()];
    lines.extend(indented(4, step(deploys)));
    at(column, lines)
}

/// A custom pipeline that does the same when a schedule starts it, with its name at this column.
pub(super) fn scheduled(deploys: &[Deploy<'_>], column: u32) -> String {
    let mut lines = vec!["release-locks:".to_owned(), "  - step:".to_owned()];
    lines.extend(indented(6, step(deploys)));
    at(column, lines)
}

/// The lines of a step that releases the locks of these deploys, at this column.
pub(super) fn lines_of_step(deploys: &[Deploy<'_>], column: u32) -> String {
    at(column, step(deploys))
}

/// The items of a script that release the locks of these deploys, at this column.
pub(super) fn releases(deploys: &[Deploy<'_>], column: u32) -> String {
    at(column, items(deploys))
}

fn step(deploys: &[Deploy<'_>]) -> Vec<String> {
    let mut lines = vec!["name: Release what is left locked".to_owned()];
    let image = deploys.iter().find_map(|deploy| {
        let is_command = matches!(deploy.softstop.means, Means::Command { .. });
        deploy.step.image.as_ref().filter(|_| is_command)
    });
    // What a deploy has left running is seen only from where it ran.
    let runner = deploys
        .iter()
        .find_map(|deploy| deploy.step.runner.as_ref());
    for (key, value) in [("image", image), ("runs-on", runner)] {
        lines.extend(value.map(|value| match value.text() {
            Some(text) => format!("{key}: {text}"),
            None => format!("{key}: {}", in_one_line(value)),
        }));
    }
    if deploys
        .iter()
        .any(|deploy| deploy.step.credentials.asks_for_token)
    {
        lines.push("oidc: true".to_owned());
    }
    lines.push("script:".to_owned());
    lines.extend(indented(2, items(deploys)));
    lines
}

fn items(deploys: &[Deploy<'_>]) -> Vec<String> {
    let mut items: Vec<Vec<String>> = Vec::new();
    let mut known = HashSet::new();
    for deploy in deploys {
        let credentials = &deploy.step.credentials;
        let (item, exports) = match &deploy.softstop.means {
            Means::Pipe { name, variables } => (pipe(deploy, name, variables), [].as_slice()),
            Means::Command { program, .. } => (
                vec![command(deploy, program.as_deref())],
                credentials.exports.as_slice(),
            ),
        };
        let before = credentials.handing_on.iter().chain(exports);
        for item in before.map(|line| vec![line.clone()]).chain([item]) {
            if known.insert(item.clone()) {
                items.push(item);
            }
        }
    }
    items.concat()
}

/// The same pipe with the same credentials.
fn pipe(deploy: &Deploy<'_>, name: &str, variables: &[(String, Vec<String>)]) -> Vec<String> {
    let target = deploy.target;
    let named = [
        ("WORKING_DIR".to_owned(), elsewhere(deploy)),
        (
            "WORKSPACE".to_owned(),
            target.workspace.iter().cloned().collect(),
        ),
        ("BACKEND_CONFIG".to_owned(), target.backend_config.clone()),
    ];
    let copied = variables
        .iter()
        .filter(|(name, _)| !NOT_COPIED.contains(&name.as_str()));
    let mut lines = vec![
        format!("- pipe: {name}"),
        "  variables:".to_owned(),
        "    MODE: release".to_owned(),
    ];
    for (name, values) in named.iter().chain(copied) {
        match values.as_slice() {
            [] => {}
            [value] => lines.push(format!("    {name}: {}", quoted(value))),
            values => {
                lines.push(format!("    {name}:"));
                let listed = values
                    .iter()
                    .map(|value| format!("      - {}", quoted(value)));
                lines.extend(listed);
            }
        }
    }
    lines
}

fn command(deploy: &Deploy<'_>, program: Option<&str>) -> String {
    let target = deploy.target;
    let directories = elsewhere(deploy);
    let settings = target.backend_config.iter();
    let options = directories
        .iter()
        .map(|directory| ("--working-dir", directory))
        .chain(settings.map(|setting| ("--backend-config", setting)))
        .chain(target.workspace.iter().map(|name| ("--workspace", name)));
    let given = options.map(|(option, value)| format!(" {option} {}", quoted(value)));
    let program = program.map(|program| format!(" --terraform-bin {}", quoted(program)));
    format!(
        "- softstop release{}{}",
        given.collect::<String>(),
        program.unwrap_or_default()
    )
}

/// A value as it is in the file, in one line.
fn in_one_line(node: &Node) -> String {
    match node.kind() {
        Kind::Text => quoted(node.text().unwrap_or_default()),
        Kind::Sequence => {
            let items: Vec<String> = node.items().iter().map(|item| in_one_line(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Mapping => {
            let pairs = node.entries().iter().map(|Entry { key, value, .. }| {
                // Between quotes, a number is none.
                let number = value.text().filter(|_| **key == *"run-as-user");
                let value = number.map_or_else(|| in_one_line(value), str::to_owned);
                format!("{key}: {value}")
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The directories of a deploy that is not in that of the repository, which needs no mention.
fn elsewhere(deploy: &Deploy<'_>) -> Vec<String> {
    let directories = &deploy.target.directories;
    let named = directories.iter().filter(|directory| *directory != ".");
    named.cloned().collect()
}

fn at(column: u32, lines: Vec<String>) -> String {
    // What stands so far to the right is in braces, where nothing like this can be pasted.
    let column = if column > FARTHEST { 1 } else { column };
    let indent = usize::try_from(column.saturating_sub(1)).unwrap_or_default();
    let lines: Vec<String> = indented(indent, lines).collect();
    lines.join("\n")
}

fn indented(by: usize, lines: Vec<String>) -> impl Iterator<Item = String> {
    let indent = " ".repeat(by);
    lines.into_iter().map(move |line| format!("{indent}{line}"))
}
