//! One round: a deploy is begun and broken, what it has left is recovered, and all is checked.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ending;
use super::plan::{Blow, Moment, Place, Plan, Rival, Script, Target, Trouble, Verdict, Victim};
use super::subject::Subject;
use super::truth::Truth;
use crate::support::project::thing;
use crate::support::proxy::Proxy;
use crate::support::{Answer, Bitbucket, Container, Finished, Kind, Project, Softstop, Step};

const GRACE_PERIOD: Duration = Duration::from_secs(5);
/// How long to wait for the aimed moment; where it does not come, the blow falls all the same.
const TO_AIM: Duration = Duration::from_secs(4);
/// How long a backend stays in trouble for a run that nobody asks to stop.
const TROUBLE: Duration = Duration::from_secs(2);
/// How much less time a release takes than a deploy.
const SHORTER: f64 = 0.3;
const LAPTOP: &str = "anna@macbook";

pub(super) struct Round<'a> {
    pub(super) plan: &'a Plan,
    pub(super) truth: Truth,
    pub(super) project: Arc<Project>,
    bitbucket: &'a Bitbucket,
    /// How long such a deploy takes where nobody breaks it.
    life: Duration,
    /// Whose deploy is broken.
    step: Step,
}

/// A clone of the repository, with a way of its own to the backend.
struct Clone {
    directory: PathBuf,
    proxy: Option<Proxy>,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        truth: Truth,
        bitbucket: &'a Bitbucket,
        life: Duration,
    ) -> Self {
        Self {
            plan,
            truth,
            project: Arc::new(Project::new(plan.kind, &resources())),
            bitbucket,
            life,
            step: Step::of_a_new_pipeline(),
        }
    }

    /// Plays the round, and tells how long the last deploy took, which nobody has broken.
    pub(super) fn play(&self) -> Duration {
        self.answer(&self.step, Answer::InProgress);
        let mut has_laptop = self.plan.rival == Rival::Laptop { is_first: true };
        if has_laptop {
            self.project.be_locked_by(LAPTOP);
        }
        let second_deploy = self.begin_second_deploy();
        self.break_deploy();
        self.answer(&self.step, self.plan.answer.answer());
        if self.plan.answer == Verdict::Completed {
            self.truth.is_proved_over(&self.step);
        }
        has_laptop |= self.laptop_comes();
        self.recover_from_another_pipeline();
        has_laptop |= self.laptop_comes();
        self.recover_in_the_final_step();
        if let Some(second_deploy) = second_deploy {
            match second_deploy.join() {
                Ok(finished) => self.expect_success("the second deploy", &finished),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        self.expect_free(has_laptop);
        self.deploy_again()
    }

    /// A laptop takes the lock as soon as it is free.
    fn laptop_comes(&self) -> bool {
        let is_meant = matches!(self.plan.rival, Rival::Laptop { .. });
        let comes = is_meant && self.project.store.lock().is_none();
        if comes {
            self.project.be_locked_by(LAPTOP);
            self.truth.note("a laptop takes the lock");
        }
        comes
    }

    fn break_deploy(&self) {
        let clone = self.clone_for(&self.step, None);
        let mut subject = self.start(&clone);
        self.truth.meet(&self.step, subject.run().mark());
        if self.plan.victim == Victim::Release {
            self.aim(&mut subject, &clone, Moment::AtStateWrite);
            subject.hit(Target::Tree, Blow::Once(Signal::SIGKILL), &self.truth);
            let finished = subject.finish(true);
            self.truth
                .note(format_args!("the deploy is dead\n{finished}"));
            self.truth.check_state(&self.project);
            return;
        }
        self.begin_trouble(&clone);
        self.aim(&mut subject, &clone, self.plan.moment);
        let is_hit = subject.hit(self.plan.target, self.plan.blow, &self.truth);
        let hangs = self.plan.trouble == Trouble::HangingStateWrite;
        if let Some(proxy) = clone.proxy.as_ref().filter(|_| !hangs) {
            proxy.let_go();
        }
        let was_killed = is_hit && self.kills_softstop();
        if !(is_hit && self.stops_softstop()) {
            subject.wait_for(TROUBLE, |_| false);
            self.end_trouble(&clone);
        }
        let finished = subject.finish(was_killed);
        self.end_trouble(&clone);
        self.truth
            .note(format_args!("the deploy is over\n{finished}"));
        ending::check(self, &finished, is_hit);
    }

    fn start(&self, clone: &Clone) -> Subject {
        let scratch = self.project.scratch().display();
        let pause = if self.plan.moment == Moment::InAfterScript {
            "sleep 0.3"
        } else {
            ""
        };
        let after_script = format!(
            "echo \"$SOFTSTOP_OUTCOME $SOFTSTOP_EXIT_CODE $SOFTSTOP_LOCK\" >> {scratch}/told
             touch {scratch}/after.reached; {pause}"
        );
        let mut variables = vec![
            ("WORKING_DIR", clone.directory.display().to_string()),
            ("AFTER_SCRIPT", after_script),
            ("GRACE_PERIOD", format!("{}s", GRACE_PERIOD.as_secs())),
            ("LOCK_TIMEOUT", self.lock_timeout().to_owned()),
        ];
        if let Some(command) = self.command() {
            variables.push(("COMMAND", command));
        }
        self.truth
            .note(format_args!("{} deploys", self.step.stamp()));
        if self.plan.place == Place::Container {
            let mut container = Container::deploy(&self.project).in_step(&self.step);
            for (name, value) in &variables {
                container = container.env(name, value);
            }
            return Subject::of_container(container.start());
        }
        let mut softstop = match self.plan.place {
            Place::Namespace => Softstop::as_pid_1(&self.project),
            _ => Softstop::deploy(&self.project),
        };
        softstop = softstop.in_step(&self.step);
        for (name, value) in &variables {
            softstop = softstop.env(name, value);
        }
        Subject::of_process(self.plan.place, softstop.start())
    }

    fn command(&self) -> Option<String> {
        let apply = format!(
            "terraform init -input=false; terraform apply -input=false -auto-approve \
             -lock-timeout={}",
            self.lock_timeout()
        );
        match self.plan.script {
            Script::Default => None,
            Script::Shell => Some(format!("{apply}; true")),
            Script::Tee => Some(format!("{apply} | tee log; grep -q 'Apply complete' log")),
        }
    }

    fn lock_timeout(&self) -> &'static str {
        match self.plan.rival {
            Rival::SecondDeploy(_) => "30s",
            _ => "0s",
        }
    }

    /// Waits for the moment of the blow. Where the backend can be held there, it is.
    fn aim(&self, subject: &mut Subject, clone: &Clone, moment: Moment) {
        let store = &self.project.store;
        let hold = |needle: &str| {
            if let Some(proxy) = &clone.proxy {
                proxy.hold(needle);
            }
        };
        match moment {
            Moment::AtLock => hold(store.lock_request()),
            Moment::AtStateWrite => hold(&store.state_write()),
            Moment::AtUnlock => {
                if let Some(unlock) = store.unlock_requests().last() {
                    hold(unlock);
                }
            }
            Moment::After(_) | Moment::InAfterScript => {}
        }
        let lock_file = self.project.directory.join(".terraform.tfstate.lock.info");
        let after_script = self.project.scratch().join("after.reached");
        let is_there = |subject: &mut Subject| match (moment, &clone.proxy) {
            (Moment::After(_), _) => false,
            (Moment::InAfterScript, _) => after_script.exists(),
            (_, Some(proxy)) => proxy.has_held(),
            (Moment::AtLock, None) => lock_file.exists(),
            (Moment::AtStateWrite, None) => subject.run().has_printed("Creation complete"),
            (Moment::AtUnlock, None) => subject.run().has_printed("Apply complete"),
        };
        let at_most = match (moment, self.plan.victim) {
            (Moment::After(part), Victim::Deploy) => self.life.mul_f64(part),
            (Moment::After(part), Victim::Release) => self.life.mul_f64(part * SHORTER),
            _ => TO_AIM,
        };
        let is_aimed = subject.wait_for(at_most, is_there);
        let aim = if is_aimed {
            "reached"
        } else {
            "no longer waited for"
        };
        self.truth.note(format_args!("{moment:?} is {aim}"));
    }

    fn begin_trouble(&self, clone: &Clone) {
        let Some(proxy) = &clone.proxy else { return };
        let store = &self.project.store;
        if let Some((fault, times)) = self.plan.trouble.fault() {
            let needle = match self.plan.trouble {
                Trouble::LostLockAnswer => store.lock_request(),
                _ => "",
            };
            proxy.fail(needle, fault, times);
        }
        if self.plan.trouble == Trouble::HangingStateWrite {
            proxy.hold(&store.state_write());
        }
    }

    fn end_trouble(&self, clone: &Clone) {
        if let Some(proxy) = &clone.proxy {
            proxy.recover();
        }
        self.truth.note("the backend is well again");
    }

    /// Whether the blow kills the process that supervises, or the one that was started.
    pub(super) fn kills_softstop(&self) -> bool {
        let is_softstop = matches!(
            self.plan.target,
            Target::Softstop | Target::Supervisor | Target::Tree
        );
        is_softstop && self.plan.blow.kills()
    }

    /// Whether the blow ends the run, one way or the other.
    fn stops_softstop(&self) -> bool {
        self.asked().is_some() || self.kills_softstop()
    }

    /// The signal by which softstop is asked to stop.
    pub(super) fn asked(&self) -> Option<Signal> {
        match self.plan.target {
            Target::Softstop | Target::Supervisor | Target::Tree => {
                // A supervisor whose guard is killed is asked by the kernel.
                let is_guard =
                    self.plan.target == Target::Softstop && self.plan.place == Place::Host;
                let by_the_kernel = is_guard.then_some(Signal::SIGTERM);
                self.plan.blow.asks().or(by_the_kernel)
            }
            Target::Terraform | Target::Plugin | Target::Shell => None,
        }
    }

    /// Whose deploy is broken.
    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    /// Whether this run's own lock is there.
    pub(super) fn holds_lock(&self, step: &Step) -> bool {
        let who = self.project.store.lock_who().unwrap_or_default();
        who.starts_with(&format!("{}@", step.stamp()))
    }

    fn recover_from_another_pipeline(&self) {
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
        self.aim(&mut subject, &clone, self.plan.moment);
        let is_hit = subject.hit(self.plan.target, self.plan.blow, &self.truth);
        if let Some(proxy) = &clone.proxy {
            proxy.let_go();
        }
        let finished = subject.finish(is_hit && self.kills_softstop());
        self.truth
            .note(format_args!("the broken release\n{finished}"));
        self.answer(step, Answer::Completed("STOPPED"));
        self.truth.is_proved_over(step);
    }

    fn recover_in_the_final_step(&self) {
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
        let told = std::fs::read_to_string(told).unwrap_or_default();
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
        finished
    }

    fn start_release(&self, step: &Step, clone: &Clone) -> crate::support::Run {
        self.truth.note(format_args!("{} releases", step.stamp()));
        Softstop::release(&self.project)
            .in_step(step)
            .asking(self.bitbucket)
            .env("WORKING_DIR", &clone.directory)
            .env("GRACE_PERIOD", format!("{}s", GRACE_PERIOD.as_secs()))
            .start()
    }

    /// Another pipeline deploys the same, some time after the first one has begun.
    fn begin_second_deploy(&self) -> Option<JoinHandle<Finished>> {
        let Rival::SecondDeploy(pause) = self.plan.rival else {
            return None;
        };
        let step = Step::of_a_new_pipeline();
        self.answer(&step, Answer::InProgress);
        let clone = self.clone_for(&step, None);
        let softstop = Softstop::deploy(&self.project)
            .in_step(&step)
            .asking(self.bitbucket)
            .env("WORKING_DIR", &clone.directory)
            .env("LOCK_TIMEOUT", "50s");
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

    /// Nobody is left who could hold the lock, but perhaps a laptop, which keeps it.
    fn expect_free(&self, has_laptop: bool) {
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

    fn deploy_again(&self) -> Duration {
        let step = Step::of_a_new_pipeline();
        let clone = self.clone_for(&step, None);
        let began = Instant::now();
        let run = Softstop::deploy(&self.project)
            .in_step(&step)
            .env("WORKING_DIR", &clone.directory)
            .start();
        self.truth.meet(&step, run.mark());
        let finished = run.finish();
        self.truth.note(format_args!("the next deploy\n{finished}"));
        self.expect_success("the next deploy", &finished);
        self.truth.check_state(&self.project);
        let (made, wanted) = (self.project.store.resources(), ["a", "b", "c", "shell"]);
        if made != wanted {
            self.truth
                .violated("I5", format_args!("{made:?} are there, not {wanted:?}"));
        }
        if self.project.store.lock().is_some() && self.plan.kind != Kind::Postgres {
            self.truth.violated("I1", "the next deploy leaves a lock");
        }
        began.elapsed()
    }

    fn expect_success(&self, name: &str, finished: &Finished) {
        let is_told = finished.stderr.contains("✔ Deploy succeeded.");
        if finished.code != Some(0) || !is_told {
            self.truth
                .violated("I5", format_args!("{name} ends with {:?}", finished.code));
        }
    }

    fn answer(&self, step: &Step, answer: Answer) {
        step.is_answered(self.bitbucket, [answer]);
    }

    fn clone_for(&self, step: &Step, sibling: Option<&Step>) -> Clone {
        let usual = self.project.store.proxy.as_ref();
        let proxy = usual.map(|usual| Proxy::to(usual.target));
        if let Some(proxy) = &proxy {
            self.truth.watch(proxy, &self.project, step, sibling);
        }
        Clone {
            directory: self.project.clone_through(proxy.as_ref()),
            proxy,
        }
    }
}

/// Three things of a plugin, one after the other, and one of a shell beside them.
fn resources() -> String {
    let things = [("a", ""), ("b", "a"), ("c", "b")].map(|(name, before)| {
        let after = match before {
            "" => String::new(),
            before => format!("depends_on = [slow_thing.{before}]"),
        };
        thing(name, &format!("create_time = \"80\"\n  {after}"))
    });
    let shell = "resource \"terraform_data\" \"shell\" {\n  provisioner \"local-exec\" {\n    \
         command = \"sleep 0.15; true\"\n  }\n}\n";
    format!("{}{shell}", things.concat())
}
