//! What Bitbucket's answers and the pipelines file prove of a holder, and what they do not.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::pipelines::PIPELINES_FILE;
use crate::support::{Answer, Bitbucket, Kind, Project, Softstop, Step, each};

/// After so long Bitbucket is asked anew.
const ANSWER_IS_OLD: Duration = Duration::from_millis(1600);

#[test]
fn a_completed_step_without_a_time_that_can_be_read_leaves_the_lock() {
    let rows = [
        (
            r#""completed_on": "2020-01-01T00:00:00Z","#,
            "it was taken after its step had ended",
        ),
        (r#""completed_on": null,"#, "no `completed_on`"),
        (r#""completed_on": "yesterday","#, "no `completed_on`"),
        ("", "no `completed_on` that can be read"),
    ];
    each(&rows, |(completed_on, words)| {
        let answer =
            format!(r#"{{{completed_on} "run_number": 1, "state": {{"name": "COMPLETED"}}}}"#);
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Raw(200, answer)]);
        let project = Project::orphaned(Kind::HttpLax, &step);
        let lock = project.store.lock_id();
        let finished = Softstop::release(&project).asking(&bitbucket).finish();
        finished.expect_code(3).expect_said(words);
        assert_eq!(project.store.lock_id(), lock, "{finished}");
    });
}

#[test]
fn an_answer_that_cannot_be_used_keeps_the_lock_although_the_pipeline_has_moved_on() {
    let rows = [
        (
            r#"{"uuid": "{99999999-9999-4999-8999-999999999999}", "state": {"name": "COMPLETED"}}"#,
            "answered about another",
        ),
        (r#"{"state": {}}"#, "does not say in which state"),
        (r#"{"state": "COMPLETED"}"#, "does not say in which state"),
        ("not JSON", "not JSON"),
        (
            r#"{"state": {"name": "COMPLETED", "type": "pipeline_step_state_in_progress"}}"#,
            "contradicts itself",
        ),
    ];
    each(&rows, |(answer, words)| {
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Raw(200, answer.to_owned())]);
        let project = Project::orphaned(Kind::HttpLax, &step);
        let lock = project.store.lock_id();
        let finished = Softstop::release(&project)
            .in_step(&step.sibling())
            .asking(&bitbucket)
            .finish();
        finished.expect_code(4).expect_said(words);
        assert_eq!(project.store.lock_id(), lock, "{finished}");
    });
}

#[test]
fn silence_of_bitbucket_leaves_it_to_the_pipeline_that_has_moved_on() {
    let answers = [
        Answer::Status(401),
        Answer::Status(403),
        Answer::Status(404),
        Answer::Status(500),
        Answer::RetryAfter(60),
        Answer::Cut,
    ];
    let indices: Vec<usize> = (0..answers.len()).collect();
    each(&indices, |index| {
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [answers[index].clone()]);
        let project = Project::orphaned(Kind::HttpLax, &step);
        let finished = Softstop::release(&project)
            .in_step(&step.sibling())
            .asking(&bitbucket)
            .finish();
        finished
            .expect_code(0)
            .expect_said("the pipeline has moved on (Bitbucket could not tell: ");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn silence_after_a_word_of_bitbucket_keeps_the_lock_although_the_pipeline_has_moved_on() {
    let unusable = || Answer::Raw(200, r#"{"state": {}}"#.to_owned());
    let rows = [
        (unusable(), Answer::Status(500), 4),
        (unusable(), Answer::Status(401), 4),
        (unusable(), Answer::Cut, 4),
        (Answer::InProgress, Answer::Status(500), 0),
        (Answer::InProgress, Answer::Status(404), 0),
    ];
    let indices: Vec<usize> = (0..rows.len()).collect();
    each(&indices, |index| {
        let (word, silence, code) = rows[index].clone();
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [word, silence]);
        let project = Project::orphaned(Kind::HttpLax, &step);
        let lock = project.store.lock_id();
        let longer_way = project.store.another_way().unwrap();
        longer_way.hold("GET ");
        let run = Softstop::release(&project)
            .in_step(&step.sibling())
            .asking(&bitbucket)
            .env("WORKING_DIR_COUNT", "2")
            .env("WORKING_DIR_0", &project.directory)
            .env("WORKING_DIR_1", project.clone_through(Some(&longer_way)))
            .env("SOFTSTOP_DEBUG", "true")
            .start();
        run.wait_for_stderr("  Bitbucket: ");
        thread::sleep(ANSWER_IS_OLD);
        longer_way.let_go();
        let finished = run.finish();
        finished.expect_code(code);
        assert!(bitbucket.requests() > 1, "{finished}");
        assert_eq!(project.store.lock_id(), lock, "{finished}");
    });
}

#[test]
fn a_lock_of_a_later_run_is_left_alone() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step.run_again());
    let lock = project.store.lock_id();
    for asker in [step.clone(), step.sibling()] {
        let finished = Softstop::release(&project).in_step(&asker).finish();
        finished.expect_code(3).expect_said("in a later run");
        assert_eq!(project.store.lock_id(), lock, "{finished}");
    }
}

#[test]
fn a_lock_that_a_sibling_takes_since_a_release_began_is_not_left_behind() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let mut lock: Value = serde_json::from_str(&project.store.lock().unwrap()).unwrap();
    lock["Created"] = "2999-11-22T21:56:25.422332792Z".into();
    project.store.set_lock(&lock);
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .finish();
    finished
        .expect_code(3)
        .expect_said("nothing says that it was taken before this run began");
    assert_eq!(
        project.store.lock_id(),
        lock["ID"].as_str().map(str::to_owned)
    );
}

