//! What is not imported, and stands in the way or does not.

use std::fs;

use super::{
    PROGRAMS, Pipeline, expect_nothing_done, expect_settled, make, planned_at_a_gate, project,
};
use crate::old_terraforms;
use crate::support::project::thing;
use crate::support::world::{in_the_world, object, object_of, world_of, write_objects};
use crate::support::{Kind, Program, Project};

#[test]
fn what_is_wished_decides_what_stands_in_the_way() {
    let pipeline = Pipeline::begin();
    let project = project(Program::Terraform, &[object("a", "")]);
    pipeline.leave(&project, &[("slow_object.b", "create", "in_flight", None)]);
    let finished = pipeline.stopping(&project).finish();
    finished.expect_said("Look whether slow_object.b is there");
    expect_nothing_done(&project, &finished, &[]);
    make(&project, "a", "one", None);
    pipeline.leave_made(&project, "a", "one");
    let finished = pipeline.stopping(&project).finish();
    finished.expect_said("id = \"one\"");
    expect_nothing_done(&project, &finished, &[]);
    let finished = pipeline
        .deploy(&project)
        .env("ON_UNFINISHED", "ignore")
        .finish();
    finished
        .expect_code(0)
        .expect_said("Complete and NOT in the state: slow_object.a");
    assert_eq!(in_the_world(&project, "a").len(), 2, "{finished}");
    // By now its address has another object.
    let finished = pipeline.importing(&project).finish();
    finished
        .expect_code(0)
        .expect_said("because its address has another object");
    assert_eq!(in_the_world(&project, "a").len(), 2, "{finished}");
}

#[test]
fn nothing_is_imported_where_the_configuration_alone_does_not_say_which_state_is_used() {
    let pipeline = Pipeline::begin();
    let project = project(Program::Terraform, &[object("a", "")]);
    make(&project, "a", "one", None);
    pipeline.leave_made(&project, "a", "one");
    // It is the one that the block has, and might be another one.
    let block = project.store.block();
    let address = block.split('"').find(|text| text.starts_with("http://"));
    let address = format!("address={}", address.unwrap());
    for (name, value) in [
        ("BACKEND_CONFIG", address.clone()),
        ("TF_CLI_ARGS_init", format!("-backend-config={address}")),
    ] {
        let finished = pipeline.importing(&project).env(name, value).finish();
        finished.expect_said("Nothing is imported, because settings of the backend are not in");
        expect_nothing_done(&project, &finished, &[]);
    }
}

#[test]
fn a_wrong_id_lets_nothing_be_applied_and_is_named() {
    for program in PROGRAMS {
        let names = ["a", "b", "c"];
        let pipeline = Pipeline::begin();
        let project = project(program, &names.map(|name| object(name, "")));
        for name in ["a", "c"] {
            make(&project, name, &format!("id-{name}"), None);
        }
        let all = names.map(|name| (format!("slow_object.{name}"), format!("id-{name}")));
        let all = all
            .each_ref()
            .map(|(address, id)| (&**address, "create", "complete", Some(&**id)));
        pipeline.leave(&project, &all);
        let finished = pipeline.importing(&project).finish();
        finished.expect_said(
            "Not imported, because the plan fails with it: slow_object.b (id id-b). The id",
        );
        expect_nothing_done(&project, &finished, &[]);
        assert_eq!(in_the_world(&project, "b"), [""; 0]);
    }
}

#[test]
fn an_id_that_another_address_has_is_not_imported() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", "")]);
        pipeline.deploy(&project).finish().expect_code(0);
        let id = in_the_world(&project, "a").remove(0);
        write_objects(&project, &[object("a", ""), object("b", "")]);
        pipeline.leave_made(&project, "b", &id);
        let finished = pipeline.importing(&project).finish();
        finished
            .expect_code(0)
            .expect_said("slow_object.a has this id");
        assert_eq!(in_the_world(&project, "a"), [id]);
        assert_eq!(in_the_world(&project, "b").len(), 1);
        expect_settled(&project, &finished);
    }
}

