//! A plan that people look at before it is applied.

use tracing::info;

use crate::exit_code::Outcome;
use crate::tools::Job;

/// Says what comes of a plan, or why one may have been refused.
pub(super) fn explain(job: &Job, outcome: Outcome) {
    match (job, outcome) {
        (Job::Plan(file), Outcome::Succeeded) => info!(
            "The plan is {0}, and {0}.txt is for people to read. It holds secrets. No lock is held \
             meanwhile; `deploy` with PLAN_FILE applies just it.",
            file.display()
        ),
        (Job::ApplyPlan(file), Outcome::Failed) => info!(
            "\"Saved plan is stale\" says that the state has changed since {} was made, and that \
             nothing of it was applied: make a new plan, and look at it anew.",
            file.display()
        ),
        _ => {}
    }
}
