//! Deploys that are killed at random, and what of all that they have made is forgotten afterwards.
//!
//! `SOFTSTOP_TEST_KILLS=200 test/run forgotten` kills more of them.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::support::world::{in_the_world, object, world_of};
use crate::support::{
    CodeInsights, Finished, Journal, Kind, Program, Project, Softstop, Step, each, until,
};

const KINDS: [Kind; 3] = [Kind::HttpStrict, Kind::S3Lockfile, Kind::Postgres];
const OBJECTS: usize = 13;
/// How many deploys are killed where nobody asks for more.
const KILLS: u64 = 6;
const SEED: u64 = 1;

/// What is left of all that was made, over all kills.
#[derive(Default)]
struct Tally {
    kills: usize,
    made_before: usize,
    /// What exists, and no state has it after the next deploy.
    orphans: usize,
    /// How many were made again although they were there.
    doubles: usize,
    /// How many of these had an id that was printed before the kill.
    with_a_printed_id: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} kills, {} objects made before; after the next deploy {} orphans, {} made twice, {} of \
             them with an id that was printed",
            self.kills, self.made_before, self.orphans, self.doubles, self.with_a_printed_id
        )
    }
}

/// The ids of what there is, by name.
type Ids = BTreeMap<String, Vec<String>>;

/// One deploy that is killed.
struct Kill {
    project: Project,
    /// How many objects there are when it comes, and how much later it comes.
    at: usize,
    later: Duration,
}

impl Kill {
    fn drawn(number: u64) -> Self {
        let mut random = Rng::with_seed(SEED + number);
        let kind = KINDS[usize::try_from(number).unwrap() % KINDS.len()];
        let program = Program::ALL[usize::try_from(number / 3).unwrap() % 2];
        let objects: Vec<String> = (0..OBJECTS)
            .map(|index| {
                let time = random.u32(10..200);
                let after = if index > 0 && random.u8(0..3) == 0 {
                    format!("depends_on = [slow_object.o{}]", random.usize(0..index))
                } else {
                    String::new()
                };
                let settings = format!("create_time = \"{time}\"\n  {after}");
                object(&format!("o{index}"), &settings)
            })
            .collect();
        Self {
            project: world_of(program, kind, &objects),
            at: random.usize(1..OBJECTS),
            later: Duration::from_millis(random.u64(0..60)),
        }
    }

    /// Waits until it is time to kill: the moment between two events is drawn.
    fn wait(&self) {
        until("so many objects are there", || self.made().len() >= self.at);
        thread::sleep(self.later);
    }

    /// The ids of all that there is, by name.
    fn made(&self) -> Ids {
        let names = (0..OBJECTS).map(|index| format!("o{index}"));
        let with_ids = names.map(|name| {
            let ids = in_the_world(&self.project, &name);
            (name, ids)
        });
        with_ids.filter(|(_, ids)| !ids.is_empty()).collect()
    }

    /// Counts what has become of what was made, once the next deploy is over.
    fn count(&self, before: &Ids, printed: &str, tally: &mut Tally) {
        let stored = self.stored();
        tally.kills += 1;
        tally.made_before += before.len();
        for ids in self.made().values() {
            tally.orphans += ids.iter().filter(|id| !stored.contains(*id)).count();
            if ids.len() > 1 {
                tally.doubles += ids.len() - 1;
                let is_printed = |id: &&String| printed.contains(&format!("[id={id}]"));
                tally.with_a_printed_id += ids.iter().filter(is_printed).count();
            }
        }
    }

    fn stored(&self) -> String {
        self.project.store.state().unwrap_or_default()
    }

    fn expect_empty_plan(&self) {
        let plan = ["plan", "-input=false", "-detailed-exitcode"];
        let plan = self.project.terraform(&plan).output().unwrap();
        assert_eq!(plan.status.code(), Some(0), "{plan:?}");
    }
}

