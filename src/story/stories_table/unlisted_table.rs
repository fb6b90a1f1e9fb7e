//! What becomes of what is in no record, because it was not written or not read.

use std::cell::RefCell;
use std::sync::Arc;

use super::journals_table::{KILLED, here, left, left_by, names, stored};
use super::*;
use crate::journal::{PlaceName, Record, Stand};
use crate::story::hearing::Hearing;
use crate::story::keeping::Keeping;
use crate::story::remains::Heard;
use crate::supervisor::{Seen, SeenTool};
use crate::tools::progress::{Fate, Resource};

impl World {
    /// How many resources the record of this build does not list.
    fn not_listed(&self, build: u64) -> usize {
        let records = self.shelf.records.borrow();
        let record = records.iter().find(|one| one.owner.build() == build);
        record.unwrap().dropped
    }
}

#[tokio::test(start_paused = true)]
async fn what_this_very_run_has_left_is_carried_on_where_nobody_could_be_asked_about_the_lock() {
    let own = Record {
        owner: Owner::parse(ASKER).unwrap(),
        commit: COMMIT.to_owned(),
        dropped: 3,
        ..left_by(vec![
            Resource::created("made", Fate::Complete, Some("1")),
            // Who was killed may have stored no state after that.
            Resource::created("begun", Fate::Failed, None),
        ])
    };
    let mut world = World::with_records(Look::Free, &[own]);
    world.backend.then([Err(silent())]);
    world.hears(vec![Resource::created("other", Fate::Complete, Some("3"))]);
    world.deploy().await;
    let open = names(&["made", "begun"]);
    assert_eq!(world.kept(42), Some((Stand::Unfinished, open)));
    assert_eq!(world.not_listed(42), 3);
}

/// In `softstop deploy || softstop deploy`, where both are killed.
#[tokio::test(start_paused = true)]
async fn what_the_first_deploy_of_a_run_has_left_is_counted_where_the_second_makes_it_again() {
    for (since, open) in [
        (
            Resource::created("begun", Fate::Complete, Some("2")),
            &[][..],
        ),
        (Resource::created("begun", Fate::InFlight, None), &["begun"]),
    ] {
        let own = Record {
            owner: Owner::parse(ASKER).unwrap(),
            commit: COMMIT.to_owned(),
            ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
        };
        let mut world = World::with_records(Look::Free, &[own]);
        world.ending(Ok(killed()));
        world.hears(vec![since]);
        world.deploy().await;
        // What the second one has made comes into the state.
        let mut record = world.shelf.records.borrow()[0].clone();
        record.compare(&stored(&[("begun", "2")]));
        let still: Vec<&str> = record
            .entries
            .iter()
            .filter(|entry| entry.is_open())
            .map(|entry| &*entry.resource.address)
            .collect();
        assert_eq!(still, open);
        assert!(record.is_open());
        assert_eq!(record.dropped, 1 - open.len());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_deploy_has_not_listed_stays_until_a_person_says_so() {
    let unlisted = Record {
        entries: Vec::new(),
        dropped: 13,
        ..left()
    };
    let mut world = World::with_records(Look::Free, &[unlisted]);
    world.deploy().await;
    assert_eq!(world.kept(41), Some((Stand::Unfinished, Vec::new())));
    let (conclusion, world) = world.resolve(&["x"]).await;
    assert_eq!(
        conclusion.to_string(),
        "Nothing was run: ADDRESS is \"x\": what is unfinished is not-listed."
    );
    assert_eq!(world.not_listed(41), 13);
    let (conclusion, world) = world.resolve(&["not-listed"]).await;
    assert_eq!(conclusion.to_string(), "Journal: 1 resolved, 0 left.");
    assert_eq!(world.kept(41), Some((Stand::Settled, Vec::new())));
}

#[tokio::test(start_paused = true)]
async fn what_a_deploy_that_ends_well_has_not_listed_is_stored() {
    for (ending, stand) in [(ended(0), Stand::Settled), (ended(256), Stand::Unfinished)] {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ending));
        world.hears(vec![Resource::created("made", Fate::Complete, Some("1"))]);
        world.has_stored(&[("made", "1")]);
        world.place.told.lock().unwrap().dropped = 2_000;
        world.deploy().await;
        assert_eq!(world.kept(42), Some((stand, Vec::new())));
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_killed_deploy_that_nobody_has_heard_it_is_not_known_what_it_has_made() {
    for (is_heard, ending, stand, count) in [
        (false, killed(), Stand::Unfinished, 1),
        // It was killed before its plan.
        (true, killed(), Stand::Settled, 0),
        (false, ended(256), Stand::Settled, 0),
        (false, ended(0), Stand::Settled, 0),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ending));
        if !is_heard {
            world.host.seen = vec![seen_unheard()];
        }
        world.deploy().await;
        assert_eq!(world.kept(42), Some((stand, Vec::new())));
        assert_eq!(world.not_listed(42), count);
    }
}

