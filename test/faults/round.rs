//! One round: a deploy is begun and broken, what it has left is recovered, and all is checked.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::answers::BitbucketSays;
use super::drawn::{Blow, Moment, Place, Rival, Script, Target, Victim};
use super::ending;
use super::layout::Layout;
use super::plan::Plan;
use super::reader::Habit;
use super::subject::Subject;
use super::trouble::Trouble;
use super::truth::Truth;
use crate::support::proxy::Proxy;
use crate::support::{
    Answer, Bitbucket, CodeInsights, Container, Finished, Kind, Program, Project, Softstop, Step,
};

pub(super) const GRACE_PERIOD: Duration = Duration::from_secs(5);
/// How long everything may live on that has lost its supervisor, pauses between signals included.
const DEATH: Duration = Duration::from_secs(3);
/// How much later than promised a machine with much to do may be.
const MARGIN: Duration = Duration::from_secs(3);
/// How long an early signal may take until something is said of it.
const TO_BE_HEARD: Duration = Duration::from_millis(700);
/// How many files there are where the reading of the configuration is to take its time.
const MANY_FILES: usize = 2_000;
/// How long a backend stays in trouble for a run that nobody asks to stop.
const TROUBLE: Duration = Duration::from_secs(2);
/// What a deploy makes.
pub(super) const RESOURCES: [&str; 4] = ["a", "b", "c", "shell"];
pub(super) struct Round<'a> {
    pub(super) plan: &'a Plan,
    pub(super) truth: Truth,
    pub(super) project: Arc<Project>,
    pub(super) bitbucket: &'a Bitbucket,
    /// How long such a deploy takes where nobody breaks it.
    pub(super) life: Duration,
    /// Whose deploy is broken.
    pub(super) step: Step,
    /// Where its journal is kept.
    pub(super) insights: Option<CodeInsights>,
}

/// A clone of the repository, with a way of its own to the backend.
pub(super) struct Clone {
    pub(super) directory: PathBuf,
    pub(super) proxy: Option<Proxy>,
}

impl Clone {
    /// Waits until the backend has done what it does late, so that it hits nobody who comes later.
    pub(super) fn settle(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.wait_until_settled();
        }
    }
}

