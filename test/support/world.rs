//! Objects of the slow provider, which are there whatever a state knows of them.

use std::fs;

use serde_json::Value;

use super::{Kind, Program, Project};

/// A configuration with these objects, see [`object`]. Their world is a file of the project.
pub fn world_of(program: Program, kind: Kind, objects: &[String]) -> Project {
    let project = Project::of(program, kind, "");
    write_objects(&project, objects);
    project
}

/// Puts these objects in the place of those that the configuration has.
pub fn write_objects(project: &Project, objects: &[String]) {
    let scratch = project.scratch().display().to_string();
    let text = format!(
        "terraform {{\n  required_providers {{\n    slow = {{ source = \"example.com/test/slow\" }}\n  \
         }}\n}}\nprovider \"slow\" {{\n  world = \"{scratch}/world\"\n}}\n{}",
        objects.concat().replace("GATES", &scratch)
    );
    project.write("main.tf", &text);
}

/// An object. Gates are named `GATES/NAME.gate`.
pub fn object(name: &str, settings: &str) -> String {
    object_of("object", name, settings)
}

/// An object of this type of the slow provider.
pub fn object_of(kind: &str, name: &str, settings: &str) -> String {
    format!("resource \"slow_{kind}\" \"{name}\" {{\n  name = \"{name}\"\n  {settings}\n}}\n")
}

/// The ids of what there is by this name.
pub fn in_the_world(project: &Project, name: &str) -> Vec<String> {
    let world = fs::read_to_string(project.scratch().join("world")).unwrap_or_default();
    let lines: Vec<Value> = world
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is_last = |place: usize, line: &Value| {
        let later = lines[place + 1..].iter();
        !later.into_iter().any(|other| other["id"] == line["id"])
    };
    lines
        .iter()
        .enumerate()
        .filter(|(place, line)| is_last(*place, line))
        .filter(|(_, line)| line["name"] == name && line["is_there"] == true)
        .map(|(_, line)| line["id"].as_str().unwrap().to_owned())
        .collect()
}
