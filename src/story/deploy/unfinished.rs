//! What earlier deploys have left: it is looked at before anything runs, and where something is missing,
//! again before a plan is applied.

use tracing::{debug, info, warn};

use super::steps::{Steps, Went};
use super::{Runs, Story, Watch};
use crate::console::PASTED;
use crate::journal::{Entry, Past, Record, Stand};
use crate::story::doubt::{has_moved, is_surely_of, shares_its_name};
use crate::story::stage::Stage;
use crate::story::unfinished::{Course, OnUnfinished, Unfinished, made, tell_of_claims};
use crate::story::way_back::WayBack;
use crate::tools::ToolError;
use crate::tools::progress::{Action, Resource};
use crate::tools::recovering::{Draft, Made, Recovering};
use crate::tools::stored::Stored;

/// For how many resources is printed what brings them into the state: a screen has 30 lines.
const MOST_SAID: usize = 5;

/// What earlier deploys have left, and what this one does about it.
#[derive(Default)]
pub(super) struct Weighed {
    unfinished: Unfinished,
    wish: OnUnfinished,
    pub(super) course: Course,
    /// Whether it was compared with what the state has.
    pub(super) is_compared: bool,
}

impl Weighed {
    pub(super) fn lacking(&self) -> Vec<Made> {
        made(&self.unfinished.missing)
    }
}

