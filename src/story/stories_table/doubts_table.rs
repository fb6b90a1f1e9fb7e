//! What becomes of what may be about another state of the same name, or of a deploy that may go on.

use std::slice;

use super::journals_table::{KILLED, left_by, names, stored};
use super::*;
use crate::journal::{Record, Stand};
use crate::tools::progress::{Fate, Resource};

fn made() -> Resource {
    Resource::created("fake.made", Fate::Complete, Some("1"))
}

/// What a deploy has left that has told of its end.
fn left_unfinished() -> Record {
    Record {
        stand: Stand::Unfinished,
        ..left_by(vec![made()])
    }
}

/// What another step of the own pipeline has told so far.
fn beside() -> Record {
    Record {
        owner: Owner::parse(&ASKER.replace("2222/2", "2223/1")).unwrap(),
        commit: COMMIT.to_owned(),
        ..left_by(vec![made()])
    }
}

/// What an earlier run of the own step has told.
fn earlier() -> Record {
    Record {
        owner: Owner::parse(&ASKER.replace("2222/2", "2222/1")).unwrap(),
        commit: COMMIT.to_owned(),
        ..left_by(vec![made()])
    }
}

impl World {
    /// How the record of this run stands.
    fn stand_of(&self, owner: &Owner) -> Option<Stand> {
        let records = self.shelf.records.borrow();
        let record = records.iter().find(|record| record.owner == *owner)?;
        Some(record.stand)
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_may_use_another_state_is_not_taken_for_a_killed_one() {
    use Look::Free;
    let killed = || held(&format!("{KILLED}@vm"));
    let over = (Exit::Unfinished, Stand::Unfinished);
    let perhaps_alive = (Exit::Done, Stand::Running);
    for (record, look, shares_its_name, (exit, stand)) in [
        (left_by(vec![made()]), Free, false, over),
        (left_by(vec![made()]), Free, true, perhaps_alive),
        // Its own lock was left, and released.
        (left_by(vec![made()]), killed(), true, over),
        (earlier(), Free, false, over),
        // It is over, but may be about another state, so nothing is written.
        (earlier(), Free, true, (Exit::Unfinished, Stand::Running)),
        (beside(), Free, false, perhaps_alive),
        (beside(), Free, true, perhaps_alive),
    ] {
        let mut world = World::with_records(look.clone(), slice::from_ref(&record));
        world.place.shares_its_name = shares_its_name;
        let conclusion = world.deploy_as(&KILLED.replace("/1/fed", "/2/fed")).await;
        let case = format!("{} {look:?} {shares_its_name}", record.owner);
        assert_eq!(conclusion.exit, exit, "{case}");
        assert_eq!(world.stand_of(&record.owner), Some(stand), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_leaves_alone_what_may_be_of_another_state_that_is_deployed_just_now() {
    for (shares_its_name, stand) in [(true, Stand::Running), (false, Stand::Unfinished)] {
        let record = left_by(vec![made()]);
        let world = World::with_records(Look::Free, slice::from_ref(&record));
        let places = world.places_sharing(shares_its_name, &[&world.backend]);
        world.release_at(&places).await;
        assert_eq!(world.stand_of(&record.owner), Some(stand));
    }
}

#[tokio::test(start_paused = true)]
async fn another_state_settles_nothing_that_was_in_flight_and_is_not_held_up_by_what_it_has_itself()
{
    let in_flight = || Resource::created("fake.begun", Fate::InFlight, None);
    let killed = || held(&format!("{KILLED}@vm"));
    let has_both = &[("fake.made", "2"), ("fake.begun", "3")][..];
    let open = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        names.collect::<Vec<String>>()
    };
    for (shares_its_name, look, ids, exit, left) in [
        (
            true,
            Look::Free,
            has_both,
            Exit::Done,
            &["fake.made", "fake.begun"][..],
        ),
        (
            true,
            Look::Free,
            &[("fake.made", "1")],
            Exit::Done,
            &["fake.made", "fake.begun"],
        ),
        (
            true,
            Look::Free,
            &[],
            Exit::Unfinished,
            &["fake.made", "fake.begun"],
        ),
        // The lock of the killed deploy was that of this state.
        (true, killed(), has_both, Exit::Unfinished, &["fake.made"]),
        (
            false,
            Look::Free,
            has_both,
            Exit::Unfinished,
            &["fake.made"],
        ),
    ] {
        let record = Record {
            stand: Stand::Unfinished,
            ..left_by(vec![made(), in_flight()])
        };
        let mut world = World::with_records(look.clone(), &[record]);
        world.place.shares_its_name = shares_its_name;
        world.has_stored(ids);
        let conclusion = world.deploy_as(&KILLED.replace("/1/fed", "/2/fed")).await;
        let case = format!("{look:?} {shares_its_name} {ids:?}");
        assert_eq!(conclusion.exit, exit, "{case}");
        assert_eq!(
            world.kept(41),
            Some((Stand::Unfinished, open(left))),
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_go_on_stops_a_deploy_only_where_that_is_wished() {
    use OnUnfinished::{Ignore, Import, Report, Stop};
    for (record, wish, exit) in [
        (left_by(vec![made()]), Report, Exit::Done),
        (left_by(vec![made()]), Import, Exit::Done),
        (left_by(vec![made()]), Ignore, Exit::Done),
        (left_by(vec![made()]), Stop, Exit::Unfinished),
        // It is of a step of the own pipeline, and tells of itself.
        (beside(), Stop, Exit::Done),
    ] {
        let mut world = World::with_records(Look::Free, slice::from_ref(&record));
        world.place.backends.clear();
        world.deploy.on_unfinished = wish;
        let conclusion = world.deploy().await;
        let case = format!("{} {wish:?}", record.owner);
        assert_eq!(conclusion.exit, exit, "{case}");
        assert_eq!(
            world.stand_of(&record.owner),
            Some(Stand::Running),
            "{case}"
        );
    }
}

/// An id may be a mere name, which two states have.
#[tokio::test(start_paused = true)]
async fn what_a_state_has_by_its_id_holds_nothing_up_and_is_closed_only_where_it_is_surely_its_own()
{
    use Stand::{Settled, Unfinished};
    let killed = || held(&format!("{KILLED}@vm"));
    for (shares_its_name, look, stand) in [
        (true, Look::Free, Unfinished),
        (true, killed(), Settled),
        (false, Look::Free, Settled),
    ] {
        for wish in [OnUnfinished::Report, OnUnfinished::Stop] {
            let mut world = World::with_records(look.clone(), &[left_unfinished()]);
            world.place.shares_its_name = shares_its_name;
            world.deploy.on_unfinished = wish;
            world.has_stored(&[("fake.made", "1")]);
            let conclusion = world.deploy_as(&KILLED.replace("/1/fed", "/2/fed")).await;
            let case = format!("{look:?} {shares_its_name} {wish:?}");
            assert_eq!(conclusion.exit, Exit::Done, "{case}");
            assert_eq!(world.kept(41).unwrap().0, stand, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_closes_by_an_id_only_what_is_surely_of_its_state() {
    use Stand::{Settled, Unfinished};
    for (shares_its_name, stand) in [(true, Unfinished), (false, Settled)] {
        let world = World::with_records(Look::Free, &[left_unfinished()]);
        let place = FakePlace {
            shares_its_name,
            ..FakePlace::with(&world.moments, &[&world.backend])
        };
        place.stored.replace(stored(&[("fake.made", "1")]));
        let places = [Place {
            name: "here".to_owned(),
            directory: PathBuf::from("/"),
            tool: tool(place),
        }];
        world.release_at(&places).await;
        assert_eq!(world.kept(41).unwrap().0, stand, "{shares_its_name}");
    }
}

/// A step may deploy one state, and then another one of the same name.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_of_the_step_was_making_is_not_settled_by_another_state() {
    let in_flight = || Resource::created("fake.begun", Fate::InFlight, None);
    for (shares_its_name, stand) in [(true, Stand::Running), (false, Stand::Settled)] {
        let record = Record {
            entries: left_by(vec![in_flight()]).entries,
            ..earlier()
        };
        let mut world = World::with_records(Look::Free, slice::from_ref(&record));
        world.place.shares_its_name = shares_its_name;
        world.has_stored(&[("fake.begun", "3")]);
        assert_eq!(world.deploy().await.exit, Exit::Done, "{shares_its_name}");
        let kept = world.stand_of(&record.owner);
        assert_eq!(kept, Some(stand), "{shares_its_name}");
    }
}

/// The lock that is free is that of this state.
#[tokio::test(start_paused = true)]
async fn a_resolution_writes_only_what_it_was_told_of_where_another_state_may_be_deployed_just_now()
{
    let other = || Record {
        owner: Owner::parse(&KILLED.replace("#41/3", "#40/4")).unwrap(),
        ..left_by(vec![
            Resource::created("fake.other", Fate::Complete, Some("2")),
            Resource::created("fake.begun", Fate::InFlight, None),
        ])
    };
    for (shares_its_name, stand) in [(true, Stand::Running), (false, Stand::Unfinished)] {
        let mut world = World::with_records(Look::Free, &[other(), left_unfinished()]);
        world.place.shares_its_name = shares_its_name;
        let (conclusion, world) = world.resolve(&["fake.made"]).await;
        assert_eq!(conclusion.to_string(), "Journal: 1 resolved, 2 left.");
        let settled = (Stand::Settled, Vec::new());
        assert_eq!(world.kept(41), Some(settled), "{shares_its_name}");
        assert_eq!(world.kept(40).unwrap().0, stand, "{shares_its_name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolution_closes_by_an_id_nothing_that_it_was_not_told_of_where_it_may_be_of_another_state()
 {
    use Stand::{Settled, Unfinished};
    let rows: [(_, &[&str], _, &[&str]); 4] = [
        (true, &["fake.begun"], Unfinished, &["fake.made"]),
        (
            true,
            &["fake.made"],
            Unfinished,
            &["fake.made", "fake.begun"],
        ),
        (false, &["fake.begun"], Settled, &[]),
        (
            false,
            &["fake.made"],
            Unfinished,
            &["fake.made", "fake.begun"],
        ),
    ];
    for (shares_its_name, addresses, stand, open) in rows {
        let begun = Resource::created("fake.begun", Fate::InFlight, None);
        let record = Record {
            stand: Unfinished,
            ..left_by(vec![made(), begun])
        };
        let mut world = World::with_records(Look::Free, &[record]);
        world.place.shares_its_name = shares_its_name;
        world.has_stored(&[("fake.made", "1")]);
        let (_, world) = world.resolve(addresses).await;
        let case = format!("{addresses:?} {shares_its_name}");
        assert_eq!(world.kept(41), Some((stand, names(open))), "{case}");
    }
}

/// It has unlocked, and softstop has not written its end yet, or was killed before.
#[tokio::test(start_paused = true)]
async fn a_deploy_that_has_told_no_end_stops_none_where_the_state_has_all_of_it_by_its_id() {
    let begun = || Resource::created("fake.begun", Fate::InFlight, None);
    let stored: &[(&str, &str)] = &[("fake.made", "1"), ("fake.begun", "2")];
    for (resources, ids, exit) in [
        (vec![made()], stored, Exit::Done),
        (vec![made()], &[], Exit::Unfinished),
        (vec![made()], &[("fake.made", "2")], Exit::Unfinished),
        (vec![made(), begun()], stored, Exit::Unfinished),
    ] {
        let record = left_by(resources);
        let mut world = World::with_records(Look::Free, slice::from_ref(&record));
        world.place.shares_its_name = true;
        world.deploy.on_unfinished = OnUnfinished::Stop;
        world.has_stored(ids);
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.exit, exit, "{record:?} {ids:?}");
        // Whoever goes on writes it himself.
        assert_eq!(*world.shelf.records.borrow().first().unwrap(), record);
    }
}
