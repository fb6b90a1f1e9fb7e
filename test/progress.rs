//! What a deploy has made is told at each end that is not plain success, by real Terraform and
//! OpenTofu with objects that are there whatever the state knows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::support::world::{in_the_world, object, world_of};
use crate::support::{Finished, Kind, Program, Project, Softstop, until};

fn project(program: Program, kind: Kind, objects: &[(&str, &str)]) -> Project {
    let objects: Vec<String> = objects
        .iter()
        .map(|(name, settings)| object(name, settings))
        .collect();
    world_of(program, kind, &objects)
}

fn report_file(project: &Project) -> PathBuf {
    project.scratch().join("report.json")
}

fn deploy(project: &Project) -> Softstop {
    Softstop::deploy(project).env("SOFTSTOP_REPORT_FILE", report_file(project))
}

/// The report, which is as its schema says.
fn report(project: &Project) -> Value {
    let file = report_file(project);
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(format!(
        "{root}/target/test-tools/check-jsonschema/bin/check-jsonschema"
    ))
    .args(["--schemafile", &format!("{root}/docs/report.schema.json")])
    .arg(&file)
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The stage of an object in the report, and whether the state has it.
fn of<'a>(report: &'a Value, name: &str) -> (&'a str, Option<bool>) {
    let rows = report["resources"].as_array().unwrap();
    let address = format!("slow_object.{name}");
    let row = rows.iter().find(|row| row["address"] == address.as_str());
    let row = row.unwrap_or_else(|| panic!("{address} is not in {report:#}"));
    (row["stage"].as_str().unwrap(), row["in_state"].as_bool())
}

fn expect_few_lines(finished: &Finished) {
    let own = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("INFO") || line.starts_with("WARN"));
    assert!(own.count() <= 30, "{finished}");
}

const PROGRAMS: [Program; 2] = [Program::Terraform, Program::OpenTofu];

#[test]
fn plain_success_says_nothing_of_what_was_made() {
    let project = project(Program::Terraform, Kind::HttpStrict, &[("a", "")]);
    let finished = deploy(&project).finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded.");
    assert!(!finished.stderr.contains("slow_object"), "{finished}");
    let report = report(&project);
    assert_eq!(report["outcome"], "succeeded");
    assert_eq!(of(&report, "a"), ("complete", None));
    let id = &report["resources"][0]["id"];
    assert_eq!(in_the_world(&project, "a"), [id.as_str().unwrap()]);
}

#[test]
fn a_deploy_that_fails_tells_what_is_complete_failed_and_not_begun() {
    for program in PROGRAMS {
        let objects = [
            ("a", ""),
            (
                "b",
                "fails = \"no such kind\"\n  depends_on = [slow_object.a]",
            ),
            ("c", "depends_on = [slow_object.b]"),
        ];
        let project = project(program, Kind::HttpStrict, &objects);
        let finished = deploy(&project).finish();
        finished
            .expect_code(1)
            .expect_said("Complete, and in the state: slow_object.a.")
            .expect_said("Failed: slow_object.b.")
            .expect_said("Not begun: slow_object.c.");
        expect_few_lines(&finished);
        let report = report(&project);
        assert_eq!(of(&report, "a"), ("complete", Some(true)));
        assert_eq!(of(&report, "b"), ("failed", Some(false)));
        assert_eq!(of(&report, "c"), ("not_begun", Some(false)));
        assert_eq!(report["lock"], "free");
    }
}

/// Terraform reads, locks and writes another file then than the backend says.
#[test]
fn a_state_in_another_file_than_the_backends_is_not_compared_and_not_called_free() {
    for options in ["-state=other.tfstate", "-state-out=other.tfstate"] {
        let fails = "fails = \"no such kind\"\n  depends_on = [slow_object.a]";
        let objects = [("a", ""), ("b", fails)];
        let project = project(Program::Terraform, Kind::Local, &objects);
        let finished = deploy(&project)
            .env("TF_CLI_ARGS_apply", options)
            .script("terraform init; terraform apply -auto-approve")
            .finish();
        finished
            .expect_code(1)
            .expect_said("names another file than the backend")
            .expect_said("Complete, and whether the state has it is not known: slow_object.a");
        let state = fs::read_to_string(project.directory.join("other.tfstate")).unwrap();
        assert!(state.contains("slow_object"), "{options}: {state}");
        let report: Value =
            serde_json::from_str(&fs::read_to_string(report_file(&project)).unwrap()).unwrap();
        assert_eq!(of(&report, "a"), ("complete", None));
        assert_eq!(report["lock"], "unknown");
    }
}

