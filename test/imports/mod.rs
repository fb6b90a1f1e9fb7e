//! What earlier deploys have made and no state knows comes back by import, by real Terraform and
//! OpenTofu with objects that are there whatever the state knows.

mod commits;
mod elsewhere;
mod refused;

use std::fs;

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::support::project::{Gate, thing};
use crate::support::world::{in_the_world, object, world_of, write_objects};
use crate::support::{CodeInsights, Finished, Kind, Program, Project, Run, Softstop, Step};

const PROGRAMS: [Program; 2] = [Program::Terraform, Program::OpenTofu];
const FILE: &str = "softstop.imports.tf";

fn project(program: Program, objects: &[String]) -> Project {
    world_of(program, Kind::HttpStrict, objects)
}

/// A thing that waits at `t.gate` whenever it is planned.
fn planned_at_a_gate() -> String {
    thing("t", "plan_gate = \"GATES/t.gate\"")
}

/// Address, action, stage and id.
type Left<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);

/// A pipeline, and the journal that its steps keep on their commit.
struct Pipeline {
    insights: CodeInsights,
    step: Step,
}

impl Pipeline {
    fn begin() -> Self {
        Self {
            insights: CodeInsights::start(),
            step: Step::of_a_new_pipeline(),
        }
    }

    /// A step that begins nothing before what was begun is over.
    fn softstop(&self, softstop: Softstop) -> Softstop {
        self.of(&self.step.sibling(), softstop)
    }

    fn of(&self, step: &Step, softstop: Softstop) -> Softstop {
        softstop.in_step(step).env("JOURNAL", self.insights.proxy())
    }

    fn deploy(&self, project: &Project) -> Softstop {
        self.softstop(Softstop::deploy(project))
    }

    /// A deploy that stops for all that may be left.
    fn stopping(&self, project: &Project) -> Softstop {
        self.deploy(project).env("ON_UNFINISHED", "stop")
    }

    /// Leaves `a`, and begins a deploy that imports it and is held while it makes its plan with that.
    fn import_up_to_the_gate(&self, project: &Project) -> (Run, Gate) {
        make(project, "a", "one", None);
        self.leave_made(project, "a", "one");
        let gate = project.gate("t.gate");
        let run = self.importing(project).start();
        gate.wait_until_reached();
        gate.forget();
        gate.open();
        run.wait_for_stderr("so it is imported");
        fs::remove_file(project.scratch().join("t.gate")).unwrap();
        gate.wait_until_reached();
        (run, gate)
    }

    fn importing(&self, project: &Project) -> Softstop {
        self.deploy(project).env("ON_UNFINISHED", "import")
    }

    /// Lets Terraform be killed in a deploy at a gate.
    fn be_killed_at(&self, project: &Project, gate: &str) {
        self.be_killed_after(project, gate, "");
    }

    /// The same, once it has said this.
    fn be_killed_after(&self, project: &Project, gate: &str, words: &str) {
        let run = self.deploy(project).start();
        project.gate(gate).wait_until_reached();
        run.wait_for_stdout(words);
        kill(run.wait_for_process(program(project)), Signal::SIGKILL).unwrap();
        run.finish().expect_code(137);
    }

    /// Lets an earlier deploy have left this. Its report is forged, upon one
    /// of a deploy that does nothing.
    fn leave(&self, project: &Project, left: &[Left<'_>]) {
        self.leave_by(Softstop::deploy(project), left);
    }

    fn leave_by(&self, deploy: Softstop, left: &[Left<'_>]) {
        let step = self.step.sibling();
        self.of(&step, deploy)
            .env("TF_CLI_ARGS_apply", "-target=slow_object.nobody")
            .env("ON_UNFINISHED", "ignore")
            .finish()
            .expect_code(0);
        let reports = self.insights.reports("acme", "infra", step.commit());
        let is_its_own = |report: &&Value| report.to_string().contains(&step.stamp());
        let mut report = reports.iter().find(is_its_own).unwrap().clone();
        report["result"] = json!("FAILED");
        for field in report["data"].as_array_mut().unwrap() {
            if field["title"] == "Resources" {
                field["value"] = json!(left.len());
            }
        }
        let id = report["external_id"].as_str().unwrap().to_owned();
        let annotations: Vec<Value> = left
            .iter()
            .enumerate()
            .map(|(seat, (address, action, stage, made))| {
                let kept =
                    json!({"address": address, "action": action, "stage": stage, "id": made});
                json!({"external_id": format!("{id}-{seat}"), "details": kept.to_string()})
            })
            .collect();
        self.insights
            .forge("acme", "infra", step.commit(), &report, &annotations);
    }

    /// Lets an earlier deploy have made this under an id.
    fn leave_made(&self, project: &Project, name: &str, id: &str) {
        let address = format!("slow_object.{name}");
        self.leave(project, &[(&address, "create", "complete", Some(id))]);
    }
}

fn program(project: &Project) -> &'static str {
    match project.program {
        Program::Terraform => "terraform",
        Program::OpenTofu => "tofu",
    }
}

/// Puts something into the world.
fn make(project: &Project, name: &str, id: &str, kind: Option<&str>) {
    let line = json!({"id": id, "name": name, "kind": kind, "label": null, "is_there": true});
    let path = project.scratch().join("world");
    let world = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, format!("{world}{line}\n")).unwrap();
}

