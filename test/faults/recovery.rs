//! What a broken deploy has left is recovered: by a release of another pipeline, which may be broken
//! too, and by the `final:` step of its own.

use std::fs;

use super::ending;
use super::plan::{Place, Rival, Verdict, Victim};
use super::round::{Clone, GRACE_PERIOD, Round};
use super::subject::Subject;
use crate::support::{Answer, Finished, Run, Softstop, Step};

impl Round<'_> {
    pub(super) fn recover_from_another_pipeline(&self) {
        let step = Step::of_a_new_pipeline();
        let lock = self.project.store.lock_id();
        let (is_left, is_racy) = (
            self.holds_lock(&self.step),
            matches!(
                self.plan.rival,
                Rival::SecondDeploy(_) | Rival::SecondRelease
            ),
        );
        let second = (self.plan.rival == Rival::SecondRelease).then(|| {
            let step = Step::of_a_new_pipeline();
            let clone = self.clone_for(&step, None);
            (self.start_release(&step, &clone), clone)
        });
        let finished = if self.plan.victim == Victim::Release {
            self.break_release(&step);
            self.release_by(&step.run_again(), "the release, run again,")
        } else {
            self.release_by(&step, "the release")
        };
        if let Some((second, clone)) = second {
            let finished = second.finish();
            self.truth
                .note(format_args!("the other release\n{finished}"));
            ending::check_release(&self.truth, &finished, None, false);
            drop(clone);
        }
        if is_racy || self.plan.victim == Victim::Release {
            return;
        }
        let expected = if is_left {
            self.plan.answer.exit_code()
        } else if lock.is_some() {
            // Nobody can judge a laptop.
            3
        } else {
            0
        };
        if finished.code != Some(expected) {
            self.truth.violated(
                "I6",
                format_args!("release ends with {:?}, not {expected}", finished.code),
            );
        }
        let is_freed = self.project.store.lock_id() != lock;
        match (is_left, self.plan.answer) {
            (true, Verdict::Completed) if !is_freed => self
                .truth
                .violated("I1", "a lock whose holder is COMPLETED is left"),
            (true, Verdict::Completed) => {}
            _ if is_freed => self
                .truth
                .violated("I2", "a lock that nobody has proved over is gone"),
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
        let is_hit = subject.hit(self.plan.target, self.plan.blow, &self.truth);
        self.truth.blow_falls(is_hit);
        if let Some(proxy) = &clone.proxy {
            proxy.let_go();
        }
        let was_killed = is_hit && self.kills_softstop();
        let finished = subject.finish(was_killed);
        self.end_trouble(&clone);
        self.truth
            .note(format_args!("the broken release\n{finished}"));
        let asked = self.asked().filter(|_| is_hit);
        ending::check_release(&self.truth, &finished, asked, was_killed);
        self.answer(step, Answer::Completed("STOPPED"));
        self.truth.is_proved_over(step);
    }

    pub(super) fn recover_in_the_final_step(&self) {
        let step = self.step.sibling();
        let clone = self.clone_for(&step, Some(&self.step));
        let told = self.project.scratch().join("told-by-release");
        let tell = format!(
            "echo \"$SOFTSTOP_OUTCOME $SOFTSTOP_EXIT_CODE $SOFTSTOP_LOCK\" >> {}",
            told.display()
        );
        let is_left = self.holds_lock(&self.step);
        let run = Softstop::release(&self.project)
            .in_step(&step)
            .env("WORKING_DIR", &clone.directory)
            .env("AFTER_SCRIPT", tell)
            .start();
        self.truth.meet(&step, run.mark());
        let finished = run.finish();
        self.truth.note(format_args!("the final step\n{finished}"));
        ending::check_release(&self.truth, &finished, None, false);
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
        if self.holds_lock(&self.step) {
            self.truth.violated("I1", "the final step leaves the lock");
        }
        let is_racy = matches!(self.plan.rival, Rival::SecondDeploy(_));
        if is_left && !is_racy && !has_released {
            self.truth
                .violated("I6", "the final step does not say that it has released");
        }
        self.truth.check_state(&self.project);
    }

    fn release_by(&self, step: &Step, name: &str) -> Finished {
        let clone = self.clone_for(step, None);
        let finished = self.start_release(step, &clone).finish();
        self.truth.note(format_args!("{name}\n{finished}"));
        ending::check_release(&self.truth, &finished, None, false);
        finished
    }

    fn start_release(&self, step: &Step, clone: &Clone) -> Run {
        self.truth.note(format_args!("{} releases", step.stamp()));
        Softstop::release(&self.project)
            .in_step(step)
            .asking(self.bitbucket)
            .env("WORKING_DIR", &clone.directory)
            .env("GRACE_PERIOD", format!("{}s", GRACE_PERIOD.as_secs()))
            .start()
    }
}
