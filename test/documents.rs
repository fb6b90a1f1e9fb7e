//! What the documents say is what the program does: `pipe.yml` is the one list of variables.

use std::collections::BTreeSet;
use std::process::Command;

use serde_yaml::Value;

const README: &str = include_str!("../README.md");

const MODES: [&str; 3] = ["deploy", "release", "status"];

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
    let common = ["COMMAND", "DEBUG", "WORKSPACE"];
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
fn every_exit_code_of_the_readme_is_in_the_help_and_the_other_way_round() {
    for mode in MODES {
        assert_eq!(codes(section("## Exit codes")), codes_of_help(mode));
    }
    let check = section("## Checking a pipelines file");
    assert_eq!(codes(check), codes_of_help("check"));
}

fn section(title: &str) -> &str {
    let begin = README.split(title).nth(1).unwrap();
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
