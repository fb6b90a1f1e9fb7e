//! What is kept of a deploy, and what becomes of it.

use std::fs::File;
use std::slice;
use std::time::SystemTime;

use super::*;
use crate::journal::{Entry, PlaceName, Record, Stand};
use crate::tools::progress::{Fate, Resource, Told};
use crate::tools::stored::Stored;

/// A commit before that of the pipeline.
pub(super) const EARLIER: &str = "fedcba9876543210fedcba9876543210fedcba98";
/// The stamp of a deploy that was killed, on that commit.
pub(super) const KILLED: &str = "acme/infra#41/33333333-3333-4333-8333-333333333333/\
    44444444-4444-4444-8444-444444444444/1/fedcba987654";

/// Addresses, and the ids that the state has.
type Ids = &'static [(&'static str, &'static str)];
type Names = &'static [&'static str];

fn told(resources: Vec<Resource>) -> Told {
    Told {
        resources,
        dropped: 0,
        has_plan: true,
        is_unended: false,
    }
}

pub(super) fn stored(ids: &[(&str, &str)]) -> Stored {
    let ids = ids.iter();
    let ids = ids.map(|(address, id)| ((*address).to_owned(), vec![(*id).to_owned()]));
    Stored(ids.collect())
}

pub(super) fn here() -> PlaceName {
    PlaceName {
        directory: "here".to_owned(),
        workspace: "default".to_owned(),
        backend: "fake".to_owned(),
    }
}

/// What a deploy has left that was killed: something complete, and something in flight.
pub(super) fn left() -> Record {
    left_by(vec![
        Resource::created("made", Fate::Complete, Some("1")),
        Resource::created("begun", Fate::InFlight, None),
    ])
}

/// What a deploy has left that was killed.
pub(super) fn left_by(resources: Vec<Resource>) -> Record {
    Record {
        owner: Owner::parse(KILLED).unwrap(),
        commit: EARLIER.to_owned(),
        place: here(),
        stand: Stand::Running,
        entries: resources.into_iter().map(Entry::of).collect(),
        dropped: 0,
        has_plan: true,
        is_behind: false,
    }
}

impl World {
    /// With a shelf in reach, on which this lies.
    pub(super) fn with_records(look: Look, records: &[Record]) -> Self {
        let mut world = Self::showing(look);
        world.shelf = FakeShelf::that_is(Mood::Well);
        world.shelf.records.replace(records.to_vec());
        world.host.commits = Ok(vec![COMMIT.to_owned(), EARLIER.to_owned()]);
        world
    }

    pub(super) fn hears(&self, resources: Vec<Resource>) {
        *self.place.told.lock().unwrap() = told(resources);
    }

    pub(super) fn has_stored(&self, ids: &[(&str, &str)]) {
        self.place.stored.replace(stored(ids));
    }

    /// How the record of this build stands, and what is open in it.
    pub(super) fn kept(&self, build: u64) -> Option<(Stand, Vec<String>)> {
        let records = self.shelf.records.borrow();
        let record = records
            .iter()
            .find(|record| record.owner.build() == build)?;
        let open = record.entries.iter().filter(|entry| entry.is_open());
        let open = open.map(|entry| entry.resource.address.to_string());
        Some((record.stand, open.collect()))
    }

    pub(super) async fn resolve(self, addresses: &[&str]) -> (Conclusion, Self) {
        let addresses: Vec<String> = addresses.iter().map(|one| (*one).to_owned()).collect();
        let nothing = FakePlace::with(&self.moments, &[]);
        let mut world = self;
        let place = Place {
            name: "here".to_owned(),
            directory: PathBuf::from("/"),
            tool: tool(std::mem::replace(&mut world.place, nothing)),
        };
        let (inquiry, journal) = (world.inquiry(), world.journal());
        let conclusion = resolve::run(&world.host, &inquiry, &journal, &place, &addresses).await;
        (conclusion, world)
    }
}

pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_deploy_keeps_what_no_state_knows_of_it_and_nothing_else() {
    use Stand::{Settled, Unfinished};
    let made = || Resource::created("made", Fate::Complete, Some("1"));
    let begun = || Resource::created("begun", Fate::InFlight, None);
    let rows: [(_, _, Ids, _, Names); 5] = [
        (ended(0), vec![made()], &[("made", "1")], Settled, &[]),
        (killed(), vec![made()], &[("made", "1")], Settled, &[]),
        (killed(), vec![made()], &[], Unfinished, &["made"]),
        (
            killed(),
            vec![made(), begun()],
            &[("made", "1")],
            Unfinished,
            &["begun"],
        ),
        (ended(256), vec![], &[], Settled, &[]),
    ];
    for (ending, heard, ids, stand, open) in rows {
        let mut world = World::with_records(Look::Free, &[]);
        world.ending(Ok(ending));
        world.hears(heard);
        world.has_stored(ids);
        world.deploy().await;
        assert_eq!(world.kept(42), Some((stand, names(open))));
    }
}

