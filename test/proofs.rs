//! What Bitbucket's answers and the pipelines file prove of a holder, and what they do not.

use crate::support::{Answer, Bitbucket, Kind, Project, Softstop, Step, each};

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
