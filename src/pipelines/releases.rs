//! May a release trust that its pipeline has moved on? Only where the pipelines file shows that
//! every release of such a pipeline runs when no other step does.
//!
//! What only might be a release counts against that trust, and never for it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use thiserror::Error;

use super::calls::{Call, What};
use super::document::{self, Entry, Node, Position};
use super::doubtful::may_release;
use super::script;

/// Why the order of steps says nothing of a holder.
#[derive(Debug, Error)]
pub(crate) enum Distrust {
    #[error("the pipelines file of the clone cannot be read: {0}")]
    NotRead(#[from] io::Error),
    #[error("the pipelines file of the clone is no YAML that can be read: {0}")]
    NotYaml(String),
    #[error("the pipelines file of the clone imports pipelines, and this may be one of them")]
    Imported,
    #[error("the pipelines file of the clone has a release in a parallel group, in line {line}")]
    InParallel { line: u32 },
    #[error(
        "the pipelines file of the clone has something in line {line} that a person starts, and that may \
         be while a release in `final:` runs"
    )]
    ByHand { line: u32 },
    #[error("the pipelines file of the clone shows no release in a pipeline of this kind")]
    NoRelease,
}

/// Whether a script holds a release, as far as can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Release {
    No,
    /// Where that is which might be one.
    Perhaps(Position),
    Yes,
}

/// Whether `file` shows a release in one of `sections`, in `final:` or in a step that runs alone,
/// no parallel group holds one anywhere in the file, and nobody starts a step beside `final:`, which runs
/// at every pause.
pub(crate) fn run_alone(file: &Path, sections: &[&str]) -> Result<(), Distrust> {
    let text = text(file)?;
    let root = document::read(&text).map_err(|reason| Distrust::NotYaml(reason.to_string()))?;
    if let Some(line) = line_in_parallel(&root) {
        return Err(Distrust::InParallel { line });
    }
    let entries = root.get("pipelines").map(Node::entries).unwrap_or_default();
    let of_this_kind: Vec<&Node> = entries
        .iter()
        .filter(|entry| sections.contains(&&*entry.key))
        .map(|entry| &*entry.value)
        .collect();
    let below_these = |keys| {
        of_this_kind
            .iter()
            .flat_map(move |node| outermost(node, keys))
    };
    if below_these(&["import"]).next().is_some() {
        return Err(Distrust::Imported);
    }
    let by_hand = of_this_kind.iter().find_map(|node| started_by_hand(node));
    let mut finals = below_these(&["final"]).map(|entry| below(&entry.value));
    if let Some(Position { line, .. }) = by_hand
        && finals.any(|release| release > Release::No)
    {
        return Err(Distrust::ByHand { line });
    }
    if of_this_kind.iter().any(|node| below(node) == Release::Yes) {
        Ok(())
    } else {
        Err(Distrust::NoRelease)
    }
}

/// Where the first step or stage below stands that a person may start.
pub(crate) fn started_by_hand(node: &Node) -> Option<Position> {
    let triggers = outermost(node, &["trigger"]).into_iter();
    let mut by_hand = triggers.filter(|trigger| trigger.value.text() != Some("automatic"));
    by_hand.next().map(|trigger| trigger.position)
}

fn text(file: &Path) -> io::Result<String> {
    // To open a pipe would wait for somebody to write.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    let limit = u64::try_from(document::LARGEST).unwrap_or(u64::MAX);
    let mut text = String::new();
    let length = File::open(file)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if length > document::LARGEST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// The line of the first parallel group that holds a release, or perhaps one.
fn line_in_parallel(root: &Node) -> Option<u32> {
    let mut groups = groups(root).into_iter();
    let found = groups.find(|group| below(&group.value) > Release::No);
    found.map(|group| group.position.line)
}

/// Where a parallel group holds what might be a release, once for each script.
pub(crate) fn perhaps_in_parallel(root: &Node) -> Vec<Position> {
    let groups = groups(root).into_iter();
    let scripts = groups.flat_map(|group| scripts(&group.value));
    let doubtful = scripts.filter_map(|node| match script(node) {
        Release::Perhaps(position) => Some(position),
        Release::No | Release::Yes => None,
    });
    doubtful.collect()
}

/// The parallel groups below; what is in one is that group's.
fn groups(node: &Node) -> Vec<&Entry> {
    outermost(node, &["parallel"])
}

/// The entries below that have one of these keys, and none of those within them.
fn outermost<'a>(node: &'a Node, keys: &[&str]) -> Vec<&'a Entry> {
    let in_entries = node.entries().iter().flat_map(|entry| {
        if keys.contains(&&*entry.key) {
            vec![entry]
        } else {
            outermost(&entry.value, keys)
        }
    });
    let in_items = node.items().iter().flat_map(|item| outermost(item, keys));
    in_entries.chain(in_items).collect()
}

