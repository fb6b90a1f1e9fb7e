//! What only the log of a killed step tells of what it has made.

use std::fs::{self, File};

use crate::journal_of_deploys::{deploy, id_of, project};
use crate::support::world::{in_the_world, object, world_of};
use crate::support::{
    Answer, Bitbucket, CodeInsights, Finished, InsightsFault, Kind, Program, Project, Softstop,
    Step, each, until,
};

/// A deploy that kept no journal, and was killed while `b` was in flight.
struct Killed {
    project: Project,
    insights: CodeInsights,
    bitbucket: Bitbucket,
    step: Step,
    /// What it has made.
    id: String,
}

impl Killed {
    fn at_the_gate(program: Program) -> Self {
        let (project, insights) = (project(program, Kind::HttpStrict), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let run = deploy(&project, &step, &insights)
            .env("JOURNAL", "false")
            .start();
        let gate = project.gate("b.gate");
        gate.wait_until_reached();
        run.kill_all();
        gate.forget();
        let bitbucket = Bitbucket::start();
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let id = id_of(&project, "a");
        let log = format!(
            "+ umask 000\n  # slow_object.a will be created\n  # slow_object.b will be created\n\
             slow_object.a: Creating...\nslow_object.a: Creation complete after 0s [id={id}]\n\
             slow_object.b: Creating...\nslow_object.b: Creation complete after 0s [id=ob"
        );
        step.has_logged(&bitbucket, &log);
        Self {
            project,
            insights,
            bitbucket,
            step,
            id,
        }
    }

    /// Somebody of another pipeline, on the same commit, who can read the log.
    fn then(&self, softstop: Softstop) -> Softstop {
        softstop
            .in_step(&Step::of_a_new_pipeline().on_commit(self.step.commit()))
            .env("JOURNAL", self.insights.proxy())
            .asking(&self.bitbucket)
    }

    /// It is told up to its last whole line.
    fn expect_told(&self, finished: &Finished) {
        finished
            .expect_said("The log of its step does:")
            .expect_said("Only the log of its step tells of slow_object.a, slow_object.b");
        self.expect_named(finished);
    }

    fn expect_named(&self, finished: &Finished) {
        finished
            .expect_said(&format!("In doubt: slow_object.a (id {})", self.id))
            .expect_said("In flight: slow_object.b (not in the state)");
    }

    /// What is kept of it on its commit: how far each is, and its id.
    fn kept(&self) -> Vec<(String, (String, Option<String>))> {
        let journal = self.insights.journal(self.step.commit());
        journal.into_iter().collect()
    }
}

#[test]
fn where_no_journal_is_the_log_of_the_step_says_what_was_made_up_to_its_last_whole_line() {
    each(&Program::ALL, |program| {
        let killed = Killed::at_the_gate(program);
        let released = killed.then(Softstop::release(&killed.project)).finish();
        released.expect_code(0);
        killed.expect_told(&released);
    });
}

#[test]
fn a_deploy_makes_nothing_again_that_only_the_log_of_a_killed_step_tells_of_and_imports_nothing_of_it()
 {
    let rows = [(true, "report"), (false, "report"), (true, "import")];
    let rows = Program::ALL.map(|program| rows.map(|(journal, wish)| (program, journal, wish)));
    each(rows.as_flattened(), |(program, journal, wish)| {
        let killed = Killed::at_the_gate(program);
        killed.project.gate("b.gate").open();
        let mut next = killed.then(Softstop::deploy(&killed.project));
        if !journal {
            next = next.env("JOURNAL", "false");
        }
        let finished = next.env("ON_UNFINISHED", wish).finish();
        finished
            .expect_code(5)
            .expect_said("its plan would make again what earlier deploys have made")
            .expect_said(&format!("id = \"{}\"", killed.id));
        killed.expect_told(&finished);
        let is_refused = finished
            .stderr
            .contains("Nothing is imported, because a log");
        assert_eq!(is_refused, wish == "import", "{finished}");
        assert_eq!(in_the_world(&killed.project, "a"), [killed.id.as_str()]);
        assert_eq!(killed.kept().is_empty(), !journal, "{finished}");
    });
}

#[test]
fn what_only_a_log_tells_is_named_until_a_person_says_that_it_needs_nothing_more() {
    let rows = [(Program::Terraform, true), (Program::OpenTofu, false)];
    each(&rows, |(program, releases_before)| {
        let killed = Killed::at_the_gate(program);
        let project = &killed.project;
        if releases_before {
            let released = killed.then(Softstop::release(project)).finish();
            released
                .expect_code(0)
                .expect_said("It stays in the journal until the state has it");
            killed.expect_told(&released);
            let kept = |stage: &str, id: Option<&str>| (stage.to_owned(), id.map(str::to_owned));
            let expected = [
                (
                    "slow_object.a".to_owned(),
                    kept("in_doubt", Some(&killed.id)),
                ),
                ("slow_object.b".to_owned(), kept("in_flight", None)),
            ];
            assert_eq!(killed.kept(), expected, "{released}");
        }
        project.gate("b.gate").open();
        // It may be about another place, so nobody is stopped twice.
        for code in [5, 0] {
            let finished = killed.then(Softstop::deploy(project)).finish();
            finished.expect_code(code);
            killed.expect_named(&finished);
        }
        assert_eq!(in_the_world(project, "a").len(), 2);
        let released = killed.then(Softstop::release(project)).finish();
        killed.expect_named(&released);
        let resolve = killed
            .then(Softstop::resolve(project))
            .arguments(["slow_object.a", "slow_object.b"]);
        let resolved = resolve.finish();
        resolved
            .expect_code(0)
            .expect_said("Journal: 2 resolved, 0 left.");
        let released = killed.then(Softstop::release(project)).finish();
        assert!(!released.stderr.contains("slow_object"), "{released}");
    });
}

#[test]
fn a_deploy_that_is_to_ignore_what_the_log_of_a_killed_step_tells_goes_on() {
    each(&Program::ALL, |program| {
        let killed = Killed::at_the_gate(program);
        killed.project.gate("b.gate").open();
        let finished = killed
            .then(Softstop::deploy(&killed.project))
            .env("ON_UNFINISHED", "ignore")
            .finish();
        finished.expect_code(0);
        killed.expect_told(&finished);
        assert_eq!(in_the_world(&killed.project, "a").len(), 2, "{finished}");
    });
}

/// A deploy whose journal was not written any more for a while before it was killed.
struct Behind {
    project: Project,
    insights: CodeInsights,
    bitbucket: Bitbucket,
    step: Step,
}

impl Behind {
    /// Each of these is made after the one before. By the journal the first one is in flight and the
    /// others are planned; by the log the last one is in flight and the others are made.
    fn with(program: Program, kind: Kind, names: &[&str]) -> Self {
        let mut objects = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| names[before]);
            let before = before.map(|before| format!("\n  depends_on = [slow_object.{before}]"));
            let gate = format!("create_gate = \"GATES/{name}.gate\"");
            objects.push(object(name, &(gate + &before.unwrap_or_default())));
        }
        let (first, last) = (names[0], names[names.len() - 1]);
        let behind = Self {
            project: world_of(program, kind, &objects),
            insights: CodeInsights::start(),
            bitbucket: Bitbucket::start(),
            step: Step::of_a_new_pipeline(),
        };
        let Self {
            project,
            insights,
            bitbucket,
            step,
        } = &behind;
        let printed = project.scratch().join("printed");
        let run = deploy(project, step, insights)
            .start_with_stdout(printed.clone(), File::create(&printed).unwrap());
        project.gate(&format!("{first}.gate")).wait_until_reached();
        until("the journal says what is in flight", || {
            behind.kept(first) == Some(("in_flight".to_owned(), None))
        });
        insights.fail_always(Some(InsightsFault::TooManyRequests(None)));
        for name in &names[..names.len() - 1] {
            project.gate(&format!("{name}.gate")).open();
        }
        let gate = project.gate(&format!("{last}.gate"));
        gate.wait_until_reached();
        run.wait_for_stdout(&format!("slow_object.{last}: Creating"));
        run.kill_all();
        insights.fail_always(None);
        gate.forget();
        step.is_answered(bitbucket, [Answer::Completed("STOPPED")]);
        let log = format!("+ softstop\n{}", fs::read_to_string(&printed).unwrap());
        step.has_logged(bitbucket, &log);
        behind
    }

    /// How far an object is by the journal, and its id there.
    fn kept(&self, name: &str) -> Option<(String, Option<String>)> {
        let journal = self.insights.journal(self.step.commit());
        journal.get(&format!("slow_object.{name}")).cloned()
    }

    /// Somebody of another pipeline, on the same commit, who can read the log.
    fn then(&self, softstop: Softstop) -> Softstop {
        softstop
            .in_step(&Step::of_a_new_pipeline().on_commit(self.step.commit()))
            .env("JOURNAL", self.insights.proxy())
            .asking(&self.bitbucket)
    }

    fn import(&self) -> Finished {
        self.then(Softstop::deploy(&self.project))
            .env("ON_UNFINISHED", "import")
            .finish()
    }

    /// Whether nothing is left to be changed.
    fn expect_done(&self) {
        let plan = ["plan", "-input=false", "-detailed-exitcode"];
        let plan = self.project.terraform(&plan).output().unwrap();
        assert_eq!(plan.status.code(), Some(0), "{plan:?}");
    }
}

