//! What a killed deploy has left, where its commit is not simply one before that of the next one as seen
//! from where it runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::elsewhere::{AFTER_A, be_killed, move_to};
use super::{Pipeline, project};
use crate::support::world::{in_the_world, object};
use crate::support::{Program, Project, Softstop, Step};

fn git(directory: &Path, arguments: &str) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(project: &Project, message: &str) -> String {
    let words = format!("commit --quiet --allow-empty --message={message}");
    git(&project.directory, &words);
    git(&project.directory, "rev-parse HEAD")
}

/// Lets a deploy of one commit be killed, and expects that one of another commit imports what it has made.
fn expect_imported(
    project: &Project,
    (killed, next): (&str, &str),
    prepare: impl Fn(Softstop) -> Softstop,
) {
    let on = |commit: &str| Step::of_a_new_pipeline().on_commit(commit);
    let mut pipeline = Pipeline::begin();
    pipeline.step = on(killed);
    be_killed(project, prepare(pipeline.deploy(project)), "b.gate", "");
    let made = in_the_world(project, "a");
    project.gate("b.gate").open();
    pipeline.step = on(next);
    let finished = prepare(pipeline.importing(project)).finish();
    finished.expect_code(0);
    assert_eq!(in_the_world(project, "a"), made, "{finished}");
}

fn begun_project() -> Project {
    let project = project(Program::Terraform, &[object("a", ""), object("b", AFTER_A)]);
    git(&project.directory, "init --quiet");
    project
}

#[test]
fn what_was_made_in_a_submodule_is_looked_for_on_the_commits_of_the_repository_around_it() {
    for is_named in [true, false] {
        let project = begun_project();
        move_to(&project, "infra");
        fs::create_dir(project.directory.join(".git/modules")).unwrap();
        let infra = project.directory.join("infra");
        git(
            &infra,
            "init --quiet --separate-git-dir=../.git/modules/infra",
        );
        git(&infra, "commit --quiet --allow-empty --message=its");
        let first = commit(&project, "first");
        let second = commit(&project, "second");
        expect_imported(&project, (&first, &second), |softstop| {
            let softstop = softstop.env("WORKING_DIR", "infra");
            if is_named {
                softstop
            } else {
                softstop.env("BITBUCKET_CLONE_DIR", "")
            }
        });
    }
}

#[test]
fn what_a_newer_commit_of_the_branch_has_left_an_older_one_hears_of_that_is_deployed_again() {
    let project = begun_project();
    let older = commit(&project, "older");
    let newer = commit(&project, "newer");
    git(&project.directory, "branch cloned");
    git(&project.directory, "branch --set-upstream-to=cloned");
    git(&project.directory, &format!("reset --quiet {older}"));
    expect_imported(&project, (&newer, &older), |softstop| softstop);
}
