//! Arrows between the files of the source point one way, and files of tests are called alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::documents::{DESIGN, files_below, repository};

/// How a file is called that has tests alone, behind what it tests: rows of cases, or what holds for
/// all of them.
const OF_TESTS: [&str; 2] = ["_table", "_properties"];
/// What such files share.
const FOR_TESTS: &str = "mutation";

/// Longer, and nobody reads a file from one end to the other.
const LONGEST_FILE: usize = 400;
const LONGEST_MAIN: usize = 60;
/// The room whose furniture each tool brings along.
const OF_TOOLS: &str = "tools";

/// For each file, or each room, those that it names.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A house with a circle in it cannot be read from one end to the other, and none of the circle can
/// be tested without all of it.
#[test]
fn no_files_and_no_rooms_know_each_other_in_a_circle() {
    let files = arrows();
    let circles = on_circles(&files);
    assert!(circles.is_empty(), "files: {circles:#?}");
    let rooms = between_rooms(&files);
    let circles = on_circles(&rooms);
    assert!(circles.is_empty(), "rooms: {circles:#?}");
}

fn between_rooms(files: &Arrows) -> Arrows {
    let mut rooms = Arrows::new();
    for (from, named) in files {
        let others = named.iter().map(|file| room(file));
        let others = others.filter(|other| *other != room(from));
        let known = rooms.entry(room(from).to_owned()).or_default();
        known.extend(others.map(str::to_owned));
    }
    rooms
}

#[test]
fn the_design_shows_which_room_knows_which() {
    let rooms = between_rooms(&arrows());
    let lines = rooms.iter().filter(|(_, known)| !known.is_empty());
    let lines: Vec<String> = lines
        .map(|(room, known)| {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            format!("{room:<14}{}\n", known.join(", "))
        })
        .collect();
    let lines = lines.concat();
    assert!(DESIGN.contains(&format!("```\n{lines}```")), "{lines}");
}

#[test]
fn no_file_and_no_room_grows_too_large() {
    let source = repository().join("src");
    let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
    for file in files_below(&source) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let module = module(file.strip_prefix(&source).unwrap());
        let most = if module == "main" {
            LONGEST_MAIN
        } else {
            LONGEST_FILE
        };
        assert!(lines <= most, "{module} has {lines} lines");
        *rooms.entry(room(&module).to_owned()).or_default() += lines;
    }
    let all: usize = rooms.values().sum();
    rooms.remove(OF_TOOLS).unwrap();
    for (room, lines) in rooms {
        assert!(lines * 4 <= all, "{room} has {lines} of {all} lines");
    }
}

#[test]
fn files_of_tests_are_called_after_what_they_test() {
    let mut names = Vec::new();
    for file in files_below(&repository().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let declared = text.split("#[cfg(test)]\nmod ").skip(1);
        let declared =
            declared.filter_map(|rest| rest.split_once(['\n', ' '])?.0.strip_suffix(';'));
        names.extend(declared.map(str::to_owned));
    }
    let is_odd = |name: &String| *name != FOR_TESTS && !is_of_tests(name);
    assert!(names.len() > 10, "{names:?}");
    names.retain(is_odd);
    assert!(names.is_empty(), "{names:?}");
}

/// What each file names of the others, but for its tests: by a path from the root, from above, or
/// from itself.
fn arrows() -> Arrows {
    let source = repository().join("src");
    let texts = files_below(&source).into_iter().map(|file| {
        let module = module(file.strip_prefix(&source).unwrap());
        (module, code(&fs::read_to_string(file).unwrap()))
    });
    let texts: BTreeMap<String, String> = texts
        .filter(|(module, _)| module != "main" && !is_of_tests(module))
        .collect();
    let named = |module: &String, text: &String| {
        let below = format!("{module}::");
        let inside = texts.keys().filter_map(|other| other.strip_prefix(&below));
        let starts = inside.chain(["crate", "super"]);
        let paths = starts.flat_map(|start| paths(text, start));
        let files = paths.filter_map(|path| file_of(&path, module, &texts));
        files.filter(|file| file != module).collect()
    };
    texts
        .iter()
        .map(|(module, text)| (module.clone(), named(module, text)))
        .collect()
}

fn module(file: &Path) -> String {
    let path = file.with_extension("");
    let path = path.to_str().unwrap().trim_end_matches("/mod");
    path.replace('/', "::")
}

/// Without comments and tests.
fn code(text: &str) -> String {
    let text = text.split("mod tests {").next().unwrap();
    let lines = text.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_of_tests(module: &str) -> bool {
    OF_TESTS.iter().any(|ending| module.ends_with(ending))
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// All paths that begin with this word.
fn paths(text: &str, start: &str) -> Vec<String> {
    let is_inside = |c: char| c.is_alphanumeric() || "_:".contains(c);
    let start = format!("{start}::");
    let found = text.match_indices(&start).map(|(at, _)| at);
    let begins = found.filter(|at| !text[..*at].ends_with(is_inside));
    begins.flat_map(|at| branches(&text[at..])).collect()
}

/// The paths of a tree such as `a::{b, c::d}`.
fn branches(tree: &str) -> Vec<String> {
    let is_inside = |c: char| c.is_alphanumeric() || "_:".contains(c);
    let end = tree.find(|c| !is_inside(c)).unwrap_or(tree.len());
    let (stem, rest) = tree.split_at(end);
    if !rest.starts_with('{') {
        return vec![stem.to_owned()];
    }
    let (mut depth, mut begin, mut all) = (0, 1, Vec::new());
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && c == ',' {
            let inner = branches(rest[begin..at].trim());
            all.extend(inner.iter().map(|branch| format!("{stem}{branch}")));
            begin = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    all
}

/// The file that a path leads to, from `module`.
fn file_of(path: &str, module: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    if rest[0] == "crate" {
        base.clear();
        rest.remove(0);
    }
    while rest.first() == Some(&"super") {
        base.pop();
        rest.remove(0);
    }
    for part in rest {
        base.push(part);
        if !texts.contains_key(&base.join("::")) {
            base.pop();
            break;
        }
    }
    Some(base.join("::")).filter(|file| !file.is_empty())
}

/// Those from which arrows lead back to them.
fn on_circles(arrows: &Arrows) -> BTreeSet<&str> {
    let leads_back = |start: &&String| {
        let (mut open, mut seen) = (vec![*start], BTreeSet::new());
        while let Some(from) = open.pop() {
            for to in arrows.get(from).into_iter().flatten() {
                if to == *start {
                    return true;
                }
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        false
    };
    arrows
        .keys()
        .filter(leads_back)
        .map(String::as_str)
        .collect()
}