/// A deploy that may print elsewhere.
fn seen_unheard() -> Seen {
    unheard(seen("apply", "here"))
}

/// The same tool, where it may print elsewhere.
fn unheard(seen: Seen) -> Seen {
    match seen {
        Seen::Tool(tool) => Seen::Tool(SeenTool {
            is_heard: false,
            ..tool
        }),
        hidden @ Seen::Hidden(_) => hidden,
    }
}

/// In `terraform plan -out=p && terraform apply p >log`.
#[tokio::test(start_paused = true)]
async fn what_was_heard_before_says_nothing_of_what_nobody_hears() {
    let planned = || Resource::created("a", Fate::NotBegun, None);
    let failed = || Resource::created("a", Fate::Failed, None);
    let made = || Resource::created("a", Fate::Complete, Some("1"));
    for (before, since, ending, count, heard, named) in [
        (
            vec![planned()],
            vec![planned()],
            killed(),
            1,
            Heard::Nothing,
            0,
        ),
        (vec![made()], vec![made()], killed(), 1, Heard::Nothing, 1),
        (
            vec![planned()],
            vec![planned()],
            ended(256),
            0,
            Heard::Nothing,
            0,
        ),
        // `| tee` prints it here all the same.
        (vec![planned()], vec![made()], killed(), 0, Heard::Plan, 1),
        (vec![failed()], vec![made()], killed(), 0, Heard::Plan, 1),
        (vec![], vec![planned()], killed(), 0, Heard::Plan, 1),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ending));
        world.host.seen = vec![seen_unheard()];
        let words = format!("{before:?} {since:?}");
        if !before.is_empty() {
            world.hears(before);
        }
        world.has_stored(&[("a", "1")]);
        let told = Arc::clone(&world.place.told);
        world.host.act.replace(Some(Box::new(move || {
            let mut told = told.lock().unwrap();
            (told.resources, told.has_plan) = (since, true);
        })));
        let remained = RefCell::new(None);
        let report = |_: &Conclusion, remains: &Remains<'_>| {
            remained.replace(Some((remains.heard, remains.left().count())));
        };
        world.deploy_telling(ASKER, &report).await;
        assert_eq!(remained.take(), Some((heard, named)), "{words}");
        let stand = match count {
            0 => Stand::Settled,
            _ => Stand::Unfinished,
        };
        assert_eq!(world.kept(42), Some((stand, Vec::new())), "{words}");
        assert_eq!(world.not_listed(42), count, "{words}");
    }
}

