//! What a release costs: how often Terraform is started, and how often Bitbucket is asked.

use std::fs;

use crate::support::project::thing;
use crate::support::{Answer, Bitbucket, Finished, Kind, Project, Softstop, Step, each, prepared};

const S3: [Kind; 3] = [Kind::S3Lockfile, Kind::S3DynamoDb, Kind::S3Both];

/// Releases what `step` has left locked, with a Terraform that first does what `script` says, and
/// returns the commands with which Terraform was started.
fn release_by(project: &Project, step: &Step, script: &str) -> (Finished, Vec<String>) {
    let release = Softstop::release(project).in_step(&step.sibling());
    run_by(project, release, script)
}

fn run_by(project: &Project, softstop: Softstop, script: &str) -> (Finished, Vec<String>) {
    let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
    let log = project.scratch().join("commands");
    let wrapper = project.script(
        "terraform",
        &format!(
            "echo $1 >> {}; {script}\nexec {terraform} \"$@\"",
            log.display()
        ),
    );
    let finished = softstop.env("TERRAFORM_BIN", wrapper).finish();
    let commands = fs::read_to_string(log).unwrap();
    (finished, commands.lines().map(str::to_owned).collect())
}

/// The commands of a release whose last look sees no lock: on DynamoDB one more is needed for that.
fn looks_at(kind: Kind, commands: &[&'static str]) -> Vec<&'static str> {
    let is_lock_file = kind == Kind::S3Lockfile;
    let last = (!is_lock_file).then_some("untaint");
    commands.iter().copied().chain(last).collect()
}

#[test]
fn a_release_starts_terraform_no_more_often_than_a_person() {
    each(&S3, |kind| {
        let step = Step::of_a_new_pipeline();
        let project = Project::orphaned(kind, &step);
        let (finished, commands) = release_by(&project, &step, "");
        finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{finished}");
        let expected = looks_at(kind, &["force-unlock"; 3]);
        assert_eq!(commands, expected, "look, release, look");
    });
}

#[test]
fn a_terraform_that_wants_to_initialise_by_itself_may() {
    each(&S3, |kind| {
        let step = Step::of_a_new_pipeline();
        let project = Project::orphaned(kind, &step);
        let dislike = "grep -qs '\"hash\":0' .terraform/terraform.tfstate && \
             echo '{}' > .terraform/terraform.tfstate";
        let (finished, commands) = release_by(&project, &step, dislike);
        finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{finished}");
        let unlock = "force-unlock";
        let expected = looks_at(kind, &[unlock, "init", unlock, unlock, unlock]);
        assert_eq!(commands, expected);
    });
}

#[test]
fn a_look_at_a_living_deploy_starts_terraform_no_more_than_twice() {
    each(&[Kind::Postgres, Kind::Local], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let rival = project.start_rival();
        for mode in [Softstop::status(&project), Softstop::release(&project)] {
            let look = mode
                .arguments(["--working-dir"])
                .arguments([&project.directory])
                .env("LOCK_TIMEOUT", "0s");
            let (finished, commands) = run_by(&project, look, "");
            finished.expect_code(0).expect_said("Its holder is alive");
            assert_eq!(commands, ["untaint"; 2], "{finished}");
            fs::remove_file(project.scratch().join("commands")).unwrap();
        }
        rival.finish();
    });
}

#[test]
fn many_directories_of_one_step_cost_one_question() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    let projects: Vec<Project> = (0..20)
        .map(|_| Project::orphaned(Kind::HttpLax, &step))
        .collect();
    let mut release = Softstop::release(&projects[0])
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .env("WORKING_DIR_COUNT", projects.len().to_string());
    for (index, project) in projects.iter().enumerate() {
        release = release.env(&format!("WORKING_DIR_{index}"), project.clone_files());
    }
    release
        .finish()
        .expect_code(0)
        .expect_said("✔ Locks: 20 released.");
    assert_eq!(bitbucket.requests(), 1);
}

/// Writes down how much memory the most needy Terraform has used, in KiB.
const WEIGH: &str = "
import resource, subprocess, sys
ended = subprocess.run(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak, file=open(sys.argv[1], 'a'))
sys.exit(ended.returncode)
";

#[test]
fn a_look_at_a_lock_file_of_50_mb_costs_no_more_than_400_mib() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    project.store.set_lockfile_text(&"x".repeat(50_000_000));
    let (program, peaks) = (
        project.scratch().join("weigh.py"),
        project.scratch().join("peaks"),
    );
    fs::write(&program, WEIGH).unwrap();
    let wrapper = project.script(
        "terraform",
        &format!(
            "exec python3 {} {} {} \"$@\"",
            program.display(),
            peaks.display(),
            prepared("SOFTSTOP_TEST_TERRAFORM")
        ),
    );
    let status = Softstop::status(&project)
        .env("TERRAFORM_BIN", wrapper)
        .finish();
    let peaks = fs::read_to_string(peaks).unwrap();
    for peak in peaks.lines() {
        let mebibytes = peak.parse::<u32>().unwrap() / 1024;
        assert!(mebibytes < 400, "{peaks}{status}");
    }
}
