//! What is read where something is made more than once, or beside an old object, or destroyed again.

use std::collections::BTreeMap;

use super::progress_table::{find, is, read};
use crate::tools::progress::{Action, Fate};
use crate::tools::stored::Stored;

/// In `terraform apply || terraform apply`.
#[test]
fn what_was_made_first_is_not_forgotten_for_what_is_made_again() {
    let told = read(
        "a.b: Creating...\na.b: Creation complete after 0s [id=1]\n\
         a.b: Creating...\na.b: Creation complete after 0s [id=2]\n",
    );
    is(&told, "a.b", Action::Create, Fate::InDoubt);
    assert_eq!(find(&told, "a.b").id.as_deref(), Some("1"));
}

/// In `timeout --signal KILL 600 terraform apply || terraform apply`.
#[test]
fn what_was_killed_in_flight_is_not_settled_by_what_is_made_again() {
    let plan = "  # a.b will be created\n";
    let replace = "  # a.b must be replaced\n";
    let begun = "a.b: Creating...\n";
    let made = "a.b: Creation complete after 0s [id=2]\n";
    let canceled = "\u{2577}\n\u{2502} Error: context canceled\n\u{2502} \n\
        \u{2502}   with a.b,\n\u{2575}\n";
    let gone = "a.b (deposed object 1a2b3c4d): Destroying... [id=1]\n\
        a.b: Destruction complete after 0s\n";
    for text in [
        format!("{plan}{begun}{plan}{begun}"),
        format!("{plan}{begun}{plan}{begun}{made}"),
        format!("{plan}{begun}{begun}{made}{begun}{made}"),
        format!("{plan}{begun}{canceled}{begun}{made}"),
        format!("{replace}{begun}{replace}{begun}{made}"),
        format!("{replace}{begun}{replace}{begun}{made}{gone}"),
    ] {
        let told = read(&text);
        let resource = find(&told, "a.b");
        assert_eq!(resource.stage, Fate::InDoubt, "{text}");
        assert_eq!(resource.id, None, "{text}");
        let in_state = |ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Stored(BTreeMap::from([("a.b".to_owned(), ids)]))
        };
        assert_eq!(in_state(&["2"]).knows(resource, true), None, "{text}");
        assert_eq!(
            Stored::default().knows(resource, true),
            Some(false),
            "{text}"
        );
    }
}

#[test]
fn what_a_killed_replacement_has_made_is_not_forgotten_for_what_is_made_again() {
    let create = "  # a.b will be created\n";
    let replace = "  # a.b must be replaced\n";
    let begun = "a.b: Creating...\n";
    let made = |id| format!("{begun}a.b: Creation complete after 0s [id={id}]\n");
    let (first, second) = (made("1"), made("2"));
    let gone = "a.b: Destroying... [id=0]\na.b: Destruction complete after 0s\n";
    for text in [
        format!("{replace}{gone}{first}{create}{second}"),
        format!("{replace}{gone}{first}{create}{begun}"),
        // Made before the old one is destroyed.
        format!("{replace}{first}{replace}{second}{gone}"),
        format!("{replace}{first}{replace}{begun}"),
        format!("{replace}{first}{replace}{replace}{second}"),
        format!("{replace}{first}{gone}{create}{second}"),
        // What had replaced another one before, in the same step.
        format!(
            "{replace}{}{gone}{replace}{first}{replace}{second}",
            made("7")
        ),
    ] {
        let told = read(&text);
        is(&told, "a.b", Action::Replace, Fate::InDoubt);
        assert_eq!(find(&told, "a.b").id.as_deref(), Some("1"), "{text}");
    }
}

/// In `terraform apply -replace a.b && terraform apply -replace a.b`.
#[test]
fn what_is_replaced_twice_and_stored_in_between_is_in_no_doubt() {
    let replace = "  # a.b must be replaced\n";
    let made = |id| format!("a.b: Creating...\na.b: Creation complete after 0s [id={id}]\n");
    let (first, second, third) = (made("1"), made("2"), made("3"));
    let gone = |id| format!("a.b: Destroying... [id={id}]\na.b: Destruction complete after 0s\n");
    let (gone_zero, gone_one, gone_two) = (gone("0"), gone("1"), gone("2"));
    for text in [
        format!("{replace}{gone_one}{second}{replace}{gone_two}{third}"),
        format!("{replace}{second}{gone_one}{replace}{third}{gone_two}"),
        format!("{replace}{first}{gone_zero}{replace}{second}{gone_one}{replace}{third}{gone_two}"),
        // A plan that nobody applies is about the same.
        format!("{first}{replace}{replace}{second}{gone_one}{replace}{third}{gone_two}"),
    ] {
        let told = read(&text);
        is(&told, "a.b", Action::Replace, Fate::Complete);
        assert_eq!(find(&told, "a.b").id.as_deref(), Some("3"), "{text}");
    }
}

