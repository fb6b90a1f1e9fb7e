//! Every backend whose locks softstop knows. A new one is a file, and its line here.
//!
//! Settings are those that Terraform 1.11 to 1.15 and OpenTofu document.

use std::ffi::OsStr;

use serde_json::{Map, Value};

use super::backend::Backend;
use super::known::Known;
use super::schema::Schema;
use super::strategy::Strategy;
use crate::environment::Environment;
use crate::tools::error::ToolError;

/// The workspace that is there from the beginning.
const DEFAULT_WORKSPACE: &str = "default";

/// Files, and what each of them knows.
macro_rules! backends {
    ($($file:ident::$known:ident,)+) => {
        $(mod $file;)+

        pub(super) const ALL: &[&Known] = &[$(&$file::$known),+];
    };
}

backends! {
    azurerm::AZURERM,
    consul::CONSUL,
    cos::COS,
    gcs::GCS,
    http::HTTP,
    kubernetes::KUBERNETES,
    local::LOCAL,
    oci::OCI,
    oss::OSS,
    pg::PG,
    s3::S3,
}

impl Known {
    /// None for a backend whose locks softstop leaves alone.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|known| known.schema.kind == kind)
    }
}

impl Schema {
    /// None for a backend whose locks softstop leaves alone.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        Known::of(kind).map(|known| &known.schema)
    }
}

impl Backend {
    /// How locks are read and released here, and what that guarantees.
    pub(super) fn strategy(&self) -> Result<Strategy, ToolError> {
        match self.known() {
            Some(known) => Ok((known.strategy)(self)),
            None => Err(ToolError::Unsupported {
                kind: self.kind.clone(),
                advice: match self.kind.as_str() {
                    "cloud" | "remote" => {
                        "Its lock belongs to the remote workspace: unlock it there"
                    }
                    _ => "After a stop, look yourself whether its lock is free",
                },
            }),
        }
    }

    /// Whether the backend is set up, by its settings or by variables, to take locks at all.
    pub(super) fn takes_locks(&self, environment: &Environment) -> bool {
        let known = self.known();
        known.is_none_or(|known| (known.takes_locks)(self, environment))
    }

    /// Whether what `untaint` said, by which it has failed, says that it could not read the state, and had
    /// the lock then. Most others of its errors come before it tries to take it.
    pub(super) fn says_unread(&self, words: &str) -> bool {
        let texts = self.known().map_or(&[][..], |known| known.unread_texts);
        let words: Vec<&str> = words.split_whitespace().collect();
        let words = words.join(" ");
        texts.iter().any(|text| words.contains(text))
    }

    /// Fails where the backend has no other workspace than the default one, and another one is named.
    /// Terraform refuses it there, so no deploy has ever used it.
    pub(super) fn expect_workspace(&self, workspace: &str) -> Result<(), ToolError> {
        let is_there = workspace == DEFAULT_WORKSPACE;
        if is_there || self.known().is_none_or(|known| known.has_workspaces) {
            return Ok(());
        }
        Err(ToolError::NoState(format!(
            "there is no workspace {workspace:?}: the backend {:?} has none but \
             {DEFAULT_WORKSPACE:?}. Correct its name",
            self.kind
        )))
    }

    /// The same with what variables give of what names the place, for who does not have them.
    pub(super) fn with_variables(&self, environment: &Environment) -> Self {
        let left = self
            .known()
            .map(|known| known.schema.left_to_variables(self, environment));
        let left = left.into_iter().flatten();
        let mut backend = self.clone();
        let given = left.map(|(setting, value)| (setting.to_owned(), Value::from(value)));
        backend.settings.extend(given);
        backend
    }

    /// Whether Terraform needs no `init` where the settings are written down as `init` keeps them.
    pub(super) fn is_flat(&self) -> bool {
        self.known().is_some_and(|known| known.is_flat)
    }

    /// Whether whatever opens the state makes an empty one where there is none, `force-unlock` too.
    pub(super) fn is_made_by_asking(&self) -> bool {
        self.known().is_some_and(|known| known.is_made_by_asking)
    }

    /// How a person removes the lock of a workspace at the backend itself, as an order; none where softstop
    /// knows no way.
    pub(super) fn removal(&self, workspace: &str) -> Option<String> {
        (self.known()?.removal)(self, workspace)
    }

    /// The variables that lead to another state where the settings are the same.
    pub(super) fn leading_variables<'a>(
        &self,
        environment: &'a Environment,
    ) -> Vec<(&'a OsStr, &'a OsStr)> {
        let Some(known) = self.known() else {
            return Vec::new();
        };
        let mut leading = environment.beginning_with(known.leading);
        leading.retain(|(name, _)| !known.renewed.iter().any(|renewed| name == renewed));
        leading
    }

    /// Whether a relative path leads to the state, and so to another one in another directory.
    pub(super) fn goes_by_directory(&self, environment: &Environment) -> bool {
        let names = self.known().map_or(&[][..], |known| known.leading_files);
        names.iter().any(|name| {
            let set = environment.text(name).map(Value::from);
            set.iter().chain(self.given(name)).any(holds_relative_path)
        })
    }

    fn known(&self) -> Option<&'static Known> {
        Known::of(&self.kind)
    }

    /// The settings as `init` of one of the two programs keeps them: of a nested block that is not given,
    /// Terraform keeps nothing and OpenTofu an empty list, and each refuses what the other one keeps
    /// (`a_look_at_another_workspace_makes_no_default_state`).
    pub(super) fn kept(&self, is_opentofu: bool) -> Map<String, Value> {
        let mut kept = self.settings.clone();
        let blocks = self.known().filter(|_| is_opentofu);
        for block in blocks.map_or(&[][..], |known| known.blocks) {
            kept.entry(*block)
                .or_insert_with(|| Value::Array(Vec::new()));
        }
        kept
    }

    /// Keeps Terraform from making what is not there.
    pub(super) fn make_nothing(&mut self) {
        for (setting, _) in self.known().map_or(&[][..], |known| known.without_making) {
            self.settings
                .insert((*setting).to_owned(), Value::Bool(true));
        }
    }
}

/// Whether any path in a list, or in a text that has them one behind the other, goes by a directory.
fn holds_relative_path(value: &Value) -> bool {
    let is_relative = |path: &str| !path.is_empty() && !path.starts_with(['/', '~']);
    match value {
        Value::String(paths) => paths.split(':').any(is_relative),
        Value::Array(paths) => paths.iter().any(holds_relative_path),
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::pipelines::credentials::may_hold_credentials;

    /// The names of all, in order.
    pub(in crate::tools::terraform) fn kinds() -> Vec<&'static str> {
        let mut kinds: Vec<&str> = ALL.iter().map(|known| known.schema.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    #[test]
    fn whatever_leads_to_a_state_check_takes_for_credentials() {
        for known in ALL {
            for beginning in known.leading.iter().chain(known.credentials) {
                let kind = known.schema.kind;
                assert!(may_hold_credentials(beginning), "{kind} {beginning}");
            }
        }
    }

    #[test]
    fn the_page_of_backends_has_each_of_them_in_one_row_and_no_other() {
        let page = include_str!("../../../../docs/backends.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.filter(|row| !row.contains("| not supported"));
        let firsts = rows.map(|row| row.split('|').nth(1).unwrap());
        let mut named: Vec<&str> = firsts
            .flat_map(|first| first.split('`').skip(1).step_by(2))
            .collect();
        named.sort_unstable();
        assert_eq!(named, kinds());
    }
}