#[test]
fn what_the_plan_would_replace_is_not_imported() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", "kind = \"new\"")]);
        make(&project, "a", "one", Some("old"));
        pipeline.leave_made(&project, "a", "one");
        let finished = pipeline.importing(&project).finish();
        finished.expect_said("would import slow_object.a (id one), and replace it at once");
        expect_nothing_done(&project, &finished, &[]);
        assert_eq!(in_the_world(&project, "a"), ["one"]);
        // What is only changed is imported.
        write_objects(
            &project,
            &[object("a", "kind = \"old\"\n  label = \"new\"")],
        );
        let finished = pipeline.importing(&project).finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), ["one"]);
        expect_settled(&project, &finished);
    }
}

#[test]
fn what_cannot_be_imported_is_named() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object_of("rooted", "a", "")]);
        make(&project, "a", "one", None);
        pipeline.leave(
            &project,
            &[("slow_rooted.a", "create", "complete", Some("one"))],
        );
        let finished = pipeline.importing(&project).finish();
        finished.expect_said("the plan fails with it: slow_rooted.a (id one)");
        expect_nothing_done(&project, &finished, &[]);
    }
}

#[test]
fn a_replacement_beside_its_old_object_is_not_imported_and_both_are_named() {
    for program in PROGRAMS {
        let order =
            "destroy_gate = \"GATES/a.gate\"\n  lifecycle {\n    create_before_destroy = true\n  }";
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", &format!("kind = \"1\"\n  {order}"))]);
        pipeline.deploy(&project).finish().expect_code(0);
        let old = in_the_world(&project, "a").remove(0);
        write_objects(
            &project,
            &[object("a", &format!("kind = \"2\"\n  {order}"))],
        );
        pipeline.be_killed_at(&project, "a.gate");
        let both = in_the_world(&project, "a");
        assert_eq!(both.len(), 2);
        let new = both.iter().find(|id| **id != old).unwrap();
        let finished = pipeline.importing(&project).finish();
        finished.expect_said(&format!(
            "slow_object.a (id {new}) cannot be imported: the state has {old}"
        ));
        expect_nothing_done(&project, &finished, &["a"]);
        assert_eq!(in_the_world(&project, "a"), both);
    }
}

#[test]
fn what_a_forged_report_says_harms_nothing() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", "")]);
        pipeline.leave(
            &project,
            &[
                (
                    "slow_object.a\n}\noutput \"o\" { value = 1 }\nimport {",
                    "create",
                    "complete",
                    Some("x"),
                ),
                (
                    "slow_object.a[\"${path.cwd}\"]",
                    "create",
                    "complete",
                    Some("x"),
                ),
                ("slow_object.gone", "create", "complete", Some("\"\n}\n")),
                ("slow_object.twice", "create", "complete", Some("one")),
                ("slow_object.again", "create", "complete", Some("one")),
            ],
        );
        let finished = pipeline.importing(&project).finish();
        finished
            .expect_code(0)
            .expect_said("the plan does nothing at its address");
        assert_eq!(project.store.resources(), ["a"]);
        expect_settled(&project, &finished);
    }
}

#[test]
fn a_command_of_the_users_own_is_not_run_where_something_is_missing() {
    let pipeline = Pipeline::begin();
    let project = project(Program::Terraform, &[object("a", "")]);
    make(&project, "a", "one", None);
    pipeline.leave_made(&project, "a", "one");
    for wish in ["report", "import", "stop"] {
        let finished = pipeline
            .deploy(&project)
            .env("ON_UNFINISHED", wish)
            .script("touch has-run; terraform init -input=false; terraform apply -auto-approve")
            .finish();
        finished.expect_said("id = \"one\"");
        expect_nothing_done(&project, &finished, &[]);
        assert!(!project.directory.join("has-run").exists());
    }
    let finished = pipeline
        .deploy(&project)
        .env("ON_UNFINISHED", "ignore")
        .script("touch has-run")
        .finish();
    finished.expect_code(0);
}

#[test]
fn a_terraform_that_knows_no_import_blocks_stops_and_the_commands_are_said() {
    for name in ["0-12", "0-15"] {
        let pipeline = Pipeline::begin();
        let project = Project::new(Kind::HttpStrict, &thing("a", ""));
        old_terraforms::lay_out_plugins(&project.scratch().join("plugins"));
        let deploy = || old_terraforms::deploy(&project, name);
        let left = ("slow_thing.a", "create", "complete", Some("one"));
        pipeline.leave_by(deploy(), &[left]);
        let finished = pipeline
            .softstop(deploy())
            .env("ON_UNFINISHED", "import")
            .finish();
        finished.expect_said("import slow_thing.a one");
        expect_nothing_done(&project, &finished, &[]);
    }
}

