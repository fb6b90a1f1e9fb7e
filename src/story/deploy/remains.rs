//! What the deploy has made, and what of it the state has.

use std::sync::{Mutex, PoisonError};

use tracing::{debug, info, warn};

use super::super::conclusion::Locks;
use super::super::used::Used;
use super::Story;
use crate::exit_code::{Exit, Outcome};
use crate::report::remains::{Kind, Left, Remains, counts};
use crate::report::{file, summary};
use crate::tools::DeployTool;
use crate::tools::progress::{Action, Reader, Resource, Stage, Stored};

/// How many commands for a person are made.
const COMMANDS: usize = 20;

impl<T: DeployTool> Story<'_, T> {
    /// Says what a deploy that did not end plainly well has left, and writes the report.
    pub(super) async fn report(
        &self,
        reader: &Mutex<T::Reader>,
        used: &Used<T>,
        (outcome, exit): (Outcome, Exit),
        locks: &Locks,
    ) {
        let told = reader.lock().unwrap_or_else(PoisonError::into_inner).told();
        let is_heard = !told.is_nothing();
        let mut resources = told.resources;
        resources.retain(|resource| {
            // A plan that nobody applies has begun nothing, and was not to begin anything.
            counts(resource) && !(used.is_plan() && resource.stage == Stage::NotBegun)
        });
        let is_plain = outcome == Outcome::Succeeded && resources.iter().all(is_settled);
        let is_begun = resources.iter().any(|one| one.stage != Stage::NotBegun);
        let stored = if is_plain || !is_begun {
            None
        } else {
            self.stored(used).await
        };
        let resources: Vec<Left> = resources
            .into_iter()
            .map(|resource| Left {
                is_stored: stored
                    .as_ref()
                    .and_then(|stored| is_stored(stored, &resource)),
                resource,
            })
            .collect();
        let mut remains = Remains {
            outcome: outcome.word(),
            exit_code: exit.code(),
            lock: locks.word(),
            lock_id: locks.ids(),
            is_heard: is_heard || !used.may_have_changed(),
            has_plan: told.has_plan,
            state_was_read: stored.is_some(),
            resources,
            dropped: told.dropped,
            next_steps: Vec::new(),
        };
        remains.next_steps = self.next_steps(&remains, used);
        if !is_plain {
            for line in summary::lines(&remains) {
                if line.is_warning {
                    warn!("{}", line.text);
                } else {
                    info!("{}", line.text);
                }
            }
        }
        if let Some(path) = &self.deploy.report_file
            && let Err(error) = file::write(&remains, path)
        {
            warn!(
                "The report cannot be written to {}: {error}.",
                path.display()
            );
        }
    }

    /// What the state has that the deploy has used; nothing where it used several, which may have the
    /// same addresses, or where it cannot be read in time.
    async fn stored(&self, used: &Used<T>) -> Option<Stored> {
        let places = used.places();
        let [place] = places.as_slice() else {
            return None;
        };
        match place.stored(self.supervisor).await {
            Ok(stored) => Some(stored),
            Err(error) => {
                debug!("What the state has is not known: {error}.");
                None
            }
        }
    }

    /// What a person has to do before the next deploy.
    fn next_steps(&self, remains: &Remains, used: &Used<T>) -> Vec<String> {
        let places = used.places();
        let place = places.first().copied().unwrap_or(self.tool);
        let imports = remains.of(Kind::NotStored).filter_map(|left| {
            let id = left.resource.id.as_deref()?;
            Some(place.import_by_hand(&left.resource.address, id))
        });
        let mut steps: Vec<String> = imports
            .take(COMMANDS)
            .map(|command| {
                format!(
                    "Before the next deploy, which would make it again, bring it into the state: \
                     {command}"
                )
            })
            .collect();
        let unknown = [Kind::InFlight, Kind::MayExist, Kind::InDoubt];
        let is_unknown = |left: &&Left| left.is_stored != Some(true) && is_made(&left.resource);
        let names: Vec<String> = unknown
            .into_iter()
            .flat_map(|kind| remains.of(kind))
            .filter(is_unknown)
            .map(Left::name)
            .collect();
        match names.as_slice() {
            [] => {}
            [name] => steps.push(format!(
                "Before the next deploy, which may make it again, look whether {name} is there."
            )),
            names => steps.push(format!(
                "Before the next deploy, which may make them again, look which of these {} are there.",
                names.len()
            )),
        }
        steps
    }
}

/// Whether nothing is left to say about a resource where the deploy has succeeded.
fn is_settled(resource: &Resource) -> bool {
    !matches!(
        resource.stage,
        Stage::InFlight | Stage::Failed | Stage::GivenUp
    )
}

fn is_made(resource: &Resource) -> bool {
    matches!(
        resource.action,
        Action::Create | Action::Replace | Action::Import
    )
}

/// Whether the state knows what has become of a resource, where that can be seen in it.
fn is_stored(stored: &Stored, resource: &Resource) -> Option<bool> {
    match resource.action {
        Action::Create | Action::Replace | Action::Import => Some(stored.has(resource)),
        Action::Destroy if resource.stage == Stage::Complete => Some(!stored.has(resource)),
        Action::Destroy | Action::Update | Action::Read => None,
    }
}
