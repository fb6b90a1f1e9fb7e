//! What a deploy is doing is kept on its commit, where a kill does not reach, and whoever comes after
//! it says what was left, by real Terraform and OpenTofu.

use std::fs;
use std::time::SystemTime;

use serde_json::Value;

use crate::support::world::{in_the_world, object, world_of, write_objects};
use crate::support::{
    CodeInsights, Finished, InsightsFault, Kind, Program, Project, Run, Softstop, Step, each, until,
};

/// An object that is there at once, one that is made while somebody waits, and one after it.
const OBJECTS: &str = r#"
resource "slow_object" "a" {
  name = "a"
}
resource "slow_object" "b" {
  name        = "b"
  create_gate = "GATES/b.gate"
  depends_on  = [slow_object.a]
}
resource "slow_object" "c" {
  name       = "c"
  depends_on = [slow_object.b]
}
"#;

pub(super) fn project(program: Program, kind: Kind) -> Project {
    world_of(program, kind, &[OBJECTS.to_owned()])
}

pub(super) fn deploy(project: &Project, step: &Step, insights: &CodeInsights) -> Softstop {
    Softstop::deploy(project)
        .in_step(step)
        .env("JOURNAL", insights.proxy())
}

/// The `final:` step of the same pipeline.
pub(super) fn release(project: &Project, step: &Step, insights: &CodeInsights) -> Softstop {
    Softstop::release(project)
        .in_step(&step.sibling())
        .env("JOURNAL", insights.proxy())
}

/// The only report on the commit of a step.
fn report(insights: &CodeInsights, step: &Step) -> Option<Value> {
    let mut reports = insights.reports("acme", "infra", step.commit());
    assert!(reports.len() < 2, "{reports:#?}");
    reports.pop()
}

/// What the report on the commit of a step says of its resources, as text.
pub(super) fn kept(insights: &CodeInsights, step: &Step) -> Vec<String> {
    let Some(report) = report(insights, step) else {
        return Vec::new();
    };
    let id = report["external_id"].as_str().unwrap();
    let annotations = insights.annotations("acme", "infra", step.commit(), id);
    annotations.iter().map(Value::to_string).collect()
}

pub(super) fn result(insights: &CodeInsights, step: &Step) -> String {
    let report = report(insights, step);
    report.map_or_else(String::new, |report| {
        report["result"].as_str().unwrap().to_owned()
    })
}

/// Kills a deploy and its container at the gate, once the journal says that `b` is in flight.
pub(super) fn kill(project: &Project, step: &Step, insights: &CodeInsights, run: Run) {
    let gate = project.gate("b.gate");
    gate.wait_until_reached();
    until("the journal says what is in flight", || {
        let is_it = |text: &String| text.contains("slow_object.b") && text.contains("in_flight");
        kept(insights, step).iter().any(is_it)
    });
    run.kill_all();
    gate.forget();
}

pub(super) fn id_of(project: &Project, name: &str) -> String {
    in_the_world(project, name).remove(0)
}

fn expect_unsaid(finished: &Finished, text: &str) {
    assert!(!finished.stderr.contains(text), "{finished}");
}

#[test]
fn what_a_killed_deploy_was_doing_is_on_the_commit_and_a_release_and_the_next_deploy_say_it() {
    for (program, kind) in [
        (Program::Terraform, Kind::HttpStrict),
        (Program::OpenTofu, Kind::S3Lockfile),
    ] {
        let (project, insights) = (project(program, kind), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights).start();
        kill(&project, &step, &insights, run);
        assert_eq!(result(&insights, &step), "PENDING");
        let of = |name: &str| {
            let address = format!("slow_object.{name}");
            let all = kept(&insights, &step);
            let found = all.into_iter().find(|text| text.contains(&address));
            found.unwrap_or_else(|| panic!("{address} is not kept"))
        };
        let id = id_of(&project, "a");
        assert!(of("a").contains(&id), "{}", of("a"));
        assert!(of("c").contains("not_begun"), "{}", of("c"));

        let released = release(&project, &step, &insights).finish();
        released
            .expect_code(0)
            .expect_said("Build 42 was applying 3: 1 complete and NOT in the state, 1 in flight, 1 not heard to have begun")
            .expect_said(&format!("Complete and NOT in the state: slow_object.a (id {id})"))
            .expect_said("In flight: slow_object.b (not in the state)");
        assert_eq!(result(&insights, &step), "FAILED");

        project.gate("b.gate").open();
        let next = step.sibling();
        let finished = deploy(&project, &next, &insights)
            .env("ON_UNFINISHED", "import")
            .finish();
        finished
            .expect_code(0)
            .expect_said("Build 42 was applying 3: 1 complete and NOT in the state, 1 in flight");
    }
}

