//! What the deploy may not read or write, before a tool finds out too late.

use tracing::error;

use super::Story;
use crate::story::stage::Stage;
use crate::story::warned::Warned;
use crate::tools::Locking;
use crate::tools::access::{Barred, Want};

/// What ends a word of a script, as far as names of files are concerned.
const BETWEEN_WORDS: &[char] = &[
    ' ', '\t', '\n', ';', '&', '|', '(', ')', '<', '>', '"', '\'', '=',
];

impl<S: Stage> Story<'_, S> {
    /// Says what may not be read or written. Nothing is begun that would fail for that, or whose
    /// state could be lost: then it says why. A command may work elsewhere.
    pub(super) fn ensure_access(&self) -> Result<Warned, String> {
        let mut warned = Warned::default();
        let barred = self.tool.barred();
        let stops = |barred: &&Barred| {
            self.deploy.runs.is_the_tools()
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
        warned.tell_all(barred);
        let words = self.deploy.runs.words();
        let scripts = words.iter().chain(&self.deploy.after_script);
        for word in scripts.flat_map(|script| script.split(BETWEEN_WORDS)) {
            let path = self.deploy.directory.join(word);
            // What lies elsewhere is the image's, and its programs need not be readable.
            if path.starts_with(&self.deploy.directory) && path.is_file() {
                warned.tell_all(Barred::find(&path, Want::Read, ""));
            }
        }
        Ok(warned)
    }
}
