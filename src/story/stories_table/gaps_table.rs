//! What is known of the past where not all of it is, and what is known of other places.

use std::path::Path;
use std::slice;

use super::journals_table::{EARLIER, KILLED, here, left, left_by, names, stored};
use super::*;
use crate::journal::{PlaceName, Record, Stand};
use crate::story::journal::{Untold, Whose};
use crate::tools::Job;
use crate::tools::progress::{Fate, Resource};

/// What another deploy has left, at another place.
fn left_at(directory: &str, stand: Stand) -> Record {
    let place = PlaceName {
        directory: directory.to_owned(),
        ..here()
    };
    Record {
        place,
        stand,
        ..left()
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_holder_of_a_released_lock_has_left_is_known_although_another_commit_is_silent() {
    let own_commit_is_silent = |world: &World| {
        world.shelf.failing.replace(Some(COMMIT.to_owned()));
    };
    let another_one_is = |world: &World| {
        let another = "1111111111111111111111111111111111111111";
        world.shelf.failing.replace(Some(another.to_owned()));
    };
    let silences: [&dyn Fn(&World); 2] = [&own_commit_is_silent, &another_one_is];
    for make_silent in silences {
        let killed = earlier_run().replace('@', "/fedcba987654@");
        let record = Record {
            owner: Owner::parse(killed.split('@').next().unwrap()).unwrap(),
            ..left()
        };
        let mut world = World::with_records(held(&killed), &[record]);
        let another = "1111111111111111111111111111111111111111";
        world.host.commits = Ok([COMMIT, EARLIER, another].map(str::to_owned).to_vec());
        make_silent(&world);
        world.deploy.on_unfinished = OnUnfinished::Stop;
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.exit, Exit::Unfinished);
        assert_eq!(
            world.kept(42),
            Some((Stand::Unfinished, names(&["made", "begun"])))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_failed_is_not_left_open_where_its_tool_has_stored_its_state() {
    let failed = || Resource::created("bad", Fate::Failed, None);
    for (ending, stand, open) in [
        (ended(256), Stand::Settled, &[][..]),
        (killed(), Stand::Unfinished, &["bad"]),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ending));
        world.hears(vec![failed()]);
        world.deploy().await;
        assert_eq!(world.kept(42), Some((stand, names(open))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_may_come_to_other_places_and_stops_for_what_is_left_there_only_where_it_is_wished()
 {
    use OnUnfinished::{Ignore, Import, Report, Stop};
    use Stand::{Running, Settled, Unfinished};
    let command = || Runs::Command("fake".to_owned(), Vec::new());
    for (directory, stand, wish, runs, exit) in [
        ("here/infra", Unfinished, Stop, command(), Exit::Unfinished),
        ("here/infra", Unfinished, Report, command(), Exit::Done),
        ("here/infra", Unfinished, Import, command(), Exit::Done),
        ("here/infra", Unfinished, Ignore, command(), Exit::Done),
        // It may go on, beside this one.
        ("here/infra", Running, Stop, command(), Exit::Done),
        ("here/infra", Settled, Stop, command(), Exit::Done),
        ("elsewhere", Unfinished, Stop, command(), Exit::Done),
        (
            "here/infra",
            Unfinished,
            Stop,
            Runs::Job(Job::Apply),
            Exit::Done,
        ),
    ] {
        let mut world = World::with_records(Look::Free, &[left_at(directory, stand)]);
        world.deploy.on_unfinished = wish;
        world.deploy.runs = runs;
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.exit, exit, "{directory} {stand:?} {wish:?}");
        assert_eq!(world.kept(41).unwrap().0, stand, "{directory}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_another_place_is_settled_by_a_deploy_that_comes_there() {
    let mut world = World::with_records(Look::Free, &[left_at("here/infra", Stand::Unfinished)]);
    let mut infra = FakePlace::with(&world.moments, &[]);
    infra.name = "here/infra";
    infra.stored.replace(stored(&[("made", "1")]));
    world.place.others.push(FakeTool(Rc::new(infra)));
    world.host.seen = vec![seen("apply", "here/infra")];
    world.deploy().await;
    assert_eq!(world.kept(41), Some((Stand::Unfinished, names(&["begun"]))));
}

#[tokio::test(start_paused = true)]
async fn a_resolution_leaves_alone_what_may_go_on() {
    let over = || Record {
        owner: Owner::parse(&KILLED.replace("#41/3", "#40/5")).unwrap(),
        stand: Stand::Unfinished,
        ..left()
    };
    let world = World::with_records(held(PERSON), &[over(), left()]);
    let (conclusion, world) = world.resolve(&["begun"]).await;
    assert_eq!(
        (conclusion.exit, conclusion.to_string().as_str()),
        (
            Exit::Done,
            "Journal: 1 resolved, 1 left; build 41 has not told of its end, and may go on, so its \
             record was left alone."
        )
    );
    assert_eq!(world.kept(40).unwrap().1, names(&["made"]));
    let all = names(&["made", "begun"]);
    assert_eq!(world.kept(41), Some((Stand::Running, all)));
}

#[tokio::test(start_paused = true)]
async fn a_resolution_never_says_that_nothing_is_left_where_not_all_have_answered() {
    let own = Record {
        commit: COMMIT.to_owned(),
        ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
    };
    let world = World::with_records(Look::Free, &[own]);
    world.shelf.failing.replace(Some(EARLIER.to_owned()));
    let (conclusion, _) = world.resolve(&["begun"]).await;
    assert_eq!(conclusion.exit, Exit::Unanswered);
    let words = conclusion.to_string();
    let begin = "Journal: 1 resolved; how much is left is not known, because ";
    assert!(words.starts_with(begin), "{words}");
}

/// Such as where the clone is another user's, or there is no git.
#[tokio::test(start_paused = true)]
async fn where_git_does_not_tell_the_commits_there_may_be_more_than_their_journals_say() {
    let dubious = "fatal: detected dubious ownership in repository at '/clone'";
    let own = || Record {
        commit: COMMIT.to_owned(),
        ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
    };
    for (records, words) in [
        (vec![], "Journal: what is unfinished is not known: "),
        (
            vec![own()],
            "Journal: 1 resolved; how much is left is not known, because ",
        ),
    ] {
        let mut world = World::with_records(Look::Free, &records);
        world.host.commits = Err(format!("{dubious}\nTo add an exception, call:"));
        let (conclusion, _) = world.resolve(&["begun"]).await;
        assert_eq!(conclusion.exit, Exit::Unanswered);
        let said = conclusion.to_string();
        assert!(said.starts_with(words), "{said}");
        let why = format!("git does not tell the commits before this one: {dubious} (exit");
        assert!(said.contains(&why), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_clone_the_own_commit_is_all_that_is_asked() {
    let own = Record {
        commit: COMMIT.to_owned(),
        ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
    };
    let mut world = World::with_records(Look::Free, &[own]);
    let none = "fatal: not a git repository (or any of the parent directories): .git";
    world.host.commits = Err(none.to_owned());
    let (conclusion, _) = world.resolve(&["begun"]).await;
    assert_eq!(conclusion.exit, Exit::Done, "{conclusion}");
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_of_a_holder_of_whom_nothing_is_left_to_settle() {
    let holder = Owner::parse(KILLED).unwrap();
    for (stand, untold) in [
        (Stand::Settled, Untold::Over),
        (Stand::Unfinished, Untold::Over),
        (Stand::Running, Untold::Over),
        // Its own lock was released.
        (Stand::Running, Untold::PerhapsAlive),
    ] {
        let world = World::with_records(Look::Free, &[left_at("here", stand)]);
        world.shelf.failing.replace(Some(COMMIT.to_owned()));
        let (journal, place) = (world.journal(), here());
        let whose = Whose {
            holders: slice::from_ref(&holder),
            and_others: true,
        };
        let directory = Path::new("/");
        let past = journal.past(&world.host, directory, Some(&place), whose, untold);
        let past = past.await;
        assert!(past.tells_of(&holder), "{stand:?} {untold:?}");
        assert!(past.gap.is_some(), "one commit is silent");
    }
}

/// Something that a wrapper says of this unit.
fn of_unit(unit: &str, resource: Resource) -> Resource {
    Resource {
        unit: Some(unit.into()),
        ..resource
    }
}

/// What a killed deploy has left in flight in this directory.
fn begun_at(directory: &str) -> Record {
    Record {
        place: left_at(directory, Stand::Unfinished).place,
        stand: Stand::Unfinished,
        ..left_by(vec![Resource::created("begun", Fate::InFlight, None)])
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_place_makes_neither_settles_nor_keeps_open_what_was_in_flight() {
    let made = |unit| of_unit(unit, Resource::created("begun", Fate::Complete, Some("2")));
    let bare = || Resource::created("begun", Fate::Complete, Some("2"));
    let (has, lacks) = (&[("begun", "2")][..], &[][..]);
    for (told, in_state, open) in [
        (made("b"), has, &[][..]),
        (made("b"), lacks, &["begun"]),
        (made("a"), has, &["begun"]),
        (made("elsewhere"), has, &["begun"]),
        // Nobody knows which of the two places has made it.
        (bare(), has, &["begun"]),
    ] {
        let mut world = World::with_records(Look::Free, &[begun_at("here/a")]);
        for (name, ids) in [("here/a", in_state), ("here/b", has)] {
            let mut place = FakePlace::with(&world.moments, &[]);
            place.name = name;
            place.stored.replace(stored(ids));
            world.place.others.push(FakeTool(Rc::new(place)));
        }
        world.host.seen = vec![seen("apply", "here/a"), seen("apply", "here/b")];
        world.hears(vec![told.clone()]);
        world.deploy().await;
        assert_eq!(world.kept(41).unwrap().1, names(open), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_states_by_one_name_none_settles_what_is_perhaps_the_others() {
    let mut world = World::with_records(Look::Free, &[begun_at("here/a")]);
    for (name, namesake) in [("here/b", Some("here/a")), ("here/a", None)] {
        let mut place = FakePlace::with(&world.moments, &[]);
        (place.name, place.namesake) = (name, namesake);
        if namesake.is_some() {
            place.stored.replace(stored(&[("begun", "2")]));
        }
        world.place.others.push(FakeTool(Rc::new(place)));
    }
    world.host.seen = vec![seen("apply", "here/b"), seen("apply", "here/a")];
    world.deploy().await;
    assert_eq!(world.kept(41).unwrap().1, names(&["begun"]));
}

#[tokio::test(start_paused = true)]
async fn what_a_unit_has_made_is_settled_by_its_own_end_and_its_own_state_alone() {
    let of = |unit, id| of_unit(unit, Resource::created("made", Fate::Complete, Some(id)));
    let here_and_another = || vec![of("here", "1"), of("other", "2")];
    let namesakes = || vec![of("here", "name"), of("other", "name")];
    for (status, told, in_state, open) in [
        (0, here_and_another(), "1", &[][..]),
        (256, vec![of("here", "1")], "1", &[]),
        (256, vec![of("here", "1")], "2", &["made"]),
        (256, vec![of("production", "1")], "1", &[]),
        // The state of one unit says nothing of another one.
        (256, here_and_another(), "1", &["made"]),
        (256, namesakes(), "name", &["made"]),
    ] {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ended(status)));
        world.has_stored(&[("made", in_state)]);
        world.hears(told.clone());
        world.deploy().await;
        assert_eq!(world.kept(42).unwrap().1, names(open), "{status} {told:?}");
    }
}
