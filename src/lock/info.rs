//! What a lock says of itself, whichever tool has taken it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::Holder;

/// A lock, as far as it says anything of itself.
///
/// Every text but the ID may be empty, where a tool has no such thing or a foreign server leaves it
/// out; one that is missing never matches anything, so it can only lead to a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockInfo {
    /// What tells this lock from the next one at the same place.
    pub(crate) id: String,
    pub(crate) who: String,
    pub(crate) created: Option<Timestamp>,
    pub(crate) version: String,
    pub(crate) operation: String,
    /// Whether a look of softstop's holds it, which takes it for an instant.
    pub(crate) is_of_a_look: bool,
    /// What else stands in it, by the tool's own words.
    pub(crate) more: BTreeMap<&'static str, String>,
}

impl fmt::Display for LockInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |text: &str| match text {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        let holder = Holder::of(self);
        let name = holder
            .as_ref()
            .map_or_else(|| or_unknown(&self.who), Holder::to_string);
        write!(
            formatter,
            "lock {}, held by {name} for {} since {}",
            self.id,
            or_unknown(&self.operation),
            self.created
                .map_or("an unknown time".to_owned(), |created| format!(
                    "{created:.0}"
                )),
        )?;
        match holder {
            Some(Holder { owner, .. }) => write!(formatter, " ({})", owner.link()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::STAMP;
    use super::*;

    #[test]
    fn a_lock_that_says_little_is_still_described() {
        let lock = LockInfo {
            id: "7".to_owned(),
            ..LockInfo::default()
        };
        assert_eq!(
            lock.to_string(),
            "lock 7, held by unknown for unknown since an unknown time"
        );
    }

    #[test]
    fn a_lock_of_a_build_is_described_by_its_build_with_a_link() {
        let lock = LockInfo {
            id: "7".to_owned(),
            operation: "OperationTypeApply".to_owned(),
            who: format!("{STAMP}@d5c1f0a2b3c4"),
            created: Some("2026-11-23T00:09:13.153341218Z".parse().unwrap()),
            ..LockInfo::default()
        };
        assert_eq!(
            lock.to_string(),
            "lock 7, held by build 42 of acme/infra on d5c1f0a2b3c4 for OperationTypeApply since \
             2026-11-23T00:09:13Z (https://bitbucket.org/acme/infra/pipelines/results/42/steps/\
             %7B22222222-2222-4222-8222-222222222222%7D)"
        );
    }
}
