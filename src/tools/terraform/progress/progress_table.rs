//! What is read in texts that nobody can record.

use std::fmt::Write;

use super::*;
use crate::tools::progress::{Action, Begun, Fate, Resource};
use crate::tools::stored::Stored;

pub(super) fn read(text: &str) -> Told {
    heard(text).told()
}

fn heard(text: &str) -> Progress {
    heard_by(Progress::default(), text)
}

pub(super) fn heard_by(mut progress: Progress, text: &str) -> Progress {
    for line in text.lines() {
        if MARKERS.iter().any(|marker| line.contains(marker)) {
            progress.hear(line.as_bytes());
        }
    }
    progress
}

pub(super) fn find<'a>(told: &'a Told, address: &str) -> &'a Resource {
    let mut resources = told.resources.iter();
    let found = resources.find(|resource| *resource.address == *address);
    found.unwrap_or_else(|| panic!("{address} is not among {told:#?}"))
}

pub(super) fn is(told: &Told, address: &str, action: Action, stage: Fate) {
    let resource = find(told, address);
    assert_eq!(
        (resource.action, resource.stage),
        (action, stage),
        "{address}"
    );
}

#[test]
fn what_a_wrapper_puts_before_the_words_is_no_part_of_them() {
    for (prefix, unit) in [
        ("", None),
        ("[vpc] ", Some("vpc")),
        (
            "14:03:22.123 STDOUT [live/vpc] terraform: ",
            Some("live/vpc"),
        ),
        ("[2026-11-27T11:00:00Z] ", None),
        ("2026-11-27T11:00:00Z ", None),
        ("[INFO] ", None),
        ("[01] ", Some("01")),
        ("tf-1  | ", None),
    ] {
        let text = format!(
            "{prefix}  # module.a[\"x y\"].b.c will be created\n\
             {prefix}  # b.d will be created\n\
             {prefix}module.a[\"x y\"].b.c: Creating...\n\
             {prefix}b.d: Creating...\n\
             {prefix}module.a[\"x y\"].b.c: Creation complete after 1m10s [id=a: b]\n\
             {prefix}╷\n{prefix}│ Error: it said no\n{prefix}│ \n{prefix}│   with b.d,\n"
        );
        let told = read(&text);
        is(
            &told,
            "module.a[\"x y\"].b.c",
            Action::Create,
            Fate::Complete,
        );
        is(&told, "b.d", Action::Create, Fate::Failed);
        let made = find(&told, "module.a[\"x y\"].b.c");
        assert_eq!(made.id.as_deref(), Some("a: b"));
        assert_eq!(made.unit.as_deref(), unit);
        assert!(told.has_plan, "{prefix:?}");
    }
}

#[test]
fn dots_before_the_words_are_no_part_of_them() {
    let told = read(
        "...b.c: Creating...\n\
         .module.a.b.c: Creating...\n\
         .b.c: Creation complete after 1m10s [id=a: b]\n",
    );
    is(&told, "b.c", Action::Create, Fate::Complete);
    assert_eq!(find(&told, "b.c").id.as_deref(), Some("a: b"));
    assert_eq!(find(&told, "module.a.b.c").unit, None);
}

/// In `terraform apply -target=module.a && terraform apply saved.plan`.
#[test]
fn a_plan_that_names_nothing_of_what_is_begun_is_not_the_one_that_is_applied() {
    let run = "  # m.a will be created\nm.a: Creating...\nm.a: Creation complete after 0s [id=1]\n\
        Apply complete! Resources: 1 added, 0 changed, 0 destroyed.\n";
    let changed = "  # a.b will be updated in-place\na.b: Modifying... [id=1]\n\
        a.b: Modifications complete after 0s [id=1]\n\
        Apply complete! Resources: 0 added, 1 changed, 0 destroyed.\n";
    let begun = "a.b: Creating...\n";
    let plan = "  # a.b will be created\n";
    let deposed = "a.b (deposed object 1a2b3c4d): Destroying... [id=0]\n";
    let read_only = "data.a.b: Reading...\ndata.a.b: Read complete after 0s [id=1]\n";
    for (text, has_plan) in [
        (format!("{run}{begun}"), false),
        (format!("{changed}{begun}"), false),
        // The next plan does not tell what the one before was.
        (format!("{run}{begun}{plan}{begun}"), false),
        (format!("{run}{plan}{begun}"), true),
        (format!("{run}{plan}{deposed}{begun}"), true),
        (
            format!("{run}  # a.b must be replaced\n{begun}{deposed}"),
            true,
        ),
        (format!("{run}{read_only}"), true),
    ] {
        assert_eq!(read(&text).has_plan, has_plan, "{text}");
    }
    let told = read(&format!("{run}{begun}"));
    let old = Stored([("a.b".to_owned(), vec!["0".to_owned()])].into());
    assert_eq!(old.knows(find(&told, "a.b"), told.has_plan), None);
}

