//! What is read in what real Terraforms and OpenTofus have printed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::progress_table::{find, is, read};
use crate::tools::progress::{Action, Fate, Told};

const TEXTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fixtures/progress");

/// Every version that was recorded, and whether `-auto-approve` lets it print its plan.
const VERSIONS: [(&str, bool); 6] = [
    ("terraform-0.12", false),
    ("terraform-0.13", false),
    ("terraform-0.14", false),
    ("terraform-0.15", false),
    ("terraform-1.11", true),
    ("opentofu-1.12", true),
];

fn recorded(version: &str, name: &str) -> Option<String> {
    fs::read_to_string(Path::new(TEXTS).join(version).join(format!("{name}.txt"))).ok()
}

#[test]
fn what_each_version_makes_for_the_first_time_is_known_with_its_id() {
    for (version, has_plan) in VERSIONS {
        for mode in ["plain", "colour", "json"] {
            let Some(text) = recorded(version, &format!("{mode}-first")) else {
                continue;
            };
            let told = read(&text);
            assert_eq!(told.has_plan, has_plan, "{version} {mode}");
            let mut made = 0;
            for resource in &told.resources {
                let (address, stage) = (&*resource.address, resource.stage);
                let id = resource.id.as_deref().unwrap_or_default();
                match (resource.action, address) {
                    (Action::Read, _) => continue,
                    (_, "slow_object.bad") => assert_eq!(stage, Fate::Failed, "{version} {mode}"),
                    _ => {
                        assert_eq!(stage, Fate::Complete, "{version} {mode}: {resource:?}");
                        assert!(id.starts_with("obj-"), "{version} {mode}: {resource:?}");
                        made += 1;
                    }
                }
                assert_eq!(
                    resource.action,
                    Action::Create,
                    "{version} {mode}: {resource:?}"
                );
            }
            // Two of a module, two with keys, and those of which there is one.
            assert_eq!(made, 11, "{version} {mode}: {told:#?}");
        }
    }
}

#[test]
fn changes_replacements_and_ends_are_told_from_each_other() {
    for version in [
        "terraform-0.13",
        "terraform-0.14",
        "terraform-0.15",
        "terraform-1.11",
        "opentofu-1.12",
    ] {
        for mode in ["plain", "colour", "json"] {
            let Some(text) = recorded(version, &format!("{mode}-second")) else {
                continue;
            };
            let told = read(&text);
            is(&told, "slow_object.plain", Action::Update, Fate::Complete);
            is(&told, "slow_object.slow", Action::Update, Fate::Complete);
            for address in ["slow_object.kind", "slow_object.kind_first"] {
                is(&told, address, Action::Replace, Fate::Complete);
                let replaced = find(&told, address);
                assert!(
                    replaced.id.is_some() && replaced.old_id.is_some(),
                    "{replaced:?}"
                );
                assert_ne!(replaced.id, replaced.old_id);
            }
            is(&told, "slow_object.bad", Action::Create, Fate::GivenUp);
            if version.starts_with("terraform-0") {
                is(&told, "slow_object.gone", Action::Destroy, Fate::Complete);
            } else {
                is(&told, "data.slow_fact.late", Action::Read, Fate::Complete);
                is(&told, "slow_object.there", Action::Update, Fate::Complete);
                assert_eq!(
                    find(&told, "slow_object.there").id.as_deref(),
                    Some("obj-there")
                );
            }
        }
    }
}

/// A replacement was killed between its halves: the plan names the old object by the same address.
#[test]
fn what_is_made_beside_an_old_object_that_is_left_over_is_in_flight_and_then_complete() {
    for mode in ["plain", "json"] {
        let text = recorded("terraform-1.11", &format!("{mode}-deposed")).unwrap();
        let begins = "slow_object.a: Creating...";
        let begun = text.find(begins).unwrap() + begins.len();
        let end = begun + text[begun..].find('\n').unwrap();
        let told = read(&text[..end]);
        is(&told, "slow_object.a", Action::Create, Fate::InFlight);
        let told = read(&text);
        is(&told, "slow_object.a", Action::Replace, Fate::Complete);
        let made = find(&told, "slow_object.a");
        assert!(made.id.is_some() && made.id != made.old_id, "{made:?}");
    }
}

#[test]
fn an_import_is_complete_when_it_is_said() {
    for version in ["terraform-1.11", "opentofu-1.12"] {
        let told = read(&recorded(version, "plain-second").unwrap());
        is(&told, "slow_object.taken", Action::Import, Fate::Complete);
        assert_eq!(
            find(&told, "slow_object.taken").id.as_deref(),
            Some("obj-taken")
        );
    }
}

#[test]
fn a_saved_plan_prints_no_plan_when_it_is_applied() {
    for (version, _) in VERSIONS {
        let told = read(&recorded(version, "plain-planfile").unwrap());
        assert!(!told.has_plan, "{version}");
        if version.starts_with("terraform-0") {
            // There was nothing left to do, and an output looks like a line of Terraform's.
            assert!(told.is_nothing(), "{version}: {told:?}");
        } else {
            is(&told, "slow_object.bad", Action::Create, Fate::GivenUp);
        }
    }
}

