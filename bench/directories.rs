//! 1, 10 and 100 directories that one step has left locked, freed by one `release`.

use std::time::{Duration, Instant};

use crate::SOFTSTOP;
use crate::measure::{milliseconds, peak_until_end, silent, verdict};
use crate::support::softstop::TOKEN;
use crate::support::{Answer, Bitbucket, Kind, Project, Step};

const COUNTS: [usize; 3] = [1, 10, 100];
const KINDS: [Kind; 2] = [Kind::HttpLax, Kind::S3Lockfile];

/// How much longer each may take where there are more of them: one measurement is not exact.
const MAY_GROW: f64 = 1.25;

/// What one release has taken.
struct Taken {
    time: Duration,
    questions: usize,
    /// In kB.
    memory: u64,
}

pub(crate) fn table() {
    println!("## 1, 10 and 100 directories in one `release`\n");
    println!(
        "All are locked by one step of another pipeline, of which Bitbucket is asked. Eight are \
         looked at side by side. Goal: the time for each \
         grows by no more than a quarter, and the questions not at all.\n"
    );
    println!(
        "| Backend | directories | time for each | wall time | questions to Bitbucket | most \
         memory of softstop and its guard | Goal |\n|---|---|---|---|---|---|---|"
    );
    for kind in KINDS {
        let mut before = None;
        for count in COUNTS {
            let taken = release(kind, count);
            let each = taken.time / u32::try_from(count).unwrap();
            let may_take = |before: Duration| before.mul_f64(MAY_GROW);
            let is_met =
                before.is_none_or(|before| each <= may_take(before)) && taken.questions == 1;
            before = Some(each);
            println!(
                "| {kind:?} | {count} | {:.1} ms | {:.0} ms | {} | {:.1} MB | {} |",
                milliseconds(each),
                milliseconds(taken.time),
                taken.questions,
                taken.memory as f64 * 1024.0 / 1e6,
                verdict(is_met)
            );
        }
    }
}

fn release(kind: Kind, count: usize) -> Taken {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    let projects: Vec<Project> = (0..count).map(|_| Project::orphaned(kind, &step)).collect();
    let mut release = silent(SOFTSTOP, &["release"]);
    release
        .current_dir(projects[0].scratch())
        .envs(Step::of_a_new_pipeline().variables())
        .env("BITBUCKET_API_URL", bitbucket.url())
        .env("BITBUCKET_ACCESS_TOKEN", TOKEN)
        .env("TF_CLI_CONFIG_FILE", projects[0].cli_config())
        .env("WORKING_DIR_COUNT", count.to_string());
    for (index, project) in projects.iter().enumerate() {
        release.env(format!("WORKING_DIR_{index}"), project.clone_files());
    }
    let began = Instant::now();
    let mut child = release.spawn().unwrap();
    let memory = peak_until_end(&mut child);
    let time = began.elapsed();
    assert!(child.wait().unwrap().success());
    for project in &projects {
        assert_eq!(project.store.lock(), None);
    }
    Taken {
        time,
        questions: bitbucket.requests(),
        memory,
    }
}
