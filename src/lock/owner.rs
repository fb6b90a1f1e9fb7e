//! The owner stamp: which step of which build holds a lock.
//!
//! Terraform writes `user@host` into every lock. softstop makes the user name of a build carry
//! `workspace/repository#build/pipeline/step/run/commit`, so that the lock itself says whose it is,
//! and where to read about it. Stamps of earlier versions have no commit.

use std::fmt;

use uuid::Uuid;

use super::info::LockInfo;
use crate::printable::one_line;

/// How many hexadecimal digits of a commit a stamp has: so many Bitbucket gives of one everywhere.
const DIGITS: usize = 12;

/// One run of one step of a build in Bitbucket Pipelines.
#[derive(Clone, Debug, Eq)]
pub(crate) struct Owner {
    workspace: String,
    repository: String,
    build: u64,
    pipeline: Uuid,
    step: Uuid,
    run: u32,
    /// The begin of the commit, where it is told. It says where to read about the run, not which one
    /// it is.
    commit: Option<String>,
}

/// Who holds a lock, by what the lock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) owner: Owner,
    /// Where it runs: for a container, usually its id.
    pub(crate) host: String,
}

impl Owner {
    /// Nothing where one of the parts could not be read back from a stamp.
    pub(crate) fn new(
        workspace: &str,
        repository: &str,
        build: u64,
        pipeline: Uuid,
        step: Uuid,
        run: u32,
    ) -> Option<Self> {
        let is_complete = is_slug(workspace)
            && is_slug(repository)
            && build > 0
            && run > 0
            && !pipeline.is_nil()
            && !step.is_nil();
        is_complete.then(|| Self {
            workspace: workspace.to_owned(),
            repository: repository.to_owned(),
            build,
            pipeline,
            step,
            run,
            commit: None,
        })
    }

    /// The same run, of which it is told on which commit it is. What is no commit tells nothing.
    pub(crate) fn on_commit(self, commit: &str) -> Self {
        let is_commit = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let begin = commit.get(..DIGITS).filter(|_| is_commit);
        Self {
            commit: begin.map(str::to_ascii_lowercase),
            ..self
        }
    }

    /// Reads a stamp, and nothing that only resembles one: there is one way to write each owner.
    pub(crate) fn parse(stamp: &str) -> Option<Self> {
        let (repository, build) = stamp.split_once('#')?;
        let (workspace, repository) = repository.split_once('/')?;
        let (build, pipeline, step, run, commit) = match *build.split('/').collect::<Vec<_>>() {
            [build, pipeline, step, run] => (build, pipeline, step, run, None),
            [build, pipeline, step, run, commit] => (build, pipeline, step, run, Some(commit)),
            _ => return None,
        };
        let owner = Self::new(
            workspace,
            repository,
            build.parse().ok()?,
            Uuid::try_parse(pipeline).ok()?,
            Uuid::try_parse(step).ok()?,
            run.parse().ok()?,
        )?;
        let owner = match commit {
            Some(commit) => owner.on_commit(commit),
            None => owner,
        };
        (owner.to_string() == stamp).then_some(owner)
    }

    pub(crate) fn workspace(&self) -> &str {
        &self.workspace
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    pub(crate) fn build(&self) -> u64 {
        self.build
    }

    pub(crate) fn pipeline(&self) -> Uuid {
        self.pipeline
    }

    pub(crate) fn step(&self) -> Uuid {
        self.step
    }

    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// The begin of the commit, where it is told.
    pub(crate) fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// The run alone, in the form of a stamp: whatever is told of its commit, it is the same.
    pub(crate) fn name_of_run(&self) -> String {
        let nowhere = Self {
            commit: None,
            ..self.clone()
        };
        nowhere.to_string()
    }

    /// Whether both are steps of one pipeline.
    pub(crate) fn is_in_pipeline_of(&self, other: &Self) -> bool {
        self.workspace == other.workspace
            && self.repository == other.repository
            && self.build == other.build
            && self.pipeline == other.pipeline
    }

    /// Whether both are runs of one step.
    pub(crate) fn is_step_of(&self, other: &Self) -> bool {
        self.is_in_pipeline_of(other) && self.step == other.step
    }

    /// Where a person can read what the step did.
    pub(crate) fn link(&self) -> String {
        format!(
            "https://bitbucket.org/{}/{}/pipelines/results/{}/steps/%7B{}%7D",
            self.workspace, self.repository, self.build, self.step
        )
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        self.is_step_of(other) && self.run == other.run
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}#{}/{}/{}/{}",
            self.workspace, self.repository, self.build, self.pipeline, self.step, self.run
        )?;
        match &self.commit {
            Some(commit) => write!(formatter, "/{commit}"),
            None => Ok(()),
        }
    }
}