/// By a release and by the next deploy.
#[test]
fn what_was_printed_before_a_kill_and_is_not_in_the_journal_yet_comes_back_by_the_log() {
    let rows = [
        (Program::Terraform, Kind::HttpStrict, false),
        (Program::OpenTofu, Kind::S3Lockfile, true),
    ];
    each(&rows, |(program, kind, releases_before)| {
        let behind = Behind::with(program, kind, &["a", "b"]);
        let project = &behind.project;
        assert_eq!(behind.kept("a"), Some(("in_flight".to_owned(), None)));
        let id = id_of(project, "a");
        let expect_told = |finished: &Finished| {
            finished.expect_code(0).expect_said(&format!(
                "Complete and NOT in the state: slow_object.a (id {id})"
            ));
        };
        if releases_before {
            expect_told(&behind.then(Softstop::release(project)).finish());
            let complete = Some(("complete".to_owned(), Some(id.clone())));
            assert_eq!(behind.kept("a"), complete);
        }
        project.gate("b.gate").open();
        let deployed = behind.import();
        expect_told(&deployed);
        assert_eq!(in_the_world(project, "a"), [id.as_str()], "{deployed}");
        behind.expect_done();
    });
}

#[test]
fn what_was_begun_and_made_where_the_journal_has_it_as_planned_is_in_doubt_and_stops_one_deploy() {
    let rows = [
        (Program::Terraform, Kind::HttpStrict, true),
        (Program::OpenTofu, Kind::S3Lockfile, false),
    ];
    each(&rows, |(program, kind, releases_before)| {
        let behind = Behind::with(program, kind, &["a", "b", "c"]);
        let project = &behind.project;
        let planned = Some(("not_begun".to_owned(), None));
        assert_eq!(
            (behind.kept("b"), behind.kept("c")),
            (planned.clone(), planned)
        );
        let (a, b) = (id_of(project, "a"), id_of(project, "b"));
        let in_doubt = format!("In doubt: slow_object.b (id {b})");
        if releases_before {
            let released = behind.then(Softstop::release(project)).finish();
            released
                .expect_code(0)
                .expect_said(&format!(
                    "Complete and NOT in the state: slow_object.a (id {a})"
                ))
                .expect_said(&in_doubt)
                .expect_said("In flight: slow_object.c (not in the state)")
                .expect_said("Only the log of its step tells of slow_object.b, slow_object.c");
            let kept = Some(("in_doubt".to_owned(), Some(b.clone())));
            assert_eq!(behind.kept("b"), kept);
        }
        project.gate("c.gate").open();
        let stopped = behind.import();
        stopped
            .expect_code(5)
            .expect_said(&in_doubt)
            .expect_said("Nothing is imported, because a log");
        assert_eq!(in_the_world(project, "b"), [b.as_str()], "{stopped}");
        let deployed = behind.import();
        deployed.expect_code(0).expect_said(&in_doubt);
        assert_eq!(in_the_world(project, "a"), [a.as_str()], "{deployed}");
        assert_eq!(in_the_world(project, "b").len(), 2, "{deployed}");
        behind.expect_done();
    });
}
