//! What is read in the log of a step, in which deploys may follow each other.

use super::Progress;
use super::progress_table::{find, heard_by, read};
use crate::tools::progress::Fate;
use crate::tools::progress::Reader;

#[test]
fn of_a_log_only_what_has_not_ended_well_is_told() {
    let run = |unit: &str, id: &str| {
        format!(
            "{unit}  # a.b will be created\n{unit}a.b: Creating...\n\
             {unit}a.b: Creation complete after 0s [id={id}]\n"
        )
    };
    let summary = |operation: &str| {
        let changes = format!("{{\"add\":1,\"operation\":\"{operation}\"}}");
        format!("{{\"@level\":\"info\",\"type\":\"change_summary\",\"changes\":{changes}}}")
    };
    let (applied, planned) = (summary("apply"), summary("plan"));
    let first_is_forgotten = Some("2");
    for (between, id) in [
        (
            "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
            first_is_forgotten,
        ),
        (
            "Destroy complete! Resources: 1 destroyed.",
            first_is_forgotten,
        ),
        (
            "\u{1b}[1mApply complete! Resources: 1 added.\u{1b}[0m",
            first_is_forgotten,
        ),
        (applied.as_str(), first_is_forgotten),
        (planned.as_str(), None),
        (
            "a.b (local-exec): Apply complete! Resources: 1 added.",
            None,
        ),
        ("[other] Apply complete! Resources: 1 added.", None),
        ("Error: it said no", None),
    ] {
        let text = format!("{}{between}\n{}", run("", "1"), run("", "2"));
        let told = heard_by(Progress::of_log(), &text).told();
        let made = find(&told, "a.b");
        let is_sure = made.stage == Fate::Complete;
        let known = made.id.as_deref().filter(|_| is_sure);
        assert_eq!(known, id, "{between}");
        let heard = read(&text);
        assert_eq!(find(&heard, "a.b").stage, Fate::InDoubt, "{between}");
    }
    let both = format!(
        "{}[u] Apply complete! Resources: 1 added.\n{}",
        run("[u] ", "1"),
        run("", "2")
    );
    assert_eq!(
        heard_by(Progress::of_log(), &both).told().resources.len(),
        1
    );
}

#[test]
fn a_run_that_has_ended_well_at_the_second_try_is_forgotten_and_one_that_goes_on_is_not() {
    let failed = "a.b: Creating...\n\u{2577}\n\u{2502} Error: no\n\u{2502} \n\
        \u{2502}   with a.b,\n\u{2575}\n";
    let again = "a.b: Creating...\na.b: Creation complete after 0s [id=1]\n";
    let beside = "a.c: Creating...\n";
    let complete = "\nApply complete! Resources: 1 added.\n";
    for (text, left) in [
        (format!("{failed}{again}{complete}"), 0),
        (format!("{again}{complete}"), 0),
        (format!("{beside}{again}{complete}"), 2),
    ] {
        let told = heard_by(Progress::of_log(), &text).told();
        assert_eq!(told.resources.len(), left, "{text} {told:#?}");
    }
}
