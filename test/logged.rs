//! What only the log of a killed step tells of what it has made.

use std::fs::{self, File};

use crate::journal_of_deploys::{deploy, id_of, project};
use crate::support::world::{in_the_world, object, world_of};
use crate::support::{
    Answer, Bitbucket, CodeInsights, Finished, InsightsFault, Kind, Program, Project, Softstop,
    Step, until,
};

/// A deploy that kept no journal, and was killed while `b` was in flight.
struct Killed {
    project: Project,
    insights: CodeInsights,
    bitbucket: Bitbucket,
    /// What it has made.
    id: String,
}

impl Killed {
    fn at_the_gate() -> Self {
        let (project, insights) = (
            project(Program::Terraform, Kind::HttpStrict),
            CodeInsights::start(),
        );
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights)
            .env("JOURNAL", "false")
            .start();
        let gate = project.gate("b.gate");
        gate.wait_until_reached();
        run.kill_all();
        gate.forget();
        let bitbucket = Bitbucket::start();
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let id = id_of(&project, "a");
        let log = format!(
            "+ umask 000\n  # slow_object.a will be created\n  # slow_object.b will be created\n\
             slow_object.a: Creating...\nslow_object.a: Creation complete after 0s [id={id}]\n\
             slow_object.b: Creating...\nslow_object.b: Creation complete after 0s [id=ob"
        );
        step.has_logged(&bitbucket, &log);
        Self {
            project,
            insights,
            bitbucket,
            id,
        }
    }

    /// Somebody of another pipeline who can read the log.
    fn then(&self, softstop: Softstop) -> Softstop {
        softstop
            .in_step(&Step::of_a_new_pipeline())
            .env("JOURNAL", self.insights.proxy())
            .asking(&self.bitbucket)
    }

    /// It is told up to its last whole line.
    fn expect_told(&self, finished: &Finished) {
        finished
            .expect_said("The log of its step does, which may be about other directories too")
            .expect_said(&format!(
                "Complete and NOT in the state: slow_object.a (id {})",
                self.id
            ))
            .expect_said("In flight: slow_object.b (not in the state)");
    }
}

#[test]
fn where_no_journal_is_the_log_of_the_step_says_what_was_made_up_to_its_last_whole_line() {
    let killed = Killed::at_the_gate();
    let released = killed.then(Softstop::release(&killed.project)).finish();
    released.expect_code(0);
    killed.expect_told(&released);
}

#[test]
fn a_deploy_makes_nothing_again_that_only_the_log_of_a_killed_step_tells_of_and_imports_nothing_of_it()
 {
    for (journal, wish) in [(true, "report"), (false, "report"), (true, "import")] {
        let killed = Killed::at_the_gate();
        killed.project.gate("b.gate").open();
        let mut next = killed.then(Softstop::deploy(&killed.project));
        if !journal {
            next = next.env("JOURNAL", "false");
        }
        let finished = next.env("ON_UNFINISHED", wish).finish();
        finished
            .expect_code(5)
            .expect_said("its plan would make again what earlier deploys have made")
            .expect_said(&format!("id = \"{}\"", killed.id));
        killed.expect_told(&finished);
        let is_refused = finished
            .stderr
            .contains("Nothing is imported, because a log");
        assert_eq!(is_refused, wish == "import", "{finished}");
        assert_eq!(in_the_world(&killed.project, "a"), [killed.id.as_str()]);
    }
}

#[test]
fn a_deploy_that_is_to_ignore_what_the_log_of_a_killed_step_tells_goes_on() {
    let killed = Killed::at_the_gate();
    killed.project.gate("b.gate").open();
    let finished = killed
        .then(Softstop::deploy(&killed.project))
        .env("ON_UNFINISHED", "ignore")
        .finish();
    finished.expect_code(0);
    killed.expect_told(&finished);
    assert_eq!(in_the_world(&killed.project, "a").len(), 2, "{finished}");
}

/// Two deploys that were killed after an object was told and before that was in the journal, by a release
/// and by the next deploy.
#[test]
fn what_was_printed_before_a_kill_and_is_not_in_the_journal_yet_comes_back_by_the_log() {
    for (program, kind, releases_before) in [
        (Program::Terraform, Kind::HttpStrict, false),
        (Program::OpenTofu, Kind::S3Lockfile, true),
    ] {
        let project = world_of(
            program,
            kind,
            &[
                object("a", "create_gate = \"GATES/a.gate\""),
                object(
                    "b",
                    "create_gate = \"GATES/b.gate\"\n  depends_on = [slow_object.a]",
                ),
            ],
        );
        let (insights, bitbucket) = (CodeInsights::start(), Bitbucket::start());
        let step = Step::of_a_new_pipeline();
        let printed = project.scratch().join("printed");
        let run = deploy(&project, &step, &insights)
            .start_with_stdout(printed.clone(), File::create(&printed).unwrap());
        project.gate("a.gate").wait_until_reached();
        let stage = |name: &str| {
            let journal = insights.journal(step.commit());
            let kept = journal.get(&format!("slow_object.{name}")).cloned();
            kept.map(|(stage, id)| (stage, id.is_some()))
        };
        let in_flight = Some(("in_flight".to_owned(), false));
        until("the journal says what is in flight", || {
            stage("a") == in_flight
        });
        insights.fail_always(Some(InsightsFault::TooManyRequests(None)));
        project.gate("a.gate").open();
        let gate = project.gate("b.gate");
        gate.wait_until_reached();
        run.wait_for_stdout("slow_object.a: Creation complete");
        run.kill_all();
        insights.fail_always(None);
        gate.forget();
        assert_eq!(stage("a"), in_flight);

        let id = id_of(&project, "a");
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let log = format!("+ softstop\n{}", fs::read_to_string(&printed).unwrap());
        step.has_logged(&bitbucket, &log);
        let by = |softstop: Softstop| {
            softstop
                .in_step(&Step::of_a_new_pipeline().on_commit(step.commit()))
                .env("JOURNAL", insights.proxy())
                .asking(&bitbucket)
        };
        let expect_told = |finished: &Finished| {
            finished.expect_code(0).expect_said(&format!(
                "Complete and NOT in the state: slow_object.a (id {id})"
            ));
        };
        if releases_before {
            expect_told(&by(Softstop::release(&project)).finish());
            assert_eq!(stage("a"), Some(("complete".to_owned(), true)));
        }
        gate.open();
        let deployed = by(Softstop::deploy(&project))
            .env("ON_UNFINISHED", "import")
            .finish();
        expect_told(&deployed);
        assert_eq!(in_the_world(&project, "a"), [id], "{deployed}");
        let plan = ["plan", "-input=false", "-detailed-exitcode"];
        let plan = project.terraform(&plan).output().unwrap();
        assert_eq!(plan.status.code(), Some(0), "{plan:?}");
    }
}