/// By Terraform alone, and a person who frees its lock.
fn by_terraform_alone(kill: &Kill, tally: &mut Tally) {
    let project = &kill.project;
    project.run_terraform(&["init", "-input=false"]);
    let printed = project.scratch().join("printed");
    let mut apply = project.terraform(&["apply", "-auto-approve", "-input=false", "-no-color"]);
    apply.stdout(File::create(&printed).unwrap());
    // Stop kills the provider too.
    apply.process_group(0);
    let mut apply = apply.stderr(Stdio::null()).spawn().unwrap();
    kill.wait();
    let group = Pid::from_raw(apply.id().cast_signed());
    killpg(group, Signal::SIGKILL).unwrap();
    apply.wait().unwrap();
    let before = kill.made();
    project.store.remove_lock();
    project.run_terraform(&["apply", "-auto-approve", "-input=false"]);
    kill.count(&before, &fs::read_to_string(printed).unwrap(), tally);
}

/// By softstop, whose journal is on the commit.
fn by_softstop(kill: &Kill, tally: &mut Tally) {
    let project = &kill.project;
    let (step, insights) = (Step::of_a_new_pipeline(), CodeInsights::start());
    let of =
        |softstop: Softstop, step: &Step| softstop.in_step(step).env("JOURNAL", insights.proxy());
    let printed = project.scratch().join("printed");
    let run = of(Softstop::deploy(project), &step)
        .start_with_stdout(printed.clone(), File::create(&printed).unwrap());
    kill.wait();
    run.kill_all();
    let before = kill.made();
    let journal = insights.journal(step.commit());

    let released = of(Softstop::release(project), &step.sibling()).finish();
    released.expect_code(0);
    assert_eq!(project.store.lock(), None, "{released}");
    let deployed = of(Softstop::deploy(project), &step.sibling())
        .env("ON_UNFINISHED", "import")
        .finish();
    deployed.expect_code(0);
    expect_told_or_once(kill, &before, &journal, &deployed);
    kill.expect_empty_plan();
    let printed = fs::read_to_string(printed).unwrap();
    kill.count(&before, &printed, tally);
}

/// What has an id in the journal is there once, and the state has it. What was in flight may be there
/// twice, and is told of.
fn expect_told_or_once(kill: &Kill, before: &Ids, journal: &Journal, deployed: &Finished) {
    let (after, stored) = (kill.made(), kill.stored());
    assert_eq!(after.len(), OBJECTS, "{deployed}");
    for (name, ids) in before {
        let [id] = ids.as_slice() else {
            panic!("{name} was made once: {ids:?}");
        };
        let told = journal.get(&format!("slow_object.{name}"));
        let (stage, told) = told.expect("what was made is in a list");
        match told {
            Some(told) => {
                assert_eq!((told, &after[name]), (id, ids), "{deployed}");
                assert!(stored.contains(id.as_str()), "{deployed}");
            }
            None if stage == "in_flight" => {
                deployed.expect_said("because a deploy may make it again");
            }
            None => assert_eq!(stage, "not_begun", "{name}"),
        }
    }
}

/// Plays all kills in this way.
fn play(way: impl Fn(&Kill, &mut Tally) + Sync) -> Tally {
    let kills = env::var("SOFTSTOP_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let numbers = Mutex::new(0..kills);
    let tally = Mutex::new(Tally::default());
    each(&[(); 2], |()| {
        let next = || numbers.lock().unwrap().next();
        while let Some(number) = next() {
            let mut own = Tally::default();
            way(&Kill::drawn(number), &mut own);
            tally.lock().unwrap().add(&own);
        }
    });
    tally.into_inner().unwrap()
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.made_before += other.made_before;
        self.orphans += other.orphans;
        self.doubles += other.doubles;
        self.with_a_printed_id += other.with_a_printed_id;
    }
}

#[test]
fn what_a_killed_deploy_has_made_is_in_a_list_and_comes_back() {
    let alone = play(by_terraform_alone);
    eprintln!("Terraform and OpenTofu alone: {alone}");
    // A remote state is not stored before 20 s are over, or the end.
    assert_eq!(alone.doubles, alone.made_before);
    let softstop = play(by_softstop);
    eprintln!("softstop: {softstop}");
    assert!(softstop.doubles < alone.doubles, "{softstop}");
}
