//! The owner stamp: which step of which build holds a lock.
//!
//! Terraform writes `user@host` into every lock. softstop makes the user name of a build carry
//! `workspace/repository#build/pipeline/step/run`, so that the lock itself says whose it is.

use std::fmt;

use uuid::Uuid;

use super::info::LockInfo;

/// One run of one step of a build in Bitbucket Pipelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    workspace: String,
    repository: String,
    build: u64,
    pipeline: Uuid,
    step: Uuid,
    run: u32,
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
        })
    }

    /// Reads a stamp, and nothing that only resembles one: there is one way to write each owner.
    pub(crate) fn parse(stamp: &str) -> Option<Self> {
        let (repository, build) = stamp.split_once('#')?;
        let (workspace, repository) = repository.split_once('/')?;
        let [build, pipeline, step, run]: [&str; 4] =
            build.split('/').collect::<Vec<_>>().try_into().ok()?;
        let owner = Self::new(
            workspace,
            repository,
            build.parse().ok()?,
            Uuid::try_parse(pipeline).ok()?,
            Uuid::try_parse(step).ok()?,
            run.parse().ok()?,
        )?;
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

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}#{}/{}/{}/{}",
            self.workspace, self.repository, self.build, self.pipeline, self.step, self.run
        )
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
        write!(formatter, " on {}", self.host)
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
        ) -> Owner {
            let (pipeline, step) = (Uuid::from_u128(pipeline), Uuid::from_u128(step));
            Owner::new(&workspace, &repository, build, pipeline, step, run).unwrap()
        }
    }

    proptest! {
        #[test]
        fn every_owner_is_read_back_from_its_stamp(owner in any_owner(), host in "[a-z0-9.-]{1,63}") {
            let lock = held_by(&format!("{owner}@{host}"));
            prop_assert_eq!(Holder::of(&lock), Some(Holder { owner, host }));
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
            prop_assert_eq!(Owner::parse(&tampered) == Some(owner), tampered == stamp);
        }
    }
}
