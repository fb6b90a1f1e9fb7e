//! What a hard stop has left behind is released with proof, and nothing else is.

use std::fs;

use crate::support::project::thing;
use crate::support::proxy::Proxy;
use crate::support::softstop::TOKEN;
use crate::support::{Answer, Bitbucket, Kind, Project, Run, Softstop, Step, each, lock_of};

/// The lock is still there, and it is still the one that was there.
#[track_caller]
fn expect_untouched(project: &Project, lock: Option<&String>, words: &dyn std::fmt::Display) {
    assert!(lock.is_some(), "there was a lock: {words}");
    assert_eq!(project.store.lock_id().as_ref(), lock, "{words}");
}

/// Starts a release, and returns while it waits for Bitbucket's answer.
fn release_and_judge(project: &Project, bitbucket: &Bitbucket, asker: &Step) -> (Run, Proxy) {
    let proxy = Proxy::to(bitbucket.address);
    proxy.hold("GET");
    let run = Softstop::release(project)
        .in_step(asker)
        .asking(bitbucket)
        .env("BITBUCKET_API_URL", format!("http://{}", proxy.address))
        .start();
    proxy.wait_until_held();
    (run, proxy)
}

#[test]
fn the_final_step_frees_what_a_hard_stop_has_left_and_the_next_deploy_finishes() {
    each(&Kind::ALL, |kind| {
        let project = Project::slow(kind);
        let step = Step::of_a_new_pipeline();
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_at(&project.gate("a.gate"));
        let finished = Softstop::release(&project)
            .in_step(&step.sibling())
            .finish();
        // A fresh clone does not have the state that lay beside the configuration.
        finished.expect_code(if kind == Kind::Local { 4 } else { 0 });
        assert_eq!(project.store.lock(), None, "{finished}");
        if kind.outlives_its_holder() {
            finished
                .expect_said("build 42 of acme/infra")
                .expect_said(&step.link())
                .expect_said("It was released: another step of this very pipeline took it")
                .expect_said("✔ Locks: 1 released.");
        }
        project.gate("a.gate").open();
        let next = Step::of_a_new_pipeline();
        Softstop::deploy(&project)
            .in_step(&next)
            .finish()
            .expect_code(0);
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn a_release_of_another_pipeline_frees_what_bitbucket_says_is_completed() {
    each(&Kind::LASTING, |kind| {
        let project = Project::slow(kind);
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        bitbucket.expect(&format!("Bearer {TOKEN}"));
        step.is_answered(
            &bitbucket,
            [Answer::Status(503), Answer::Completed("STOPPED")],
        );
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_at(&project.gate("a.gate"));
        let finished = Softstop::release(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .env("JOURNAL", "false")
            .finish();
        finished
            .expect_code(0)
            .expect_said("Bitbucket says that its step is COMPLETED (STOPPED)");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert_eq!(
            bitbucket.requests(),
            3,
            "twice about the step, and for its log"
        );
    });
}

#[test]
fn what_bitbucket_does_not_prove_is_left_alone_and_the_words_say_why() {
    let rows: [(Answer, i32, &str); 11] = [
        (Answer::InProgress, 0, "its step is IN_PROGRESS"),
        (Answer::Paused, 0, "its step is IN_PROGRESS, PAUSED"),
        (Answer::Pending, 0, "its step is PENDING"),
        (
            Answer::Named("DREAMING"),
            3,
            "\"DREAMING\", which softstop does not know",
        ),
        (Answer::Status(404), 3, "knows no step"),
        (Answer::Status(401), 4, "401"),
        (Answer::Status(403), 4, "read:pipeline:bitbucket"),
        (Answer::Status(500), 4, "500"),
        (Answer::Html, 4, "JSON"),
        (Answer::Cut, 4, "cannot be reached"),
        (Answer::Slow, 4, "no answer"),
    ];
    let indices: Vec<usize> = (0..rows.len()).collect();
    each(&indices, |index| {
        let (answer, code, words) = &rows[index];
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [answer.clone()]);
        let project = Project::orphaned(Kind::HttpLax, &step);
        let lock = project.store.lock_id();
        let finished = Softstop::release(&project)
            .in_step(&Step::of_a_new_pipeline())
            .asking(&bitbucket)
            .env("SOFTSTOP_DEBUG", "true")
            .finish();
        finished.expect_code(*code).expect_said(words);
        expect_untouched(&project, lock.as_ref(), &finished);
        assert!(!finished.stderr.contains(TOKEN), "{finished}");
    });
}

#[test]
fn without_a_token_another_pipelines_lock_is_left_alone() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let lock = project.store.lock_id();
    for asker in [Some(Step::of_a_new_pipeline()), None] {
        let mut softstop = Softstop::release(&project);
        if let Some(asker) = asker {
            softstop = softstop.in_step(&asker);
        }
        let finished = softstop.finish();
        finished
            .expect_code(3)
            .expect_said("there is no token to ask Bitbucket")
            .expect_said("release it by hand:\n  curl");
        expect_untouched(&project, lock.as_ref(), &finished);
    }
}

#[test]
fn a_backend_that_lacks_its_settings_is_not_called_free() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    project.write("backend.tf", "terraform {\n  backend \"s3\" {}\n}\n");
    for softstop in [Softstop::release(&project), Softstop::status(&project)] {
        let finished = softstop.finish();
        finished
            .expect_code(4)
            .expect_said("bucket, key, region missing");
    }
}

#[test]
fn a_step_among_parallel_ones_does_not_free_what_its_siblings_hold() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let lock = project.store.lock_id();
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .env("BITBUCKET_PARALLEL_STEP", "0")
        .env("BITBUCKET_PARALLEL_STEP_COUNT", "2")
        .finish();
    finished.expect_code(3);
    expect_untouched(&project, lock.as_ref(), &finished);
}