#[test]
fn what_is_planned_and_what_is_made_at_any_moment_is_known() {
    let text = recorded("terraform-1.11", "plain-second").unwrap();
    let until = |line: &str| {
        let end = text
            .find(line)
            .unwrap_or_else(|| panic!("{line} is not there"));
        read(&text[..end + line.len()])
    };
    let planned = until("Plan: 2 to import");
    assert!(
        planned
            .resources
            .iter()
            .all(|resource| resource.stage == Fate::NotBegun || resource.action == Action::Read)
    );
    is(
        &planned,
        "slow_object.kind",
        Action::Replace,
        Fate::NotBegun,
    );
    is(
        &planned,
        "slow_object.taken",
        Action::Import,
        Fate::NotBegun,
    );

    let between_halves = until("slow_object.kind: Destruction complete after 0s");
    is(
        &between_halves,
        "slow_object.kind",
        Action::Destroy,
        Fate::InFlight,
    );
    is(
        &between_halves,
        "slow_object.kind_first",
        Action::Replace,
        Fate::InFlight,
    );

    let still = until("10s elapsed]");
    is(&still, "slow_object.slow", Action::Update, Fate::InFlight);
    is(
        &still,
        "slow_object.kind_first",
        Action::Replace,
        Fate::Complete,
    );
}

/// What is only open while it runs is nothing that a deploy makes.
#[test]
fn an_ephemeral_resource_is_none_of_a_deploys() {
    for version in ["terraform-1.11", "opentofu-1.12"] {
        for name in ["plain-ephemeral", "json-ephemeral"] {
            let told = read(&recorded(version, name).unwrap());
            let all: Vec<&str> = told
                .resources
                .iter()
                .map(|resource| &*resource.address)
                .collect();
            assert_eq!(all, ["terraform_data.b"], "{version} {name}");
            is(&told, "terraform_data.b", Action::Create, Fate::Complete);
        }
    }
}

/// Real Terragrunt, which has deployed two units with the same addresses side by side.
fn of_terragrunt(name: &str) -> Told {
    read(&recorded("terragrunt-1.1", name).unwrap())
}

#[test]
fn terragrunt_says_before_each_line_of_several_units_which_one_it_is_about() {
    use Action::{Create, Replace, Update};
    let (a, b) = ("terraform_data.a", "terraform_data.b[\"x y\"]");
    for (name, of_a, of_b) in [
        ("colour-first", Create, Create),
        ("colour-second", Replace, Update),
        ("plain-second", Replace, Update),
    ] {
        let told = of_terragrunt(name);
        let found: Vec<(Option<&str>, &str, Action, Fate)> = told
            .resources
            .iter()
            .map(|one| (one.unit.as_deref(), &*one.address, one.action, one.stage))
            .collect();
        let expected = ["a", "eu/b"].map(|unit| {
            [(a, of_a), (b, of_b)]
                .map(|(address, action)| (Some(unit), address, action, Fate::Complete))
        });
        assert_eq!(found, expected.concat(), "{name}");
        let ids: BTreeSet<&str> = told
            .resources
            .iter()
            .filter_map(|one| one.id.as_deref())
            .collect();
        assert_eq!(ids.len(), 4, "{name}: {ids:?}");
        assert!(told.has_plan, "{name}");
    }
}

#[test]
fn of_two_units_of_terragrunt_the_one_has_failed_that_says_so() {
    let told = of_terragrunt("failed");
    let worse = told
        .resources
        .iter()
        .filter(|one| *one.address == *"terraform_data.worse");
    let found: Vec<(Option<&str>, Fate)> =
        worse.map(|one| (one.unit.as_deref(), one.stage)).collect();
    assert_eq!(
        found,
        [(Some("a"), Fate::Complete), (Some("eu/b"), Fate::Failed)]
    );
}

#[test]
fn terragrunt_names_no_unit_where_there_is_but_one_or_the_words_are_terraforms_alone() {
    for name in ["alone", "forwarded"] {
        let told = of_terragrunt(name);
        let found: Vec<(Option<&str>, &str, Fate)> = told
            .resources
            .iter()
            .map(|one| (one.unit.as_deref(), &*one.address, one.stage))
            .collect();
        let all = ["terraform_data.a", "terraform_data.b[\"x y\"]"];
        assert_eq!(found, all.map(|one| (None, one, Fate::Complete)), "{name}");
    }
}

/// Half of it would be worse: what is planned, and not heard to have begun, is taken for not begun.
#[test]
fn of_terragrunts_other_formats_nothing_is_heard() {
    for name in ["key-value", "json"] {
        let told = of_terragrunt(name);
        assert!(told.is_nothing(), "{name}: {told:?}");
    }
}