#[test]
fn what_no_run_has_counted_at_its_end_may_not_be_stored() {
    let run =
        |name: &str| format!("{name}: Creating...\n{name}: Creation complete after 0s [id=1]\n");
    let (first, second) = (run("a.b"), run("a.c"));
    let end =
        |added: u32| format!("Apply complete! Resources: {added} added, 0 changed, 0 destroyed.\n");
    let json = |added: u32| {
        format!(
            "{{\"@level\":\"info\",\"type\":\"change_summary\",\"changes\":\
             {{\"add\":{added},\"change\":0,\"remove\":0,\"operation\":\"apply\"}}}}\n"
        )
    };
    let read_only = "data.a.b: Reading...\ndata.a.b: Read complete after 0s [id=1]\n";
    for (text, is_unended) in [
        (format!("{first}{}", end(1)), false),
        (format!("{first}{}", json(1)), false),
        (format!("{read_only}{}", end(0)), false),
        (read_only.to_owned(), false),
        (first.clone(), true),
        // The first one was killed, and the next one is of another state.
        (format!("{first}{}", end(0)), true),
        (format!("{first}{}", json(0)), true),
        (format!("{first}{second}{}", end(1)), true),
        // Two at once.
        (format!("{first}{second}{}{}", end(1), end(1)), false),
        (format!("{first}{}{second}{}", end(1), end(1)), false),
        (format!("{first}[unit] {}", end(1)), true),
    ] {
        assert_eq!(read(&text).is_unended, is_unended, "{text}");
    }
}

#[test]
fn an_address_of_two_units_is_two_resources() {
    let told = read(
        "[a] b.c: Creating...\n[d] b.c: Creating...\n[a] b.c: Creation complete after 1s [id=1]\n",
    );
    let stages: Vec<(Option<&str>, Fate)> = told
        .resources
        .iter()
        .map(|resource| (resource.unit.as_deref(), resource.stage))
        .collect();
    assert_eq!(
        stages,
        [(Some("a"), Fate::Complete), (Some("d"), Fate::InFlight)]
    );
}

#[test]
fn of_units_that_speak_at_once_none_fails_by_what_another_one_says() {
    for about in ["with b.c,", "on main.tf line 1, in resource \"b\" \"c\":"] {
        let told = read(&format!(
            "[a] b.c: Creating...\n[d] b.c: Creating...\n[d] │ Error: it said no\n\
             [a] │   {about}\n[d] │   {about}\n"
        ));
        let stages: Vec<Fate> = told.resources.iter().map(|one| one.stage).collect();
        assert_eq!(stages, [Fate::InFlight, Fate::Failed], "{about}");
    }
}

#[test]
fn only_an_id_is_taken_for_an_id() {
    for (words, id) in [
        ("Creation complete after 0s [id=i-1]", Some("i-1")),
        ("Creation complete after 0s [id=[x]]", Some("[x]")),
        ("Creation complete after 0s [name=x]", None),
        ("Creation complete after 0s", None),
    ] {
        let told = read(&format!("a.b: Creating...\na.b: {words}\n"));
        is(&told, "a.b", Action::Create, Fate::Complete);
        assert_eq!(find(&told, "a.b").id.as_deref(), id, "{words}");
    }
}

#[test]
fn words_of_somebody_else_make_nothing_complete() {
    let begun = "  # a.b will be created\n  # a.d will be created\na.b: Creating...\n";
    for (forged, address, stage) in [
        // A provisioner's output, also with a prefix.
        (
            "a.x (local-exec): a.b: Creation complete after 0s [id=f]",
            "a.b",
            Fate::InFlight,
        ),
        (
            "[u] a.x (remote-exec): a.b: Creation complete after 0s [id=f]",
            "a.b",
            Fate::InFlight,
        ),
        // A part of a longer word, of a key, or of a sentence.
        (
            "xa.b.c: Creation complete after 0s [id=f]",
            "a.b",
            Fate::InFlight,
        ),
        (
            "a.b: Creation complete after 0s [id=f] or so",
            "a.b",
            Fate::InDoubt,
        ),
        (
            "a.x[\"a.b: Creation complete after 0s\"]: Creating...",
            "a.b",
            Fate::InFlight,
        ),
        ("        # a.b will be destroyed", "a.b", Fate::InFlight),
        ("Error: a.b", "a.b", Fate::InFlight),
        ("  with a.b,", "a.b", Fate::InFlight),
        ("Warning: old\n  with a.b,", "a.b", Fate::InFlight),
        // What was not begun cannot be complete, and what nobody has heard of cannot be anything.
        (
            "a.d: Creation complete after 0s [id=f]",
            "a.d",
            Fate::InDoubt,
        ),
        // It goes on in flight after it was said to be complete, or is complete twice.
        (
            "a.b: Creation complete after 0s [id=f]\na.b: Still creating... [10s elapsed]",
            "a.b",
            Fate::InDoubt,
        ),
        (
            "a.b: Creation complete after 0s [id=f]\na.b: Creation complete after 9s [id=g]",
            "a.b",
            Fate::InDoubt,
        ),
        (
            "a.b: Creation complete after 0s [id=f]\na.b: Creating...",
            "a.b",
            Fate::InDoubt,
        ),
        // An id with a line break in it.
        (
            "a.x: Creating...\na.x: Creation complete after 0s [id=one\n\
             a.b: Creation complete after 0s [id=f]",
            "a.b",
            Fate::InDoubt,
        ),
    ] {
        let told = read(&format!("{begun}{forged}\n"));
        assert_eq!(find(&told, address).stage, stage, "{forged}");
    }
    assert!(read("a.b: Creation complete after 0s [id=f]\n").is_nothing());
}