#[test]
fn what_a_killed_terraform_was_making_is_in_flight_and_what_it_made_is_not_in_the_state() {
    for program in PROGRAMS {
        let objects = [
            ("a", ""),
            (
                "b",
                "create_gate = \"GATES/b.gate\"\n  depends_on = [slow_object.a]",
            ),
            ("c", "depends_on = [slow_object.b]"),
        ];
        let project = project(program, Kind::HttpStrict, &objects);
        let run = deploy(&project).start();
        project.gate("b.gate").wait_until_reached();
        let name = match program {
            Program::Terraform => "terraform",
            Program::OpenTofu => "tofu",
        };
        kill(run.wait_for_process(name), Signal::SIGKILL).unwrap();
        let finished = run.finish();
        finished
            .expect_code(137)
            .expect_said("In flight, so it may exist: slow_object.b (not in the state).");
        expect_few_lines(&finished);
        let report = report(&project);
        // A remote state is not stored before 20 s are over, or the end.
        assert_eq!(of(&report, "a"), ("complete", Some(false)));
        assert_eq!(of(&report, "b"), ("in_flight", Some(false)));
        assert_eq!(of(&report, "c"), ("not_begun", Some(false)));
        let id = &in_the_world(&project, "a")[0];
        finished.expect_said(&format!(
            "Complete, and NOT in the state: slow_object.a (id {id})."
        ));

        let (_, command) = finished
            .stderr
            .split_once("bring it into the state: ")
            .unwrap();
        project.run_by_hand(command.lines().next().unwrap());
        assert_eq!(project.store.resources(), ["a"]);
    }
}

#[test]
fn what_is_given_up_at_a_stop_may_exist() {
    for program in PROGRAMS {
        let objects = [("a", "create_gate = \"GATES/a.gate\"\n  on_stop = \"drop\"")];
        let project = project(program, Kind::HttpStrict, &objects);
        let mut run = deploy(&project).start();
        project.gate("a.gate").wait_until_reached();
        run.signal(Signal::SIGTERM);
        let finished = run.finish();
        finished
            .expect_code(143)
            .expect_said("Failed or given up, so it may exist: slow_object.a (not in the state).")
            .expect_said("look whether slow_object.a is there.");
        assert_eq!(of(&report(&project), "a"), ("may_exist", Some(false)));
        assert_eq!(in_the_world(&project, "a").len(), 1, "{finished}");
    }
}

#[test]
fn what_is_in_flight_where_a_stop_ends_the_deploy_by_force_is_told_so() {
    for program in PROGRAMS {
        let objects = [
            ("a", "create_gate = \"GATES/a.gate\""),
            ("b", "depends_on = [slow_object.a]"),
        ];
        let project = project(program, Kind::HttpStrict, &objects);
        let mut run = deploy(&project).env("GRACE_PERIOD", "5s").start();
        project.gate("a.gate").wait_until_reached();
        run.signal(Signal::SIGTERM);
        let finished = run.finish();
        finished
            .expect_code(143)
            .expect_said("In flight, so it may exist: slow_object.a")
            .expect_said("Not begun: slow_object.b.")
            .expect_said("look whether slow_object.a is there.");
        let report = report(&project);
        assert_eq!(report["outcome"], "interrupted");
        assert_eq!(of(&report, "a").0, "in_flight");
    }
}

#[test]
fn what_was_made_before_an_interrupt_is_in_the_state() {
    for program in PROGRAMS {
        let objects = [
            ("a", "create_gate = \"GATES/a.gate\""),
            ("b", "depends_on = [slow_object.a]"),
        ];
        let project = project(program, Kind::HttpStrict, &objects);
        let mut run = deploy(&project)
            .env("AFTER_SCRIPT", "cp \"$SOFTSTOP_REPORT_FILE\" copy")
            .start();
        project.gate("a.gate").wait_until_reached();
        run.signal(Signal::SIGINT);
        run.wait_for_stdout("Stopping operation...");
        project.gate("a.gate").open();
        let finished = run.finish();
        finished
            .expect_code(130)
            .expect_said("Complete, and in the state: slow_object.a.")
            .expect_said("Not begun: slow_object.b.");
        assert_eq!(of(&report(&project), "a"), ("complete", Some(true)));
        until("the after-script has the report", || {
            project.directory.join("copy").exists()
        });
    }
}

#[test]
fn a_stream_that_is_not_seen_is_not_known() {
    let project = project(
        Program::Terraform,
        Kind::HttpStrict,
        &[("a", "fails = \"no\"")],
    );
    let script = "terraform init -input=false >/dev/null; terraform apply -auto-approve >log 2>&1";
    let finished = deploy(&project).script(script).finish();
    finished
        .expect_code(1)
        .expect_said("What the deploy has made is not known");
    let report = report(&project);
    assert_eq!(
        (&report["heard"], &report["plan"]),
        (&Value::Bool(false), &Value::Bool(false))
    );
}

