//! What follows from what earlier deploys have left, row by row.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use super::ahead::*;
use super::unfinished::*;
use crate::journal::{Entry, Meant};
use crate::tools::Job;
use crate::tools::fake::{FakePlace, FakeTool, Moments};
use crate::tools::progress::{Action, Fate, Resource};
use crate::tools::recovering::{Change, Made, Planned};
use crate::tools::stored::Stored;

fn made(address: &str, id: &str) -> Made {
    Made {
        address: address.to_owned(),
        id: id.to_owned(),
    }
}

fn missing(address: &str, id: &str, instead: &[&str]) -> Missing {
    Missing {
        made: made(address, id),
        instead: instead.iter().map(|id| (*id).to_owned()).collect(),
        is_claimed: false,
    }
}

fn stored(all: &[(&str, &[&str])]) -> Stored {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Stored(
        all.iter()
            .map(|(address, ids)| ((*address).to_owned(), owned(ids)))
            .collect(),
    )
}

/// A plan that does this, by address, and imports that.
fn planned(all: &[(&str, Option<Action>, Option<&str>)]) -> Planned {
    let change = |action, imported: Option<&str>| Change {
        action,
        id: None,
        imported: imported.map(str::to_owned),
    };
    let all = all.iter().copied();
    let all: BTreeMap<String, Change> = all
        .map(|(address, action, imported)| (address.to_owned(), change(action, imported)))
        .collect();
    Planned(all)
}

fn tool() -> FakeTool {
    FakeTool(Rc::new(FakePlace::with(&Moments::undisturbed(), &[])))
}

fn unfinished(resources: &[Resource], stored: &Stored) -> Unfinished {
    let entries: Vec<Entry> = resources.iter().cloned().map(Entry::of).collect();
    Unfinished::of(&entries, stored, &tool())
}

#[test]
fn what_was_made_is_missing_where_the_state_has_neither_its_address_nor_its_id() {
    use Fate::{Complete, Failed, GivenUp, InDoubt, InFlight, NotBegun};
    let nothing = Unfinished::default();
    let is_missing = |instead: &[&str]| Unfinished {
        missing: vec![missing("x.a", "1", instead)],
        ..Unfinished::default()
    };
    let may_exist = Unfinished {
        may_exist: vec!["x.a".to_owned()],
        ..Unfinished::default()
    };
    let taken = |by: &str| Unfinished {
        taken: vec![Taken {
            made: made("x.a", "1"),
            by: by.to_owned(),
        }],
        ..Unfinished::default()
    };
    let one = |stage, id| Resource::created("x.a", stage, id);
    for (resource, state, expected) in [
        (one(Complete, Some("1")), stored(&[]), is_missing(&[])),
        (
            one(Complete, Some("1")),
            stored(&[("x.a", &["1"])]),
            nothing.clone(),
        ),
        // What was replaced is kept until it is destroyed.
        (
            one(Complete, Some("1")),
            stored(&[("x.a", &["2", "1"])]),
            nothing.clone(),
        ),
        (
            one(Complete, Some("1")),
            stored(&[("x.a", &["2"])]),
            is_missing(&["2"]),
        ),
        (
            one(Complete, Some("1")),
            stored(&[("x.b", &["1"])]),
            taken("x.b"),
        ),
        // Of another type, the same id is another thing.
        (
            one(Complete, Some("1")),
            stored(&[("y.b", &["1"])]),
            is_missing(&[]),
        ),
        (one(Complete, None), stored(&[]), may_exist.clone()),
        (one(InFlight, None), stored(&[]), may_exist.clone()),
        (one(GivenUp, None), stored(&[]), may_exist.clone()),
        // Nobody knows whether this is its id.
        (one(InDoubt, Some("1")), stored(&[]), may_exist.clone()),
        (one(Failed, None), stored(&[]), nothing.clone()),
        (one(NotBegun, None), stored(&[]), nothing.clone()),
    ] {
        assert_eq!(
            unfinished(slice(&resource), &state),
            expected,
            "{resource:?} {state:?}"
        );
    }
}

/// No secret is hidden.
fn as_written(_: &str) -> Meant {
    Meant::Written
}

fn slice(resource: &Resource) -> &[Resource] {
    std::slice::from_ref(resource)
}

#[test]
fn what_is_changed_or_destroyed_the_next_plan_shows() {
    for action in [Action::Update, Action::Destroy, Action::Read] {
        let resource = Resource {
            action,
            ..Resource::created("x.a", Fate::InFlight, Some("1"))
        };
        let found = unfinished(slice(&resource), &stored(&[]));
        assert_eq!(found, Unfinished::default(), "{action:?}");
    }
}