#[test]
fn a_deploy_that_ends_well_leaves_a_report_that_asks_for_nothing() {
    each(&Program::ALL, |program| {
        let (project, insights) = (project(program, Kind::HttpStrict), CodeInsights::start());
        project.gate("b.gate").open();
        let step = Step::of_a_new_pipeline();
        let finished = deploy(&project, &step, &insights).finish();
        finished.expect_code(0);
        expect_unsaid(&finished, "ournal");
        assert_eq!(result(&insights, &step), "PASSED");
    });
}

#[test]
fn whatever_is_wrong_with_the_way_to_the_journal_the_deploy_is_as_without_it() {
    let faults = [
        (None, Kind::HttpStrict),
        (
            Some(InsightsFault::TooManyRequests(Some(1))),
            Kind::S3Lockfile,
        ),
        (Some(InsightsFault::Hang), Kind::Postgres),
        (Some(InsightsFault::LoseAnswer), Kind::Local),
        (Some(InsightsFault::Refuse(500)), Kind::HttpLax),
    ];
    let rows = Program::ALL.map(|program| faults.map(|(fault, kind)| (program, fault, kind)));
    each(rows.as_flattened(), |(program, fault, kind)| {
        let (project, insights) = (project(program, kind), CodeInsights::start());
        insights.fail_always(fault);
        let proxy = match fault {
            None => CodeInsights::nobody(),
            Some(_) => insights.proxy(),
        };
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights)
            .env("JOURNAL", &proxy)
            .start();
        let gate = project.gate("b.gate");
        gate.wait_until_reached();
        run.kill_all();
        gate.forget();
        // Nobody knows what was left, and that is said where a lock was.
        if kind.outlives_its_holder() {
            let released = release(&project, &step, &insights)
                .env("JOURNAL", &proxy)
                .finish();
            released
                .expect_code(0)
                .expect_said("What the deploy has made that held the lock is not known: ");
        }
        gate.open();
        let finished = deploy(&project, &step.sibling(), &insights)
            .env("JOURNAL", &proxy)
            .finish();
        finished
            .expect_code(0)
            .expect_said("What earlier deploys have made that no state knows is not known: ")
            .expect_said("✔ Deploy succeeded.");
    });
}

#[test]
fn what_is_planned_is_in_the_journal_while_the_first_of_it_is_made() {
    each(&Program::ALL, |program| {
        let (project, insights) = (project(program, Kind::HttpStrict), CodeInsights::start());
        let objects = ["a", "b", "c"].map(|name| object(name, "create_gate = \"GATES/all.gate\""));
        write_objects(&project, &objects);
        let step = Step::of_a_new_pipeline();
        // News that change nothing come before the plan, as those of data sources do.
        let script = format!(
            "for i in $(seq 100); do echo \"data.x.y[$i]: Reading...\"; sleep 0.02; done\n\
         {0} init -input=false\nexec {0} apply -input=false -auto-approve",
            program.command()
        );
        let run = deploy(&project, &step, &insights).script(&script).start();
        project.gate("all.gate").wait_until_reached();
        until("the journal says what is planned and begun", || {
            let is_begun = |text: &String| text.contains("in_flight");
            kept(&insights, &step)
                .iter()
                .filter(|text| is_begun(text))
                .count()
                == 3
        });
        run.kill_all();
        assert_eq!(in_the_world(&project, "a"), [""; 0]);
        let requests = insights.requests().len();
        assert!(requests < 20, "{requests} requests");
    });
}