#[test]
fn a_new_plan_takes_the_place_of_the_old_one() {
    for begin in [
        "Terraform will perform the following actions:",
        "OpenTofu will perform the following actions:",
        "{\"@level\":\"info\",\"type\":\"version\"}",
    ] {
        let told = read(&format!(
            "  # a.b will be created\n  # a.c will be created\na.b: Creating...\n{begin}\n  \
             # a.d will be destroyed\n"
        ));
        let addresses: Vec<&str> = told
            .resources
            .iter()
            .map(|resource| &*resource.address)
            .collect();
        assert_eq!(addresses, ["a.b", "a.d"], "{begin}");
    }
}

#[test]
fn ten_thousand_resources_are_kept_and_of_more_the_complete_ones_are_dropped_first() {
    let mut progress = Progress::default();
    let address =
        |number: usize| format!("module.network[\"eu-central-1\"].aws_subnet.of_{number:06}");
    // The newest has the first name.
    for number in (0..12_000).rev() {
        progress.hear(format!("{}: Creating...", address(number)).as_bytes());
        // Every hundredth stays in flight.
        if number % 100 != 0 {
            let line = format!(
                "{}: Creation complete after 0s [id=arn:aws:ec2:eu-central-1:123456789012:{number:020}]",
                address(number)
            );
            progress.hear(line.as_bytes());
        }
    }
    let told = progress.told();
    assert!(told.resources.len() <= 10_000);
    assert_eq!(told.resources.len() + told.dropped, 12_000);
    let in_flight = told
        .resources
        .iter()
        .filter(|one| one.stage == Fate::InFlight);
    assert_eq!(in_flight.count(), 120);
    let kept = told.resources.iter().map(|one| &*one.address);
    let newest = (0..8_000).map(address);
    assert!(newest.eq(kept.take(8_000)), "the oldest are dropped");
    assert!(
        progress.ledger.bytes() < 4_000_000,
        "{}",
        progress.ledger.bytes()
    );
}

#[test]
fn since_when_is_told_of_what_was_begun_and_of_nothing_else() {
    let before = Begun::now();
    let told =
        read("  # a.b will be created\na.c: Creating...\na.c: Creation complete after 1s [id=1]\n");
    assert_eq!(find(&told, "a.b").begun, None);
    let begun = find(&told, "a.c").begun.unwrap();
    assert!((before..=Begun::now()).contains(&begun), "{begun:?}");
}

#[test]
fn in_short_of_many_what_is_most_needed_is_told_and_the_others_are_counted() {
    let mut text = String::from("  # a.planned will be created\ndata.a.read: Reading...\n");
    for number in 0..9 {
        writeln!(text, "a.of_{number}: Creating...").unwrap();
        writeln!(
            text,
            "a.of_{number}: Creation complete after 0s [id={number}]"
        )
        .unwrap();
    }
    text += "a.last: Creating...\n";
    let progress = heard(&text);
    let told = progress.told_in_short(3);
    let kept: Vec<&str> = told.resources.iter().map(|one| &*one.address).collect();
    assert_eq!(kept, ["a.last", "a.of_7", "a.of_8"]);
    assert_eq!(told.dropped, 8);
    let told = progress.told_in_short(11);
    assert_eq!(
        (told.resources.len(), told.dropped),
        (11, 0),
        "what was read is none"
    );
    let of_two_units = heard("[x] a.b: Creating...\n[y] a.b: Creating...\n[y] a.c: Creating...\n");
    assert_eq!(of_two_units.told_in_short(1), of_two_units.told());
}

#[test]
fn each_resource_that_is_not_kept_is_counted_once_whether_it_was_planned_or_begun() {
    let mut progress = Progress::default();
    let mut say = |line: String| progress.hear(line.as_bytes());
    // A plan for people to look at, and then the one that is applied.
    for _ in 0..2 {
        say("Terraform will perform the following actions:".to_owned());
        for number in 0..25_000 {
            say(format!("  # a.of_{number} will be created"));
        }
    }
    for number in 0..22_000 {
        say(format!("a.of_{number}: Creating..."));
        say(format!(
            "a.of_{number}: Creation complete after 0s [id={number}]"
        ));
    }
    let long = format!("a.{}", "b".repeat(2_000));
    say(format!("  # {long} will be created"));
    say(format!("{long}: Creating..."));
    let told = progress.told();
    assert_eq!(told.resources.len() + told.dropped, 25_001);
}
