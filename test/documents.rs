//! What the documents say is what the program does, and what they name is there: `pipe.yml` is the
//! one list of variables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;

const README: &str = include_str!("../README.md");
pub(crate) const DESIGN: &str = include_str!("../DESIGN.md");
const CHECK: &str = include_str!("../docs/check.md");

/// Longer, and nobody reads it to its end.
const MOST_WORDS_OF_README: usize = 1360;

/// What holds files that documents name by their path in the repository.
const ROOMS: [&str; 7] = [".ci", "bench", "demo", "docs", "examples", "src", "test"];

const MODES: [&str; 5] = ["deploy", "plan", "release", "status", "resolve"];

/// What `--help` says of this mode.
fn help(mode: &str) -> String {
    help_by(&[mode])
}

/// What `--help` says to these arguments. Lines may break anywhere.
fn help_by(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_softstop"))
        .args(arguments)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The variables that a help names.
fn named(help: &str) -> BTreeSet<String> {
    help.split("[env: ")
        .skip(1)
        .map(|rest| {
            let is_inside = |c: char| c.is_ascii_uppercase() || c == '_';
            rest.chars().take_while(|c| is_inside(*c)).collect()
        })
        .collect()
}

/// Name and default of every variable in `pipe.yml`.
fn variables() -> Vec<(String, Option<String>)> {
    let pipe: Value = serde_yaml::from_str(include_str!("../pipe.yml")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pipe["variables"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|variable| (text(&variable["name"]), variable.get("default").map(text)))
        .collect()
}

#[test]
fn help_names_every_variable_with_its_default_and_no_other() {
    let helps = MODES.map(|mode| {
        help_by(&["--pipe", mode])
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    let mut all: BTreeSet<String> = helps.iter().flat_map(|help| named(help)).collect();
    // MODE says which help this is.
    all.insert("MODE".to_owned());
    let expected: BTreeSet<String> = variables().into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, expected);
    for (name, default) in variables() {
        let Some(default) = default.filter(|default| default != "false") else {
            continue;
        };
        for help in helps.iter().filter(|help| named(help).contains(&name)) {
            assert!(
                help.contains(&format!("[default: {default}]")),
                "default of {name}: {help}"
            );
        }
    }
}

#[test]
fn outside_of_the_pipe_the_names_that_repositories_use_have_a_name_in_full() {
    let of_the_pipe = named(&help_by(&["--pipe", "deploy"]));
    let common = [
        "AWS_OIDC_ROLE_ARN",
        "AZURE_APP_ID",
        "AZURE_TENANT_ID",
        "COMMAND",
        "DEBUG",
        "GOOGLE_OIDC_CONFIG_FILE",
        "PLAN_FILE",
        "REPORT_FILE",
        "TERRAFORM_VERSION",
        "WORKSPACE",
    ];
    let of_an_own_image = of_the_pipe.iter().map(|name| match name.as_str() {
        name if common.contains(&name) => format!("SOFTSTOP_{name}"),
        name => name.to_owned(),
    });
    assert_eq!(named(&help("deploy")), of_an_own_image.collect());
}

#[test]
fn the_table_of_the_readme_names_every_variable_with_its_default_and_no_other() {
    let rows: Vec<Vec<&str>> = README
        .lines()
        .skip_while(|line| !line.starts_with("| Variable |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let expected = variables();
    assert_eq!(rows.len(), expected.len());
    for (row, (name, default)) in rows.iter().zip(expected) {
        assert_eq!(row[0], format!("`{name}`"));
        if let Some(default) = default {
            assert_eq!(row[1], format!("`{default}`"), "default of {name}");
        }
    }
}

#[test]
fn every_exit_code_of_the_documents_is_in_the_help_and_the_other_way_round() {
    for mode in MODES {
        assert_eq!(codes(exit_codes(README)), codes_of_help(mode));
    }
    assert_eq!(codes(exit_codes(CHECK)), codes_of_help("check"));
}

fn exit_codes(page: &str) -> &str {
    let begin = page.split("## Exit codes").nth(1).unwrap();
    begin.split("\n## ").next().unwrap()
}

fn codes_of_help(mode: &str) -> Vec<String> {
    codes(help(mode).split("Exit codes:").nth(1).unwrap())
}

/// The first words of the rows of a table or list, where they are codes.
fn codes(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| {
        let row = line.trim_start_matches(['|', ' ', '`']);
        let is_code = row.starts_with("N ") || row.starts_with("N`");
        let is_number = row.starts_with(|c: char| c.is_ascii_digit());
        (is_code || is_number).then(|| row.split([' ', '`']).next().unwrap().to_owned())
    });
    rows.collect()
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What users read: the README, and what it leads to.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages = files_below(&repository().join("docs"));
    pages.push(repository().join("README.md"));
    pages
}

pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_readme_is_short_enough_to_be_read() {
    let is_word = |word: &&str| word.contains(char::is_alphanumeric);
    let words = README.split_whitespace().filter(is_word).count();
    assert!(words <= MOST_WORDS_OF_README, "{words} words");
}

#[test]
fn every_page_is_linked_with_the_readme_both_ways() {
    let mut pages = files_below(&repository().join("docs"));
    pages.retain(|page| page.extension().is_some_and(|kind| kind == "md"));
    for page in pages {
        let name = page.file_name().unwrap().to_string_lossy();
        assert!(README.contains(&format!("](docs/{name})")), "{name}");
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("](../README.md)"), "{name}");
    }
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let of_developers = ["DESIGN.md", "CONTRIBUTING.md"].map(|name| repository().join(name));
    let mut missing = Vec::new();
    for document in pages().into_iter().chain(of_developers) {
        let text = fs::read_to_string(&document).unwrap();
        let paths = links(&text).map(|link| document.parent().unwrap().join(link));
        let paths = paths.chain(named_paths(&text).map(|path| repository().join(path)));
        let gone = paths.filter(|path| !path.exists());
        missing.extend(gone.map(|path| (document.clone(), path)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The files to which links lead.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

/// The words that name a path in the repository.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    text.split(move |c| !is_inside(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| {
            let room = word.split_once('/').map(|(room, _)| room);
            room.is_some_and(|room| ROOMS.contains(&room))
        })
}

#[test]
fn the_design_names_every_room_and_every_file_of_the_source_and_no_other() {
    let source = repository().join("src");
    let there: BTreeSet<String> = files_below(&source)
        .iter()
        .map(|file| file.strip_prefix(repository()).unwrap())
        .map(|file| file.to_string_lossy().into_owned())
        .collect();
    let named = named_files(DESIGN);
    let unnamed: Vec<&String> = there.difference(&named).collect();
    assert!(unnamed.is_empty(), "not in DESIGN.md: {unnamed:#?}");
    let gone: Vec<&String> = named.difference(&there).collect();
    assert!(gone.is_empty(), "only in DESIGN.md: {gone:#?}");
}

/// The files of the source in the list of its rooms. Below the line of a room stand those of its
/// files, indented; a line may name several, or all that there are.
fn named_files(design: &str) -> BTreeSet<String> {
    let list = design
        .split("```\n")
        .find(|block| block.starts_with("src/"))
        .unwrap();
    let mut files = BTreeSet::new();
    let mut room = "";
    for line in list.lines() {
        let names = line.trim_start().split("  ").next().unwrap();
        if names == "*.rs" {
            let there = files_below(&repository().join(room));
            let names = there.iter().map(|file| file.file_name().unwrap());
            files.extend(names.map(|name| format!("{room}{}", name.to_str().unwrap())));
        } else if line.starts_with(' ') {
            files.extend(names.split(", ").map(|name| format!("{room}{name}")));
        } else {
            room = names;
        }
    }
    files
}