#[test]
fn who_hangs_delays_neither_the_begin_of_a_deploy_nor_its_end() {
    let insights = CodeInsights::start();
    insights.fail_always(Some(InsightsFault::Hang));
    let project = project(Program::Terraform, Kind::Local);
    write_objects(&project, &[object("a", "")]);
    let times = project.scratch().join("times");
    let script = format!(
        "date +%s.%N > {0}; terraform init -input=false\n\
         terraform apply -input=false -auto-approve; date +%s.%N >> {0}",
        times.display()
    );
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs_f64()
    };
    let before_and_after = |journal: &str| {
        let step = Step::of_a_new_pipeline();
        let began = now();
        let run = deploy(&project, &step, &insights).env("JOURNAL", journal);
        run.script(&script).finish().expect_code(0);
        let ended = now();
        let times = fs::read_to_string(&times).unwrap();
        let times: Vec<f64> = times.lines().map(|line| line.parse().unwrap()).collect();
        (times[0] - began, ended - times[1])
    };
    let without = before_and_after("false");
    let hanging = before_and_after(&insights.proxy());
    assert!(!insights.requests().is_empty());
    assert!(
        hanging.0 - without.0 < 2.5 && hanging.1 - without.1 < 2.5,
        "{hanging:?}, and without a journal {without:?}"
    );
}

#[test]
fn no_journal_is_kept_where_none_is_wanted_or_nobody_could_read_it() {
    let (project, insights) = (
        project(Program::Terraform, Kind::HttpStrict),
        CodeInsights::start(),
    );
    project.gate("b.gate").open();
    let step = Step::of_a_new_pipeline();
    let unwanted = deploy(&project, &step, &insights).env("JOURNAL", "false");
    unwanted.finish().expect_code(0);
    let elsewhere = Softstop::deploy(&project).env("JOURNAL", insights.proxy());
    let finished = elsewhere.finish();
    finished.expect_code(0);
    expect_unsaid(&finished, "ournal");
    assert_eq!(insights.requests(), []);
}

#[test]
fn a_bad_journal_is_refused_before_anything_runs() {
    let (project, insights) = (
        project(Program::Terraform, Kind::HttpStrict),
        CodeInsights::start(),
    );
    let step = Step::of_a_new_pipeline();
    let finished = deploy(&project, &step, &insights)
        .env("JOURNAL", "perhaps")
        .finish();
    finished.expect_code(2).expect_said(
        "JOURNAL (--journal <SWITCH>) is \"perhaps\": expected true, false, or the address",
    );
}

#[test]
fn deploys_on_one_commit_have_a_report_each() {
    let insights = CodeInsights::start();
    let step = Step::of_a_new_pipeline();
    for step in [step.clone(), step.sibling(), step.run_again()] {
        let project = project(Program::Terraform, Kind::HttpStrict);
        project.gate("b.gate").open();
        deploy(&project, &step, &insights).finish().expect_code(0);
    }
    let reports = insights.reports("acme", "infra", step.commit());
    assert_eq!(reports.len(), 3, "{reports:#?}");
}

#[test]
fn what_a_state_has_by_now_is_settled_whatever_the_backend() {
    let rows = [
        (Program::Terraform, Kind::HttpLax),
        (Program::OpenTofu, Kind::S3Both),
        (Program::Terraform, Kind::Postgres),
        (Program::OpenTofu, Kind::Gcs),
        (Program::OpenTofu, Kind::Azurerm),
        (Program::Terraform, Kind::Kubernetes),
    ];
    each(&rows, |(program, kind)| {
        let (project, insights) = (project(program, kind), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights).start();
        kill(&project, &step, &insights, run);
        let released = release(&project, &step, &insights).finish();
        released
            .expect_code(0)
            .expect_said("Build 42 was applying 3: 1 complete and NOT in the state, 1 in flight");
        let id = id_of(&project, "a");
        project.run_terraform(&["import", "-no-color", "slow_object.a", &id]);
        let again = release(&project, &step, &insights).finish();
        again
            .expect_code(0)
            .expect_said("Build 42 was applying 3: 1 complete and stored, 1 in flight");
        assert_eq!(result(&insights, &step), "FAILED", "{again}");
        project.gate("b.gate").open();
        project.run_terraform(&["apply", "-no-color", "-auto-approve"]);
        // Whether that is the one that was in flight nobody can tell.
        let again = release(&project, &step, &insights).finish();
        again.expect_said("In flight: slow_object.b (not in the state)");
    });
}
