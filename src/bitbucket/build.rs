//! Which step of which build this is, by the variables of Bitbucket Pipelines.

use std::env;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use uuid::Uuid;

use crate::lock::Owner;

/// The variable that names the step.
pub(crate) const STEP_UUID: &str = "BITBUCKET_STEP_UUID";
/// The variable that says which run of the step this is.
pub(crate) const STEP_RUN_NUMBER: &str = "BITBUCKET_STEP_RUN_NUMBER";

/// The step that runs softstop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) owner: Owner,
    /// The commit that it is about, in full where Bitbucket tells that.
    pub(crate) commit: Option<String>,
    /// Whether other steps of the pipeline run beside it.
    pub(crate) is_parallel: bool,
    /// Where the clone of the repository is.
    pub(crate) clone: Option<PathBuf>,
    /// The sections of the pipelines file in which the pipeline can be.
    pub(crate) sections: &'static [&'static str],
}

/// A custom pipeline can be started for anything, and no variable names it.
const OF_A_PULL_REQUEST: &[&str] = &["pull-requests", "custom"];
const OF_A_TAG: &[&str] = &["tags", "custom"];
const OF_A_BRANCH: &[&str] = &["default", "branches", "bookmarks", "custom"];

impl Build {
    /// Nothing outside of Pipelines; the variable that is missing or bad where the step cannot be
    /// named.
    pub(crate) fn from_environment() -> Result<Option<Self>, &'static str> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, &'static str> {
        let given = |name: &'static str| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let required = |name: &'static str| given(name).ok_or(name);
        if given("BITBUCKET_BUILD_NUMBER").is_none() && given("BITBUCKET_PIPELINE_UUID").is_none() {
            return Ok(None);
        }
        let uuid =
            |name: &'static str| Uuid::try_parse(&required(name)?).map_err(|_not_a_uuid| name);
        let (build, run) = ("BITBUCKET_BUILD_NUMBER", STEP_RUN_NUMBER);
        let build: NonZeroU64 = required(build)?.parse().map_err(|_no_number| build)?;
        // Without it, a later run could not be told from an earlier one.
        let run: NonZeroU32 = required(run)?.parse().map_err(|_no_number| run)?;
        let owner = Owner::new(
            &required("BITBUCKET_WORKSPACE")?,
            &required("BITBUCKET_REPO_SLUG")?,
            build.get(),
            uuid("BITBUCKET_PIPELINE_UUID")?,
            uuid(STEP_UUID)?,
            run.get(),
        );
        let owner = owner.ok_or("BITBUCKET_WORKSPACE or BITBUCKET_REPO_SLUG")?;
        let given_commit = given("BITBUCKET_COMMIT").unwrap_or_default();
        let owner = owner.on_commit(&given_commit);
        Ok(Some(Self {
            commit: owner.commit().map(|_| given_commit),
            owner,
            is_parallel: given("BITBUCKET_PARALLEL_STEP").is_some()
                || given("BITBUCKET_PARALLEL_STEP_COUNT").is_some(),
            clone: given("BITBUCKET_CLONE_DIR").map(PathBuf::from),
            sections: if given("BITBUCKET_PR_ID").is_some() {
                OF_A_PULL_REQUEST
            } else if given("BITBUCKET_TAG").is_some() {
                OF_A_TAG
            } else {
                OF_A_BRANCH
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: [(&str, &str); 6] = [
        ("BITBUCKET_WORKSPACE", "acme"),
        ("BITBUCKET_REPO_SLUG", "infra"),
        ("BITBUCKET_BUILD_NUMBER", "42"),
        (
            "BITBUCKET_PIPELINE_UUID",
            "{11111111-1111-4111-8111-111111111111}",
        ),
        (
            "BITBUCKET_STEP_UUID",
            "{22222222-2222-4222-8222-222222222222}",
        ),
        ("BITBUCKET_STEP_RUN_NUMBER", "3"),
    ];

    /// The build by `VARIABLES`, one of which has another value, or one more.
    fn build_with(name: &str, value: &str) -> Result<Option<Build>, &'static str> {
        Build::from_variables(|asked| {
            if asked == name {
                return Some(value.to_owned());
            }
            let found = VARIABLES.iter().find(|(variable, _)| *variable == asked);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_of_pipelines_name_the_step() {
        let build = build_with("CI", "true").unwrap().unwrap();
        assert_eq!(
            build.owner.to_string(),
            "acme/infra#42/11111111-1111-4111-8111-111111111111/\
             22222222-2222-4222-8222-222222222222/3"
        );
        assert!(!build.is_parallel);
    }

    #[test]
    fn a_step_is_named_with_its_commit_where_that_is_told() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        for (commit, told) in [
            (full, true),
            (&full[..12], true),
            ("0123", false),
            ("", false),
        ] {
            let build = build_with("BITBUCKET_COMMIT", commit).unwrap().unwrap();
            assert_eq!(build.commit.as_deref(), told.then_some(commit));
            assert_eq!(build.owner.commit(), told.then_some(&full[..12]));
        }
    }

    #[test]
    fn uuids_may_come_without_braces_and_in_capitals() {
        let bare = "22222222-2222-4222-8222-22222222222A";
        let build = build_with("BITBUCKET_STEP_UUID", bare).unwrap().unwrap();
        assert_eq!(build.owner.step().to_string(), bare.to_lowercase());
    }

    #[test]
    fn a_step_among_others_knows_it() {
        for name in ["BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT"] {
            assert!(build_with(name, "0").unwrap().unwrap().is_parallel);
        }
    }

    #[test]
    fn what_started_the_pipeline_says_where_in_the_file_it_is() {
        for (name, section) in [
            ("BITBUCKET_PR_ID", "pull-requests"),
            ("BITBUCKET_TAG", "tags"),
            ("BITBUCKET_BRANCH", "branches"),
        ] {
            let build = build_with(name, "7").unwrap().unwrap();
            assert!(build.sections.contains(&section), "{name}");
            assert!(build.sections.contains(&"custom"), "{name}");
        }
    }

    #[test]
    fn outside_of_pipelines_there_is_no_build() {
        assert_eq!(Build::from_variables(|_| None), Ok(None));
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named() {
        for (name, value) in [
            ("BITBUCKET_WORKSPACE", ""),
            ("BITBUCKET_BUILD_NUMBER", "42nd"),
            ("BITBUCKET_STEP_UUID", "{2222}"),
            ("BITBUCKET_PIPELINE_UUID", ""),
            ("BITBUCKET_BUILD_NUMBER", "0"),
            ("BITBUCKET_STEP_RUN_NUMBER", ""),
            ("BITBUCKET_STEP_RUN_NUMBER", "0"),
            ("BITBUCKET_STEP_RUN_NUMBER", "99999999999"),
        ] {
            assert_eq!(build_with(name, value), Err(name));
        }
        assert!(build_with("BITBUCKET_WORKSPACE", "a:b\nc").is_err());
    }
}
