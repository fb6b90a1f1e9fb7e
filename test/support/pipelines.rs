//! What Bitbucket Pipelines tells a step about itself.

use uuid::Uuid;

use super::bitbucket::{Answer, Bitbucket};

/// A pipelines file whose `final:` step releases what the deploy may leave.
pub const PIPELINES_FILE: &str = r#"pipelines:
  default:
    - step:
        script:
          - pipe: docker://acme/softstop:1
    - final:
        script:
          - pipe: docker://acme/softstop:1
            variables: {MODE: "release"}
"#;

/// One run of one step.
#[derive(Clone)]
pub struct Step {
    build: u32,
    pipeline: Uuid,
    uuid: Uuid,
    run: u32,
    commit: String,
}

impl Step {
    /// The first step of a new pipeline.
    pub fn of_a_new_pipeline() -> Self {
        Self {
            build: 42,
            pipeline: Uuid::new_v4(),
            uuid: Uuid::new_v4(),
            run: 1,
            commit: a_commit(),
        }
    }

    /// Another step of the same pipeline.
    pub fn sibling(&self) -> Self {
        Self {
            uuid: Uuid::new_v4(),
            ..self.clone()
        }
    }

    /// The same step, run again.
    pub fn run_again(&self) -> Self {
        Self {
            run: self.run + 1,
            ..self.clone()
        }
    }

    /// The same step, on this commit.
    pub fn on_commit(&self, commit: &str) -> Self {
        Self {
            commit: commit.to_owned(),
            ..self.clone()
        }
    }

    /// The commit that it is about.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    pub fn variables(&self) -> [(&'static str, String); 8] {
        [
            ("CI", "true".to_owned()),
            ("BITBUCKET_WORKSPACE", "acme".to_owned()),
            ("BITBUCKET_REPO_SLUG", "infra".to_owned()),
            ("BITBUCKET_BUILD_NUMBER", self.build.to_string()),
            ("BITBUCKET_PIPELINE_UUID", format!("{{{}}}", self.pipeline)),
            ("BITBUCKET_STEP_UUID", format!("{{{}}}", self.uuid)),
            ("BITBUCKET_STEP_RUN_NUMBER", self.run.to_string()),
            ("BITBUCKET_COMMIT", self.commit.clone()),
        ]
    }

    /// The user name that a lock of this step carries.
    pub fn stamp(&self) -> String {
        format!(
            "acme/infra#{}/{}/{}/{}/{}",
            self.build,
            self.pipeline,
            self.uuid,
            self.run,
            &self.commit[..12]
        )
    }

    /// Where a person reads what the step did.
    pub fn link(&self) -> String {
        format!(
            "https://bitbucket.org/acme/infra/pipelines/results/{}/steps/%7B{}%7D",
            self.build, self.uuid
        )
    }

    /// Lets Bitbucket have this as the log of this step.
    pub fn has_logged(&self, bitbucket: &Bitbucket, log: &str) {
        let (pipeline, step) = (self.pipeline.to_string(), self.uuid.to_string());
        bitbucket.set_log("acme", "infra", &pipeline, &step, log.as_bytes(), 1);
    }

    /// Lets Bitbucket answer so about this step, as of a run that ends in the far future.
    pub fn is_answered(&self, bitbucket: &Bitbucket, answers: impl IntoIterator<Item = Answer>) {
        let (pipeline, step) = (self.pipeline.to_string(), self.uuid.to_string());
        bitbucket.set_step("acme", "infra", &pipeline, &step, answers);
        bitbucket.set_run(Some(self.run), Some("2099-01-01T00:00:00.123456Z"));
    }
}

/// A commit that nobody has made.
fn a_commit() -> String {
    let digits = Uuid::new_v4().simple().to_string();
    format!("{digits}{}", &digits[..8])
}