#[test]
fn a_lock_of_a_person_is_never_touched_in_any_mode() {
    each(&Kind::LASTING, |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let lock = project.be_locked_by("anna@macbook");
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let modes = [
            (Softstop::deploy(&project).script("touch ran"), 3),
            (Softstop::release(&project), 3),
            (Softstop::status(&project), 0),
        ];
        for (softstop, code) in modes {
            let finished = softstop.in_step(&step).asking(&bitbucket).finish();
            finished
                .expect_code(code)
                .expect_said(
                    "held by anna@macbook for OperationTypeApply since 2026-11-22T21:56:25Z",
                )
                .expect_said("is no build that softstop has signed for");
            expect_untouched(&project, lock.as_ref(), &finished);
        }
        assert!(!project.directory.join("ran").exists());
    });
}

#[test]
fn a_holder_that_finishes_while_it_is_judged_is_no_ones_to_release() {
    each(&Kind::LASTING, |kind| {
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let project = Project::orphaned(kind, &step);
        let (run, proxy) = release_and_judge(&project, &bitbucket, &Step::of_a_new_pipeline());
        project.store.remove_lock();
        proxy.let_go();
        let finished = run.finish();
        finished
            .expect_code(0)
            .expect_said("is gone or has changed")
            .expect_said("✔ Locks: 1 free.");
    });
}

#[test]
fn a_holder_that_comes_while_another_one_is_judged_is_judged_anew() {
    each(&Kind::LASTING, |kind| {
        let (step, next, bitbucket) = (
            Step::of_a_new_pipeline(),
            Step::of_a_new_pipeline(),
            Bitbucket::start(),
        );
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        next.is_answered(&bitbucket, [Answer::InProgress]);
        let project = Project::orphaned(kind, &step);
        let (run, proxy) = release_and_judge(&project, &bitbucket, &Step::of_a_new_pipeline());
        let lock = project.be_locked_by(&format!("{}@vm", next.stamp()));
        proxy.let_go();
        let finished = run.finish();
        finished
            .expect_code(0)
            .expect_said("is gone or has changed")
            .expect_said("Bitbucket says that its step is IN_PROGRESS");
        expect_untouched(&project, lock.as_ref(), &finished);
    });
}

#[test]
fn a_look_that_comes_while_a_holder_is_judged_is_waited_for() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
    let project = Project::orphaned(Kind::HttpLax, &step);
    let asker = Step::of_a_new_pipeline();
    let (run, proxy) = release_and_judge(&project, &bitbucket, &asker);
    // A sibling, which would be taken for over, has freed the lock and looks again.
    let mut look = lock_of(&format!("{}@vm", asker.sibling().stamp()));
    look["Operation"] = "softstop-look".into();
    project.store.set_lock(&look);
    proxy.let_go();
    run.wait_for_stderr("is gone or has changed");
    project.store.remove_lock();
    run.finish().expect_code(0).expect_said("✔ Locks: 1 free.");
}