impl<'a> Round<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        truth: Truth,
        bitbucket: &'a Bitbucket,
        life: Duration,
    ) -> Self {
        let mut project = Project::of(plan.program, plan.kind, "");
        plan.layout.prepare(&project);
        if let Some(workspace) = plan.layout.workspace() {
            // A Terraform that is killed while it makes one is a limit of README's.
            project.run_terraform(&["init", "-input=false"]);
            project.run_terraform(&["workspace", "new", workspace]);
            project.store.workspace = workspace;
        } else if is_begun(plan) {
            project.run_terraform(&["init", "-input=false"]);
        }
        if plan.change.has_something_before() {
            plan.change.write_before(&project);
            project.run_terraform(&["init", "-input=false"]);
            project.run_terraform(&["apply", "-input=false", "-auto-approve"]);
        }
        plan.change.write(&project, plan.layout);
        Self {
            plan,
            truth,
            project: Arc::new(project),
            bitbucket,
            life,
            step: Step::of_a_new_pipeline(),
            insights: plan.journaling.begin(),
        }
    }

    /// Plays the round, and tells how long the last deploy took, which nobody has broken, where it
    /// had everything to make.
    pub(super) fn play(&self) -> Option<Duration> {
        if let Some(company) = self.plan.company {
            self.play_in_company(company);
            return self.deploy_again();
        }
        self.answer(&self.step, Answer::InProgress);
        let is_first = self.plan.rival == Rival::Laptop { is_first: true };
        let mut has_laptop = is_first && self.laptop_comes();
        let second_deploy = self.begin_second_deploy();
        self.break_deploy();
        self.remember_journal();
        self.end_lost_answers();
        self.forgive_an_init_that_nobody_gets_past();
        if self.holds_lock(&self.step) {
            self.truth.lock_is_left();
        }
        if self.plan.answer == BitbucketSays::Completed {
            self.truth.is_proved_over(&self.step);
        }
        self.answer_as_drawn();
        has_laptop |= self.laptop_comes();
        self.recover_from_another_pipeline();
        has_laptop |= self.laptop_comes();
        self.recover_in_the_final_step();
        if let Some(second_deploy) = second_deploy {
            match second_deploy.join() {
                Ok(finished) => self.expect_second_deploy(&finished),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        self.expect_free(has_laptop);
        self.deploy_again()
    }

    fn break_deploy(&self) {
        let clone = self.clone_for(&self.step, None);
        let mut subject = self.start(&clone);
        self.truth.meet(&self.step, subject.run().mark());
        if self.plan.victim == Victim::Release {
            return self.kill_deploy(subject, &clone);
        }
        self.begin_trouble(&clone);
        let outsider = self.begin_outsider(&mut subject);
        let busy = self.be_busy(&mut subject);
        let is_aimed = self.aim(&mut subject, &clone, self.plan.moment);
        drop(busy);
        self.begin_outage(&clone);
        self.end_reading(&subject);
        let hit = subject.hit(self.plan.target, self.plan.blow, &self.truth);
        self.truth.blow_falls(hit.is_some());
        if hit.is_some() {
            self.ask_again(&mut subject);
        }
        let hangs = self.plan.trouble == Trouble::HangingStateWrite || self.kills_supervisor();
        if let Some(proxy) = clone.proxy.as_ref().filter(|_| !hangs) {
            proxy.let_go();
        }
        let may_go_on = self.plan.moment == Moment::AtConfiguration;
        if hit.is_none() || !self.stops_softstop() || may_go_on {
            subject.wait_for(TROUBLE, |_| false);
            self.end_trouble(&clone);
        }
        let finished = subject.finish(hit.is_some() && self.may_leave_others());
        self.check_time(hit);
        drop(outsider);
        self.end_trouble(&clone);
        clone.settle();
        self.truth
            .note(format_args!("the deploy is over\n{finished}"));
        if is_aimed && hit.is_some() {
            self.check_that_it_was_heard(&finished);
        }
        if self.plan.has_log {
            // Before that, there is what the step itself prints.
            let log = format!("+ softstop deploy\n{}", finished.stdout);
            self.step.has_logged(self.bitbucket, &log);
        }
        ending::check(self, &finished, hit.is_some());
    }

    /// Who stops reading keeps everybody waiting who is not asked to stop, without softstop too.
    fn end_reading(&self, subject: &Subject) {
        if self.plan.reader == Habit::Goes || self.stops_softstop() {
            subject.is_read_no_more();
        }
    }

    /// The kernel drops a signal that comes to the first process of a namespace before that has run a
    /// line, so whoever stops a container has to ask again.
    fn ask_again(&self, subject: &mut Subject) {
        let is_heard = |subject: &mut Subject| {
            let run = subject.run();
            run.has_said("received: stopping") || run.has_said("Stopped by") || run.has_ended()
        };
        let is_early = matches!(self.plan.moment, Moment::AtStart(_));
        let Some(signal) = self.asked().filter(|_| is_early) else {
            return;
        };
        let is_first = self.plan.place != Place::Host;
        if is_first && !subject.wait_for(TO_BE_HEARD, is_heard) && !subject.run().has_ended() {
            subject.hit(self.plan.target, Blow::Once(signal), &self.truth);
        }
    }

    /// Whoever reads the configuration has begun to run, and hears everything.
    fn check_that_it_was_heard(&self, finished: &Finished) {
        let expected = self.asked().map(|signal| 128 + signal as i32);
        if self.plan.moment == Moment::AtConfiguration && finished.code != expected {
            let code = finished.code;
            self.truth.violated(
                "I4",
                format_args!("softstop is asked to stop while it starts, and ends with {code:?}"),
            );
        }
    }

    /// As the Stop button does, for a release that is broken then.
    fn kill_deploy(&self, mut subject: Subject, clone: &Clone) {
        self.aim(&mut subject, clone, Moment::AtStateWrite);
        subject.hit(Target::Tree, Blow::Once(Signal::SIGKILL), &self.truth);
        let finished = subject.finish(true);
        self.truth
            .note(format_args!("the deploy is dead\n{finished}"));
        if self.plan.kind == Kind::Local && self.project.store.state().is_none() {
            self.truth.forget_state(&self.project);
        } else {
            self.truth.check_state(&self.project);
        }
    }

    /// Checks that who was stopped at this moment has needed no more time than it has.
    pub(super) fn check_time(&self, hit: Option<Instant>) {
        let limit = if self.kills_supervisor() {
            DEATH
        } else {
            GRACE_PERIOD + MARGIN
        };
        let took = hit.map(|hit| hit.elapsed()).unwrap_or_default();
        if self.stops_softstop() && took > limit {
            self.truth
                .violated("I4", format_args!("it takes {took:?} to end"));
        }
    }

    fn start(&self, clone: &Clone) -> Subject {
        let layout = self.plan.layout;
        layout.arrange(&self.project, clone);
        if self.plan.moment == Moment::AtConfiguration {
            for number in 0..MANY_FILES {
                fs::write(clone.directory.join(format!("{number}.tf")), "").unwrap();
            }
        }
        let directory = layout.working_directory(&self.project, clone);
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
            ("SOFTSTOP_DEBUG", "true".to_owned()),
            ("WORKING_DIR", directory.display().to_string()),
            ("BITBUCKET_CLONE_DIR", clone.directory.display().to_string()),
            ("AFTER_SCRIPT", after_script),
            ("GRACE_PERIOD", format!("{}s", GRACE_PERIOD.as_secs())),
            ("LOCK_TIMEOUT", self.lock_timeout().to_owned()),
            ("JOURNAL", self.journal_at(self.plan.place)),
        ];
        if let Some(command) = self.command(clone) {
            variables.push(("SOFTSTOP_COMMAND", command));
        }
        if self.plan.program == Program::OpenTofu {
            let program = match layout {
                Layout::Renamed => format!("{scratch}/terraform"),
                _ => self.plan.program.command(),
            };
            variables.push(("TERRAFORM_BIN", program));
        }
        if let Some(workspace) = layout.workspace_variable() {
            variables.push(("SOFTSTOP_WORKSPACE", workspace.to_owned()));
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
        let (run, reader) = self.plan.reader.start(softstop, self.project.scratch());
        Subject::of_process(self.plan.place, run).read_by(reader)
    }

    fn command(&self, clone: &Clone) -> Option<String> {
        let tool = match self.plan.layout {
            Layout::Renamed => Program::Terraform.command(),
            _ => self.plan.program.command(),
        };
        let apply = format!(
            "{tool} apply -input=false -auto-approve -lock-timeout={}",
            self.lock_timeout()
        );
        let layout = self.plan.layout;
        let command = || layout.command(&self.project, clone, &tool, &apply);
        match self.plan.script {
            Script::Default => None,
            Script::Shell => Some(format!("{}; true", command())),
            Script::Tee => Some(format!(
                "{{ {}; }} | tee log; grep -q 'Apply complete' log",
                command()
            )),
        }
    }

    fn lock_timeout(&self) -> &'static str {
        match self.plan.rival {
            Rival::SecondDeploy(_) => "30s",
            _ => "0s",
        }
    }

    /// Whether this run's own lock is there.
    pub(super) fn holds_lock(&self, step: &Step) -> bool {
        let who = self.project.store.lock_who().unwrap_or_default();
        who.starts_with(&format!("{}@", step.stamp()))
    }

    /// Whether the lock is one that no `init` gets past, softstop's neither: the limit of
    /// docs/limits.md. An `init` has left it on GCS or Kubernetes before it had made the empty state.
    pub(super) fn is_stuck_in_its_first_init(&self) -> bool {
        let store = &self.project.store;
        matches!(store.kind, Kind::Gcs | Kind::Kubernetes)
            && store.state().is_none()
            && store.lock_operation().as_deref() == Some("init")
    }

    /// Does then what a person has to do.
    fn forgive_an_init_that_nobody_gets_past(&self) {
        if self.is_stuck_in_its_first_init() {
            self.truth.note("a person deletes what no init gets past");
            self.project.store.remove_lock();
        }
    }

    pub(super) fn answer(&self, step: &Step, answer: Answer) {
        step.is_answered(self.bitbucket, [answer]);
    }

    /// What Bitbucket says of the broken deploy once that is over.
    pub(super) fn answer_as_drawn(&self) {
        let answers = self.plan.answer.answers();
        self.step.is_answered(self.bitbucket, answers);
    }

    pub(super) fn clone_for(&self, step: &Step, sibling: Option<&Step>) -> Clone {
        self.clone_of(&self.project, step, sibling)
    }

    pub(super) fn clone_of(
        &self,
        project: &Arc<Project>,
        step: &Step,
        sibling: Option<&Step>,
    ) -> Clone {
        let proxy = project.store.another_way();
        if let Some(proxy) = &proxy {
            self.truth.watch(proxy, project, step, sibling);
        }
        Clone {
            directory: project.clone_through(proxy.as_ref()),
            proxy,
        }
    }
}

/// Whether `init` has made an empty state, or the table of a database, before the round begins, where it
/// makes one. Two that make it at once are in each other's way, and a lock needs one that lasts.
fn is_begun(plan: &Plan) -> bool {
    let is_alone = plan.rival == Rival::None && plan.victim == Victim::Deploy;
    let is_early = is_alone && matches!(plan.moment, Moment::After(_));
    let makes_a_table = plan.kind == Kind::Postgres && matches!(plan.rival, Rival::SecondDeploy(_));
    (plan.kind.has_a_state_from_init() && !is_early) || makes_a_table
}
