//! What only the log of a killed step tells of what it has made.

use crate::journal_of_deploys::{deploy, id_of, project};
use crate::support::world::in_the_world;
use crate::support::{
    Answer, Bitbucket, CodeInsights, Finished, Kind, Program, Project, Softstop, Step,
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
