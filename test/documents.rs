//! What the documents say is what the program does: `pipe.yml` is the one list of variables.

use std::process::Command;

use serde_yaml::Value;

const README: &str = include_str!("../README.md");

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_softstop"))
        .args(["deploy", "--help"])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
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
    // Lines may break anywhere.
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, default) in variables() {
        // MODE says which help this is.
        if name == "MODE" {
            continue;
        }
        assert!(
            help.contains(&format!("[env: {name}")),
            "{name} is missing in --help"
        );
        if let Some(default) = default.filter(|default| default != "false") {
            assert!(
                help.contains(&format!("[default: {default}]")),
                "default of {name}"
            );
        }
    }
    let named = help.matches("[env: ").count();
    assert_eq!(named, variables().len() - 1, "{help}");
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
    let codes = |text: &str, is_row: fn(&str) -> bool| -> Vec<String> {
        text.lines()
            .filter(|line| is_row(line))
            .map(|line| {
                let row = line.trim_start_matches(['|', ' ', '`']);
                row.split([' ', '`']).next().unwrap().to_owned()
            })
            .collect()
    };
    let readme = README
        .split("## Exit codes")
        .nth(1)
        .unwrap()
        .split("## ")
        .next()
        .unwrap();
    let help = help();
    let help = help.split("Exit codes:").nth(1).unwrap();
    let is_code = |line: &str| {
        line.trim_start_matches(['|', ' ', '`'])
            .starts_with(|c: char| c.is_ascii_digit() || c == 'N')
    };
    assert_eq!(codes(readme, is_code), codes(help, is_code));
}