#[test]
fn without_a_pipelines_file_that_shows_it_only_bitbucket_proves_that_a_sibling_is_over() {
    let beside = PIPELINES_FILE.replace(
        "- final:",
        "- parallel: [step: {script: [softstop release]}]\n    - final:",
    );
    let hidden = PIPELINES_FILE.replace("{MODE: \"release\"}", "{MODE: \"status\"}");
    let by_hand = PIPELINES_FILE.replace(
        "- final:",
        "- step: {trigger: manual, script: [make]}\n    - final:",
    );
    let imported = format!("{PIPELINES_FILE}  custom:\n    other: {{import: shared@main:other}}\n");
    let rows = [
        (Some(&*beside), "a release in a parallel group, in line 6"),
        (Some(&*hidden), "shows no release"),
        (Some(&*imported), "imports pipelines"),
        (Some(&*by_hand), "in line 6 that a person starts"),
        (Some("pipelines: ["), "no YAML that can be read"),
        (None, "cannot be read"),
    ];
    each(&rows, |(file, words)| {
        let step = Step::of_a_new_pipeline();
        let project = Project::orphaned(Kind::HttpLax, &step);
        let clone = project.scratch().join("clone");
        std::fs::create_dir(&clone).unwrap();
        if let Some(text) = file {
            std::fs::write(clone.join("bitbucket-pipelines.yml"), text).unwrap();
        }
        let release = || {
            Softstop::release(&project)
                .in_step(&step.sibling())
                .env("BITBUCKET_CLONE_DIR", &clone)
        };
        let lock = project.store.lock_id();
        let finished = release().finish();
        finished.expect_code(3).expect_said(words);
        assert_eq!(project.store.lock_id(), lock, "{finished}");

        let bitbucket = Bitbucket::start();
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let finished = release().asking(&bitbucket).finish();
        finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn without_a_clone_the_order_of_steps_proves_nothing() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpLax, &step);
    let lock = project.store.lock_id();
    let finished = Softstop::release(&project)
        .in_step(&step.sibling())
        .env("BITBUCKET_CLONE_DIR", "")
        .finish();
    finished.expect_code(3).expect_said("BITBUCKET_CLONE_DIR");
    assert_eq!(project.store.lock_id(), lock, "{finished}");
}
