//! What was said of what may not be read or written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tracing::{info, warn};

use crate::exit_code::Outcome;
use crate::tools::access::Barred;
use crate::tools::{Locking, Tool};

/// It is said once of each.
#[derive(Debug, Default)]
pub(crate) struct Warned(BTreeSet<PathBuf>);

impl Warned {
    /// Says what may not be read or written in a place that is seen in use.
    pub(crate) fn tell(&mut self, place: &Tool) {
        self.tell_all(place.barred());
    }

    pub(crate) fn tell_all(&mut self, barred: impl IntoIterator<Item = Barred>) {
        for one in barred {
            if self.0.insert(one.path().to_owned()) {
                warn!("{one}.");
            }
        }
    }

    /// Terraform speaks of a lock where it may not write a file.
    pub(crate) fn explain(&self, outcome: Outcome) {
        if outcome == Outcome::Failed && !self.0.is_empty() {
            info!(
                "An \"Error acquiring the state lock\" that ends with \"permission denied\" speaks of no \
                 lock that anybody holds, but of a file that may not be written."
            );
        }
    }
}
