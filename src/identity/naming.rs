//! Whose name the locks of this run will carry, and whether that stays so.

use std::fmt::Display;

use anyhow::bail;
use tracing::{debug, warn};

use super::user_name::{NameError, UserName, user_name};
use crate::bitbucket::build::{Build, STEP_RUN_NUMBER};
use crate::lock::Owner;

/// Bitbucket itself always sets it.
const BY_OTHER_RUNNERS: &str =
    " (a program that plays a pipeline on one's own machine may leave it out: give it as 1 there)";

/// The name of this run, for as long as this lives.
pub(crate) struct Naming {
    /// The step that this is, where it can be named.
    owner: Option<Owner>,
    /// The variable without which it cannot.
    missing: Option<&'static str>,
    /// The step's name, where one was to be given.
    given: Option<Result<UserName, NameError>>,
    /// The user's own name, where no other one was given.
    kept: Option<Result<UserName, NameError>>,
}

impl Naming {
    /// Gives this run the name of its step, or sees to it that it keeps the user's.
    ///
    /// To be called before the first thread is started.
    pub(crate) fn begin(build: &Result<Option<Build>, &'static str>, signs_locks: bool) -> Self {
        let owner = build.as_ref().ok().and_then(Option::as_ref);
        let owner = owner.map(|build| build.owner.clone());
        let stamp = owner.as_ref().map(ToString::to_string);
        let wanted = stamp.as_deref().filter(|_| signs_locks);
        let given = wanted.map(UserName::give);
        let kept = match &given {
            // Whoever was not let in is not let in now either.
            Some(Ok(_) | Err(NameError::Busy | NameError::Taken)) => None,
            _ => Some(UserName::keep(stamp.as_deref())),
        };
        Self {
            owner,
            missing: build.as_ref().err().copied(),
            given,
            kept,
        }
    }

    /// Says what the locks of this run will lack, before anything is run.
    ///
    /// Nobody may sign as a step of somebody else's, nor give the name of his own to somebody else:
    /// when that step is over, the lock would be released.
    pub(crate) fn tell(&self) -> anyhow::Result<()> {
        if let Some(other) = Owner::parse(&user_name())
            && self.owner.as_ref() != Some(&other)
        {
            bail!(
                "Nothing was run: the user here is called {other}, by another run of softstop, and \
                 so locks would be signed by that step. Run this in a container of its own"
            );
        }
        match (&self.given, &self.kept) {
            (Some(Err(error @ NameError::Taken)), _) | (_, Some(Err(error @ NameError::Taken))) => {
                bail!(
                    "Nothing was run: {error}, and so its locks and ours would be signed alike. Run \
                     this in a container of its own, or after it"
                );
            }
            _ => {}
        }
        if let Some(variable) = self.missing {
            unstamped(&format!(
                "{variable} is missing or cannot be used{}",
                if variable == STEP_RUN_NUMBER {
                    BY_OTHER_RUNNERS
                } else {
                    ""
                }
            ));
        }
        match &self.given {
            Some(Ok(name)) => debug!("Locks are signed by the build, {name}."),
            Some(Err(error)) => unstamped(error),
            None => {}
        }
        match (&self.given, &self.kept) {
            (_, Some(Err(error))) | (Some(Err(error @ NameError::Busy)), None) => unsure(error),
            _ => {}
        }
        Ok(())
    }
}

fn unstamped(reason: &dyn Display) {
    warn!(
        "Locks will not say that this build holds them: {reason}. A lock that is left behind by a \
         hard stop has to be released by a person."
    );
}

fn unsure(reason: &dyn Display) {
    warn!(
        "Another step in this container may rename the user under this run, because {reason}. A \
         lock would then be signed by that step, and released when that step is over: run no other \
         softstop in this container meanwhile."
    );
}
