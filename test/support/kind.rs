//! Which backends there are, and which programs deploy to them.

use super::prepared;

/// The backends that can be had for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    HttpStrict,
    HttpLax,
    S3Lockfile,
    S3DynamoDb,
    S3Both,
    Gcs,
    Azurerm,
    Kubernetes,
    Postgres,
    Local,
}

/// What deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Terraform,
    OpenTofu,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
        Self::Gcs,
        Self::Azurerm,
        Self::Kubernetes,
        Self::Postgres,
        Self::Local,
    ];

    /// Those of them where a lock outlives its holder.
    pub const LASTING: [Self; 8] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
        Self::Gcs,
        Self::Azurerm,
        Self::Kubernetes,
    ];

    /// Whether a lock outlives its holder.
    pub fn outlives_its_holder(self) -> bool {
        !matches!(self, Self::Postgres | Self::Local)
    }

    /// Whether `init` makes an empty state.
    pub fn has_a_state_from_init(self) -> bool {
        matches!(self, Self::Gcs | Self::Azurerm | Self::Kubernetes)
    }

    /// Whether one backend has a state for each workspace.
    pub fn has_workspaces(self) -> bool {
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
    pub const ALL: [Self; 2] = [Self::Terraform, Self::OpenTofu];

    /// How a script calls it: OpenTofu is not in PATH.
    pub fn command(self) -> String {
        match self {
            Self::Terraform => "terraform".to_owned(),
            Self::OpenTofu => self.path(),
        }
    }

    pub fn path(self) -> String {
        prepared(match self {
            Self::Terraform => "SOFTSTOP_TEST_TERRAFORM",
            Self::OpenTofu => "SOFTSTOP_TEST_TOFU",
        })
    }
}