/// In `terraform apply | tee log` nobody tells that Terraform has failed.
#[tokio::test(start_paused = true)]
async fn a_command_that_ends_well_settles_nothing_that_could_not_be_stored() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("errored.state");
    let mut world = World::with_records(Look::Free, &[]);
    world.hears(vec![Resource::created("made", Fate::Complete, Some("1"))]);
    world.place.unsaved = Some(file.clone());
    world.place.unstored.replace(Some(Unstored {
        reason: silent(),
        advice: "Push it.".to_owned(),
    }));
    world.host.act.replace(Some(Box::new(move || {
        // The clock of a file system may be behind the one that the story reads.
        let later = SystemTime::now() + Duration::from_secs(1);
        File::create(&file).unwrap().set_modified(later).unwrap();
    })));
    let conclusion = world.deploy().await;
    assert_eq!(conclusion.exit, Exit::Done);
    assert_eq!(world.kept(42), Some((Stand::Unfinished, names(&["made"]))));
}

#[tokio::test(start_paused = true)]
async fn a_plan_leaves_nothing_in_the_journal() {
    let mut world = World::with_records(Look::Free, &[]);
    world.host.seen = vec![seen("plan", "here")];
    world.hears(vec![Resource::created("planned", Fate::NotBegun, None)]);
    world.deploy().await;
    assert_eq!(world.kept(42), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_a_deploy_is_as_ever_and_no_slower_than_it_may_be() {
    for mood in [Mood::NotThere, Mood::Hangs] {
        let mut world = World::with_records(Look::Free, &[]);
        world.shelf = FakeShelf::that_is(mood);
        world.hears(vec![Resource::created("made", Fate::Complete, Some("1"))]);
        let began = tokio::time::Instant::now();
        let conclusion = world.deploy().await;
        assert_eq!(conclusion.to_string(), "Deploy succeeded.");
        assert!(began.elapsed() <= Duration::from_secs(4), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_is_asked_once_about_the_past() {
    let mut world = World::with_records(Look::Free, &[]);
    world.shelf = FakeShelf::that_is(Mood::NotThere);
    world.deploy().await;
    // And once by the record of the deploy itself, for which nobody waits.
    assert_eq!(*world.shelf.asked.borrow(), [COMMIT; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_release_settles_what_the_state_has_of_the_deploy_whose_lock_it_was() {
    use Stand::{Running, Settled, Unfinished};
    let rows: [(_, Ids, _, Names); 4] = [
        (
            held(&format!("{KILLED}@vm")),
            &[],
            Unfinished,
            &["made", "begun"],
        ),
        (Look::Free, &[("made", "1")], Unfinished, &["begun"]),
        (Look::Free, &[("made", "1"), ("begun", "2")], Settled, &[]),
        (held(PERSON), &[("made", "1")], Running, &["made", "begun"]),
    ];
    for (look, ids, stand, open) in rows {
        let world = World::with_records(look.clone(), &[left()]);
        let backend = FakeBackend::showing(&world.moments, look.clone());
        let place = FakePlace::with(&world.moments, &[&backend]);
        place.stored.replace(stored(ids));
        let release = Release {
            after_script: None,
            lock_timeout: Duration::ZERO,
        };
        let places = [Place {
            name: "here".to_owned(),
            directory: PathBuf::from("/"),
            tool: tool(place),
        }];
        let (inquiry, journal) = (
            world.inquiry_of(&KILLED.replace("/1/fed", "/2/fed")),
            world.journal(),
        );
        release::run(&world.host, &inquiry, &journal, &places, &release).await;
        assert_eq!(
            world.kept(41),
            Some((stand, names(open))),
            "{look:?} {ids:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_deploy_settles_what_the_state_has_and_forgets_nothing_else() {
    let rows: [(Ids, _, Names); 4] = [
        (&[], vec![], &["made", "begun"]),
        (&[("made", "1")], vec![], &["begun"]),
        (&[("made", "1"), ("begun", "2")], vec![], &[]),
        // One that has the same address is not the one that was in flight.
        (
            &[("made", "1")],
            vec![Resource::created("begun", Fate::Complete, Some("2"))],
            &["begun"],
        ),
    ];
    for (ids, heard, open) in rows {
        let mut world = World::with_records(Look::Free, &[left()]);
        world.has_stored(ids);
        world.hears(heard);
        world.deploy().await;
        let stand = if open.is_empty() {
            Stand::Settled
        } else {
            Stand::Unfinished
        };
        assert_eq!(world.kept(41), Some((stand, names(open))), "{ids:?}");
        assert_eq!(world.kept(42), Some((Stand::Settled, Vec::new())));
    }
}

#[tokio::test(start_paused = true)]
async fn what_this_very_run_has_left_before_is_carried_on_in_its_record() {
    let own = Record {
        owner: Owner::parse(ASKER).unwrap(),
        commit: COMMIT.to_owned(),
        ..left()
    };
    let rows: [(Ids, _, Names); 3] = [
        (&[], Stand::Unfinished, &["made", "begun"]),
        (&[("made", "1")], Stand::Unfinished, &["begun"]),
        (&[("made", "1"), ("begun", "2")], Stand::Settled, &[]),
    ];
    for (ids, stand, open) in rows {
        let mut world = World::with_records(Look::Free, slice::from_ref(&own));
        world.has_stored(ids);
        world.hears(vec![Resource::created("other", Fate::Complete, Some("3"))]);
        world.deploy().await;
        assert_eq!(world.kept(42), Some((stand, names(open))), "{ids:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_much_is_to_be_read_and_written_a_deploy_waits_no_longer_than_it_may() {
    let mut world = World::with_records(held(&format!("{KILLED}@vm")), &[left()]);
    world.shelf.mood.set(Mood::Slow);
    let began = tokio::time::Instant::now();
    world.deploy().await;
    assert!(
        began.elapsed() <= Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_resolves_what_is_named_and_learns_what_can_be() {
    let done = Exit::Done;
    let rows: [(Names, _, _, Names); 5] = [
        (&["begun"], done, "Journal: 1 resolved, 1 left.", &["made"]),
        (
            &["made", "begun"],
            done,
            "Journal: 2 resolved, 0 left.",
            &[],
        ),
        (
            &["bygone"],
            Exit::BadVariable,
            "Nothing was run: ADDRESS is \"bygone\": what is unfinished is made, begun.",
            &["made", "begun"],
        ),
        (
            &["begun", "bygone"],
            Exit::BadVariable,
            "Nothing was run: ADDRESS is \"bygone\": what is unfinished is made, begun.",
            &["made", "begun"],
        ),
        (
            &[],
            Exit::BadVariable,
            "Nothing was run: ADDRESS names nothing: what is unfinished is made, begun.",
            &["made", "begun"],
        ),
    ];
    for (addresses, exit, words, open) in rows {
        let world = World::with_records(Look::Free, &[left()]);
        let (conclusion, world) = world.resolve(addresses).await;
        assert_eq!(
            (conclusion.exit, conclusion.to_string().as_str()),
            (exit, words)
        );
        assert_eq!(world.kept(41).unwrap().1, names(open));
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_unfinished_or_nobody_answers_a_resolution_says_so() {
    let world = World::with_records(Look::Free, &[]);
    let (conclusion, mut world) = world.resolve(&["x"]).await;
    assert_eq!(conclusion.exit, Exit::Done);
    assert_eq!(
        conclusion.to_string(),
        "Journal: here: nothing is unfinished."
    );
    world.shelf = FakeShelf::that_is(Mood::Hangs);
    let (conclusion, _) = world.resolve(&["x"]).await;
    assert_eq!(conclusion.exit, Exit::Unanswered);
    let words = conclusion.to_string();
    assert!(
        words.starts_with("Journal: what is unfinished is not known: "),
        "{words}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_tells_what_a_holder_was_heard_to_do() {
    let world = World::with_records(Look::Free, &[left()]);
    world.backend.then([Ok(held(&format!("{KILLED}@vm")))]);
    let places = world.places(&[&world.backend]);
    let (inquiry, journal) = (world.inquiry(), world.journal());
    let (looked, _) = status::run(&world.host, &inquiry, &journal, &places).await;
    let records: serde_json::Value = serde_json::from_str(&json::records(&looked)).unwrap();
    let resources = &records[0]["journal"]["resources"];
    assert_eq!(resources[1]["address"], "begun");
    assert_eq!(resources[1]["stage"], "in_flight");
}

#[tokio::test(start_paused = true)]
async fn what_may_go_on_is_no_past_and_is_left_as_it_is() {
    // Without locks, and where nobody could be asked about the lock, nobody knows.
    let mut unlocked = World::with_records(Look::Free, &[left()]);
    unlocked.place.backends.clear();
    let mut unasked = World::with_records(Look::Free, &[left()]);
    unasked.backend.then([Err(silent())]);
    for world in [&mut unlocked, &mut unasked] {
        world.deploy().await;
        let open = names(&["made", "begun"]);
        assert_eq!(world.kept(41), Some((Stand::Running, open)));
    }
}
