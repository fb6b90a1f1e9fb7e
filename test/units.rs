//! Several directories that one deploy changes side by side, where a wrapper puts before each line which
//! of them it is about, as Terragrunt does.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::pipelines::PIPELINES_FILE;
use crate::support::world::{in_the_world, object, world_of};
use crate::support::{CodeInsights, Kind, Program, Project, Softstop, Step, until};

/// Each has the same addresses, and a state of its own.
const UNITS: [&str; 2] = ["a", "b"];

/// Deploys all of them side by side.
const WRAPPER: &str = r#"
unit() {
  (cd "live/$1"; terraform init -input=false; exec terraform apply -input=false -auto-approve) 2>&1 |
    sed --unbuffered "s/^/12:34:56.789 STDOUT [$1] terraform: /"
}
unit a & unit b & wait
"#;

/// A clone with these directories, and the projects of which they are copies.
struct Live {
    projects: [Project; 2],
    clone: PathBuf,
}

impl Live {
    fn new() -> Self {
        let objects = [
            object("made", ""),
            object(
                "begun",
                "create_gate = \"GATES/begun.gate\"\n  depends_on = [slow_object.made]",
            ),
        ];
        let projects = UNITS.map(|_| world_of(Program::Terraform, Kind::HttpStrict, &objects));
        let clone = projects[0].scratch().join("clone");
        for (unit, project) in UNITS.iter().zip(&projects) {
            let directory = clone.join("live").join(unit);
            fs::create_dir_all(&directory).unwrap();
            for name in ["backend.tf", "main.tf"] {
                fs::copy(project.directory.join(name), directory.join(name)).unwrap();
            }
        }
        fs::write(clone.join("bitbucket-pipelines.yml"), PIPELINES_FILE).unwrap();
        Self { projects, clone }
    }

    fn softstop(&self, mode: &str, step: &Step, insights: &CodeInsights) -> Softstop {
        let scratch: &Path = self.projects[0].scratch();
        Softstop::in_directory(&self.clone, scratch)
            .env("TF_CLI_CONFIG_FILE", self.projects[0].cli_config())
            .env("JOURNAL", insights.proxy())
            .in_step(step)
            .arguments([mode])
    }
}

/// How many reports on the commit of a step say that something is in flight.
fn in_flight(insights: &CodeInsights, step: &Step) -> usize {
    let says_so = |report: &Value| {
        let id = report["external_id"].as_str().unwrap();
        let annotations = insights.annotations("acme", "infra", step.commit(), id);
        let mut annotations = annotations.iter().map(Value::to_string);
        annotations.any(|text| text.contains("slow_object.begun") && text.contains("in_flight"))
    };
    let reports = insights.reports("acme", "infra", step.commit());
    reports.iter().filter(|report| says_so(report)).count()
}

#[test]
fn what_each_unit_has_made_is_compared_with_its_own_state_and_imported_there() {
    let (live, insights) = (Live::new(), CodeInsights::start());
    let step = Step::of_a_new_pipeline();
    let run = live
        .softstop("deploy", &step, &insights)
        .script(WRAPPER)
        .start();
    for project in &live.projects {
        project.gate("begun.gate").wait_until_reached();
    }
    until("the journal says what is in flight in both", || {
        in_flight(&insights, &step) == UNITS.len()
    });
    run.kill_all();
    for project in &live.projects {
        project.gate("begun.gate").open();
    }

    let released = live
        .softstop("release", &step.sibling(), &insights)
        .env("WORKING_DIR_COUNT", "2")
        .env("WORKING_DIR_0", "live/a")
        .env("WORKING_DIR_1", "live/b")
        .finish();
    released.expect_code(0);
    let id_of = |project: &Project| in_the_world(project, "made").remove(0);
    for (unit, project) in UNITS.iter().zip(&live.projects) {
        let id = id_of(project);
        released.expect_said(&format!(
            "live/{unit}: Complete and NOT in the state: slow_object.made (id {id})."
        ));
    }

    for (unit, project) in UNITS.iter().zip(&live.projects) {
        let deploy = || {
            let next = live.softstop("deploy", &step.sibling(), &insights);
            next.env("WORKING_DIR", format!("live/{unit}"))
        };
        let id = id_of(project);
        deploy()
            .finish()
            .expect_code(5)
            .expect_said("its plan would make again what earlier deploys have made");
        deploy()
            .env("ON_UNFINISHED", "import")
            .finish()
            .expect_code(0);
        assert_eq!(in_the_world(project, "made"), [id]);
    }
}
