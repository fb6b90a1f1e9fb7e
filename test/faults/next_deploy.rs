//! The deploy after all that was broken: it finishes, or says what stands in its way.

use std::time::{Duration, Instant};

use super::ending::last_line;
use super::journaling::Wish;
use super::round::Round;
use crate::support::{Answer, Finished, Kind, Softstop, Step};

impl Round<'_> {
    /// Deploys, and does before what a person has to do where the table of S3 has not heard of the
    /// state that is stored.
    pub(super) fn deploy_again(&self) -> Option<Duration> {
        self.deploy_by(self.plan.wish)
    }

    fn deploy_by(&self, wish: Wish) -> Option<Duration> {
        let step = Step::of_a_new_pipeline().on_commit(self.step.commit());
        let clone = self.clone_for(&step, None);
        let began = Instant::now();
        let mut deploy = Softstop::deploy(&self.project).in_step(&step);
        if self.plan.has_log {
            self.answer(&self.step, Answer::Completed("STOPPED"));
            deploy = deploy.asking(self.bitbucket);
        }
        let deploy = self
            .journaling(deploy)
            .env("ON_UNFINISHED", wish.word())
            .env("BITBUCKET_CLONE_DIR", &clone.directory)
            .env("WORKING_DIR", &clone.directory);
        let run = self.plan.layout.name_workspace(deploy).start();
        self.truth.meet(&step, run.mark());
        let finished = run.finish();
        self.truth.note(format_args!("the next deploy\n{finished}"));
        if self.has_met_another_digest(&finished) {
            self.truth.note("a person corrects the digest");
            self.project.store.set_digest(None);
            return self.deploy_by(wish);
        }
        if self.stands_in_the_way(&finished, wish) {
            self.truth.person_has_looked();
            return self.deploy_by(Wish::Ignore);
        }
        self.expect_success("the next deploy", &finished);
        self.truth.check_state(&self.project);
        self.check_world();
        if self.project.store.lock().is_some() && self.plan.kind != Kind::Postgres {
            self.truth.violated("I1", "the next deploy leaves a lock");
        }
        let had_all_to_make = finished.stdout.contains("Resources: 4 added");
        had_all_to_make.then(|| began.elapsed())
    }

    /// Whether a deploy fails because another one was killed between storing a state on S3 and noting
    /// its digest in the table: the limit of docs/limits.md.
    pub(super) fn has_met_another_digest(&self, finished: &Finished) -> bool {
        let has_digest = matches!(self.plan.kind, Kind::S3DynamoDb | Kind::S3Both);
        has_digest
            && self.truth.has_landed()
            && finished
                .stderr
                .contains("state data in S3 does not have the expected content")
    }

    pub(super) fn expect_success(&self, name: &str, finished: &Finished) {
        let is_told = finished.stderr.contains("✔ Deploy succeeded.");
        if finished.code != Some(0) || !is_told {
            let (code, line) = (finished.code, last_line(finished));
            self.truth
                .violated("I5", format_args!("{name} ends with {code:?}: {line:?}"));
        }
    }
}