/// Nothing is left to do: the next plan is empty.
#[track_caller]
fn expect_settled(project: &Project, finished: &Finished) {
    let plan = project
        .terraform(&["plan", "-detailed-exitcode", "-no-color"])
        .output()
        .unwrap();
    assert_eq!(plan.status.code(), Some(0), "{finished}\n{plan:?}");
    assert!(!project.directory.join(FILE).exists());
    assert_eq!(project.store.lock(), None);
}

#[track_caller]
fn expect_nothing_done(project: &Project, finished: &Finished, resources: &[&str]) {
    finished
        .expect_code(5)
        .expect_said("✖ Nothing was deployed, because ");
    assert_eq!(project.store.resources(), resources, "{finished}");
    assert_eq!(project.store.lock(), None);
    assert!(!project.directory.join(FILE).exists());
}

#[test]
fn what_a_killed_deploy_has_made_is_imported_and_exists_once() {
    for program in PROGRAMS {
        let gate = "create_gate = \"GATES/b.gate\"\n  depends_on = [slow_object.a]";
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", ""), object("b", gate)]);
        pipeline.be_killed_at(&project, "b.gate");
        let made = in_the_world(&project, "a");
        assert_eq!((made.len(), project.store.resources().len()), (1, 0));

        project.gate("b.gate").open();
        let finished = pipeline.importing(&project).finish();
        finished
            .expect_code(0)
            .expect_said("Complete and NOT in the state: slow_object.a")
            .expect_said("Look whether slow_object.b is there")
            .expect_said("✔ Deploy succeeded.");
        assert_eq!(in_the_world(&project, "a"), made, "{finished}");
        assert_eq!(in_the_world(&project, "b").len(), 1, "{finished}");
        assert_eq!(project.store.resources(), ["a", "b"]);
        expect_settled(&project, &finished);
    }
}

#[test]
fn a_deploy_that_would_make_it_again_stops_before_and_says_how_it_is_brought_back() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", ""), object("b", "")]);
        make(&project, "a", "one", None);
        pipeline.leave_made(&project, "a", "one");
        let report = project.scratch().join("report.json");
        let finished = pipeline
            .deploy(&project)
            .env("SOFTSTOP_REPORT_FILE", &report)
            .finish();
        finished.expect_said("import {\n  to = slow_object.a\n  id = \"one\"\n}");
        expect_nothing_done(&project, &finished, &[]);

        let blocks = project.scratch().join("report.json.imports.txt");
        fs::copy(blocks, project.directory.join("pasted.tf")).unwrap();
        let finished = pipeline.deploy(&project).finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), ["one"], "{finished}");
        expect_settled(&project, &finished);
        // What the state has is no past.
        let again = pipeline.deploy(&project).finish();
        again.expect_code(0);
        assert!(!again.stderr.contains("build"), "{again}");
    }
}

#[test]
fn a_replacement_that_was_not_stored_is_imported_once_the_old_object_is_gone_from_the_state() {
    const CREATE_FIRST: &str = "lifecycle {\n    create_before_destroy = true\n  }";
    for program in PROGRAMS {
        let orders = [
            ("", "Creation complete"),
            (CREATE_FIRST, "Destruction complete"),
        ];
        for (order, last_words) in orders {
            let of_kind = |kind: &str| object("a", &format!("kind = \"{kind}\"\n  {order}"));
            let pipeline = Pipeline::begin();
            let project = project(program, &[of_kind("1")]);
            pipeline.deploy(&project).finish().expect_code(0);
            let old = in_the_world(&project, "a").remove(0);
            let gate = "create_gate = \"GATES/b.gate\"";
            write_objects(&project, &[of_kind("2"), object("b", gate)]);
            pipeline.be_killed_after(&project, "b.gate", last_words);
            let made = in_the_world(&project, "a");
            assert!(made.len() == 1 && made[0] != old, "{made:?}");
            project.gate("b.gate").open();
            let finished = pipeline.importing(&project).finish();
            finished.expect_code(0);
            assert_eq!(in_the_world(&project, "a"), made, "{finished}");
            expect_settled(&project, &finished);
        }
    }
}