#[test]
fn a_replacement_is_known_before_what_it_replaces_is_destroyed() {
    let resource = Resource {
        action: Action::Replace,
        old_id: Some("1".into()),
        ..Resource::created("x.a", Fate::InFlight, Some("2"))
    };
    let found = unfinished(slice(&resource), &stored(&[("x.a", &["1"])]));
    assert_eq!(found.missing, [missing("x.a", "2", &["1"])]);
    let found = unfinished(slice(&resource), &stored(&[("x.a", &["2", "1"])]));
    assert_eq!(found, Unfinished::default());
}

#[test]
fn what_cannot_be_an_address_here_is_never_imported() {
    let of_a_unit = Resource {
        unit: Some("network".into()),
        ..Resource::created("x.a", Fate::Complete, Some("1"))
    };
    let forged = Resource::created("x\n}", Fate::Complete, Some("1"));
    let found = unfinished(&[of_a_unit, forged], &stored(&[]));
    assert_eq!(found.missing, []);
    assert_eq!(found.may_exist, ["[network] x.a", "x\n}"]);
}

#[test]
fn of_two_addresses_that_claim_one_id_neither_is_imported() {
    let both = [
        Resource::created("x.a", Fate::Complete, Some("1")),
        Resource::created("x.b", Fate::Complete, Some("1")),
        Resource::created("y.a", Fate::Complete, Some("1")),
    ];
    let found = unfinished(&both, &stored(&[]));
    assert_eq!(found.missing, [missing("y.a", "1", &[])]);
    assert_eq!(found.taken.len(), 2);
}

#[test]
fn what_several_deploys_tell_counts_once() {
    let twice = [
        Resource::created("x.a", Fate::Complete, Some("1")),
        Resource::created("x.a", Fate::Complete, Some("1")),
        Resource::created("x.b", Fate::InFlight, None),
        Resource::created("x.b", Fate::InFlight, None),
    ];
    let found = unfinished(&twice, &stored(&[]));
    assert_eq!(found.missing, [missing("x.a", "1", &[])]);
    assert_eq!(found.may_exist, ["x.b"]);
}

fn apply_plan() -> Job {
    Job::ApplyPlan(PathBuf::from("plan"))
}

fn plan() -> Job {
    Job::Plan(PathBuf::from("plan"))
}

#[test]
fn a_deploy_looks_ahead_or_stops_as_is_wished() {
    use OnUnfinished::{Ignore, Import, Report, Stop};
    let with = |missing: &[Missing], may_exist: &[&str]| Unfinished {
        missing: missing.to_vec(),
        may_exist: may_exist.iter().map(|name| (*name).to_owned()).collect(),
        ..Unfinished::default()
    };
    let nothing = with(&[], &[]);
    let unlisted = Unfinished {
        misses_some: true,
        ..Unfinished::default()
    };
    let in_flight = with(&[], &["x.b"]);
    let known = with(&[missing("x.a", "1", &[])], &["x.b"]);
    for (unfinished, wish, of_a_job, of_a_command) in [
        (&nothing, Report, "as ever", "as ever"),
        (&nothing, Stop, "as ever", "as ever"),
        (&nothing, Import, "as ever", "as ever"),
        (&unlisted, Report, "as ever", "as ever"),
        (&unlisted, Stop, "stop", "stop"),
        (&in_flight, Report, "as ever", "as ever"),
        (&in_flight, Stop, "stop", "stop"),
        (&in_flight, Ignore, "as ever", "as ever"),
        (&in_flight, Import, "as ever", "as ever"),
        (&known, Report, "look", "stop"),
        (&known, Stop, "stop", "stop"),
        (&known, Ignore, "as ever", "as ever"),
        (&known, Import, "look", "stop"),
    ] {
        let word = |job: Option<&Job>| match unfinished.course(wish, job) {
            Course::AsEver => "as ever",
            Course::LookAhead => "look",
            Course::Stop(_) => "stop",
        };
        for job in [Job::Apply, apply_plan(), plan()] {
            assert_eq!(
                word(Some(&job)),
                of_a_job,
                "{wish:?} {job:?} {unfinished:?}"
            );
        }
        assert_eq!(word(None), of_a_command, "{wish:?} {unfinished:?}");
    }
}

#[test]
fn a_plan_says_what_would_be_made_again() {
    use Action::{Create, Destroy, Replace, Update};
    let a = || missing("x.a", "1", &[]);
    for (planned, expected) in [
        (planned(&[]), "not meant"),
        (planned(&[("x.a", Some(Create), None)]), "again"),
        (planned(&[("x.a", Some(Replace), None)]), "doubled"),
        (planned(&[("x.a", Some(Update), None)]), "beside"),
        (planned(&[("x.a", Some(Destroy), None)]), "beside"),
        (planned(&[("x.a", None, None)]), "beside"),
        (planned(&[("x.a", None, Some("1"))]), "imported"),
        (planned(&[("x.a", Some(Update), Some("1"))]), "imported"),
        (planned(&[("x.a", Some(Replace), Some("1"))]), "doubled"),
        (planned(&[("x.a", None, Some("2"))]), "beside"),
    ] {
        let ahead = Ahead::of(&[a()], &planned, &tool(), &as_written);
        let lists = [
            ("again", &ahead.again),
            ("doubled", &ahead.doubled),
            ("beside", &ahead.beside),
            ("not meant", &ahead.not_meant),
        ];
        let found = lists.iter().find(|(_, list)| ***list == [a()]);
        let found = found.map_or("imported", |(word, _)| word);
        assert_eq!(found, expected, "{planned:?}");
    }
}

