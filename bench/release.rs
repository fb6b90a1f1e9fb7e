//! From a fresh clone to a released lock: `softstop release`, against the route by hand.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::SOFTSTOP;
use crate::measure::{by_turns, milliseconds, ratio, silent, time, verdict};
use crate::support::project::thing;
use crate::support::{Kind, Project, Step};

const ROUNDS: usize = 9;
const KINDS: [Kind; 3] = [Kind::HttpLax, Kind::S3Lockfile, Kind::S3DynamoDb];
/// The longest that a release may take, and how many times as fast as a person with a large
/// provider it must be.
const GOAL: Duration = Duration::from_secs(1);
const TIMES_AS_FAST: f64 = 3.0;

pub(crate) fn table() {
    println!("## From a fresh clone to a released lock\n");
    println!(
        "By hand is `terraform init`, a `terraform plan` that fails and shows the ID, and \
         `terraform force-unlock`. The large provider is {}, installed from a packed mirror on the \
         same disk. Medians of {ROUNDS}.\n",
        size_of_provider()
    );
    println!(
        "| Backend | by hand / softstop, no provider | the same, large provider | softstop release \
         | by hand, no provider | by hand, large provider | Goals: 1 s, 1 time, 3 times |\n\
         |---|---|---|---|---|---|---|"
    );
    for kind in KINDS {
        let bare = Project::new(kind, "resource \"terraform_data\" \"a\" {}\n");
        let large = with_large_provider(kind);
        let times: [Duration; 3] = by_turns(ROUNDS, |way| match way {
            0 => free(&large, release),
            1 => free(&bare, by_hand),
            _ => free(&large, by_hand),
        });
        let [softstop, bare, large] = times;
        let goals = [
            softstop <= GOAL,
            softstop <= bare,
            ratio(large, softstop) >= TIMES_AS_FAST,
        ];
        println!(
            "| {kind:?} | {:.1} | {:.1} | {:.0} ms | {:.0} ms | {:.0} ms | {} |",
            ratio(bare, softstop),
            ratio(large, softstop),
            milliseconds(softstop),
            milliseconds(bare),
            milliseconds(large),
            goals.map(verdict).join(", ")
        );
    }
}

/// A configuration whose provider is as large as that of a great cloud.
fn with_large_provider(kind: Kind) -> Project {
    let project = Project::new(kind, &thing("a", ""));
    let mirror = env::var("SOFTSTOP_BENCH_MIRROR").expect("start the benchmark by bench/run");
    let text = format!("provider_installation {{ filesystem_mirror {{ path = \"{mirror}\" }} }}\n");
    fs::write(project.cli_config(), text).unwrap();
    project
}

fn size_of_provider() -> String {
    env::var("SOFTSTOP_BENCH_PROVIDER").expect("start the benchmark by bench/run")
}

/// How long `route` takes to free an orphaned lock.
fn free(project: &Project, route: fn(&Project, &Path, &Step)) -> Duration {
    let step = Step::of_a_new_pipeline();
    project.be_locked_by(&format!("{}@d5c1f0a2b3c4", step.stamp()));
    let clone = project.clone_files();
    let took = time(|| route(project, &clone, &step));
    assert_eq!(project.store.lock(), None);
    fs::remove_dir_all(clone).unwrap();
    took
}

fn release(project: &Project, clone: &Path, step: &Step) {
    let mut release = silent(SOFTSTOP, &["release"]);
    let status = release
        .current_dir(clone)
        .envs(step.sibling().variables())
        .env("BITBUCKET_CLONE_DIR", clone)
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
        .status();
    assert!(status.unwrap().success());
}

/// What a person does: initialise, see the ID in a plan that fails, and unlock.
fn by_hand(project: &Project, clone: &Path, _: &Step) {
    let run = |arguments: &[&str]| {
        let mut terraform = project.terraform(arguments);
        terraform.current_dir(clone);
        terraform.stdout(Stdio::null()).stderr(Stdio::null());
        terraform.status().unwrap().success()
    };
    assert!(run(&["init", "-input=false"]));
    assert!(!run(&["plan", "-input=false"]), "the plan is refused");
    let id = project.store.lock_id().unwrap();
    assert!(run(&["force-unlock", "-force", &id]));
}