#[test]
fn an_apply_that_is_not_seen_is_not_known_where_a_plan_before_or_after_it_is_seen() {
    let objects = [("a", "fails = \"no\"")];
    for script in [
        "terraform plan -out=plan; terraform apply plan >log 2>&1",
        "terraform apply -auto-approve >log 2>&1; terraform plan -lock=false; false",
    ] {
        let project = project(Program::Terraform, Kind::HttpStrict, &objects);
        let script = format!("terraform init -input=false >/dev/null; {script}");
        let finished = deploy(&project).script(&script).finish();
        finished
            .expect_code(1)
            .expect_said("What the deploy has made is not known");
        assert!(!finished.to_string().contains("Not begun"), "{finished}");
        let report = report(&project);
        assert_eq!(&report["heard"], &Value::Bool(false), "{script}");
        assert_eq!(&report["resources"], &Value::Array(Vec::new()), "{script}");
    }
}

#[test]
fn a_saved_plan_tells_no_more_than_what_was_begun() {
    let objects = [
        ("a", "fails = \"no\""),
        ("b", "depends_on = [slow_object.a]"),
    ];
    let project = project(Program::Terraform, Kind::HttpStrict, &objects);
    let script = "terraform init -input=false >/dev/null; terraform plan -out=plan >/dev/null; \
                  terraform apply plan";
    let finished = deploy(&project).script(script).finish();
    finished
        .expect_code(1)
        .expect_said("Failed: slow_object.a.")
        .expect_said("What was not begun is not known");
    assert_eq!(of(&report(&project), "a"), ("failed", Some(false)));
}

#[test]
fn an_id_that_looks_like_a_line_makes_no_other_complete() {
    let forged = "one]\\nslow_object.b: Creation complete after 0s [id=forged";
    let objects = [
        ("a", &*format!("wanted_id = \"{forged}\"")),
        (
            "b",
            "create_gate = \"GATES/b.gate\"\n  depends_on = [slow_object.a]",
        ),
    ];
    let project = project(Program::Terraform, Kind::HttpStrict, &objects);
    let run = deploy(&project).start();
    project.gate("b.gate").wait_until_reached();
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    run.finish().expect_code(137);
    assert_eq!(of(&report(&project), "b").0, "in_doubt");
}

#[test]
fn no_report_of_an_earlier_run_passes_for_one_of_this_run() {
    let project = Project::new(Kind::HttpStrict, "");
    let (file, imports) = (report_file(&project), "report.json.imports.txt");
    let imports = project.scratch().join(imports);
    let leave_an_old_one = || {
        fs::write(&file, "{\"outcome\": \"succeeded\"}\n").unwrap();
        fs::write(&imports, "import {}\n").unwrap();
    };
    let is_of_an_earlier_run = || fs::read_to_string(&file).is_ok_and(|text| text.len() < 30);

    project.be_locked_by("anna@macbook");
    leave_an_old_one();
    deploy(&project).finish().expect_code(3);
    let written = report(&project);
    assert_eq!(written["outcome"], "failed");
    assert_eq!(
        (&written["exit_code"], &written["lock"]),
        (&3.into(), &"held".into())
    );
    assert!(imports.exists(), "nobody has looked what the state lacks");
    leave_an_old_one();
    let plan = Softstop::in_directory(&project.directory, project.scratch()).arguments(["plan"]);
    let plan = plan.env("SOFTSTOP_REPORT_FILE", &file);
    plan.finish().expect_code(3);
    assert_eq!(report(&project)["exit_code"], 3);
    leave_an_old_one();
    let look = Softstop::status(&project).env("SOFTSTOP_REPORT_FILE", &file);
    look.finish().expect_code(0);
    assert!(is_of_an_earlier_run(), "a look is no deploy");

    for (variable, value) in [
        ("SOFTSTOP_LOCK_TIMEOUT", "soon"),
        ("SOFTSTOP_WORKING_DIR", "nowhere"),
    ] {
        leave_an_old_one();
        let refused = deploy(&project).env(variable, value).finish();
        refused.expect_code(2);
        assert!(!file.exists(), "{refused}");
    }
    project.store.remove_lock();
    leave_an_old_one();
    let run = deploy(&project).script("echo begun; sleep 600").start();
    run.wait_for_stdout("begun");
    run.kill_all();
    assert!(!file.exists() && imports.exists());
}
