//! Which blocks are found in which texts.

use super::hcl_text::{Wanted, blocks, state_blocks};

fn found(text: &str) -> Vec<&str> {
    let blocks = state_blocks(text);
    blocks.into_iter().map(|block| block.text).collect()
}

#[test]
fn blocks_by_themselves_are_found_beside_those_of_terraform() {
    let text = "variable \"a\" {\n default = \"}\"\n}\nresource \"x\" \"y\" {\n locals {\n }\n}\n\
                terraform {\n encryption {\n state {\n }\n }\n variable {\n }\n}\nlocals {}\n";
    let wanted = Wanted {
        outside: &["variable", "locals"],
        inside: &["encryption"],
    };
    let found: Vec<_> = blocks(text, wanted)
        .iter()
        .map(|block| block.text)
        .collect();
    assert_eq!(
        found,
        [
            "variable \"a\" {\n default = \"}\"\n}",
            "encryption {\n state {\n }\n }",
            "locals {}",
        ]
    );
}

#[test]
fn a_block_is_found_in_every_form_that_terraform_takes() {
    for (text, block) in [
        ("terraform {\n  backend \"s3\" {}\n}", "backend \"s3\" {}"),
        ("terraform{\nbackend s3{\n}\n}", "backend s3{\n}"),
        ("terraform {\r\n cloud {\r\n }\r\n}", "cloud {\r\n }"),
        (
            "terraform /* x */ { // y\n backend /* } */ \"a\" {\n}\n}",
            "backend /* } */ \"a\" {\n}",
        ),
        (
            "terraform {\n backend \"a\" {\n x = \"}\" # }\n /* } */ // }\n }\n}",
            "backend \"a\" {\n x = \"}\" # }\n /* } */ // }\n }",
        ),
        (
            "terraform {\n backend \"a\" {\n x = \"${{ a = \"}\" }[\"a\"]}\"\n}\n}",
            "backend \"a\" {\n x = \"${{ a = \"}\" }[\"a\"]}\"\n}",
        ),
        (
            "terraform {\n backend \"a\" {\n x = <<E\n}\n  E\n}\n}",
            "backend \"a\" {\n x = <<E\n}\n  E\n}",
        ),
        (
            "terraform {\n x = { for a in b : a =>\n a }\n backend \"a\" {\n}\n}",
            "backend \"a\" {\n}",
        ),
        (
            "a = 1 +\nterraform {\n backend \"a\" {\n}\n}",
            "backend \"a\" {\n}",
        ),
        (
            "x {\n}\nterraform {\n}\nterraform {\n backend \"a\" {\n}\n}",
            "backend \"a\" {\n}",
        ),
    ] {
        assert_eq!(found(text), [block], "{text}");
    }
}

#[test]
fn what_only_looks_like_a_block_is_none() {
    for text in [
        "# terraform { backend \"a\" {} }",
        "// terraform {\n backend \"a\" {\n}",
        "/* terraform {\n backend \"a\" {}\n} */",
        "a = \"\n terraform {\n backend \\\"a\\\" {\n}\n}\n\"",
        "a = <<-E-X\n terraform {\n backend \"a\" {\n}\n E\n }\n E-X\n",
        "a = <<E\n${<<F\nE\nterraform {\nF\n}\nterraform {\n backend \"a\" {\n}\n}\nE\n",
        "a = \"$${\"\nb = \"%%{\"\nc = \"$$${\"\nx {\nterraform {\nbackend \"a\" {\n}\n}\n}",
        "a = [\nterraform, {\n backend = {\n}\n}\n]",
        "terraform \"x\" {\n backend \"a\" {\n}\n}",
        "terraform = {\n backend \"a\" {\n}\n}",
        "terraform {\n x {\n backend \"a\" {\n}\n}\n}",
        "terraform {\n backend = \"a\"\n}",
        "terraform {\n backends \"a\" {\n}\n}",
        "x {\n terraform {\n backend \"a\" {\n}\n}\n}",
        "terraform\n{\n backend \"a\" {\n}\n}",
    ] {
        assert!(found(text).is_empty(), "{text}");
    }
}

#[test]
fn all_blocks_are_found_with_their_lines() {
    let text = "# é\nterraform {\n backend \"a\" {\n}\n\n cloud {\n}\n}\n";
    let blocks = state_blocks(text);
    let lines: Vec<_> = blocks.iter().map(|block| block.lines_before).collect();
    assert_eq!(lines, [2, 5]);
}

#[test]
fn a_block_that_nothing_closes_reaches_to_the_end() {
    let text = "\nterraform {\n backend \"a\" {\n x = \"\n";
    assert_eq!(found(text), ["backend \"a\" {\n x = \"\n"]);
    let rest = "\nterraform {\n backend \"a\" {\n}\n x {";
    assert_eq!(found(rest), ["backend \"a\" {\n}"]);
}
