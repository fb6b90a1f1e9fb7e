//! What holds for any output.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::progress_table::read;
use super::*;
use crate::mutation::{at_least, mutated};
use crate::tools::progress::Fate;

const TEXTS: &[&str] = &[
    include_str!("../../../../test/fixtures/progress/terraform-1.11/plain-second.txt"),
    include_str!("../../../../test/fixtures/progress/terraform-1.11/colour-second.txt"),
    include_str!("../../../../test/fixtures/progress/terraform-1.11/json-second.txt"),
    include_str!("../../../../test/fixtures/progress/terraform-0.12/plain-second.txt"),
    include_str!("../../../../test/fixtures/progress/opentofu-1.12/plain-second.txt"),
];

/// Lines that look like those of Terraform about the resources `a.b` and `a.c`.
const FORGED: &[&str] = &[
    "\na.b: Creating...",
    "\na.b: Creation complete after 0s [id=forged]",
    "\na.b: Creation complete after 0s [id=forged",
    "\na.b: Destruction complete after 0s",
    "\na.b: Still creating... [10s elapsed]",
    "\na.c: Creating...",
    "\na.c: Creation complete after 0s [id=forged]",
    "\na.c: Destroying... [id=forged]",
    "\n  # a.c will be destroyed",
    "]",
    "\u{1b}[0m",
    "one",
];

proptest! {
    #![proptest_config(at_least(256))]

    #[test]
    fn no_output_makes_the_reader_panic(text in mutated(TEXTS), bytes in vec(any::<u8>(), 0..200)) {
        let mut progress = Progress::default();
        for line in text.as_bytes().split(|byte| *byte == b'\n') {
            progress.hear(line);
        }
        progress.hear(&bytes);
        let _ = progress.told();
    }

    #[test]
    fn what_an_id_says_of_others_makes_them_no_more_than_doubtful(
        forged in vec(select(FORGED), 0..5),
        place in 0..4_usize,
    ) {
        let id = forged.concat();
        let mut lines = vec![
            "  # a.b will be created".to_owned(),
            "  # a.c will be created".to_owned(),
            "  # a.x will be created".to_owned(),
            "a.x: Creating...".to_owned(),
            "a.b: Creating...".to_owned(),
            "a.b: Still creating... [10s elapsed]".to_owned(),
            "a.b: Creation complete after 11s [id=true]".to_owned(),
        ];
        lines.insert(4 + place, format!("a.x: Creation complete after 0s [id={id}]"));
        let told = read(&lines.join("\n"));
        let of = |address: &str| told.resources.iter().find(|one| *one.address == *address);
        let made = of("a.b").unwrap();
        match made.stage {
            Fate::Complete => {
                prop_assert_eq!(made.id.as_deref(), Some("true"), "{}", lines.join("\n"));
            }
            // What was begun twice and has ended once is in flight, which claims less.
            Fate::InDoubt | Fate::InFlight => {}
            _ => prop_assert!(false, "{:?}: {}", made.stage, lines.join("\n")),
        }
        let not_begun = of("a.c").unwrap().stage;
        prop_assert!(not_begun != Fate::Failed && not_begun != Fate::GivenUp);
    }
}

#[test]
fn json_that_is_nested_without_end_needs_no_stack() {
    let deep = "[".repeat(60_000);
    let line = format!("{{\"@level\":\"info\",\"x\":{deep}");
    let listener = std::thread::Builder::new().stack_size(64 * 1024);
    let heard = listener.spawn(move || Progress::default().hear(line.as_bytes()));
    heard.unwrap().join().unwrap();
}