#[test]
fn three_directories_are_looked_after_although_one_cannot_be_reached() {
    let step = Step::of_a_new_pipeline();
    let kinds = [Kind::HttpStrict, Kind::S3Lockfile, Kind::S3DynamoDb];
    let projects = kinds.map(|kind| Project::orphaned(kind, &step));
    let address = projects[1]
        .store
        .proxy
        .as_ref()
        .unwrap()
        .address
        .to_string();
    let block = projects[1].store.block().replace(&address, "127.0.0.1:9");
    projects[1].write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let clones = projects.each_ref().map(Project::clone_files);
    let told = projects[0].scratch().join("told");
    let after = format!(
        "echo \"$PWD $SOFTSTOP_OUTCOME $SOFTSTOP_EXIT_CODE $SOFTSTOP_LOCK\" >> {}",
        told.display()
    );
    let release = || {
        let mut softstop = Softstop::release(&projects[0])
            .in_step(&step.sibling())
            .env("AFTER_SCRIPT", &after)
            .env("WORKING_DIR_COUNT", "3");
        for (index, clone) in clones.iter().enumerate() {
            softstop = softstop.env(&format!("WORKING_DIR_{index}"), clone);
        }
        softstop.finish()
    };
    let finished = release();
    finished
        .expect_code(4)
        .expect_said(&format!(
            "{}: Whether the lock is free",
            clones[1].display()
        ))
        .expect_said("✖ Locks: 2 released, 1 could not be asked about (exit code 4).");
    assert_eq!(projects[0].store.lock(), None, "{finished}");
    assert_eq!(projects[2].store.lock(), None, "{finished}");
    assert!(projects[1].store.lock().is_some(), "{finished}");
    let expected = format!(
        "{} killed 137 released\n{} killed 137 released\n",
        clones[0].display(),
        clones[2].display()
    );
    assert_eq!(fs::read_to_string(&told).unwrap(), expected);

    // Once more: nothing is left to do, and no cleanup is repeated.
    release()
        .expect_code(4)
        .expect_said("2 free, 1 could not be asked about");
    assert_eq!(fs::read_to_string(&told).unwrap(), expected);
}

#[test]
fn a_look_that_was_killed_while_it_held_the_lock_is_as_recoverable_as_a_deploy() {
    each(&[Kind::HttpStrict, Kind::HttpLax], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let step = Step::of_a_new_pipeline();
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold("UNLOCK");
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_while_held(proxy);
        assert!(project.store.lock().unwrap().contains("softstop-look"));
        let finished = Softstop::release(&project)
            .in_step(&step.sibling())
            .finish();
        finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn a_look_of_somebody_else_is_waited_for_and_not_taken_for_a_holder() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.hold("UNLOCK");
    let first = Softstop::release(&project).start();
    proxy.wait_until_held();
    // The second one asks the server past the proxy.
    let address = project.store.http.as_ref().unwrap().address.to_string();
    let block = project
        .store
        .block()
        .replace(&proxy.address.to_string(), &address);
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    let watched = project.store.http.as_ref().unwrap();
    let (sender, refused) = std::sync::mpsc::channel();
    watched.watch(move |method, _| {
        // Nobody listens any more once the test has seen enough.
        let _ = sender.send(method.to_owned());
    });
    let second = Softstop::release(&project).start();
    // It reads first, and is refused when it then takes the lock to look.
    assert!(refused.iter().any(|method| method == "LOCK"));
    proxy.let_go();
    for run in [first, second] {
        run.finish().expect_code(0).expect_said("✔ Locks: 1 free.");
    }
}

#[test]
fn an_after_script_frees_what_was_killed_in_its_own_container() {
    each(&Kind::LASTING, |kind| {
        let project = Project::slow(kind);
        let step = Step::of_a_new_pipeline();
        let deploy = Softstop::deploy(&project).in_step(&step);
        let host = deploy.host().to_owned();
        deploy.start().kill_all_at(&project.gate("a.gate"));
        let elsewhere = Softstop::release(&project).in_step(&step).finish();
        elsewhere
            .expect_code(3)
            .expect_said("this very run of the step has taken it, elsewhere");
        assert!(project.store.lock().is_some(), "{elsewhere}");
        let finished = Softstop::release_on(&project, &host)
            .in_step(&step)
            .finish();
        finished
            .expect_code(0)
            .expect_said("no deploy that could have signed it is left here");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}
