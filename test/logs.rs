//! softstop's own words: few, in an order that people can follow, and with DEBUG all that was asked.

use crate::support::project::thing;
use crate::support::softstop::TOKEN;
use crate::support::{Answer, Bitbucket, Finished, Kind, Project, Softstop, Step};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where this stands in what was said.
#[track_caller]
fn place_of(finished: &Finished, text: &str) -> usize {
    let place = finished.stderr.find(text);
    place.unwrap_or_else(|| panic!("expected {text:?}:\n{finished}"))
}

#[test]
fn the_pipe_says_that_it_begins_and_each_run_with_what() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let begun = "INFO: Executing the pipe...\n";
    let introduction = format!("INFO: softstop {VERSION}: Terraform ");
    let deploy = |mode: &str| {
        Softstop::in_directory(&project.directory, project.scratch())
            .arguments([mode])
            .script("true")
            .env("WORKSPACE", "prod")
            .env("SOFTSTOP_WORKSPACE", "prod")
            .finish()
    };
    let finished = deploy("--pipe");
    assert!(finished.stderr.starts_with(begun), "{finished}");
    finished
        .expect_said(&introduction)
        .expect_said(" in ., backend http, workspace prod.\n");
    let finished = deploy("deploy");
    assert!(!finished.stderr.contains(begun), "{finished}");
    finished.expect_said(&introduction);
    // No program is started only to ask for its version.
    let said =
        format!("INFO: softstop {VERSION}: terraform in ., backend http, workspace default.\n");
    Softstop::in_directory(&project.directory, project.scratch())
        .arguments(["status"])
        .finish()
        .expect_said(&said);
}

#[test]
fn a_release_says_its_results_in_the_order_of_the_directories_and_meanwhile_for_which_it_waits() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(
        &bitbucket,
        [Answer::InProgress, Answer::Completed("STOPPED")],
    );
    let waited_for = Project::orphaned(Kind::HttpStrict, &step);
    let free = Project::new(Kind::HttpLax, "");
    let (first, second) = (waited_for.clone_files(), free.clone_files());
    let finished = Softstop::in_directory(&first, waited_for.scratch())
        .arguments(["release"])
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .env("LOCK_TIMEOUT", "60s")
        .env("WORKING_DIR_COUNT", "2")
        .env("WORKING_DIR_0", &first)
        .env("WORKING_DIR_1", &second)
        .finish();
    finished.expect_code(0);
    let (first, second) = (first.display(), second.display());
    let places = [
        format!("INFO: softstop {VERSION}: 2 directories: {first}, {second}.\n"),
        format!("INFO: {first}: Lock "),
        "\n  Its holder is alive: Bitbucket says that its step is IN_PROGRESS".to_owned(),
        "\n  Waiting for it, for up to ".to_owned(),
        "\n  It was released: Bitbucket says that its step is COMPLETED".to_owned(),
        format!("INFO: {second}: The lock is free.\n"),
        "✔ Locks: 1 released, 1 free.".to_owned(),
    ]
    .map(|text| place_of(&finished, &text));
    assert!(places.is_sorted(), "{places:?}: {finished}");
}

#[test]
fn with_debug_it_is_said_what_was_looked_at_with_what_and_who_was_asked_what() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    let project = Project::orphaned(Kind::S3Lockfile, &step);
    let asker = Step::of_a_new_pipeline();
    let release = || {
        Softstop::release(&project)
            .in_step(&asker)
            .asking(&bitbucket)
    };
    let finished = release().env("SOFTSTOP_DEBUG", "true").finish();
    finished
        .expect_code(0)
        .expect_said("DEBUG: Looking at the lock: terraform in ., backend s3, workspace default.\n")
        .expect_said("DEBUG: The backend says: Lock ")
        .expect_said("DEBUG: Docker was asked about the container d5c1f0a2b3c4: ")
        .expect_said(&format!("\n  Asked by {}, which signs as ", asker.stamp()))
        .expect_said("\n  Processes and containers: nothing was seen of the holder.\n")
        .expect_said("\n  Order of steps: it tells nothing.\n")
        .expect_said("\n  Bitbucket: the step is COMPLETED, STOPPED, ")
        .expect_said(
            "\n  So release it, because Bitbucket says that its step is COMPLETED (STOPPED).\n",
        )
        .expect_said("DEBUG: After the release the backend says: nobody holds the lock.\n");
    assert!(!finished.stderr.contains(TOKEN), "{finished}");
    project.be_orphaned(&step);
    let finished = release().finish();
    assert!(!finished.stderr.contains("DEBUG"), "{finished}");
}

#[test]
fn with_debug_it_is_said_what_a_run_knew_of_itself_when_it_judged_its_own_lock() {
    let project = Project::slow(Kind::HttpStrict);
    Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .start()
        .kill_terraform_at(&project.gate("a.gate"))
        .expect_code(137)
        .expect_said("\n  This run signs as ")
        .expect_said(", its tool was killed, its processes are gone.\n")
        .expect_said("\n  So release it, because it was this run's own");
}

#[test]
fn colours_are_there_unless_no_color_says_otherwise() {
    let project = Project::new(Kind::HttpStrict, "");
    project.be_locked_by("anna@macbook");
    let refused = |no_colour: &str| {
        let release = Softstop::release(&project).env("NO_COLOR", no_colour);
        let finished = release.finish();
        finished.expect_code(3);
        let misspelt = Softstop::release(&project)
            .env("NO_COLOR", no_colour)
            .env("GRACE_PERIOD", "long")
            .finish();
        misspelt.expect_code(2);
        [finished, misspelt]
    };
    for finished in refused("1") {
        assert!(!finished.stderr.contains('\x1b'), "{finished}");
    }
    for finished in refused("") {
        // Whoever shows a log line by line still shows each in its colour.
        let title = |line: &&str| !line.starts_with("  ");
        for line in finished.stderr.lines().filter(title) {
            let is_painted = line.starts_with("\x1b[3") && line.ends_with("\x1b[0m");
            assert!(is_painted, "{line:?}: {finished}");
        }
    }
}
