//! What the deploy may not read or write, before a tool finds out too late.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tracing::{error, info, warn};

use super::Story;
use crate::exit_code::Outcome;
use crate::story::stage::Stage;
use crate::tools::access::{Barred, Want};
use crate::tools::{Locking, Tool};

/// What ends a word of a script, as far as names of files are concerned.
const BETWEEN_WORDS: &[char] = &[
    ' ', '\t', '\n', ';', '&', '|', '(', ')', '<', '>', '"', '\'', '=',
];

/// What was said of what may not be read or written, once of each.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<PathBuf>);

impl<S: Stage> Story<'_, S> {
    /// Says what may not be read or written. Nothing is begun that would fail for that, or whose
    /// state could be lost: then it says why. A command may work elsewhere.
    pub(super) fn ensure_access(&self) -> Result<Told, String> {
        let mut told = Told::default();
        let barred = self.tool.barred();
        let stops = |barred: &&Barred| {
            self.deploy.command.is_empty()
                && (barred.wants(Want::Read) || barred.path() == self.deploy.directory)
        };
        if barred.iter().any(|barred| stops(&barred)) {
            for one in &barred {
                error!("{one}.");
            }
            return Err(format!(
                ", because not all can be read and written in {}.",
                self.deploy.directory.display()
            ));
        }
        told.tell_all(barred);
        let scripts = self.deploy.command.iter().chain(&self.deploy.after_script);
        for word in scripts.flat_map(|script| script.split(BETWEEN_WORDS)) {
            let path = self.deploy.directory.join(word);
            // What lies elsewhere is the image's, and its programs need not be readable.
            if path.starts_with(&self.deploy.directory) && path.is_file() {
                told.tell_all(Barred::find(&path, Want::Read, ""));
            }
        }
        Ok(told)
    }
}

impl Told {
    /// Says what may not be read or written in a place that is seen in use.
    pub(super) fn tell(&mut self, place: &Tool) {
        self.tell_all(place.barred());
    }

    fn tell_all(&mut self, barred: impl IntoIterator<Item = Barred>) {
        for one in barred {
            if self.0.insert(one.path().to_owned()) {
                warn!("{one}.");
            }
        }
    }

    /// Terraform speaks of a lock where it may not write a file.
    pub(super) fn explain(&self, outcome: Outcome) {
        if outcome == Outcome::Failed && !self.0.is_empty() {
            info!(
                "An \"Error acquiring the state lock\" that ends with \"permission denied\" speaks of no \
                 lock that anybody holds, but of a file that may not be written."
            );
        }
    }
}
