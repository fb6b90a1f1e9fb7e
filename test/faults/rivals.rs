//! Who else is after the lock: another pipeline that deploys, and a laptop.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::drawn::Rival;
use super::journaling::Wish;
use super::round::Round;
use crate::support::{Answer, Finished, Softstop, Step};

pub(super) const LAPTOP: &str = "anna@macbook";

impl Round<'_> {
    /// Another pipeline deploys the same, some time after the first one has begun.
    pub(super) fn begin_second_deploy(&self) -> Option<JoinHandle<Finished>> {
        let Rival::SecondDeploy(pause) = self.plan.rival else {
            return None;
        };
        let step = Step::of_a_new_pipeline();
        self.answer(&step, Answer::InProgress);
        let clone = self.clone_for(&step, None);
        let softstop = self
            .journaling(Softstop::deploy(&self.project).in_step(&step))
            .asking(self.bitbucket)
            .env("WORKING_DIR", &clone.directory)
            .env("LOCK_TIMEOUT", "50s");
        let softstop = self.plan.layout.name_workspace(softstop);
        let truth = self.truth.clone();
        Some(thread::spawn(move || {
            thread::sleep(pause);
            let run = softstop.start();
            truth.meet(&step, run.mark());
            truth.note(format_args!("{} deploys too", step.stamp()));
            let finished = run.finish();
            truth.note(format_args!("the second deploy\n{finished}"));
            drop(clone);
            finished
        }))
    }

    /// The second deploy succeeds, or does not go on for what the first one has left, or has met
    /// nobody, and may find then that the first one, which has waited, has the lock.
    pub(super) fn expect_second_deploy(&self, finished: &Finished) {
        let said = &finished.stderr;
        let is_held = said
            .trim_end()
            .ends_with("✔ Deploy succeeded, but the lock is held.");
        let has_let_go = finished.code == Some(0) && is_held && said.contains(&self.step.link());
        let may_stop = has_let_go
            || finished.has_met_nobody()
            || self.has_met_another_digest(finished)
            || self.stands_in_the_way(finished, Wish::Report);
        if !may_stop {
            self.expect_success("the second deploy", finished);
        }
    }

    /// A laptop takes the lock as soon as it is free.
    pub(super) fn laptop_comes(&self) -> bool {
        let is_meant = matches!(self.plan.rival, Rival::Laptop { .. });
        let comes = is_meant && self.project.store.lock().is_none();
        if comes {
            self.project.be_locked_by(LAPTOP);
            self.truth.note("a laptop takes the lock");
        }
        comes
    }

    /// Nobody is left who could hold the lock, but perhaps a laptop, which keeps it.
    pub(super) fn expect_free(&self, has_laptop: bool) {
        let store = &self.project.store;
        if has_laptop {
            if store.lock_who().as_deref() != Some(LAPTOP) {
                self.truth.violated("I2", "a laptop has lost its lock");
            }
            store.remove_lock();
        }
        let deadline = Instant::now() + Duration::from_secs(2);
        let dies = !store.kind.outlives_its_holder();
        while store.lock().is_some() {
            // A database has to notice first that its client is gone.
            if !dies || Instant::now() > deadline {
                let lock = store.lock();
                return self
                    .truth
                    .violated("I1", format_args!("{lock:?} is left in the end"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
