//! Which backends there are, and which programs deploy to them.

use super::prepared;

/// The backends that can be had for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    HttpStrict,
    HttpLax,
    S3Lockfile,
    S3DynamoDb,
    S3Both,
    Gcs,
    Kubernetes,
    Postgres,
    Local,
}

/// What deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Terraform,
    OpenTofu,
}

impl Kind {
    /// Those over which a test goes that is about every way of taking a lock.
    pub(crate) const ALL: [Self; 7] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
        Self::Postgres,
        Self::Local,
    ];

    /// Those of them where a lock outlives its holder.
    pub(crate) const LASTING: [Self; 5] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
    ];

    /// All that there are.
    pub(crate) const REAL: [Self; 9] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
        Self::Gcs,
        Self::Kubernetes,
        Self::Postgres,
        Self::Local,
    ];

    /// Whether a lock outlives its holder.
    pub(crate) fn outlives_its_holder(self) -> bool {
        !matches!(self, Self::Postgres | Self::Local)
    }

    /// Whether `init` makes an empty state.
    pub(crate) fn has_a_state_from_init(self) -> bool {
        matches!(self, Self::Gcs | Self::Kubernetes)
    }

    /// Whether one backend has a state for each workspace.
    pub(crate) fn has_workspaces(self) -> bool {
        !matches!(self, Self::HttpStrict | Self::HttpLax)
    }

    pub(super) fn has_lockfile(self) -> bool {
        matches!(self, Self::S3Lockfile | Self::S3Both)
    }

    pub(super) fn has_table(self) -> bool {
        matches!(self, Self::S3DynamoDb | Self::S3Both)
    }
}

impl Program {
    pub(crate) const ALL: [Self; 2] = [Self::Terraform, Self::OpenTofu];

    /// How a script calls it: OpenTofu is not in PATH.
    pub(crate) fn command(self) -> String {
        match self {
            Self::Terraform => "terraform".to_owned(),
            Self::OpenTofu => self.path(),
        }
    }

    pub(crate) fn path(self) -> String {
        prepared(match self {
            Self::Terraform => "SOFTSTOP_TEST_TERRAFORM",
            Self::OpenTofu => "SOFTSTOP_TEST_TOFU",
        })
    }
}
