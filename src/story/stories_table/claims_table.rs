//! What becomes of what only the log of a killed step tells.

use std::cell::RefCell;
use std::slice;

use super::journals_table::{left_by, names, stored};
use super::*;
use crate::journal::{Claim, Entry, Record, Stand};
use crate::tools::Job;
use crate::tools::progress::{Action, Fate, Resource};
use crate::tools::recovering::{Change, Planned};

/// What a log tells to be made.
fn claimed() -> Entry {
    Entry::by_log(Resource::created("fake.claimed", Fate::Complete, Some("1")))
}

/// What a deploy has left, of which this is known from its log alone.
fn left_with(claims: Vec<Entry>, told: Vec<Resource>) -> Record {
    let told = left_by(told);
    Record {
        stand: Stand::Unfinished,
        entries: claims.into_iter().chain(told.entries.clone()).collect(),
        ..told
    }
}

fn left_claimed() -> Record {
    left_with(vec![claimed()], Vec::new())
}

/// A plan that makes these anew, but for what it imports.
fn plan(made: &[&str], imported: &[(&str, &str)]) -> Planned {
    let change = |action, imported: Option<&str>| Change {
        action,
        id: None,
        imported: imported.map(str::to_owned),
    };
    let made = made.iter();
    let made = made.map(|one| ((*one).to_owned(), change(Some(Action::Create), None)));
    let imported = imported.iter();
    let imported = imported.map(|(one, id)| ((*one).to_owned(), change(None, Some(id))));
    Planned(made.chain(imported).collect())
}

impl World {
    /// The next deploy by the tool itself, with what the one before has left in the journal.
    async fn then_applies(&mut self, wish: OnUnfinished, plans: &[Planned]) -> Exit {
        self.then_deploys(Runs::Job(Job::Apply), wish, plans).await
    }

    async fn then_deploys(&mut self, runs: Runs, wish: OnUnfinished, plans: &[Planned]) -> Exit {
        let has = self.place.stored.borrow().clone();
        let shares_its_name = self.place.shares_its_name;
        let before = std::mem::replace(self, Self::with_records(Look::Free, &[]));
        self.shelf = before.shelf;
        self.deploy.runs = runs;
        self.deploy.on_unfinished = wish;
        self.place.shares_its_name = shares_its_name;
        self.place.stored.replace(has);
        self.place.plans = RefCell::new(plans.to_vec());
        self.deploy().await.exit
    }

    /// How far what only a log tells is heeded of this build, and what it was told of.
    fn claims_of(&self, build: u64) -> Vec<(String, Option<Claim>)> {
        let records = self.shelf.records.borrow();
        let record = records.iter().find(|one| one.owner.build() == build);
        let entries = record.unwrap().entries.iter();
        let claims = entries.map(|entry| (entry.resource.address.to_string(), entry.claim));
        claims.collect()
    }
}

fn claim(address: &str, claim: Claim) -> (String, Option<Claim>) {
    (address.to_owned(), Some(claim))
}

#[tokio::test(start_paused = true)]
async fn what_only_a_log_tells_stops_the_first_deploy_that_would_make_it_again_and_none_after_it() {
    use OnUnfinished::{Import, Report};
    let command = || Runs::Command("fake".to_owned(), Vec::new());
    for (is_command, wish) in [
        (false, Report),
        (false, Import),
        (true, Report),
        (true, Import),
    ] {
        let runs = || {
            if is_command {
                command()
            } else {
                Runs::Job(Job::Apply)
            }
        };
        let again = [plan(&["fake.claimed"], &[])];
        let mut world = World::with_records(Look::Free, &[left_claimed()]);
        let first = world.then_deploys(runs(), wish, &again).await;
        let case = format!("{wish:?} {is_command}");
        assert_eq!(first, Exit::Unfinished, "{case}");
        let heeded = [claim("fake.claimed", Claim::Heeded)];
        assert_eq!(world.claims_of(41), heeded, "{case}");
        let second = world.then_deploys(runs(), wish, &again).await;
        assert_eq!(second, Exit::Done, "{case}");
        // It stays until the state has it, or a person says so.
        let left = Some((Stand::Unfinished, names(&["fake.claimed"])));
        assert_eq!(world.kept(41), left, "{case}");
    }
}

