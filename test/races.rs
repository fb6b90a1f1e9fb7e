//! Races for a lock, as often as SOFTSTOP_TEST_RACES says: for a campaign, set it to 100.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Answer, Bitbucket, Kind, Project, Softstop, Step, each, until};

/// How many races there are on each backend where nobody asks for more.
const RACES: usize = 3;

/// How a race ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Race {
    Clean,
    /// The new deploy's lock was released under its hands.
    Lost,
}

/// Two releases and a new deploy are started at once for the same orphan. Where the deploy has met
/// nobody, it has had no lock to lose, and they start anew.
fn race(kind: Kind) -> Race {
    loop {
        if let Some(race) = run_race(kind) {
            return race;
        }
    }
}

fn run_race(kind: Kind) -> Option<Race> {
    let project = Project::slow(kind);
    if kind.has_a_state_from_init() {
        // Where there is none, the first question makes it, and needs the lock for that.
        project.run_terraform(&["init", "-input=false"]);
    }
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    project.be_locked_by(&format!("{}@d5c1f0a2b3c4", step.stamp()));
    let release = || {
        let softstop = Softstop::release(&project).asking(&bitbucket);
        softstop.start()
    };
    let releases = [release(), release()];
    let mut deploy = Softstop::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .env("LOCK_TIMEOUT", "60s")
        .start();
    let gate = project.gate("a.gate");
    until("the deploy has a lock, or ends", || {
        gate.was_reached() || deploy.has_ended()
    });
    if !gate.was_reached() {
        let finished = deploy.finish();
        assert!(finished.has_met_nobody(), "{finished}");
        for release in releases {
            release.finish().expect_code(0);
        }
        return None;
    }
    let holder = project.store.lock();
    for release in releases {
        // Where the new deploy was quicker, its lock is one that nobody can judge.
        let finished = release.finish();
        assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished}");
    }
    let is_lost = holder.is_none() || project.store.lock() != holder;
    gate.open();
    let finished = deploy.finish();
    assert_eq!(is_lost, finished.code != Some(0), "{finished}");
    Some(if is_lost { Race::Lost } else { Race::Clean })
}

fn lost_races(kind: Kind) -> usize {
    let races = env::var("SOFTSTOP_TEST_RACES").map_or(RACES, |races| races.parse().unwrap());
    let rounds: Vec<usize> = (0..races).collect();
    let lost = std::sync::atomic::AtomicUsize::new(0);
    let count = |_| {
        if race(kind) == Race::Lost {
            lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    };
    each(&rounds, count);
    let lost = lost.into_inner();
    eprintln!("{kind:?}: {races} races, {lost} lost");
    lost
}

#[test]
fn a_new_lock_is_never_lost_where_the_server_compares_ids() {
    for kind in [Kind::HttpStrict, Kind::Gcs, Kind::Azurerm, Kind::Kubernetes] {
        assert_eq!(lost_races(kind), 0, "{kind:?}");
    }
}

#[test]
fn a_new_lock_is_never_lost_where_a_lock_dies_with_its_process() {
    assert_eq!(lost_races(Kind::Postgres), 0);
    assert_eq!(lost_races(Kind::Local), 0);
}

/// Between the comparison of the ID and the release there is a window, so a loss is possible; a
/// few races do not find it.
#[test]
fn a_new_lock_is_hardly_ever_lost_where_the_server_does_not_compare_ids() {
    for kind in [
        Kind::HttpLax,
        Kind::S3Lockfile,
        Kind::S3DynamoDb,
        Kind::S3Both,
    ] {
        let lost = lost_races(kind);
        assert!(lost <= 1, "{kind:?}: {lost} locks lost");
    }
}

/// From the last moment at which a new holder is noticed to the moment at which it is harmed.
#[test]
fn the_window_in_which_a_new_lock_can_be_lost_is_short() {
    let rows = [
        (Kind::HttpLax, "LOCK ", "UNLOCK "),
        (Kind::S3Lockfile, "GET ", "DELETE "),
        (Kind::S3DynamoDb, "GetItem", "DeleteItem"),
    ];
    for (kind, look, release) in rows {
        let step = Step::of_a_new_pipeline();
        let project = Project::orphaned(kind, &step);
        let proxy = project.store.proxy.as_ref().unwrap();
        let finished = Softstop::release(&project)
            .in_step(&step.sibling())
            .finish();
        finished.expect_code(0).expect_said("1 released");
        let window = proxy.between(look, release);
        eprintln!("{kind:?}: a window of {window:?}");
        assert!(window < Duration::from_millis(100), "{kind:?}: {window:?}");
    }
}

/// Terraform asks who holds a lock file only after it was refused, and waits only for somebody whom
/// it knows.
#[test]
fn a_terraform_that_waits_gives_up_where_a_lock_file_goes_before_it_is_asked_about() {
    let project = Project::new(Kind::S3Lockfile, "");
    project.run_terraform(&["init", "-input=false"]);
    project.be_locked_by("anna@macbook");
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold(&project.store.look_request());
    let mut apply = project.terraform(&["apply", "-auto-approve", "-lock-timeout=50s"]);
    let waiting = apply
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    proxy.wait_until_held();
    project.store.remove_lock();
    proxy.let_go();
    let output = waiting.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("NoSuchKey"), "{said}");
}