#[test]
fn an_id_of_any_signs_is_imported() {
    let id = "q\"${x}%{y}\\z$${w}\\n é";
    let wanted = "q\\\"$${x}%%{y}\\\\z$$${w}\\\\n é";
    for program in PROGRAMS {
        let gate = "create_gate = \"GATES/b.gate\"\n  depends_on = [slow_object.a]";
        let key = "for_each = toset([\"k\\\"$${x}\"])\n  ";
        let a = object("a", &format!("{key}wanted_id = \"{wanted}\""));
        let pipeline = Pipeline::begin();
        let project = project(program, &[a, object("b", gate)]);
        pipeline.be_killed_at(&project, "b.gate");
        assert_eq!(in_the_world(&project, "a"), [id]);
        project.gate("b.gate").open();
        let finished = pipeline.importing(&project).finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), [id], "{finished}");
        expect_settled(&project, &finished);
    }
}

#[test]
fn a_saved_plan_is_applied_only_where_it_imports_what_is_missing() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", ""), object("b", "")]);
        make(&project, "a", "one", None);
        pipeline.leave_made(&project, "a", "one");
        let plan = |wish: &str| {
            let mut softstop = Softstop::in_directory(&project.directory, project.scratch());
            for (name, value) in project.variables() {
                softstop = softstop.env(name, value);
            }
            pipeline
                .softstop(softstop.arguments(["plan"]))
                .env("ON_UNFINISHED", wish)
                .finish()
        };
        let apply = || {
            pipeline
                .importing(&project)
                .arguments(["--plan-file", "softstop.tfplan"])
                .finish()
        };
        plan("report").expect_code(0).expect_said("id = \"one\"");
        let finished = apply();
        expect_nothing_done(&project, &finished, &[]);

        plan("import").expect_code(0);
        assert!(!project.directory.join(FILE).exists());
        let finished = apply();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), ["one"], "{finished}");
        expect_settled(&project, &finished);
    }
}

#[test]
fn blocks_that_a_killed_run_has_left_are_removed_and_those_of_others_stay() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", ""), planned_at_a_gate()]);
        let (run, _gate) = pipeline.import_up_to_the_gate(&project);
        run.kill_all();
        assert!(project.directory.join(FILE).exists());

        let pipeline = Pipeline::begin();
        write_objects(&project, &[object("b", "")]);
        project.store.remove_lock();
        let finished = pipeline.deploy(&project).finish();
        finished
            .expect_code(0)
            .expect_said("was left by a run of softstop that was killed");
        expect_settled(&project, &finished);

        make(&project, "c", "two", None);
        write_objects(&project, &[object("b", ""), object("c", "")]);
        pipeline.leave_made(&project, "c", "two");
        project.write(FILE, "# mine\n");
        let finished = pipeline.importing(&project).finish();
        finished
            .expect_code(5)
            .expect_said("the blocks cannot be put beside the configuration");
        assert_eq!(
            fs::read_to_string(project.directory.join(FILE)).unwrap(),
            "# mine\n"
        );
    }
}

#[test]
fn what_the_default_command_is_told_by_variables_decides_the_plan_and_its_apply() {
    for program in PROGRAMS {
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", "label = var.l"), object("b", "")]);
        project.write("variables.tf", "variable \"l\" {\n  default = \"-\"\n}\n");
        project.write("l.tfvars", "l = \"x\"\n");
        make(&project, "a", "one", None);
        pipeline.leave_made(&project, "a", "one");
        let finished = pipeline
            .importing(&project)
            .env(
                "TF_CLI_ARGS_apply",
                "-var-file=l.tfvars -target slow_object.a",
            )
            .env("TF_CLI_ARGS_plan", "-detailed-exitcode -destroy")
            .finish();
        finished.expect_code(0);
        assert_eq!(project.store.resources(), ["a"], "{finished}");
        assert!(project.store.state().unwrap().contains("\"x\""));
        assert_eq!(in_the_world(&project, "a"), ["one"]);
    }
}

#[test]
fn a_stop_while_what_was_planned_is_applied_is_as_graceful_as_ever() {
    for program in PROGRAMS {
        let gate = "create_gate = \"GATES/b.gate\"";
        let pipeline = Pipeline::begin();
        let project = project(program, &[object("a", ""), object("b", gate)]);
        make(&project, "a", "one", None);
        pipeline.leave_made(&project, "a", "one");
        let run = pipeline.importing(&project).start();
        let finished = run.interrupt_at(&project.gate("b.gate"), Signal::SIGTERM);
        finished.expect_code(143);
        assert_eq!(project.store.resources(), ["a", "b"], "{finished}");
        assert_eq!(project.store.lock(), None);
        expect_settled(&project, &finished);
    }
}
