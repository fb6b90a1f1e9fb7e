//! What a killed deploy has left where nobody would look for it at once: at a place that no variable
//! names, behind a hidden secret, between the halves of a replacement, after a failure.

use std::fs;

use nix::sys::signal::{Signal, kill};

use super::{PROGRAMS, Pipeline, expect_settled, program, project};
use crate::support::world::{in_the_world, object, write_objects};
use crate::support::{Finished, Program, Project, Softstop};

pub(super) const AFTER_A: &str = "create_gate = \"GATES/b.gate\"\n  depends_on = [slow_object.a]";

/// Puts the configuration into a directory of the clone, and leaves none where it was.
pub(super) fn move_to(project: &Project, directory: &str) {
    let directory = project.directory.join(directory);
    fs::create_dir(&directory).unwrap();
    for name in ["backend.tf", "main.tf"] {
        fs::rename(project.directory.join(name), directory.join(name)).unwrap();
    }
}

/// Lets Terraform be killed in this deploy at a gate, once it has said this.
pub(super) fn be_killed(project: &Project, softstop: Softstop, gate: &str, words: &str) {
    let run = softstop.start();
    project.gate(gate).wait_until_reached();
    run.wait_for_stdout(words);
    kill(run.wait_for_process(program(project)), Signal::SIGKILL).unwrap();
    run.finish().expect_code(137);
}

#[track_caller]
fn expect_unsaid(finished: &Finished, text: &str) {
    assert!(!finished.stderr.contains(text), "{finished}");
}

#[test]
fn what_a_command_has_left_in_another_directory_is_said_to_the_next_one_and_stops_it_where_that_is_wished()
 {
    for apply in [
        "cd infra && terraform init -input=false && terraform apply -auto-approve",
        "terraform -chdir=infra init -input=false && terraform -chdir=infra apply -auto-approve",
    ] {
        let pipeline = Pipeline::begin();
        let project = project(Program::Terraform, &[object("a", ""), object("b", AFTER_A)]);
        move_to(&project, "infra");
        let command = || pipeline.deploy(&project).script(apply);
        be_killed(&project, command(), "b.gate", "");
        let made = in_the_world(&project, "a");
        let left = format!(
            "Build 42 has made in infra (workspace default), or may have, what its state may not have: \
             slow_object.a (id {})",
            made[0]
        );

        let finished = command().env("ON_UNFINISHED", "stop").finish();
        finished.expect_code(5).expect_said(&left);
        assert_eq!(in_the_world(&project, "a"), made, "{finished}");
        // Beside it, nobody may come there.
        fs::create_dir(project.directory.join("staging")).unwrap();
        let finished = pipeline
            .deploy(&project)
            .env("WORKING_DIR", "staging")
            .script("true")
            .env("ON_UNFINISHED", "stop")
            .finish();
        finished.expect_code(0);
        expect_unsaid(&finished, "Build 42");

        project.gate("b.gate").open();
        let importing = pipeline.importing(&project).env("WORKING_DIR", "infra");
        let finished = importing.finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), made, "{finished}");
    }
}

#[test]
fn what_a_command_has_left_elsewhere_and_the_next_one_stores_is_settled_by_that() {
    let pipeline = Pipeline::begin();
    let project = project(Program::Terraform, &[object("a", ""), object("b", AFTER_A)]);
    move_to(&project, "infra");
    let apply = "cd infra && terraform init -input=false && terraform apply -auto-approve";
    let command = |script: &str| pipeline.deploy(&project).script(script);
    be_killed(&project, command(apply), "b.gate", "");
    project.gate("b.gate").open();
    let id = in_the_world(&project, "a").remove(0);
    let import = format!(
        "cd infra && terraform init -input=false && terraform import slow_object.a {id} && \
         terraform apply -auto-approve"
    );
    let finished = command(&import).finish();
    finished.expect_code(0).expect_said("slow_object.a (id ");
    let finished = command("true").finish();
    // In flight, and made again since.
    finished
        .expect_code(0)
        .expect_said("what its state may not have: slow_object.b");
    expect_unsaid(&finished, "slow_object.a");
}

#[test]
fn what_was_made_before_a_state_was_moved_to_another_backend_is_not_made_again_until_somebody_says_so()
 {
    let pipeline = Pipeline::begin();
    let project = project(Program::Terraform, &[object("a", ""), object("b", AFTER_A)]);
    be_killed(&project, pipeline.deploy(&project), "b.gate", "");
    let made = in_the_world(&project, "a");
    project.gate("b.gate").open();
    fs::remove_dir_all(project.directory.join(".terraform")).unwrap();
    project.write("backend.tf", "terraform {\n  backend \"local\" {}\n}\n");
    for wish in ["report", "import", "stop"] {
        let finished = pipeline
            .deploy(&project)
            .env("ON_UNFINISHED", wish)
            .finish();
        finished
            .expect_code(5)
            .expect_said("that deploy has used another type of backend (http)");
        assert_eq!(in_the_world(&project, "a"), made, "{finished}");
    }
    let resolve = pipeline.softstop(Softstop::resolve(&project));
    resolve
        .arguments(["slow_object.a", "slow_object.b"])
        .finish()
        .expect_code(0)
        .expect_said("Journal: 2 resolved, 0 left.");
    let finished = pipeline.deploy(&project).finish();
    finished.expect_code(0);
    expect_unsaid(&finished, "Build 42 was");
}