impl Holder {
    /// The build that `lock` names; nothing where it names none.
    pub(crate) fn of(lock: &LockInfo) -> Option<Self> {
        let (stamp, host) = lock.who.rsplit_once('@')?;
        Some(Self {
            owner: Owner::parse(stamp)?,
            host: host.to_owned(),
        })
    }

    /// The host as the id of a container, where it can be one.
    pub(crate) fn container(&self) -> Option<&str> {
        const SHORT_ID: usize = 12;
        const LONG_ID: usize = 64;
        let is_id = matches!(self.host.len(), SHORT_ID | LONG_ID)
            && self.host.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then_some(self.host.as_str())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner {
            workspace,
            repository,
            build,
            run,
            ..
        } = &self.owner;
        write!(formatter, "build {build} of {workspace}/{repository}")?;
        if *run > 1 {
            write!(formatter, ", run {run} of its step,")?;
        }
        write!(formatter, " on {}", one_line(&self.host))
    }
}

/// What Bitbucket allows in the id of a workspace or a repository; none of it needs quoting in a
/// stamp, in /etc/passwd or in a link.
fn is_slug(text: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(is_inside)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::lock) const STAMP: &str = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
        22222222-2222-4222-8222-222222222222/1";

    fn held_by(who: &str) -> LockInfo {
        LockInfo {
            who: who.to_owned(),
            ..LockInfo::default()
        }
    }

    #[test]
    fn a_stamp_names_the_step_and_the_host() {
        let holder = Holder::of(&held_by(&format!("{STAMP}@d5c1f0a2b3c4"))).unwrap();
        assert_eq!(holder.owner.workspace(), "acme");
        assert_eq!(holder.owner.repository(), "infra");
        assert_eq!(holder.owner.build(), 42);
        assert_eq!(holder.owner.run(), 1);
        assert_eq!(holder.container(), Some("d5c1f0a2b3c4"));
        assert_eq!(
            holder.owner.link(),
            "https://bitbucket.org/acme/infra/pipelines/results/42/steps/\
             %7B22222222-2222-4222-8222-222222222222%7D"
        );
    }

    #[test]
    fn nobody_passes_for_a_build_by_accident() {
        for stamp in [
            "",
            "root",
            "acme/infra#1",
            "acme/infra#1/1/2/3",
            "acme/infra#1/…",
            &STAMP.replace('#', "/"),
            &STAMP.replace("#42", "#042"),
            &STAMP.replace("#42", "#0"),
            &STAMP.replace("#42", "#+42"),
            &STAMP.replace("acme", ""),
            &STAMP.replace("acme", "-acme"),
            &STAMP.replace("acme", "a b"),
            &STAMP.replace("acme", "a/b"),
            &STAMP.replace("infra", "..%2f"),
            &STAMP.replace("11111111-", "{11111111-"),
            &STAMP.replace(
                "11111111-1111-4111-8111-111111111111",
                &Uuid::nil().to_string(),
            ),
            &STAMP.replace('-', ""),
            &STAMP.replace("4222", "4ABC"),
            &format!("{STAMP}1x"),
            &format!("{STAMP}/1"),
            &format!("{STAMP}/"),
            &format!("{STAMP}/0123456789ABCDEF"),
            &format!("{STAMP}/0123456789AB"),
            &format!("{STAMP}/0123456789a"),
            &format!("{STAMP}/0123456789abc"),
            &format!("{STAMP}/0123456789ag"),
            &format!("{STAMP}/0123456789ab/1"),
            &format!(" {STAMP}"),
            &format!("{STAMP}\n"),
            &STAMP[..STAMP.len() - 2],
        ] {
            assert_eq!(Owner::parse(stamp), None, "{stamp:?}");
            assert_eq!(
                Holder::of(&held_by(&format!("{stamp}@vm"))),
                None,
                "{stamp:?}"
            );
        }
        assert_eq!(Holder::of(&held_by(STAMP)), None, "there is no host");
    }

    #[test]
    fn the_commit_says_where_to_read_about_a_run_and_not_which_one_it_is() {
        const COMMIT: &str = "0123456789ABcdef0123456789abcdef01234567";
        let told = Owner::parse(&format!("{STAMP}/0123456789ab")).unwrap();
        let untold = Owner::parse(STAMP).unwrap();
        assert_eq!(told.commit(), Some("0123456789ab"));
        assert_eq!(untold.commit(), None);
        assert_eq!(told, untold);
        assert_eq!(told.name_of_run(), STAMP);
        for (commit, is_one) in [
            (COMMIT, true),
            (&COMMIT[..12], true),
            (&COMMIT[..11], false),
            ("", false),
            ("main, and more", false),
            ("0123456789ab\n", false),
            ("ééééééééé", false),
        ] {
            let owner = untold.clone().on_commit(commit);
            assert_eq!(owner.commit().is_some(), is_one, "{commit:?}");
            assert_eq!(owner.to_string() == told.to_string(), is_one, "{commit:?}");
        }
    }

    #[test]
    fn only_an_id_counts_as_a_container() {
        for host in [
            "vm",
            "runner-0",
            "d5c1f0a2b3c",
            "d5c1f0a2b3c4d",
            "../../x/json",
            "",
        ] {
            let holder = Holder::of(&held_by(&format!("{STAMP}@{host}"))).unwrap();
            assert_eq!(holder.container(), None, "{host}");
        }
    }

    prop_compose! {
        pub(in crate::lock) fn any_owner()(
            workspace in "[a-z0-9_][a-zA-Z0-9._-]{0,20}",
            repository in "[a-z0-9_][a-zA-Z0-9._-]{0,20}",
            build in 1_u64..,
            pipeline in 1_u128..,
            step in 1_u128..,
            run in 1_u32..,
            commit in "|[0-9a-f]{12}",
        ) -> Owner {
            let (pipeline, step) = (Uuid::from_u128(pipeline), Uuid::from_u128(step));
            let owner = Owner::new(&workspace, &repository, build, pipeline, step, run);
            owner.unwrap().on_commit(&commit)
        }
    }

    proptest! {
        #[test]
        fn every_owner_is_read_back_from_its_stamp(owner in any_owner(), host in "[a-z0-9.-]{1,63}") {
            let lock = held_by(&format!("{owner}@{host}"));
            let holder = Holder::of(&lock).unwrap();
            prop_assert_eq!(holder.owner.to_string(), owner.to_string());
            prop_assert_eq!(holder, Holder { owner, host });
        }

        #[test]
        fn a_stamp_fits_into_a_line_of_passwd(owner in any_owner()) {
            let stamp = owner.to_string();
            prop_assert!(!stamp.contains([':', '\n', '@', ' ']) && !stamp.starts_with(['+', '-', '#']));
        }

        #[test]
        fn what_is_no_stamp_is_never_read_as_one(text in "\\PC*") {
            if let Some(owner) = Owner::parse(&text) {
                prop_assert_eq!(owner.to_string(), text);
            }
        }

        #[test]
        fn a_stamp_that_was_tampered_with_is_another_one_or_none(
            owner in any_owner(), place in any::<prop::sample::Index>(), byte in 0_u8..128,
        ) {
            let stamp = owner.to_string();
            let mut bytes = stamp.clone().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let tampered = String::from_utf8(bytes).unwrap();
            let read = Owner::parse(&tampered).map(|owner| owner.to_string());
            prop_assert_eq!(read == Some(stamp.clone()), tampered == stamp);
            let is_same_run = tampered.starts_with(&owner.name_of_run());
            prop_assert!(is_same_run || Owner::parse(&tampered) != Some(owner));
        }
    }
}
