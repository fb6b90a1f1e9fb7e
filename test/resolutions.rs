//! A person says that something that a killed deploy has left needs nothing more.

use std::process::Command;

use crate::journal_of_deploys::{deploy, kill, project, release, result};
use crate::support::softstop::TOKEN;
use crate::support::{CodeInsights, Kind, Program, Softstop, Step, each};

#[test]
fn a_person_resolves_what_was_in_flight_and_the_journal_is_settled() {
    each(&Program::ALL, |program| {
        let (project, insights) = (project(program, Kind::HttpStrict), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights).start();
        kill(&project, &step, &insights, run);
        release(&project, &step, &insights).finish().expect_code(0);
        let resolve = |addresses: &str| {
            Softstop::resolve(&project)
                .in_step(&step.sibling())
                .env("JOURNAL", insights.proxy())
                .arguments(addresses.split_whitespace())
                .finish()
        };
        resolve("slow_object.z")
            .expect_code(2)
            .expect_said("what is unfinished is slow_object.a, slow_object.b");
        resolve("slow_object.b")
            .expect_code(0)
            .expect_said("slow_object.b of build 42 needs nothing more.")
            .expect_said("Journal: 1 resolved, 1 left.");
        assert_eq!(result(&insights, &step), "FAILED");
        resolve("slow_object.a")
            .expect_code(0)
            .expect_said("Journal: 1 resolved, 0 left.");
        assert_eq!(result(&insights, &step), "PASSED");
        resolve("slow_object.a")
            .expect_code(0)
            .expect_said("nothing is unfinished");
    });
}

#[test]
fn outside_of_pipelines_a_resolution_takes_a_token_and_a_clone_of_bitbuckets() {
    let (project, insights) = (
        project(Program::Terraform, Kind::HttpStrict),
        CodeInsights::start(),
    );
    let git = |arguments: &str| {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments.split(' '))
            .current_dir(&project.directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git("init --quiet");
    git("commit --quiet --allow-empty --message=first");
    let step = Step::of_a_new_pipeline().on_commit(&git("rev-parse HEAD"));
    git("commit --quiet --allow-empty --message=second");
    let run = deploy(&project, &step, &insights).start();
    kill(&project, &step, &insights, run);
    release(&project, &step, &insights).finish().expect_code(0);
    let resolve = || {
        Softstop::in_directory(&project.directory, project.scratch())
            .env("TF_CLI_CONFIG_FILE", project.cli_config())
            .env("BITBUCKET_API_URL", insights.proxy())
            .arguments(["resolve", "slow_object.a", "slow_object.b"])
    };
    resolve()
        .finish()
        .expect_code(4)
        .expect_said("outside of Pipelines it takes a token");
    let with_token = || resolve().env("BITBUCKET_ACCESS_TOKEN", TOKEN);
    with_token()
        .finish()
        .expect_code(4)
        .expect_said("git names no `origin` at bitbucket.org here");
    git("remote add origin git@bitbucket.org:acme/infra.git");
    with_token()
        .finish()
        .expect_code(0)
        .expect_said("Journal: 2 resolved, 0 left.");
    assert_eq!(result(&insights, &step), "PASSED");
}