/// Its old object was just being destroyed, or could not be.
#[tokio::test(start_paused = true)]
async fn a_replacement_of_which_only_a_log_tells_is_heeded_once_too_and_never_imported() {
    use OnUnfinished::{Import, Report};
    let replaced = |stage| Resource {
        action: Action::Replace,
        old_id: Some("0".into()),
        ..Resource::created("fake.claimed", stage, Some("1"))
    };
    let again = [plan(&["fake.claimed"], &[])];
    for stage in [Fate::InFlight, Fate::Failed] {
        for wish in [Report, Import] {
            for (is_command, shares_its_name, exits) in [
                (false, false, [Exit::Unfinished, Exit::Done]),
                (true, false, [Exit::Unfinished, Exit::Done]),
                // That one has stopped cannot be written down there.
                (false, true, [Exit::Done; 2]),
                (true, true, [Exit::Done; 2]),
            ] {
                let runs = || {
                    if is_command {
                        Runs::Command("fake".to_owned(), Vec::new())
                    } else {
                        Runs::Job(Job::Apply)
                    }
                };
                let record = left_with(vec![Entry::by_log(replaced(stage))], Vec::new());
                let mut world = World::with_records(Look::Free, &[record]);
                world.has_stored(&[("fake.claimed", "0")]);
                world.place.shares_its_name = shares_its_name;
                let case = format!("{stage:?} {wish:?} {is_command} {shares_its_name}");
                for exit in exits {
                    let found = world.then_deploys(runs(), wish, &again).await;
                    assert_eq!(found, exit, "{case}");
                }
                let left = Some((Stand::Unfinished, names(&["fake.claimed"])));
                assert_eq!(world.kept(41), left, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_does_not_make_it_again_leaves_the_stop_to_the_next_one() {
    let mut world = World::with_records(Look::Free, &[left_claimed()]);
    let nothing = [plan(&[], &[])];
    let exit = world.then_applies(OnUnfinished::Report, &nothing).await;
    assert_eq!(exit, Exit::Done);
    let fresh = [claim("fake.claimed", Claim::Fresh)];
    assert_eq!(world.claims_of(41), fresh);
    let again = [plan(&["fake.claimed"], &[])];
    let exit = world.then_applies(OnUnfinished::Report, &again).await;
    assert_eq!(exit, Exit::Unfinished);
}

#[tokio::test(start_paused = true)]
async fn who_wants_to_stop_for_whatever_may_exist_stops_until_a_person_says_so_and_who_does_not_never()
 {
    for (wish, exit) in [
        (OnUnfinished::Stop, Exit::Unfinished),
        (OnUnfinished::Ignore, Exit::Done),
    ] {
        let mut world = World::with_records(Look::Free, &[left_claimed()]);
        for _ in 0..2 {
            assert_eq!(world.then_applies(wish, &[]).await, exit, "{wish:?}");
        }
        let (conclusion, mut world) = world.resolve(&["fake.claimed"]).await;
        assert_eq!(conclusion.to_string(), "Journal: 1 resolved, 0 left.");
        assert_eq!(world.then_applies(wish, &[]).await, Exit::Done, "{wish:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_a_log_tells_is_never_imported_and_what_a_journal_tells_beside_it_is_once_one_has_stopped()
 {
    let made = Resource::created("fake.made", Fate::Complete, Some("2"));
    let record = left_with(vec![claimed()], vec![made]);
    let mut world = World::with_records(Look::Free, &[record]);
    let again = plan(&["fake.claimed", "fake.made"], &[]);
    let imported = plan(&["fake.claimed"], &[("fake.made", "2")]);
    let plans = [again, imported];
    for exit in [Exit::Unfinished, Exit::Done] {
        assert_eq!(world.then_applies(OnUnfinished::Import, &plans).await, exit);
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_a_log_tells_is_settled_by_a_state_that_has_it_and_stops_nobody_whose_state_has_another()
 {
    for (id, stand) in [("1", Stand::Settled), ("2", Stand::Unfinished)] {
        let mut world = World::with_records(Look::Free, &[left_claimed()]);
        world.has_stored(&[("fake.claimed", id)]);
        let exit = world.then_applies(OnUnfinished::Report, &[]).await;
        assert_eq!(
            (exit, world.kept(41).unwrap().0),
            (Exit::Done, stand),
            "{id}"
        );
    }
}

/// That one has stopped cannot be written down there.
#[tokio::test(start_paused = true)]
async fn what_only_a_log_tells_stops_nobody_whose_state_may_be_another_one() {
    let mut world = World::with_records(Look::Free, &[left_claimed()]);
    world.place.shares_its_name = true;
    let exit = world.then_applies(OnUnfinished::Report, &[]).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(world.claims_of(41), [claim("fake.claimed", Claim::Fresh)]);
}

#[tokio::test(start_paused = true)]
async fn a_release_leaves_what_only_a_log_tells_to_the_next_deploy() {
    for (ids, stand) in [
        (&[][..], Stand::Unfinished),
        (&[("fake.claimed", "1")], Stand::Settled),
    ] {
        let world = World::with_records(Look::Free, slice::from_ref(&left_claimed()));
        let place = FakePlace::with(&world.moments, &[&world.backend]);
        place.stored.replace(stored(ids));
        let places = [Place {
            name: "here".to_owned(),
            directory: PathBuf::from("/"),
            tool: tool(place),
        }];
        world.release_at(&places).await;
        assert_eq!(world.kept(41).unwrap().0, stand);
        if stand == Stand::Unfinished {
            assert_eq!(world.claims_of(41), [claim("fake.claimed", Claim::Fresh)]);
        }
    }
}
