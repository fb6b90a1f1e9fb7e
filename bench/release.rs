//! From a fresh clone to a released lock: `softstop release`, against the route by hand.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "it stands on what the tests stand on, and uses a part of it"
)]

#[path = "../test/support/mod.rs"]
mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::project::thing;
use support::{Kind, Project, Step};

const ROUNDS: usize = 15;
const KINDS: [Kind; 3] = [Kind::HttpLax, Kind::S3Lockfile, Kind::S3DynamoDb];

fn main() {
    println!(
        "| Backend | by hand / softstop, no provider | the same, one provider | softstop release | \
         by hand, no provider | by hand, one provider |\n|---|---|---|---|---|---|"
    );
    for kind in KINDS {
        let bare = Project::new(kind, "resource \"terraform_data\" \"a\" {}\n");
        let full = Project::new(kind, &thing("a", ""));
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            times[0].push(time(&full, release));
            times[1].push(time(&bare, by_hand));
            times[2].push(time(&full, by_hand));
        }
        let [softstop, bare, full] = times.map(median);
        let ratio = |time: Duration| time.as_secs_f64() / softstop.as_secs_f64();
        println!(
            "| {kind:?} | {:.1} | {:.1} | {} ms | {} ms | {} ms |",
            ratio(bare),
            ratio(full),
            softstop.as_millis(),
            bare.as_millis(),
            full.as_millis()
        );
    }
}

/// How long `free` takes to free an orphaned lock.
fn time(project: &Project, free: fn(&Project, &Step)) -> Duration {
    let step = Step::of_a_new_pipeline();
    project.be_locked_by(&format!("{}@d5c1f0a2b3c4", step.stamp()));
    let began = Instant::now();
    free(project, &step);
    let took = began.elapsed();
    assert_eq!(project.store.lock(), None);
    took
}

fn release(project: &Project, step: &Step) {
    let status = Command::new(env!("CARGO_BIN_EXE_softstop"))
        .arg("release")
        .current_dir(project.clone_files())
        .envs(step.sibling().variables())
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// What a person does: initialise, see the ID in a plan that fails, and unlock.
fn by_hand(project: &Project, _: &Step) {
    let clone = project.clone_files();
    let run = |arguments: &[&str]| {
        let mut terraform = project.terraform(arguments);
        terraform.current_dir(&clone);
        terraform.stdout(Stdio::null()).stderr(Stdio::null());
        terraform.status().unwrap().success()
    };
    assert!(run(&["init", "-input=false"]));
    assert!(!run(&["plan", "-input=false"]), "the plan is refused");
    let id = project.store.lock_id().unwrap();
    assert!(run(&["force-unlock", "-force", &id]));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
