//! May a release trust that its pipeline has moved on? Only where the pipelines file shows that
//! every release of such a pipeline runs when no other step does.
//!
//! What only might be a release counts against that trust, and never for it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use thiserror::Error;

use super::document::{self, Node};
use super::shell::{self, Command, Part};
use super::surroundings::{Program, assignment};

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
    InParallel { line: usize },
    #[error("the pipelines file of the clone shows no release in a pipeline of this kind")]
    NoRelease,
}

/// Whether a script holds a release, as far as can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Release {
    No,
    Perhaps,
    Yes,
}

/// Whether `file` shows a release in one of `sections`, in `final:` or in a step that runs alone,
/// and no parallel group holds one anywhere in the file.
pub(crate) fn run_alone(file: &Path, sections: &[&str]) -> Result<(), Distrust> {
    let text = text(file)?;
    let root = document::read(&text).map_err(|reason| Distrust::NotYaml(reason.to_string()))?;
    if let Some(line) = line_in_parallel(&root) {
        return Err(Distrust::InParallel { line });
    }
    let entries = root.get("pipelines").map(Node::entries).unwrap_or_default();
    let of_this_kind = || {
        let entries = entries.iter();
        entries.filter(|entry| sections.contains(&entry.key.as_str()))
    };
    if of_this_kind().any(|entry| imports(&entry.value)) {
        return Err(Distrust::Imported);
    }
    if of_this_kind().any(|entry| below(&entry.value) == Release::Yes) {
        Ok(())
    } else {
        Err(Distrust::NoRelease)
    }
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
fn line_in_parallel(node: &Node) -> Option<usize> {
    let in_entries = node.entries().iter().find_map(|entry| {
        let is_group = entry.key == "parallel" && below(&entry.value) > Release::No;
        let line = is_group.then_some(entry.position.line);
        line.or_else(|| line_in_parallel(&entry.value))
    });
    let in_items = || node.items().iter().find_map(|item| line_in_parallel(item));
    in_entries.or_else(in_items)
}

fn imports(node: &Node) -> bool {
    let mut entries = node.entries().iter();
    entries.any(|entry| entry.key == "import" || imports(&entry.value))
}

/// What the scripts of all steps below hold.
fn below(node: &Node) -> Release {
    let entries = node.entries().iter().map(|entry| match entry.key.as_str() {
        "script" | "after-script" => script(&entry.value),
        _ => below(&entry.value),
    });
    let items = node.items().iter().map(|item| below(item));
    entries.chain(items).max().unwrap_or(Release::No)
}

fn script(script: &Node) -> Release {
    let mut reader = Reader::default();
    let found = script.items().iter().map(|item| match item.get("pipe") {
        Some(name) => pipe(item, name.text().unwrap_or_default()),
        None => reader.lines(item.text().unwrap_or_default()),
    });
    let found = found.max().unwrap_or(Release::No);
    if reader.names_softstop && reader.names_release {
        found.max(Release::Perhaps)
    } else {
        found
    }
}

fn pipe(item: &Node, name: &str) -> Release {
    let mode = item
        .get("variables")
        .and_then(|variables| variables.get("MODE"))
        .and_then(Node::text);
    match mode {
        Some(mode) if is_softstop(name) => by_mode(mode),
        _ => Release::No,
    }
}

/// Reads the lines of one script.
#[derive(Default)]
struct Reader {
    /// The MODE that lines so far have set.
    mode: Option<String>,
    /// What is named by lines that cannot be read as a call of softstop: a variable may hold the
    /// name of its image, and a text may be another shell's script.
    names_softstop: bool,
    names_release: bool,
}

impl Reader {
    fn lines(&mut self, text: &str) -> Release {
        let parts = shell::split(text);
        let found = parts.iter().filter_map(|part| match part {
            Part::Command(command) => self.command(command),
            Part::SubshellBegins | Part::SubshellEnds => None,
        });
        let found = found.max();
        if found.is_none() {
            self.names_softstop |= text.contains("softstop");
            self.names_release |= text.contains("release");
        }
        found.unwrap_or(Release::No)
    }

    /// What a command is; nothing where it is no call of softstop that can be read.
    fn command(&mut self, command: &Command) -> Option<Release> {
        let words = &command.words;
        let mode = words.iter().find_map(|word| mode(word));
        let Some(arguments) = softstop_arguments(words) else {
            self.mode = mode.map(str::to_owned).or(self.mode.take());
            return None;
        };
        if let Some(word) = arguments.first().filter(|word| !word.starts_with('-')) {
            return Some(by_mode(word));
        }
        let mut options = arguments.iter().take_while(|word| *word != "--");
        if options.any(|word| word == "release") {
            return Some(Release::Perhaps);
        }
        let mode = mode.or(self.mode.as_deref());
        Some(mode.map_or(Release::No, by_mode))
    }
}

/// What follows softstop, or its image, in a command.
fn softstop_arguments(words: &[String]) -> Option<&[String]> {
    if let Some(program) = Program::find(words).filter(|program| is_softstop(program.name)) {
        return Some(program.arguments);
    }
    let image = words
        .iter()
        .rposition(|word| is_softstop(word) && assignment(word).is_none())?;
    Some(&words[image + 1..])
}

/// What MODE is, where this word sets it: for a command, or for a container.
fn mode(word: &str) -> Option<&str> {
    let assignment = word
        .strip_prefix("--env=")
        .or_else(|| word.strip_prefix("-e"))
        .unwrap_or(word);
    assignment.strip_prefix("MODE=")
}

fn by_mode(mode: &str) -> Release {
    match mode.trim() {
        "release" => Release::Yes,
        // Only the shell knows.
        mode if mode.contains(['$', '`']) => Release::Perhaps,
        _ => Release::No,
    }
}

/// Whether this is the program, its image, or a pipe.
fn is_softstop(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    // What has blanks in it is another shell's script.
    name.starts_with("softstop") && !name.contains(char::is_whitespace)
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
            "[MODE=release softstop]",
            "[export MODE=release, softstop]",
            "['docker run --rm --env=MODE=release acme/softstop:1']",
            "['cd infra && docker run acme/softstop:1 release']",
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
            "MODE=$MODE softstop",
            "'docker run -e MODE=release acme/softstop:1'",
            "docker run --entrypoint softstop acme/softstop-tools release",
            "IMAGE=acme/softstop:1; docker run $IMAGE release",
            "\"sh -c 'softstop release'\"",
            "'code=$(softstop release)'",
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
        ] {
            let group = format!("parallel: [step: {{script: [{item}]}}]");
            assert_eq!(said_of(&[&group, FINAL]), "alone", "{item}");
        }
    }

    #[test]
    fn what_only_might_be_a_release_shows_none() {
        for script in [
            "./release.sh",
            "{pipe: acme/softstop:1, variables: {MODE: $MODE}}",
            "sh -c 'softstop release'",
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
