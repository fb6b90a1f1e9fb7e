//! However hostile a file is, reading it takes time and memory in the measure of its length.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::hcl_text::state_blocks;
use crate::mutation::at_least;

/// How long a file may be in these tests.
const LONG: usize = 1024 * 1024;
/// Far more than the reader needs for that, and far less than anything worse than linear would.
const PATIENCE: Duration = Duration::from_secs(5);

/// What changes how the text behind it is read.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\\",
    "${",
    "$${",
    "%{",
    "#",
    "//",
    "/*",
    "*/",
    "<<E\n",
    "<<-E\n",
    "\nE\n",
    "E",
    "\n",
    " ",
    "=",
    "terraform {\n",
    "backend \"a\" {\n",
    "cloud {\n",
    "}\n",
    "é",
    "\u{feff}",
    "\0",
];

/// What Terraform takes as the value of an argument, and what must not be taken for a block.
const VALUES: &[&str] = &[
    "\"}\"",
    "\"{ backend\"",
    "\"${\"}\"}\"",
    "\"$${\"",
    "\"%%{ \\\" }\"",
    "\"%{ if true }{%{ endif }\"",
    "<<E\nterraform {\n  backend \"no\" {\n${ \"}\" }\n  E x\n  E",
    "<<-E-2\n  }}\n$${\n  E-2",
    "{ for name in [\"a\"] : name => 1 +\n  2 }",
    "{ Team = 1, Team = 2 }",
    "[\n  {\n  },\n]",
    "((((1))))",
    "true ? {} : { terraform = {} }",
    "1 # terraform {",
    "2 // backend \"no\" {",
    "3 /* terraform {\n  backend \"no\" {\n */",
];

fn read_in_time(text: &str) -> Result<(), TestCaseError> {
    let began = Instant::now();
    let blocks = state_blocks(text);
    prop_assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let length: usize = blocks.iter().map(|block| block.text.len()).sum();
    prop_assert!(length <= text.len());
    Ok(())
}

proptest! {
    #![proptest_config(at_least(24))]

    #[test]
    fn a_file_of_any_pieces_is_read_in_time(pieces in vec(select(PIECES), 1..12)) {
        let pieces = pieces.concat();
        read_in_time(&pieces.repeat(LONG / pieces.len()))?;
    }

    #[test]
    fn a_file_that_opens_and_never_ends_is_read_in_time(
        before in vec(select(PIECES), 0..6), piece in select(PIECES),
    ) {
        read_in_time(&(before.concat() + &piece.repeat(LONG / piece.len())))?;
    }
}

proptest! {
    #![proptest_config(at_least(512))]

    #[test]
    fn a_block_is_found_as_it_is_written_among_all_that_terraform_takes(
        before in vec(select(VALUES), 0..5), inside in vec(select(VALUES), 0..5),
        after in vec(select(VALUES), 0..5),
    ) {
        let arguments = |values: &[&str]| {
            let numbered = values.iter().enumerate();
            let lines: Vec<_> = numbered.map(|(number, value)| format!("a{number} = {value}\n")).collect();
            lines.concat()
        };
        let block = format!("backend \"b\" {{\n{}}}", arguments(&inside));
        let text = format!(
            "locals {{\n{}}}\nterraform {{\n{}{block}\n}}\nlocals {{\n{}}}\n",
            arguments(&before), arguments(&after), arguments(&after),
        );
        let found: Vec<_> = state_blocks(&text).iter().map(|block| block.text).collect();
        prop_assert_eq!(found, [block.as_str()], "{}", text);
    }
}

#[test]
fn what_only_terraform_understands_is_no_hindrance() {
    let long = format!("locals {{\n  sum = {}1\n}}\n", "1 + ".repeat(3_000));
    let deep = format!(
        "locals {{\n  deep = {}1{}\n}}\n",
        "(".repeat(120),
        ")".repeat(120)
    );
    let operator =
        "locals {\n  kinds = { for name in [\"a\"] : name => name == \"a\" ? 1 :\n  2 }\n}\n";
    let twice = "locals {\n  tags = { Team = 1, Team = 2 }\n}\n";
    let words = "# backend \"a\" { and cloud {\nlocals {\n  open = \"{ backend\"\n  text = <<-END\n    terraform {\n      backend \"a\" {\n  END\n}\n";
    for text in [&long, &deep, operator, twice, words] {
        assert_eq!(state_blocks(text), [], "{text}");
        let block = format!("{text}terraform {{\n  backend \"b\" {{}}\n}}\n");
        assert_eq!(state_blocks(&block).len(), 1, "{text}");
    }
}
