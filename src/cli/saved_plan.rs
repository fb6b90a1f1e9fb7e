//! A plan that is saved, looked at by people, and applied later.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::options::Target;
use super::planning::Planning;
use crate::pipe::variables;

/// The plan where none is named.
const DEFAULT: &str = "softstop.tfplan";

/// What a saved plan is to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SavedPlan {
    /// It is no matter, or is to be made.
    Unread,
    /// Where it is named, it is there, and is what is deployed.
    Deployed,
    /// Where it is there, its state is the one that is meant: the step that makes it may have been
    /// stopped before.
    LookedAfter,
}

impl SavedPlan {
    /// The file whose state is meant in this directory.
    pub(super) fn file(self, target: &Target, directory: &Path) -> Result<Option<PathBuf>, String> {
        let named = match self {
            Self::Unread => None,
            Self::Deployed | Self::LookedAfter => target.plan_file(directory),
        };
        match named {
            Some(file) if !may_be_there(&file) && self == Self::Deployed => Err(format!(
                "PLAN_FILE is \"{}\": there is no such file; the step that makes it passes it on by \
                 `artifacts:`",
                file.display()
            )),
            named => Ok(named.filter(|file| may_be_there(file))),
        }
    }
}

/// Whether a file is there, or lies where we are not let in, which whoever reads it has to say.
fn may_be_there(file: &Path) -> bool {
    match fs::metadata(file) {
        Ok(found) => found.is_file(),
        Err(problem) => problem.kind() == ErrorKind::PermissionDenied,
    }
}

impl Target {
    /// The plan that is named, as seen from this directory.
    pub(super) fn plan_file(&self, directory: &Path) -> Option<PathBuf> {
        let named = variables::given(self.plan_file.clone())?;
        Some(directory.join(named))
    }

    /// The plan that is to be made in this directory.
    pub(super) fn plan_to_make(&self, directory: &Path) -> PathBuf {
        let named = self.plan_file(directory);
        named.unwrap_or_else(|| directory.join(DEFAULT))
    }

    /// A plan has to be told by a name that is softstop's own, where it decides what is deployed.
    pub(super) fn expect_plan_file(&self, planning: &mut Planning<'_>) {
        planning.expect(self.plan_file.as_ref(), "PLAN_FILE", "--plan-file");
    }
}