#[test]
fn the_id_of_what_is_destroyed_is_not_that_of_what_is_made_in_its_place() {
    let made = "a.b: Creating...\na.b: Creation complete after 0s [id=1]\n";
    let gone = "a.b: Destroying... [id=1]\na.b: Destruction complete after 0s\n";
    let plan = "  # a.b must be replaced\n";
    for (text, stage, id) in [
        (
            format!("{made}{plan}{gone}a.b: Creating...\n"),
            Fate::InFlight,
            None,
        ),
        (
            format!("{made}{gone}a.b: Creating...\n"),
            Fate::InFlight,
            None,
        ),
        (
            format!("{made}{plan}a.b: Creating...\n"),
            Fate::InFlight,
            None,
        ),
        (
            format!("{made}{plan}{gone}a.b: Creating...\na.b: Creation complete after 0s [id=2]\n"),
            Fate::Complete,
            Some("2"),
        ),
        // Made before the old one is destroyed, by a plan that nobody has heard.
        (
            format!("{made}a.b: Creating...\na.b: Creation complete after 0s [id=2]\n{gone}"),
            Fate::InDoubt,
            None,
        ),
    ] {
        let told = read(&text);
        assert_eq!(find(&told, "a.b").stage, stage, "{text}");
        assert_eq!(find(&told, "a.b").id.as_deref(), id, "{text}");
    }
}

/// On many clouds an id is a mere name.
#[test]
fn what_is_made_again_by_the_same_id_is_not_gone_until_it_is_destroyed() {
    let made = "a.b: Creating...\na.b: Creation complete after 0s [id=1]\n";
    let gone = "a.b: Destroying... [id=1]\na.b: Destruction complete after 0s\n";
    for (text, is_gone) in [
        (format!("{gone}{made}"), false),
        (format!("  # a.b must be replaced\n{gone}{made}"), false),
        (format!("{made}{gone}"), true),
        (format!("{made}{gone}{made}"), false),
        (format!("{gone}{made}{gone}"), true),
    ] {
        let told = read(&text);
        is(&told, "a.b", Action::Replace, Fate::Complete);
        assert_eq!(find(&told, "a.b").is_gone(), is_gone, "{text}");
        assert_eq!(find(&told, "a.b").id.as_deref(), Some("1"), "{text}");
    }
}

/// In `terraform apply && ./test; terraform destroy`.
#[test]
fn what_was_made_and_is_to_be_destroyed_is_there_until_it_is_gone() {
    let made = "  # a.b will be created\na.b: Creating...\n\
        a.b: Creation complete after 0s [id=1]\n";
    let plan = "Terraform will perform the following actions:\n  # a.b will be destroyed\n";
    let planned = format!("{made}{plan}");
    let going = format!("{planned}a.b: Destroying... [id=1]\n");
    let gone = format!("{going}a.b: Destruction complete after 0s\n");
    for (text, action, stage, leaves_something) in [
        (&planned, Action::Create, Fate::Complete, true),
        (&going, Action::Replace, Fate::InFlight, true),
        (&gone, Action::Replace, Fate::Complete, false),
    ] {
        let told = read(text);
        is(&told, "a.b", action, stage);
        let resource = find(&told, "a.b");
        assert_eq!(resource.id.as_deref(), Some("1"), "{text}");
        assert_eq!(resource.leaves_something(), leaves_something, "{text}");
    }
}

/// A replacement that was killed between its halves has left the old object behind.
#[test]
fn what_is_made_beside_an_old_object_that_is_left_over_is_a_creation_until_that_one_is_destroyed() {
    let plain = "  # a.b will be created\n  # a.b (deposed object 1a2b3c4d) will be destroyed\n";
    let json = |action: &str| {
        format!(
            "{{\"@level\":\"info\",\"change\":{{\"resource\":{{\"addr\":\"a.b\"}},\"action\":\"{action}\"}},\
             \"type\":\"planned_change\"}}\n"
        )
    };
    for plan in [
        plain.to_owned(),
        json("create") + &json("delete"),
        json("delete") + &json("create"),
    ] {
        let begun = format!("{plan}a.b: Creating...\n");
        let made = format!("{begun}a.b: Creation complete after 0s [id=2]\n");
        let destroying = format!("{made}a.b (deposed object 1a2b3c4d): Destroying... [id=1]\n");
        let gone = format!("{destroying}a.b: Destruction complete after 0s\n");
        // What it depends on may take longer.
        let gone_first = format!(
            "{plan}a.b (deposed object 1a2b3c4d): Destroying... [id=1]\n\
             a.b: Destruction complete after 0s\n"
        );
        let made_last = format!("{gone_first}a.b: Creating...\n");
        for (text, action, stage, id) in [
            (&plan, Action::Create, Fate::NotBegun, None),
            (&begun, Action::Create, Fate::InFlight, None),
            (&made, Action::Create, Fate::Complete, Some("2")),
            (&destroying, Action::Replace, Fate::InFlight, Some("2")),
            (&gone, Action::Replace, Fate::Complete, Some("2")),
            (&gone_first, Action::Destroy, Fate::Complete, None),
            (&made_last, Action::Replace, Fate::InFlight, None),
        ] {
            let told = read(text);
            is(&told, "a.b", action, stage);
            assert_eq!(find(&told, "a.b").id.as_deref(), id, "{text}");
        }
    }
}

#[test]
fn what_was_to_be_changed_is_not_complete_because_an_old_object_of_it_is_gone() {
    let gone = "  # a.b will be updated in-place\n\
        a.b (deposed object 1a2b3c4d): Destroying... [id=1]\n\
        a.b: Destruction complete after 0s\n";
    is(&read(gone), "a.b", Action::Destroy, Fate::Complete);
    let changing = format!("{gone}a.b: Modifying... [id=2]\n");
    is(&read(&changing), "a.b", Action::Update, Fate::InFlight);
}

#[test]
fn only_an_old_object_that_is_left_over_is_destroyed_where_nothing_else_is_planned() {
    let told = read("  # a.b (deposed object 1a2b3c4d) will be destroyed\n");
    is(&told, "a.b", Action::Destroy, Fate::NotBegun);
}
