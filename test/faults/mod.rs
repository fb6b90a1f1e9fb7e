//! A fault campaign: deploys are broken at random points and recovered, and after every round the
//! invariants are checked against the backend itself.
//!
//! `test/campaign` starts it. The same seed gives the same plan; the machine's timing is its own.

mod aim;
mod answers;
mod busy;
mod change;
mod company;
mod drawn;
mod draws;
mod ending;
mod journaling;
mod layout;
mod next_deploy;
mod outsider;
mod plan;
mod reader;
mod recovery;
mod report;
mod rivals;
mod round;
mod subject;
mod trouble;
mod truth;

use std::any::Any;
use std::collections::HashMap;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::{Bitbucket, Kind, each};
use plan::Plan;
use report::Report;
use round::Round;
use truth::Truth;

/// How many rounds are played where nobody asks for more.
const ROUNDS: usize = 60;
const SEED: u64 = 1;
/// How long a deploy takes before any was measured.
const LIFE: Duration = Duration::from_millis(1500);

/// What all rounds share.
struct Campaign {
    bitbucket: Bitbucket,
    lives: Mutex<HashMap<Kind, Duration>>,
    report: Mutex<Report>,
    deadline: Option<Instant>,
}

#[test]
#[ignore = "it wants the machine for itself: test/run begins it when all other tests are over"]
fn no_round_of_a_fault_campaign_breaks_an_invariant() {
    let rounds =
        number("SOFTSTOP_TEST_ROUNDS").map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap());
    let seed = number("SOFTSTOP_TEST_SEED").unwrap_or(SEED);
    let draws = env::var("SOFTSTOP_TEST_DRAWS").unwrap_or_default();
    let seeds = match number("SOFTSTOP_TEST_REPLAY") {
        // The plan is the same each time, and the machine's timing is not.
        Some(seed) => vec![seed; rounds],
        None => draws::seeds(seed, rounds, &draws),
    };
    let minutes = number("SOFTSTOP_TEST_MINUTES");
    let campaign = Campaign {
        bitbucket: Bitbucket::start(),
        lives: Mutex::default(),
        report: Mutex::default(),
        deadline: minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)),
    };
    each(&seeds, |seed| campaign.play(seed));
    let report = campaign.report.into_inner().unwrap();
    eprintln!("{report}");
    // What has failed was told in the moment, and is told again where whoever reads an end finds it.
    assert!(report.is_clean(), "{}", report.failed());
}

impl Campaign {
    fn play(&self, seed: u64) {
        let is_late = self
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline);
        if is_late || self.report.lock().unwrap().is_enough() {
            return;
        }
        let plan = Plan::of(seed);
        let life = self.lives.lock().unwrap().get(&plan.kind).copied();
        let truth = Truth::new();
        let played = catch_unwind(AssertUnwindSafe(|| {
            let life = life.unwrap_or(LIFE);
            Round::new(&plan, truth.clone(), &self.bitbucket, life).play()
        }));
        let mut violations = truth.violations();
        match played {
            Ok(Some(life)) => {
                self.lives.lock().unwrap().insert(plan.kind, life);
            }
            Ok(None) => {}
            Err(panic) => violations.push(violation_of(panic.as_ref())),
        }
        let mut report = self.report.lock().unwrap();
        report.add(&plan, &truth, &violations);
    }
}

/// What the support of the tests has seen itself: a run that leaves a process, or never ends.
fn violation_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref().copied());
    let words = words.unwrap_or("a panic without words");
    let invariant = if words.starts_with("left behind") {
        "I4"
    } else {
        "panic"
    };
    format!("{invariant}: {words}")
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is {text:?}: expected a number")),
    )
}