#[test]
fn what_has_come_into_the_state_since_is_not_imported() {
    let there = |address: &str, action, id: &str| {
        let change = Change {
            action,
            id: Some(id.to_owned()),
            imported: None,
        };
        (address.to_owned(), change)
    };
    let create = |address: &str| {
        let (address, change) = there(address, Some(Action::Create), "");
        (address, Change { id: None, ..change })
    };
    let a = [missing("x.a", "1", &[])];
    let of = |planned: Vec<_>| {
        Ahead::of(
            &a,
            &Planned(planned.into_iter().collect()),
            &tool(),
            &as_written,
        )
    };
    assert_eq!(of(vec![there("x.a", None, "1")]), Ahead::default());
    let taken = of(vec![create("x.a"), there("x.b", None, "1")]).taken;
    assert_eq!(taken.len(), 1);
    // Of another type, the same id is another thing.
    let again = of(vec![create("x.a"), there("y.b", None, "1")]).again;
    assert_eq!(again, a);
}

#[test]
fn what_is_missing_twice_at_one_address_is_not_imported() {
    let both = [missing("x.a", "1", &[]), missing("x.a", "2", &[])];
    let ahead = Ahead::of(
        &both,
        &planned(&[("x.a", Some(Action::Create), None)]),
        &tool(),
        &as_written,
    );
    assert_eq!(ahead.doubled, both);
}

#[test]
fn a_deploy_imports_only_where_it_can_import_all_that_would_be_made_again() {
    use OnUnfinished::{Import, Report};
    let again = |instead: &[&str]| Ahead {
        again: vec![missing("x.a", "1", instead)],
        ..Ahead::default()
    };
    let doubled = Ahead {
        doubled: vec![missing("x.b", "1", &["2"])],
        ..again(&[])
    };
    let beside = Ahead {
        beside: vec![missing("x.a", "1", &[])],
        not_meant: vec![missing("x.b", "1", &[])],
        ..Ahead::default()
    };
    let go_on = "go on";
    for (ahead, wish, imports, expected) in [
        // Of an apply, of a saved plan, of a plan.
        (&beside, Report, true, [go_on, go_on, go_on]),
        (&beside, Import, true, [go_on, go_on, go_on]),
        (&again(&[]), Report, true, ["stop", "stop", go_on]),
        (&again(&[]), Import, true, ["import", "stop", "import"]),
        (&again(&[]), Import, false, ["stop", "stop", go_on]),
        (&again(&["0"]), Import, true, ["refresh", "stop", "stop"]),
        (&doubled, Report, true, ["stop", "stop", go_on]),
        (&doubled, Import, true, ["stop", "stop", "stop"]),
    ] {
        let next =
            [Job::Apply, apply_plan(), plan()].map(|job| match ahead.next(wish, &job, imports) {
                Next::GoOn => go_on,
                Next::Import { refreshes: false } => "import",
                Next::Import { refreshes: true } => "refresh",
                Next::Stop(_) => "stop",
            });
        assert_eq!(next, expected, "{wish:?} {imports} {ahead:?}");
    }
}

#[test]
fn a_plan_is_applied_only_where_it_imports_each_and_harms_none() {
    use Action::{Create, Destroy, Replace, Update};
    let one = [made("x.a", "1")];
    for (planned, expected) in [
        (planned(&[("x.a", None, Some("1"))]), None),
        (planned(&[("x.a", Some(Update), Some("1"))]), None),
        (
            planned(&[("x.a", Some(Replace), Some("1"))]),
            Some(Refusal::WouldBe(Replace)),
        ),
        (
            planned(&[("x.a", Some(Destroy), Some("1"))]),
            Some(Refusal::WouldBe(Destroy)),
        ),
        (
            planned(&[("x.a", None, Some("2"))]),
            Some(Refusal::NotImported),
        ),
        // In silence, because the state has the address.
        (planned(&[("x.a", None, None)]), Some(Refusal::NotImported)),
        (
            planned(&[("x.a", Some(Create), None)]),
            Some(Refusal::NotImported),
        ),
        (planned(&[]), Some(Refusal::NotImported)),
    ] {
        let found = refused(&one, &planned);
        assert_eq!(
            found.first().map(|(_, refusal)| *refusal),
            expected,
            "{planned:?}"
        );
    }
}
