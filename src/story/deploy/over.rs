//! A deploy that is over: its locks and states, and who is told of its end.

use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;

use jiff::Timestamp;
use tracing::{error, warn};

use super::steps::Went;
use super::{Runs, Story, Watch, saved_plan};
use crate::exit_code::{CANNOT_RUN, Exit, NOT_FOUND, Outcome};
use crate::inquiry::Finished;
use crate::story::after_script;
use crate::story::conclusion::{Conclusion, Locks, Reason};
use crate::story::stage::Stage;
use crate::story::warned::Warned;
use crate::supervisor::{Ending, Reserve};
use crate::tools::{Processes, Tool};

/// How a shell tells that its command was killed.
const KILLED: i32 = 128 + nix::libc::SIGKILL;

impl<S: Stage> Story<'_, S> {
    /// Frees the locks of the places that were used, and stores the states that the deploy could not
    /// store there. Why nothing is known of the locks may be `told` already.
    pub(super) async fn clear_up(
        &self,
        went: &Went,
        watch: &Watch<'_>,
        places: &[&Tool],
        reserve: Reserve,
        told: Option<&str>,
    ) -> Conclusion {
        let (outcome, exit) = match went.obstacle {
            Some(_) => (Outcome::Failed, Exit::Unfinished),
            None => conclude(&went.ending),
        };
        let began = watch.began;
        let lacked_memory = explain_lack_of_memory(&went.ending, outcome);
        let was_disturbed = outcome == Outcome::Interrupted
            || self.stage.knows_of_a_stop()
            || watch.hearing.may_miss_a_stop();
        let undisturbed = (!was_disturbed).then(|| began.instant.elapsed());

        let mut locks = Locks::default();
        if let Ok(ending) = &went.ending {
            let finished = Finished {
                started: began.timestamp,
                ended: Timestamp::now(),
                tree_gone: ending.tree_gone,
                tool_was_killed: ending.tool_was_killed,
                operations: self.tool.operations_of_a_deploy(),
            };
            locks = self.free_after(places, &watch.used, &finished, told).await;
        }
        locks = self
            .save_each(places, (began.file_time, undisturbed), locks, reserve)
            .await;
        Conclusion {
            outcome,
            exit,
            locks,
            reason: match &went.obstacle {
                Some(why) => Reason::Unfinished(why.clone()),
                None => Reason::Ran {
                    was_a_plan: watch.used.is_plan(),
                    lacked_memory,
                },
            },
        }
    }

    pub(super) fn explain(&self, warned: &Warned, conclusion: &Conclusion) {
        warned.explain(conclusion.outcome);
        if let (Runs::Job(job), Reason::Ran { .. }) = (&self.deploy.runs, &conclusion.reason) {
            saved_plan::explain(job, conclusion.outcome);
        }
    }

    pub(super) async fn run_after_script(&self, conclusion: &Conclusion) {
        if let Some(script) = &self.deploy.after_script {
            let report_file = self.deploy.report_file.as_deref();
            let directory = &self.deploy.directory;
            after_script::run(self.stage, script, directory, report_file, conclusion).await;
        }
    }
}

/// Whether there was too little memory; said where that may be why it has failed.
fn explain_lack_of_memory(ending: &io::Result<Ending>, outcome: Outcome) -> bool {
    let lacked_memory = ending.as_ref().is_ok_and(|ending| ending.lacked_memory);
    if lacked_memory && matches!(outcome, Outcome::Failed | Outcome::Killed) {
        warn!(
            "The kernel killed a process here for lack of memory. A step has more with a larger \
             `size`, a pipe with more `memory` of the service `docker`."
        );
    }
    lacked_memory
}

fn conclude(ending: &io::Result<Ending>) -> (Outcome, Exit) {
    match ending {
        Err(problem) => {
            error!("The command could not be run: {problem}.");
            let code = match problem.kind() {
                ErrorKind::NotFound => Exit::Command(NOT_FOUND),
                ErrorKind::PermissionDenied => Exit::Command(CANNOT_RUN),
                _ => Exit::Failure,
            };
            (Outcome::Failed, code)
        }
        Ok(Ending {
            interrupt: Some(interrupt),
            ..
        }) => (Outcome::Interrupted, Exit::Signal(interrupt.signal as i32)),
        Ok(Ending { status: None, .. }) => {
            error!("The command cannot be killed. Is it another user's?");
            (Outcome::Failed, Exit::Failure)
        }
        Ok(Ending {
            status: Some(status),
            ..
        }) => match (status.code(), status.signal()) {
            (Some(0), _) => (Outcome::Succeeded, Exit::Done),
            (Some(KILLED), _) => (Outcome::Killed, Exit::Signal(nix::libc::SIGKILL)),
            (Some(code), _) => {
                let code = u8::try_from(code).unwrap_or(u8::MAX);
                (Outcome::Failed, Exit::Command(code))
            }
            (None, signal) => (Outcome::Killed, signal.map_or(Exit::Failure, Exit::Signal)),
        },
    }
}