/// What the scripts of all steps below hold.
fn below(node: &Node) -> Release {
    let scripts = scripts(node).into_iter().map(script);
    scripts.max().unwrap_or(Release::No)
}

fn scripts(node: &Node) -> Vec<&Node> {
    let scripts = outermost(node, &["script", "after-script"]).into_iter();
    scripts.map(|entry| &*entry.value).collect()
}

fn script(script: &Node) -> Release {
    let is_release = |call: &Call| matches!(call.what, What::Release(_));
    if script::read(script).iter().any(is_release) {
        return Release::Yes;
    }
    let items = script.items().iter().map(|item| &**item);
    let mut parts = items.chain([script]);
    let doubtful = parts.find(|part| may_release(part));
    doubtful.map_or(Release::No, |part| Release::Perhaps(part.position))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINAL: &str = "final: {script: [{pipe: acme/softstop:1, variables: {MODE: release}}]}";

    /// What is said of a `default:` pipeline of these items.
    fn said_of(items: &[&str]) -> String {
        let lines: Vec<String> = items.iter().map(|item| format!("  - {item}\n")).collect();
        said_of_file(&format!("pipelines:\n default:\n{}", lines.concat()))
    }

    fn said_of_file(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bitbucket-pipelines.yml");
        std::fs::write(&file, text).unwrap();
        match run_alone(&file, &["default", "branches", "custom"]) {
            Ok(()) => "alone".to_owned(),
            Err(reason) => reason.to_string(),
        }
    }

    #[test]
    fn a_release_in_final_or_in_a_step_of_its_own_runs_alone() {
        assert_eq!(said_of(&[FINAL]), "alone");
        for script in [
            "[softstop release]",
            "[./bin/softstop release --debug]",
            "[SOFTSTOP_MODE=release softstop]",
            "[export SOFTSTOP_MODE=release, softstop]",
            "['docker run --rm -e MODE=release acme/softstop:1']",
            "['cd infra && docker run acme/softstop:1 release']",
            "[\"sh -c 'softstop release'\"]",
        ] {
            let step = format!("step: {{script: {script}}}");
            assert_eq!(said_of(&[&step]), "alone", "{script}");
            let stage = format!("stage: {{steps: [{step}]}}");
            assert_eq!(said_of(&["step: {script: [x]}", &stage]), "alone");
        }
    }

    #[test]
    fn a_release_in_a_parallel_group_is_found_in_every_shape() {
        for item in [
            "{pipe: 'docker://acme/softstop:1', variables: {MODE: release}}",
            "{pipe: acme/softstop:1, variables: {MODE: $MODE}}",
            "softstop release",
            "'softstop --debug release'",
            "SOFTSTOP_MODE=$release softstop",
            "'docker run -e MODE=release acme/softstop:1'",
            "docker run --entrypoint softstop acme/softstop-tools release",
            "IMAGE=acme/softstop:1; docker run $IMAGE release",
            "\"sh -c 'softstop release'\"",
            "'code=$(softstop release)'",
            "'docker run --env-file vars.env acme/softstop:1'",
            "'docker run --env-file vars.env -e MODE=deploy acme/softstop:1'",
            "'docker run -e MODE=release \"$SOFTSTOP_IMAGE\"'",
            "'docker run -e MODE=release $IMAGE'",
            "'docker run -e X=\"a;b\" -v $(pwd):/x -e MODE=release ${IMAGE}'",
            "'docker run --rm --env-file vars.env ${REGISTRY}/tools:$TAG'",
            "'cd infra && podman run -v $PWD:/x $IMAGE release'",
            "'docker run -e MODE=deploy acme/softstop:1 $WHAT'",
            "'docker run -e SOFTSTOP_MODE acme/softstop:1'",
            "'docker run -e MODE=deploy -e SOFTSTOP_MODE=release acme/softstop:1'",
            "docker compose run softstop",
            "softstop",
            "softstop $WHAT",
            "'softstop --debug $WHAT'",
            "'softstop; deploy'",
            "\"(softstop) deploy\"",
            "./SoftStop-1.0/SOFTSTOP release",
            "./softstop_linux release",
            "$SOFTSTOP release",
            "SOFTSTOP_MODE=$MODE",
            "export SOFTSTOP_MODE",
            "export SOFTSTOP_IMAGE=acme/softstop:1",
            "[ls, softstop $WHAT]",
            "{pipe: acme/softstop:1, variables: {SOFTSTOP_MODE: $MODE}}",
            "{pipe: acme/SoftStop:1, variables: {MODE: release}}",
            "{pipe: $PIPE, variables: {MODE: release}}",
            "{pipe: acme/softstop:1, variables: [MODE, release]}",
            "{pipe: acme/softstop:1, variables: {MODE: [release]}}",
            "{pipe: acme/softstop:1, variables: {COMMAND: softstop release}}",
        ] {
            let step = format!("step: {{script: [{item}]}}");
            for group in [
                format!("parallel: [{step}]"),
                format!("parallel: {{steps: [{step}]}}"),
                format!("stage: {{steps: [{{parallel: [{step}]}}]}}"),
            ] {
                let said = said_of(&[&group, FINAL]);
                assert!(said.contains("parallel group, in line 3"), "{item}: {said}");
            }
        }
    }

    #[test]
    fn deploys_in_a_parallel_group_leave_a_release_in_final_alone() {
        for item in [
            "{pipe: acme/softstop:1, variables: {COMMAND: make release}}",
            "{pipe: acme/softstop:1, variables: {MODE: deploy}}",
            "{pipe: acme/notify:1, variables: {MODE: release}}",
            "softstop deploy --workspace release -- make release",
            "softstop -- make release",
            "make release",
            "softstop status",
            "'softstop --debug deploy'",
            "SOFTSTOP_WORKSPACE=release exec softstop deploy",
            "export SOFTSTOP_MODE=plan SOFTSTOP_DEBUG=true",
            "'softstop --version && softstop plan'",
            "\"sh -c 'softstop check bitbucket-pipelines.yml'\"",
            "'docker run --rm -e MODE=deploy acme/softstop:1'",
            "'docker run --env-file vars.env acme/softstop:1 deploy'",
            "'docker run -v $PWD:/x -e MODE=release acme/notify:1'",
            "'docker run $IMAGE test && echo $RESULT'",
            "'docker run -e SENTRY_RELEASE=$BITBUCKET_COMMIT $IMAGE train --model x'",
            "{pipe: acme/softstop:1, variables: {AFTER_SCRIPT: ./notify $SOFTSTOP_OUTCOME}}",
            "{pipe: acme/softstop:1, variables: {COMMAND: tofu apply softstop.tfplan}}",
            "softstop deploy --report-file=softstop-report.json",
            "softstop plan --plan-file softstop.tfplan",
            "SOFTSTOP_REPORT_FILE=softstop-report.json softstop deploy",
            "'chmod +x softstop; jq . softstop-report.json'",
            "{pipe: acme/softstop:1, variables: {SOFTSTOP_MODE: plan, WORKING_DIR: softstop}}",
        ] {
            let group = format!("parallel: [step: {{script: [{item}]}}]");
            assert_eq!(said_of(&[&group, FINAL]), "alone", "{item}");
        }
    }

    #[test]
    fn a_release_in_final_may_run_beside_a_step_that_a_person_starts() {
        for by_hand in [
            "step: {trigger: manual, script: [x]}",
            "step: {trigger: $WHEN, script: [x]}",
            "stage: {trigger: manual, steps: [step: {script: [x]}]}",
            "parallel: [step: {trigger: manual, script: [x]}]",
        ] {
            let said = said_of(&["step: {script: [x]}", by_hand, FINAL]);
            assert!(said.contains("in line 4 that a person starts"), "{said}");
            let alone = "step: {script: [softstop release]}";
            assert_eq!(said_of(&[by_hand, alone]), "alone");
        }
        let automatic = "step: {trigger: automatic, script: [x]}";
        assert_eq!(said_of(&[automatic, FINAL]), "alone");
    }

    #[test]
    fn what_only_might_be_a_release_shows_none() {
        for script in [
            "./release.sh",
            "{pipe: acme/softstop:1, variables: {MODE: $MODE}}",
            "softstop deploy",
        ] {
            let said = said_of(&[&format!("step: {{script: [\"{script}\"]}}")]);
            assert!(said.contains("shows no release"), "{script}: {said}");
        }
    }

    #[test]
    fn a_pipeline_of_another_kind_shows_nothing_of_this_one() {
        let tags = format!("pipelines:\n tags:\n  v1:\n  - {FINAL}\n");
        assert!(said_of_file(&tags).contains("shows no release"));
        let definitions = tags.replace("pipelines", "definitions");
        assert!(said_of_file(&definitions).contains("shows no release"));
        let branches = tags.replace("tags", "branches");
        assert_eq!(said_of_file(&branches), "alone");
    }

    #[test]
    fn what_is_elsewhere_or_cannot_be_read_is_not_trusted() {
        let imported =
            format!("pipelines:\n custom:\n  a: {{import: x}}\n default:\n  - {FINAL}\n");
        assert!(said_of_file(&imported).contains("imports pipelines"));
        assert!(said_of_file("pipelines: [").contains("no YAML"));
        assert!(said_of_file(&"# much\n".repeat(200_000)).contains("cannot be read"));
        for path in ["/nowhere/bitbucket-pipelines.yml", "/dev/zero", "/"] {
            let said = run_alone(Path::new(path), &["default"]).unwrap_err();
            assert!(said.to_string().contains("cannot be read"), "{path}");
        }
    }
}