#[test]
fn what_has_a_secret_in_its_address_is_imported_like_anything_else() {
    const SECRET: &str = "hunter2hunter2";
    for program in PROGRAMS {
        let keyed = object("a", &format!("for_each = toset([\"{SECRET}\"])"));
        let pipeline = Pipeline::begin();
        let project = project(program, &[keyed, object("b", AFTER_A)]);
        let masked = |softstop: Softstop| softstop.env("DATABASE_PASSWORD", SECRET);
        be_killed(&project, masked(pipeline.deploy(&project)), "b.gate", "");
        let made = in_the_world(&project, "a");
        project.gate("b.gate").open();
        let finished = masked(pipeline.importing(&project)).finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), made, "{finished}");
        expect_settled(&project, &finished);
        // What the state has is no past.
        let again = masked(pipeline.deploy(&project)).finish();
        again.expect_code(0);
        expect_unsaid(&again, "slow_object.a");
        let sent = pipeline.insights.requests();
        let is_told = |text: &str| text.contains(SECRET);
        assert!(
            !sent
                .iter()
                .any(|one| is_told(&one.path) || is_told(&one.body.to_string()))
        );
    }
}

#[test]
fn a_replacement_that_was_killed_while_the_old_object_was_destroyed_leaves_nothing_open() {
    for program in PROGRAMS {
        let of_kind = |kind: &str| {
            object(
                "a",
                &format!("kind = \"{kind}\"\n  destroy_gate = \"GATES/a.gate\""),
            )
        };
        let pipeline = Pipeline::begin();
        let project = project(program, &[of_kind("1")]);
        pipeline.deploy(&project).finish().expect_code(0);
        write_objects(&project, &[of_kind("2")]);
        be_killed(
            &project,
            pipeline.deploy(&project),
            "a.gate",
            "Destroying...",
        );
        project.gate("a.gate").open();
        let stopping = || pipeline.stopping(&project);
        let finished = stopping().finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a").len(), 1, "{finished}");
        expect_settled(&project, &finished);
        stopping().finish().expect_code(0);
    }
}

#[test]
fn a_replacement_that_was_killed_once_the_new_object_was_begun_is_named_until_somebody_has_looked()
{
    for program in PROGRAMS {
        let of_kind = |kind: &str, gate: &str| object("a", &format!("kind = \"{kind}\"\n  {gate}"));
        let pipeline = Pipeline::begin();
        let project = project(program, &[of_kind("1", "")]);
        pipeline.deploy(&project).finish().expect_code(0);
        write_objects(&project, &[of_kind("2", "create_gate = \"GATES/a.gate\"")]);
        let words = "Destruction complete";
        be_killed(&project, pipeline.deploy(&project), "a.gate", words);
        project.gate("a.gate").open();
        let finished = pipeline.importing(&project).finish();
        finished
            .expect_code(0)
            .expect_said("Look whether slow_object.a is there");
        assert_eq!(in_the_world(&project, "a").len(), 1, "{finished}");
        expect_settled(&project, &finished);
        let again = pipeline.deploy(&project).finish();
        again
            .expect_code(0)
            .expect_said("Look whether slow_object.a is there");
    }
}

#[test]
fn the_plan_of_another_apply_does_not_make_the_old_object_pass_for_the_new_one_that_was_begun() {
    for program in PROGRAMS {
        let of_kind = |kind: &str, gate: &str| {
            let order = "lifecycle {\n    create_before_destroy = true\n  }";
            object("a", &format!("kind = \"{kind}\"\n  {gate}\n  {order}"))
        };
        let pipeline = Pipeline::begin();
        let project = project(program, &[of_kind("1", "")]);
        pipeline.deploy(&project).finish().expect_code(0);
        let begun = of_kind("2", "create_gate = \"GATES/a.gate\"");
        write_objects(&project, &[begun, object("b", "")]);
        let name = program.path();
        let script = format!(
            "{name} init -input=false && {name} apply -auto-approve -target=slow_object.b && \
             {name} plan -out=plan >log && {name} apply plan"
        );
        let words = "slow_object.a: Creating...";
        let deploy = pipeline.deploy(&project).script(&script);
        be_killed(&project, deploy, "a.gate", words);
        project.gate("a.gate").open();
        let finished = pipeline.stopping(&project).finish();
        finished
            .expect_code(5)
            .expect_said("Look whether slow_object.a is there");
        expect_unsaid(&finished, "slow_object.b");
    }
}

#[test]
fn what_has_failed_in_a_deploy_that_was_killed_after_it_may_exist() {
    for program in PROGRAMS {
        let objects = [
            object("a", "fails = \"no\""),
            object("b", "create_gate = \"GATES/b.gate\""),
        ];
        let pipeline = Pipeline::begin();
        let project = project(program, &objects);
        let name = program.path();
        let script = format!("{name} init -input=false && {name} apply -auto-approve -json");
        let deploy = pipeline.deploy(&project).script(&script);
        be_killed(&project, deploy, "b.gate", "apply_errored");
        project.gate("b.gate").open();
        let finished = pipeline.stopping(&project).finish();
        finished
            .expect_code(5)
            .expect_said("Look whether slow_object.a, slow_object.b is there");
    }
}