impl<S: Stage> Story<'_, S> {
    /// Removes what a killed run has left beside the configuration, because it may break every plan.
    pub(super) fn clear_away(&self) {
        match self.tool.recoverer().map(|tool| tool.clear_away()) {
            Some(Ok(Some(path))) => info!(
                "{} was left by a run of softstop that was killed, and is removed.",
                path.display()
            ),
            Some(Err(error)) => warn!(
                "What a killed run of softstop may have left beside the configuration cannot be \
                 removed: {error}."
            ),
            Some(Ok(None)) | None => {}
        }
    }

    /// Says what earlier deploys have left that the state does not have, and decides what that means for
    /// this one.
    pub(super) async fn weigh(&self, past: &Past, stored: Result<Stored, ToolError>) -> Weighed {
        let mut weighed = self.weigh_here(past, stored).await;
        if weighed.course != Course::AsEver || self.deploy.on_unfinished != OnUnfinished::Stop {
            return weighed;
        }
        let is_over = |record: &Record| record.stand != Stand::Running;
        if !past.in_doubt.is_empty() {
            weighed.course = Course::Stop(
                "a deploy that has not told of its end may have made what the state does not have",
            );
        } else if past.elsewhere.iter().any(is_over) {
            weighed.course = Course::Stop(
                "what earlier deploys have made elsewhere, or may have, may not be in the state there",
            );
        }
        weighed
    }

    async fn weigh_here(&self, past: &Past, stored: Result<Stored, ToolError>) -> Weighed {
        let records = &past.records;
        let is_compared = matches!(stored, Ok(_) | Err(ToolError::NoState(_)));
        let Some(tool) = self.tool.recoverer().filter(|_| !records.is_empty()) else {
            return Weighed::default();
        };
        let stored = match (stored, &self.deploy.runs) {
            (Ok(stored), _) => stored,
            // Then it has nothing.
            (Err(ToolError::NoState(_)), _) => Stored::default(),
            // The plan will tell.
            (Err(error), Runs::Job(_)) => {
                debug!("What the state has is not known yet: {error}.");
                Stored::default()
            }
            (Err(error), Runs::Command(..)) => {
                warn!(
                    "Whether the state has by now what earlier deploys have left is not known: {}",
                    error.sentence()
                );
                let course = match self.deploy.on_unfinished {
                    OnUnfinished::Stop => Course::Stop(
                        "whether the state has what earlier deploys have made is not known",
                    ),
                    _ => Course::AsEver,
                };
                return Weighed {
                    course,
                    ..Weighed::default()
                };
            }
        };
        let stored = &stored;
        let entries = records.iter().flat_map(|record| {
            let is_surely_of_it = is_surely_of(self.tool, &past.released, record);
            let is_meant = move |entry: &Entry| {
                let (resource, is_claimed) = (&entry.resource, entry.claim.is_some());
                // What a log tells to be replaced was there before, perhaps in another place.
                let had_it_here = resource.old_id.as_deref().is_some_and(|old| {
                    let ids = stored.0.get(&*resource.address);
                    ids.is_some_and(|ids| ids.iter().any(|id| id == old))
                });
                let may_be_here = !is_claimed || resource.action == Action::Create || had_it_here;
                is_surely_of_it && !is_claimed || may_be_here && !is_made_in(stored, resource)
            };
            let entries = record.entries.iter();
            entries.filter(move |entry| is_meant(entry))
        });
        let unfinished = Unfinished {
            misses_some: records.iter().any(Record::misses_some),
            ..Unfinished::of(entries, stored, &tool)
        };
        unfinished.tell();
        let wish = match self.deploy.on_unfinished {
            // The same directory may have several states, of which a journal does not say which one it
            // is about, and none shall get what is another one's.
            OnUnfinished::Import if shares_its_name(self.tool) => {
                info!(
                    "Nothing is imported, because settings of the backend are not in the configuration: \
                     what an earlier deploy has left may be of another state."
                );
                OnUnfinished::Report
            }
            OnUnfinished::Import if records.iter().any(|one| has_moved(self.tool, one)) => {
                info!(
                    "Nothing is imported, because an earlier deploy has used another type of backend: \
                     what that has left may be of another state."
                );
                OnUnfinished::Report
            }
            wish => wish,
        };
        let weighed = Weighed {
            course: unfinished.course(wish, self.deploy.runs.job()),
            unfinished,
            wish,
            is_compared,
        };
        if matches!(weighed.course, Course::Stop(_)) {
            self.say_how(&weighed.lacking()).await;
            if wish != OnUnfinished::Stop {
                tell_of_claims(&weighed.unfinished.missing);
            }
        }
        weighed
    }

    /// Runs what is to be run; and looks at its plan before that is applied, where the past asks for it.
    pub(super) async fn carry_out(&self, weighed: &Weighed, watch: &mut Watch<'_>) -> Went {
        let lacking = weighed.lacking();
        let (Some(tool), Some(job), Course::LookAhead) = (
            self.tool.recoverer(),
            self.deploy.runs.job(),
            &weighed.course,
        ) else {
            return Went {
                ending: self
                    .supervise(self.command(watch.has_found_state), watch)
                    .await,
                obstacle: None,
                stopped_for: Vec::new(),
                lacking,
            };
        };
        let draft = match Draft::new() {
            Ok(draft) => draft,
            Err(error) => {
                let (ending, obstacle) = (Err(error), None);
                return Went {
                    ending,
                    obstacle,
                    stopped_for: Vec::new(),
                    lacking,
                };
            }
        };
        let mut steps = Steps {
            story: self,
            tool,
            job,
            draft: &draft,
            watch,
            lacking,
            stopped_for: Vec::new(),
            last: None,
        };
        let went = steps
            .look_ahead(&weighed.unfinished.missing, weighed.wish)
            .await;
        went.unwrap_or_else(|went| went)
    }

    /// Says how a person brings into the state what it lacks.
    pub(super) async fn say_how(&self, made: &[Made]) {
        let said = &made[..made.len().min(MOST_SAID)];
        if said.is_empty() {
            return;
        }
        let Some(way) = WayBack::to(self.stage, self.tool).await else {
            return;
        };
        let text: String = said.iter().map(|one| way.text(one)).collect();
        if text.is_empty() {
            return;
        }
        warn!(
            target: PASTED,
            "This brings it into the state. Blocks are for the configuration; with \
             ON_UNFINISHED=import softstop does it, but for what only a log tells.\n{}",
            text.trim_end()
        );
        match (made.len() - said.len(), &self.deploy.report_file) {
            (0, _) => {}
            (more, Some(_)) => warn!("Those of {more} more are beside REPORT_FILE."),
            (more, None) => warn!(
                "There are {more} more. Where REPORT_FILE names a file, all of this is written beside it."
            ),
        }
    }
}

/// Whether a state has something where a deploy has made something new: then that one has used another
/// state, or somebody has made it again since.
fn is_made_in(stored: &Stored, resource: &Resource) -> bool {
    resource.action == Action::Create && stored.0.contains_key(&*resource.address)
}
