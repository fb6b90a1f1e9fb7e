//! A command that tears a workspace down, as the recipe has it, by real Terraform.

use crate::journal_of_deploys::{deploy, kill, project, release};
use crate::support::project::thing;
use crate::support::{CodeInsights, Kind, Program, Project, Softstop, Step};

/// What the recipe runs, in the workspace `review`.
fn recipe() -> String {
    let recipes = include_str!("../docs/recipes.md");
    let (_, recipe) = recipes.split_once("## Tear down a workspace").unwrap();
    let (_, script) = recipe.split_once("COMMAND: |\n").unwrap();
    let (script, _) = script.split_once("    release-locks:").unwrap();
    script.to_owned()
}

/// With one thing in the state of the workspace `review`.
fn with_a_review() -> Project {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    for arguments in [
        &["init"][..],
        &["workspace", "new", "review"],
        &["apply", "-auto-approve"],
        &["workspace", "select", "default"],
    ] {
        project.run_terraform(arguments);
    }
    project
}

#[test]
fn a_workspace_that_is_torn_down_is_not_made_again_to_ask_what_it_has() {
    let project = with_a_review();
    let torn_down = Softstop::deploy(&project)
        .script(&format!("{}\nexit 1", recipe()))
        .finish();
    torn_down.expect_code(1);
    assert!(torn_down.stderr.contains("exit code 1"), "{torn_down}");
    let review = project.store.of_workspace("review");
    assert_eq!(review.state(), None, "{torn_down}");
}

#[test]
fn a_workspace_that_is_torn_down_is_not_made_again_to_settle_what_was_left_there() {
    let project = project(Program::Terraform, Kind::S3Lockfile);
    let insights = CodeInsights::start();
    let step = Step::of_a_new_pipeline();
    let begun = deploy(&project, &step, &insights).env("SOFTSTOP_WORKSPACE", "review");
    kill(&project, &step, &insights, begun.start());
    let released = release(&project, &step, &insights).env("SOFTSTOP_WORKSPACE", "review");
    released.finish().expect_code(0);

    let torn_down = deploy(&project, &step.sibling(), &insights)
        .script(&recipe())
        .finish();
    torn_down.expect_code(0);
    let review = project.store.of_workspace("review");
    assert_eq!(review.state(), None, "{torn_down}");
    // What was made, and no state has known, is there yet.
    let reports = insights.reports("acme", "infra", step.commit());
    assert!(reports.iter().any(|report| report["result"] == "FAILED"));
}

#[test]
fn a_workspace_is_torn_down_while_somebody_holds_the_lock_of_another_one() {
    let project = with_a_review();
    let id = project.be_locked_by("anna@macbook").unwrap();
    let refused = Softstop::deploy(&project)
        .script("terraform apply -auto-approve")
        .finish();
    refused.expect_code(3).expect_said("Nothing was deployed");

    let torn_down = Softstop::deploy(&project).script(&recipe()).finish();
    torn_down
        .expect_code(0)
        .expect_said("held by anna@macbook")
        .expect_said("The command chooses another place itself");
    assert_eq!(project.store.of_workspace("review").state(), None);
    assert_eq!(project.store.lock_id(), Some(id));
}