/// In `terraform apply >log; terraform plan -lock=false`.
#[tokio::test(start_paused = true)]
async fn what_is_heard_of_one_that_comes_later_says_nothing_of_what_nobody_has_heard() {
    for (first, later, ending, count, heard) in [
        ("apply", seen("plan", "here"), killed(), 1, Heard::Nothing),
        // Which place that is about is not known.
        ("apply", seen("plan", "gone"), killed(), 1, Heard::Nothing),
        ("apply", seen("apply", "here"), killed(), 1, Heard::Nothing),
        ("apply", seen("tend", "here"), killed(), 1, Heard::Nothing),
        ("apply", seen("plan", "here"), ended(256), 0, Heard::Nothing),
        // As `workspace new`, it makes nothing.
        ("tend", seen("apply", "here"), killed(), 0, Heard::Plan),
        ("plan", seen("apply", "here"), killed(), 0, Heard::Plan),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        let words = format!("{first} {later:?} {ending:?}");
        world.ending(Ok(ending));
        world.host.seen = vec![unheard(seen(first, "here")), later];
        let told = Arc::clone(&world.place.told);
        world.host.act.replace(Some(Box::new(move || {
            let mut told = told.lock().unwrap();
            let planned = Resource::created("a", Fate::NotBegun, None);
            (told.resources, told.has_plan) = (vec![planned], true);
        })));
        let remained = RefCell::new(None);
        let report = |_: &Conclusion, remains: &Remains| {
            remained.replace(Some(remains.heard));
        };
        world.deploy_telling(ASKER, &report).await;
        assert_eq!(remained.take(), Some(heard), "{words}");
        let stand = match count {
            0 => Stand::Settled,
            _ => Stand::Unfinished,
        };
        assert_eq!(world.kept(42), Some((stand, Vec::new())), "{words}");
        assert_eq!(world.not_listed(42), count, "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_of_none_of_several_places_surely_is_counted_where_it_may_be_there() {
    for (ending, fate, stand) in [
        (killed(), Fate::Complete, Stand::Unfinished),
        // The tool has stored what it knew, and does not know whether this is there.
        (ended(256), Fate::InFlight, Stand::Unfinished),
        (ended(256), Fate::Complete, Stand::Settled),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        let mut app = FakePlace::with(&world.moments, &[]);
        app.name = "app";
        world.place.others.push(FakeTool(Rc::new(app)));
        world.host.seen = vec![seen("apply", "here"), seen("apply", "app")];
        let told = Arc::clone(&world.place.told);
        world.host.act.replace(Some(Box::new(move || {
            let begun = Resource::created("begun", fate, None);
            told.lock().unwrap().resources = vec![begun];
        })));
        world.ending(Ok(ending));
        world.deploy().await;
        let records = world.shelf.records.borrow();
        let stands: Vec<Stand> = records.iter().map(|record| record.stand).collect();
        assert_eq!(stands, [stand; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_journal_had_as_planned_when_it_fell_behind_may_be_there() {
    for (is_behind, exit, left) in [
        (
            true,
            Exit::Unfinished,
            (Stand::Unfinished, &["planned"][..]),
        ),
        (false, Exit::Done, (Stand::Running, &[])),
    ] {
        let planned = Resource::created("planned", Fate::NotBegun, None);
        let record = Record {
            is_behind,
            ..left_by(vec![planned])
        };
        let mut world = World::with_records(Look::Free, &[record]);
        world.deploy.on_unfinished = OnUnfinished::Stop;
        assert_eq!(world.deploy().await.exit, exit, "{is_behind}");
        let (stand, names) = left;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(world.kept(41), Some((stand, names)), "{is_behind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_holder_that_nobody_may_have_heard_may_have_made_anything() {
    let nothing = |dropped| Record {
        has_plan: false,
        dropped,
        ..left_by(Vec::new())
    };
    let holds = || held(&format!("{KILLED}@vm"));
    for (dropped, look, stand) in [
        (1, holds(), Stand::Unfinished),
        (0, holds(), Stand::Settled),
        // It may just have begun.
        (1, Look::Free, Stand::Running),
        (0, Look::Free, Stand::Running),
    ] {
        let mut world = World::with_records(look, &[nothing(dropped)]);
        world.deploy_as(&KILLED.replace("/1/fed", "/2/fed")).await;
        assert_eq!(world.kept(41), Some((stand, Vec::new())), "{dropped}");
    }
}

/// What is kept of a deploy that goes on, where this run has left something before.
async fn kept_while_it_runs(is_heard: bool, left: Vec<Record>) -> Record {
    let world = World::with_records(Look::Free, &[]);
    let (journal, tool) = (world.journal(), tool(FakePlace::with(&world.moments, &[])));
    let keeping = Keeping::of(&journal, &Hearing::of(&tool), left);
    keeping.begin(Some(here()));
    keeping.note(Some(here()), true, is_heard);
    let kept = tokio::time::timeout(Duration::from_secs(1), keeping.keep());
    assert!(kept.await.is_err(), "it never ends");
    world.shelf.records.borrow()[0].clone()
}

#[tokio::test(start_paused = true)]
async fn what_may_be_printed_elsewhere_is_counted_as_long_as_nothing_is_heard() {
    for (is_heard, dropped) in [(true, 0), (false, 1)] {
        let record = kept_while_it_runs(is_heard, Vec::new()).await;
        assert_eq!(record.stand, Stand::Running);
        assert_eq!(record.dropped, dropped);
    }
}

/// In `softstop deploy || softstop deploy`, where the state could not be read in between.
#[tokio::test(start_paused = true)]
async fn what_nobody_hears_of_does_not_settle_what_this_very_run_has_left_before() {
    for (is_heard, is_open) in [(true, false), (false, true)] {
        let own = Record {
            owner: Owner::parse(ASKER).unwrap(),
            commit: COMMIT.to_owned(),
            ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
        };
        let mut record = kept_while_it_runs(is_heard, vec![own]).await;
        record.dropped = 0;
        record.has_plan = true;
        record.compare(&stored(&[("begun", "2")]));
        assert_eq!(record.is_open(), is_open, "{is_heard}");
    }
}

/// In `cd below && terraform apply`, where an earlier one was killed. What the state has there was not
/// looked at before.
#[tokio::test(start_paused = true)]
async fn what_a_deploy_may_have_made_itself_never_settles_what_was_in_flight_there_without_an_id() {
    let again = || vec![Resource::created("begun", Fate::Complete, Some("2"))];
    for (is_heard, dropped, heard, ending, is_open) in [
        (true, 0, vec![], ended(0), false),
        (true, 0, again(), ended(0), true),
        (true, 1, vec![], ended(0), true),
        (false, 0, vec![], ended(0), true),
        // Whoever comes next compares it.
        (true, 0, vec![], ended(256), false),
        (true, 0, again(), ended(256), true),
        (false, 0, vec![], ended(256), true),
        (false, 0, vec![], killed(), true),
    ] {
        let words = format!("{is_heard} {dropped} {heard:?} {ending:?}");
        let left = Record {
            stand: Stand::Unfinished,
            place: PlaceName {
                directory: "here/below".to_owned(),
                ..here()
            },
            ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
        };
        let mut world = World::with_records(Look::Free, &[left]);
        let below = FakePlace {
            name: "here/below",
            ..FakePlace::with(&world.moments, &[])
        };
        below.stored.replace(stored(&[("begun", "2")]));
        world.place.others.push(FakeTool(Rc::new(below)));
        let tool = seen("apply", "here/below");
        world.host.seen = vec![if is_heard { tool } else { unheard(tool) }];
        world.hears(heard);
        world.place.told.lock().unwrap().dropped = dropped;
        world.ending(Ok(ending));
        world.deploy().await;
        let records = world.shelf.records.borrow();
        let record = records.iter().find(|one| one.owner.build() == 41);
        let mut record = record.unwrap().clone();
        record.compare(&stored(&[("begun", "2")]));
        assert_eq!(record.is_open(), is_open, "{words}");
    }
}
