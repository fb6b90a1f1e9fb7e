//! What to paste.

use serde_json::Value;

use super::pipelines::Deploy;
use super::script::Means;

/// Variables of a deploy that a release does not need, or has in its own words.
const NOT_COPIED: [&str; 5] = [
    "MODE",
    "COMMAND",
    "WORKING_DIR",
    "GRACE_PERIOD",
    "LOCK_TIMEOUT",
];

/// A `final:` step that releases the locks of these deploys, as an item at this column.
pub(super) fn final_step(deploys: &[Deploy<'_>], column: usize) -> String {
    let mut lines = vec!["- final:".to_owned()];
    lines.extend(indented(4, step(deploys)));
    at(column, lines)
}

/// A custom pipeline that does the same when a schedule starts it, with its name at this column.
pub(super) fn scheduled(deploys: &[Deploy<'_>], column: usize) -> String {
    let mut lines = vec!["release-locks:".to_owned(), "  - step:".to_owned()];
    lines.extend(indented(6, step(deploys)));
    at(column, lines)
}

/// The items of a script that release the locks of these deploys, at this column.
pub(super) fn releases(deploys: &[Deploy<'_>], column: usize) -> String {
    at(column, items(deploys))
}

/// A text that YAML, JSON and a shell read alike.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn step(deploys: &[Deploy<'_>]) -> Vec<String> {
    let mut lines = vec!["name: Release what is left locked".to_owned()];
    let image = deploys.iter().find_map(|deploy| {
        let is_command = matches!(deploy.softstop.means, Means::Command { .. });
        deploy.step.image.as_ref().filter(|_| is_command)
    });
    lines.extend(image.map(|image| format!("image: {image}")));
    lines.push("script:".to_owned());
    lines.extend(indented(2, items(deploys)));
    lines
}

fn items(deploys: &[Deploy<'_>]) -> Vec<String> {
    let mut items: Vec<Vec<String>> = Vec::new();
    for deploy in deploys {
        let item = match &deploy.softstop.means {
            Means::Pipe { name, variables } => pipe(deploy, name, variables),
            Means::Command { .. } => vec![command(deploy)],
        };
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items.concat()
}

/// The same pipe with the same credentials.
fn pipe(deploy: &Deploy<'_>, name: &str, variables: &[(String, Vec<String>)]) -> Vec<String> {
    let directories = [("WORKING_DIR".to_owned(), elsewhere(deploy))];
    let copied = variables
        .iter()
        .filter(|(name, _)| !NOT_COPIED.contains(&name.as_str()));
    let mut lines = vec![
        format!("- pipe: {name}"),
        "  variables:".to_owned(),
        "    MODE: release".to_owned(),
    ];
    for (name, values) in directories.iter().chain(copied) {
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

fn command(deploy: &Deploy<'_>) -> String {
    let target = &deploy.call.target;
    let directories = elsewhere(deploy);
    let settings = target.backend_config.iter();
    let options = directories
        .iter()
        .map(|directory| ("--working-dir", directory))
        .chain(settings.map(|setting| ("--backend-config", setting)))
        .chain(target.workspace.iter().map(|name| ("--workspace", name)));
    let given = options.map(|(option, value)| format!(" {option} {}", quoted(value)));
    format!("- softstop release{}", given.collect::<String>())
}

/// The directories of a deploy that is not in that of the repository, which needs no mention.
fn elsewhere(deploy: &Deploy<'_>) -> Vec<String> {
    let directories = &deploy.call.target.directories;
    let named = directories.iter().filter(|directory| *directory != ".");
    named.cloned().collect()
}

fn at(column: usize, lines: Vec<String>) -> String {
    let lines: Vec<String> = indented(column.saturating_sub(1), lines).collect();
    lines.join("\n")
}

fn indented(by: usize, lines: Vec<String>) -> impl Iterator<Item = String> {
    let indent = " ".repeat(by);
    lines.into_iter().map(move |line| format!("{indent}{line}"))
}
