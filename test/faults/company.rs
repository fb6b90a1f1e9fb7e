//! Two runs of softstop in one container, whose user has one name: each signs its locks as itself, or
//! as nobody, or does not run at all.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use uuid::Uuid;

use super::drawn::{one_of, up_to};
use super::round::{Clone, Round};
use crate::support::proxy::Proxy;
use crate::support::run::{marked, name_of};
use crate::support::softstop::MARK;
use crate::support::{Answer, Container, Project, Softstop, Step, until};

/// Who else runs in the container of the deploy that is hit, with a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Company {
    pub(super) who: Who,
    /// How long after the other one the second of them starts.
    pause: Duration,
    comes_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// By SIGN_LOCKS.
    Unsigned,
    OutsideOfPipelines,
    AnotherStep,
    SameStep,
}

/// One of the two.
struct Member {
    name: &'static str,
    step: Step,
    project: Arc<Project>,
    clone: Clone,
    mark: String,
    variables: Vec<(&'static str, String)>,
}

impl Company {
    pub(super) fn drawn(rng: &mut Rng) -> Option<Self> {
        let (is_there, is_at_once) = (rng.u8(..14) == 0, rng.bool());
        let company = Self {
            who: one_of(
                rng,
                &[
                    Who::Unsigned,
                    Who::OutsideOfPipelines,
                    Who::AnotherStep,
                    Who::SameStep,
                ],
            ),
            pause: up_to(rng, if is_at_once { 0 } else { 1500 }),
            comes_first: rng.bool(),
        };
        is_there.then_some(company)
    }
}

impl Round<'_> {
    /// The deploy of a step is hit while the other run goes on, and recovered meanwhile.
    pub(super) fn play_in_company(&self, company: Company) {
        let victim = self.member("victim", &self.step, &self.project, self.step.variables());
        let companion = self.companion(company.who);
        let mut both = [&victim, &companion];
        if company.comes_first {
            both.reverse();
        }
        let pause = company.pause.as_secs_f64();
        let [first, second] = both.map(Member::script);
        let script = format!("{first} & sleep {pause}; {second} & wait");
        let companions = companion.project.scratch().display().to_string();
        let container = Container::with_script(&self.project, &script)
            .docker_arguments(["--volume", &format!("{companions}:{companions}")])
            .start();
        until("both have begun, or ended", || {
            both.iter().all(|member| member.has_begun())
        });
        thread::sleep(self.pause_before_the_blow());
        self.truth.note(format_args!("{company:?}"));
        self.hit_member(&victim);
        self.truth.blow_falls(true);
        if company.who != Who::SameStep {
            self.recover_beside(&victim, &companion);
        }
        let finished = container.finish();
        self.truth
            .note(format_args!("the container is over\n{finished}"));
        for member in both {
            self.check_member(member);
        }
        self.recover_beside(&victim, &companion);
        let lock = companion.project.store.lock();
        if companion.project.store.kind.outlives_its_holder() && lock.is_some() {
            self.truth
                .violated("I1", format_args!("{lock:?} of the companion is left"));
        }
    }

    fn companion(&self, who: Who) -> Member {
        let project = Project::new(self.plan.kind, "");
        self.plan.change.write(&project, self.plan.layout);
        let step = match who {
            Who::SameStep => self.step.clone(),
            _ => Step::of_a_new_pipeline(),
        };
        let mut companion = self.member("companion", &step, &Arc::new(project), step.variables());
        if let Some(proxy) = &companion.clone.proxy {
            // What is not signed is given back by somebody whose name it does not carry.
            proxy.watch(|_| {});
        }
        match who {
            Who::Unsigned => companion.variables.push(("SIGN_LOCKS", "false".to_owned())),
            Who::OutsideOfPipelines => companion.variables.clear(),
            Who::AnotherStep | Who::SameStep => {}
        }
        companion
    }

