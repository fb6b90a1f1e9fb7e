//! What a broken deploy has left is recovered: by a release of another pipeline, which may be broken
//! too, and by the `final:` step of its own.

use std::fs;
use std::time::Duration;

use super::answers::BitbucketSays;
use super::drawn::{LastStep, Place, Rival, Victim};
use super::ending;
use super::rivals::LAPTOP;
use super::round::{Clone, GRACE_PERIOD, Round};
use super::subject::Subject;
use crate::support::pipelines::PIPELINES_FILE;
use crate::support::proxy::Fault;
use crate::support::{Answer, Finished, Kind, Run, Softstop, Step};

/// After so long a release asks Bitbucket anew.
const ANSWER_IS_OLD: Duration = Duration::from_millis(1600);
/// A pipelines file that has a release beside a deploy.
const PARALLEL_RELEASE: &str = r#"pipelines:
  default:
    - parallel:
        - step:
            script:
              - pipe: docker://acme/softstop:1
        - step:
            script:
              - pipe: docker://acme/softstop:1
                variables: {MODE: "release"}
"#;

impl Round<'_> {
    pub(super) fn recover_from_another_pipeline(&self) {
        let mut step = Step::of_a_new_pipeline();
        if self.plan.victim == Victim::Release {
            self.break_release(&step);
            // It may have heard the first answer.
            self.answer_as_drawn();
            step = step.run_again();
        }
        let before = self.project.store.lock_who();
        let second = (self.plan.rival == Rival::SecondRelease).then(|| {
            let step = Step::of_a_new_pipeline();
            let clone = self.clone_for(&step, None);
            (self.start_release(&step, &clone), clone)
        });
        let finished = self.release_by(&step, "the release");
        if let Some((second, clone)) = second {
            self.finish_release(second, "the other release");
            drop(clone);
        }
        // Another deploy may have been quicker, and have the lock by now.
        if !matches!(self.plan.rival, Rival::SecondDeploy(_)) {
            self.check_recovery(before.as_deref(), &finished);
        }
    }

    /// Whether nobody can know where the state is: no file, or no table, was ever made.
    fn is_nowhere(&self) -> bool {
        let store = &self.project.store;
        match store.kind {
            Kind::Local => !self.project.directory.join("terraform.tfstate").exists(),
            Kind::Postgres => store.schemas() == "public",
            _ => false,
        }
    }

    /// Checks what a release has made of a lock of `holder`, and what it says.
    fn check_recovery(&self, holder: Option<&str>, finished: &Finished) {
        let holder = holder.unwrap_or_default();
        let is_deploys = holder.starts_with(&format!("{}@", self.step.stamp()));
        let (expected, may_release) = match self.plan.answer {
            _ if holder == LAPTOP => (3, false),
            _ if self.is_nowhere() => (4, true),
            answer if is_deploys => (answer.exit_code(), answer == BitbucketSays::Completed),
            // What a broken release of this very step has left, or nothing.
            _ => (0, true),
        };
        // Of two releases, the slower one may find anything.
        if finished.code != Some(expected) && self.plan.rival != Rival::SecondRelease {
            let code = finished.code;
            self.truth.violated(
                "I6",
                format_args!("release ends with {code:?}, not {expected}"),
            );
        }
        let after = self.project.store.lock_who().unwrap_or_default();
        match (may_release, after == holder) {
            (true, true) if !holder.is_empty() => self
                .truth
                .violated("I1", format_args!("{holder} is over, and its lock is left")),
            (false, false) => self.truth.violated(
                "I2",
                format_args!("the lock of {holder} is gone, and nothing proves it over"),
            ),
            _ => {}
        }
    }

    fn break_release(&self, step: &Step) {
        self.answer(step, Answer::InProgress);
        let clone = self.clone_for(step, None);
        let mut subject = Subject::of_process(Place::Host, self.start_release(step, &clone));
        self.truth.meet(step, subject.run().mark());
        self.begin_trouble(&clone);
        self.aim(&mut subject, &clone, self.plan.moment);
        self.begin_outage(&clone);
        let hit = subject.hit(self.plan.target, self.plan.blow, &self.truth);
        self.truth.blow_falls(hit.is_some());
        if let Some(proxy) = &clone.proxy {
            proxy.let_go();
        }
        let was_killed = hit.is_some() && self.kills_softstop();
        let finished = subject.finish(hit.is_some() && self.may_leave_others());
        self.check_time(hit);
        self.end_trouble(&clone);
        clone.settle();
        self.truth
            .note(format_args!("the broken release\n{finished}"));
        let asked = self.asked().filter(|_| hit.is_some());
        ending::check_release(&self.truth, &finished, asked, was_killed);
        self.truth.is_proved_over(step);
        self.answer(step, Answer::Completed("STOPPED"));
    }

    pub(super) fn recover_in_the_final_step(&self) {
        let step = self.step.sibling();
        let has_proof = self.has_proof_in_the_final_step();
        let clone = self.clone_for(&step, Some(&self.step).filter(|_| has_proof));
        self.arrange_pipelines_file(&clone);
        let told = self.project.scratch().join("told-by-release");
        let tell = format!(
            "echo \"$SOFTSTOP_OUTCOME $SOFTSTOP_EXIT_CODE $SOFTSTOP_LOCK\" >> {}",
            told.display()
        );
        let is_left = self.holds_lock(&self.step);
        let release = self
            .journaling(Softstop::release(&self.project).in_step(&step))
            .env("BITBUCKET_CLONE_DIR", &clone.directory)
            .env("WORKING_DIR", &clone.directory)
            .env("AFTER_SCRIPT", tell);
        let (release, _second) = match self.plan.last_step {
            LastStep::Asks => self.asking_twice(release.asking(self.bitbucket), &step, &clone),
            _ => (release, None),
        };
        let run = self.plan.layout.name_workspace(release).start();
        self.truth.meet(&step, run.mark());
        let finished = self.finish_release(run, "the final step");
        let told = fs::read_to_string(told).unwrap_or_default();
        let has_released = finished.stderr.contains("1 released");
        let expected = if has_released {
            "killed 137 released\n"
        } else {
            ""
        };
        if told != expected {
            self.truth
                .violated("I6", format_args!("AFTER_SCRIPT of a release: {told:?}"));
        }
        if self.holds_lock(&self.step) && has_proof {
            self.truth.violated("I1", "the final step leaves the lock");
        }
        let is_racy = matches!(self.plan.rival, Rival::SecondDeploy(_));
        if is_left && has_proof && !is_racy && !has_released {
            self.truth
                .violated("I6", "the final step does not say that it has released");
        }
        self.truth.check_state(&self.project);
        if !has_proof {
            self.recover_at_last();
        }
    }

    /// Where Bitbucket falls silent, the release has a second way to the lock, which is a little longer.
    fn asking_twice(
        &self,
        release: Softstop,
        step: &Step,
        first: &Clone,
    ) -> (Softstop, Option<Clone>) {
        if !self.plan.answer.falls_silent() {
            return (release, None);
        }
        self.answer_as_drawn();
        let second = self.clone_for(step, None);
        if let Some(proxy) = &second.proxy {
            proxy.fail("", Fault::Delay(ANSWER_IS_OLD), 1);
        }
        let release = release
            .env("WORKING_DIR_COUNT", "2")
            .env("WORKING_DIR_0", &first.directory)
            .env("WORKING_DIR_1", &second.directory);
        (release, Some(second))
    }

    /// Whether the order of steps, or Bitbucket, proves to the final step that the others are over.
    fn has_proof_in_the_final_step(&self) -> bool {
        match self.plan.last_step {
            LastStep::ByOrder => true,
            LastStep::Asks => !self.plan.answer.vetoes(),
            LastStep::HasNoFile | LastStep::HasParallelRelease | LastStep::HasStepByHand => false,
        }
    }

    fn arrange_pipelines_file(&self, clone: &Clone) {
        let file = clone.directory.join("bitbucket-pipelines.yml");
        match self.plan.last_step {
            LastStep::HasNoFile => fs::remove_file(file).unwrap(),
            LastStep::HasParallelRelease => fs::write(file, PARALLEL_RELEASE).unwrap(),
            LastStep::HasStepByHand => {
                let by_hand = "- step:\n        trigger: manual\n";
                let text = PIPELINES_FILE.replace("- step:\n", by_hand);
                fs::write(file, text).unwrap();
            }
            LastStep::ByOrder | LastStep::Asks => {}
        }
    }

    /// Bitbucket says that the deploy is over, whatever it has said before.
    fn recover_at_last(&self) {
        self.answer(&self.step, Answer::Completed("STOPPED"));
        self.truth.is_proved_over(&self.step);
        self.release_by(&Step::of_a_new_pipeline(), "the last release");
        if self.holds_lock(&self.step) {
            self.truth
                .violated("I1", "the last release leaves the lock");
        }
    }

    fn release_by(&self, step: &Step, name: &str) -> Finished {
        let clone = self.clone_for(step, None);
        self.finish_release(self.start_release(step, &clone), name)
    }

    fn finish_release(&self, run: Run, name: &str) -> Finished {
        let finished = run.finish();
        self.truth.note(format_args!("{name}\n{finished}"));
        ending::check_release(&self.truth, &finished, None, false);
        finished
    }

    fn start_release(&self, step: &Step, clone: &Clone) -> Run {
        self.truth.note(format_args!("{} releases", step.stamp()));
        let release = self
            .journaling(Softstop::release(&self.project).in_step(step))
            .asking(self.bitbucket)
            .env("BITBUCKET_CLONE_DIR", &clone.directory)
            .env("WORKING_DIR", &clone.directory)
            .env("GRACE_PERIOD", format!("{}s", GRACE_PERIOD.as_secs()));
        self.plan.layout.name_workspace(release).start()
    }
}
