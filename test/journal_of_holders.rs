//! What a status says of whoever holds the lock, by the journal.

use crate::journal_of_deploys::{deploy, kept, kill, project};
use crate::support::{CodeInsights, Kind, Program, Softstop, Step, each, until};

#[test]
fn a_status_says_what_a_living_holder_has_in_flight() {
    each(&Program::ALL, |program| {
        let (project, insights) = (project(program, Kind::HttpStrict), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights).start();
        let gate = project.gate("b.gate");
        gate.wait_until_reached();
        until("the journal says what is in flight", || {
            let is_it =
                |text: &String| text.contains("slow_object.b") && text.contains("in_flight");
            kept(&insights, &step).iter().any(is_it)
        });
        let status = Softstop::status(&project)
            .in_step(&step.sibling())
            .env("JOURNAL", insights.proxy())
            .finish();
        status.expect_said("In flight: slow_object.b for ");
        gate.open();
        run.finish().expect_code(0);
    });
}

#[test]
fn a_status_says_what_a_killed_holder_had_in_flight() {
    each(&Program::ALL, |program| {
        let (project, insights) = (project(program, Kind::HttpStrict), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights).start();
        kill(&project, &step, &insights, run);
        let status = Softstop::status(&project)
            .in_step(&step.sibling())
            .env("JOURNAL", insights.proxy())
            .finish();
        status.expect_said("In flight: slow_object.b for ");
    });
}
