use super::document::{Node, Position, Unreadable, read};

fn at(line: u32, column: u32) -> Position {
    Position { line, column }
}

#[test]
fn values_and_keys_know_where_they_are() {
    let root = read("a:\n  - b\n  - 'it''s'\n").unwrap();
    assert_eq!(root.entry("a").unwrap().position, at(1, 1));
    let list = root.get("a").unwrap();
    assert_eq!(list.position, at(2, 3));
    assert_eq!(list.items()[1].position, at(3, 5));
    assert_eq!(list.items()[1].text(), Some("it's"));
}

#[test]
fn a_sequence_is_where_its_first_dash_is() {
    for (text, column) in [
        ("a:\n  - |\n   b", 3),
        ("a:\n- &x-y b", 1),
        ("a:\n-\n  b", 1),
        ("a: [-1]", 4),
    ] {
        let root = read(text).unwrap();
        assert_eq!(root.get("a").unwrap().position.column, column, "{text}");
    }
}

#[test]
fn lines_of_a_literal_text_are_where_the_file_has_them() {
    let root = read("a: |\n\n  b\n  c\n").unwrap();
    let text = root.get("a").unwrap();
    assert_eq!(text.text(), Some("\nb\nc\n"));
    assert_eq!(text.lines().at(1), at(3, 3));
    assert_eq!(text.lines().at(2), at(4, 3));
    let quoted = read("a: \"b\\nc\"").unwrap();
    assert_eq!(quoted.get("a").unwrap().lines().at(1), at(1, 4));
}

#[test]
fn an_alias_is_what_it_stands_for() {
    let root = read("a: &x {b: c}\nd: *x\n").unwrap();
    assert_eq!(root.get("d").unwrap().get("b").unwrap().text(), Some("c"));
    assert_eq!(root.get("d").unwrap().position, at(1, 7));
}

#[test]
fn a_merge_fills_in_what_the_mapping_does_not_say_itself() {
    let text = "x: &x {a: 1, b: 1, c: 1}\ny: &y {b: 2, d: 2}\nz: {<<: [*y, *x], a: 3}\n";
    let root = read(text).unwrap();
    let of = |key| root.get("z").unwrap().get(key).and_then(Node::text);
    assert_eq!(
        ["a", "b", "c", "d", "<<"].map(of),
        [Some("3"), Some("2"), Some("1"), Some("2"), None]
    );
    let once = read("x: &x {a: 1}\nz:\n  <<: *x\n").unwrap();
    assert_eq!(once.get("z").unwrap().get("a").unwrap().text(), Some("1"));
}

#[test]
fn aliases_of_aliases_are_refused_before_they_fill_the_memory() {
    let aliases = |many: usize, level: usize| {
        let items = vec![format!("*a{}", level - 1); many].join(", ");
        format!("a{level}: &a{level} [{}]\n", items.replace("*a0", "x"))
    };
    let bomb: Vec<String> = (1..40).map(|level| aliases(10, level)).collect();
    assert_eq!(read(&bomb.concat()).unwrap_err(), Unreadable::TooLarge);
    let chain: Vec<String> = (1..1000).map(|level| aliases(1, level)).collect();
    assert_eq!(read(&chain.concat()).unwrap_err(), Unreadable::TooDeep);
}

#[test]
fn what_is_no_document_is_refused_with_the_place() {
    assert_eq!(read("# nothing\n").unwrap_err(), Unreadable::Empty);
    let within_itself = read("a: &a [*a]").unwrap_err().to_string();
    assert!(within_itself.starts_with("line 1, column 8: an alias"));
    let unclosed = read("a:\n  - [b").unwrap_err().to_string();
    assert!(unclosed.starts_with("line 2, column 5: "), "{unclosed}");
    assert!(read("[".repeat(100_000).as_str()).is_err());
}
