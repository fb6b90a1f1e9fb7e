//! Lays the step's token out where the clouds' SDKs find it.

use std::env;
use std::path::Path;

use tempfile::TempDir;

use super::exchange::{Exchange, Place, Variables, text};
use super::{aws, azure, google};
use crate::private;

/// The token of a step that says `oidc: true`.
const TOKEN: &str = "BITBUCKET_STEP_OIDC_TOKEN";

/// What leads to the token, for as long as this lives.
pub(crate) struct Federation {
    pub(crate) variables: Variables,
    #[expect(dead_code, reason = "its end removes the token")]
    directory: TempDir,
}

impl Federation {
    /// Lays the token out where something is asked for, or says what stands in the way.
    pub(crate) fn lay_out(wanted: &Exchange) -> Result<Option<Self>, String> {
        let Some(asked_by) = wanted.asked_by()? else {
            return Ok(None);
        };
        let Some(token) = text(TOKEN) else {
            return Err(format!(
                "{asked_by} is set, but the step has no token to exchange: write `oidc: true` into \
                 the step"
            ));
        };
        let unwritable = |problem| {
            format!(
                "the token for {asked_by} cannot be written to a file: {problem}; point TMPDIR at a writable directory"
            )
        };
        let directory = private::directory().map_err(unwritable)?;
        expect_outside_of_the_clone(directory.path())?;
        let place = Place {
            token: directory.path().join("token"),
            google: directory.path().join("google.json"),
        };
        private::write(&place.token, &token).map_err(unwritable)?;
        let mut variables = Variables::default();
        for more in [
            aws::variables(wanted, &place),
            google::variables(wanted, &place)?,
            azure::variables(wanted, &place),
        ]
        .into_iter()
        .flatten()
        {
            variables.set.extend(more.set);
            variables.removed.extend(more.removed);
        }
        Ok(Some(Self {
            variables,
            directory,
        }))
    }
}

/// What lies in the clone, an artifact may take along.
fn expect_outside_of_the_clone(directory: &Path) -> Result<(), String> {
    match env::var_os("BITBUCKET_CLONE_DIR") {
        Some(clone) if !clone.is_empty() && directory.starts_with(&clone) => Err(
            "TMPDIR lies in the clone, where an artifact could take the step's token along: point it \
             elsewhere"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}