    fn member(
        &self,
        name: &'static str,
        step: &Step,
        project: &Arc<Project>,
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Member {
        let mark = Uuid::new_v4().to_string();
        self.truth.meet(step, &mark);
        self.answer(step, Answer::InProgress);
        Member {
            name,
            step: step.clone(),
            project: Arc::clone(project),
            clone: self.clone_of(project, step, None),
            mark,
            variables: variables.into_iter().collect(),
        }
    }

    fn pause_before_the_blow(&self) -> Duration {
        let mut rng = Rng::with_seed(self.plan.seed);
        up_to(&mut rng, 2500)
    }

    /// By a kill of all its processes, or by a signal to softstop.
    fn hit_member(&self, member: &Member) {
        let signal = self.plan.blow.asks();
        let all = marked(&member.mark);
        let softstop = all.iter().find(|pid| name_of(**pid) == "softstop");
        if let Some(signal) = signal {
            self.truth
                .note(format_args!("{signal} to the {}", member.name));
            // Who has ended needs no signal.
            let _ = softstop.map(|pid| kill(*pid, signal));
        } else {
            self.truth.note(format_args!("the {} dies", member.name));
            for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
                for pid in &all {
                    let _ = kill(*pid, signal);
                }
            }
        }
        until("the one that was hit is gone", || {
            for pid in marked(&member.mark) {
                // Nor may what was started meanwhile live on.
                let _ = kill(pid, signal.map_or(Some(Signal::SIGKILL), |_| None));
            }
            marked(&member.mark).is_empty()
        });
    }

    /// Another pipeline releases what it can, of both states.
    fn recover_beside(&self, victim: &Member, companion: &Member) {
        self.truth.is_proved_over(&victim.step);
        self.answer(&victim.step, Answer::Completed("STOPPED"));
        let step = Step::of_a_new_pipeline();
        for member in [victim, companion] {
            let clone = self.clone_of(&member.project, &step, None);
            let finished = Softstop::release(&member.project)
                .in_step(&step)
                .asking(self.bitbucket)
                .env("WORKING_DIR", &clone.directory)
                .finish();
            let name = member.name;
            self.truth
                .note(format_args!("a release for the {name}\n{finished}"));
        }
        if self.holds_lock(&victim.step) {
            self.truth
                .violated("I1", "the victim is over, and its lock is left");
        }
    }

    fn check_member(&self, member: &Member) {
        let said = member.read("said");
        self.truth
            .note(format_args!("the {} has said\n{said}", member.name));
        let stamp = format!("{}@", member.step.stamp());
        let proxy = member.clone.proxy.as_ref();
        for who in proxy.map(signatures).unwrap_or_default() {
            if who.contains('#') && !who.starts_with(&stamp) {
                self.truth
                    .violated("I2", format_args!("the {} signs as {who}", member.name));
            }
        }
        let was_refused = said.contains("✖ Nothing was run: ") && member.read("code") == "1\n";
        let has_succeeded = said.contains("✔ Deploy succeeded.") && member.read("code") == "0\n";
        if member.name == "companion" && !was_refused && !has_succeeded {
            self.truth
                .violated("I5", "the companion neither deploys nor says why not");
        }
    }
}

impl Member {
    /// Its part of the script of the container.
    fn script(&self) -> String {
        let directory = self.clone.directory.display();
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| format!("{name}='{value}' "));
        format!(
            "(cd {directory}; env {MARK}={} BITBUCKET_CLONE_DIR={directory} {}softstop deploy \
             >printed 2>said; echo $? >code)",
            self.mark,
            variables.collect::<String>()
        )
    }

    fn has_begun(&self) -> bool {
        !self.read("code").is_empty() || !marked(&self.mark).is_empty()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.clone.directory.join(name)).unwrap_or_default()
    }
}

/// Whom the locks name that were taken through this proxy.
fn signatures(proxy: &Proxy) -> Vec<String> {
    let said = proxy.said().into_iter();
    // A table gets a lock as a string in JSON.
    let texts = said.map(|bytes| String::from_utf8_lossy(&bytes).replace('\\', ""));
    let names = |text: String| {
        let parts = text.split("\"Who\":\"").skip(1);
        let names = parts.map(|part| part.split('"').next().unwrap_or_default().to_owned());
        names.collect::<Vec<String>>()
    };
    texts.flat_map(names).collect()
}