/// Terraform refuses variables at the apply of a plan before 1.10.
#[test]
fn an_old_terraform_does_not_refuse_a_plan_that_was_made_with_variables_for_every_command() {
    for name in ["0-12", "0-15"] {
        let pipeline = Pipeline::begin();
        let variable = "variable \"x\" {\n  default = \"\"\n}\n";
        let project = Project::new(Kind::HttpStrict, &(thing("a", "") + variable));
        old_terraforms::lay_out_plugins(&project.scratch().join("plugins"));
        let deploy = || old_terraforms::deploy(&project, name);
        let left = ("slow_thing.bygone", "create", "complete", Some("one"));
        pipeline.leave_by(deploy(), &[left]);
        let given = deploy().env("TF_CLI_ARGS", "-var x=1");
        let finished = pipeline.softstop(given).finish();
        finished.expect_code(0);
        assert!(finished.stdout.contains("Apply complete!"), "{finished}");
    }
}

/// And needs them since for what is ephemeral.
#[test]
fn what_is_ephemeral_is_told_to_the_apply_of_a_plan_too() {
    for variable in ["TF_CLI_ARGS_apply", "TF_CLI_ARGS"] {
        for program in PROGRAMS {
            let pipeline = Pipeline::begin();
            let project = project(program, &[object("a", "")]);
            pipeline.leave_made(&project, "bygone", "one");
            let required = "variable \"x\" {\n  ephemeral = true\n}\n";
            project.write("variable.tf", required);
            let given = pipeline.deploy(&project).env(variable, "-var x=1");
            let finished = given.finish();
            finished.expect_code(0);
            assert_eq!(project.store.resources(), ["a"], "{finished}");
        }
    }
}

#[test]
fn a_plan_of_a_state_that_somebody_has_changed_since_is_not_applied() {
    for program in PROGRAMS {
        let objects = [object("a", ""), object("c", ""), planned_at_a_gate()];
        let pipeline = Pipeline::begin();
        let project = world_of(program, Kind::S3Lockfile, &objects);
        let (run, gate) = pipeline.import_up_to_the_gate(&project);
        let elsewhere = project.clone_files();
        for arguments in [
            &["init", "-input=false"][..],
            &[
                "apply",
                "-auto-approve",
                "-lock=false",
                "-target=slow_object.c",
            ],
        ] {
            let mut somebody = project.terraform(arguments);
            let output = somebody.current_dir(&elsewhere).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        gate.open();
        let finished = run.finish();
        finished
            .expect_code(1)
            .expect_said("somebody has changed the state since it was planned");
        assert_eq!(project.store.resources(), ["c"], "{finished}");
        assert_eq!(in_the_world(&project, "a"), ["one"]);
        assert_eq!(project.store.lock(), None);

        let finished = pipeline.importing(&project).finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), ["one"], "{finished}");
        expect_settled(&project, &finished);
    }
}

#[test]
fn of_many_resources_the_screen_has_some_and_a_file_has_all() {
    let names: Vec<String> = (0..13).map(|number| format!("a{number}")).collect();
    let pipeline = Pipeline::begin();
    let objects: Vec<String> = names.iter().map(|name| object(name, "")).collect();
    let project = project(Program::Terraform, &objects);
    let addresses: Vec<String> = names
        .iter()
        .map(|name| format!("slow_object.{name}"))
        .collect();
    let left: Vec<_> = names
        .iter()
        .zip(&addresses)
        .map(|(name, address)| (&**address, "create", "complete", Some(&**name)))
        .collect();
    for name in &names {
        make(&project, name, name, None);
    }
    pipeline.leave(&project, &left);
    let report = project.scratch().join("report.json");
    let finished = pipeline
        .deploy(&project)
        .env("SOFTSTOP_REPORT_FILE", &report)
        .finish();
    finished.expect_said("Those of 8 more are beside REPORT_FILE.");
    expect_nothing_done(&project, &finished, &[]);
    let count = |text: &str| text.matches("import {").count();
    assert!(finished.stderr.lines().count() <= 40, "{finished}");
    assert_eq!(count(&finished.stderr), 5);
    let all = fs::read_to_string(project.scratch().join("report.json.imports.txt")).unwrap();
    assert_eq!(count(&all), 13);
}
