//! Where the stories write what a deploy does, and find what earlier ones have left.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use tracing::debug;

use crate::bitbucket::InsightsError;
use crate::bitbucket::api::Api;
use crate::bitbucket::build::Build;
use crate::bitbucket::insights::Insights;
use crate::journal::{Masks, Past, PlaceName, Record, Shelf, Stand, Store};
use crate::lock::Owner;
use crate::story::commits::recent_commits;
use crate::story::repository::repository;
use crate::tools::Host;

/// How long whatever is read may take in all. Nobody waits longer for what may be nothing.
const LIMIT_TO_READ: Duration = Duration::from_secs(2);
/// How long writing one record may take once its deploy is over.
const LIMIT_TO_WRITE: Duration = Duration::from_secs(2);
/// The same where somebody has asked us to stop.
const LIMIT_IN_A_HURRY: Duration = Duration::from_secs(1);

/// By which way a journal gets to Bitbucket, and what nobody may read there.
pub(crate) struct Way {
    pub(crate) proxy: String,
    pub(crate) masks: Masks,
}

/// Whether a journal is kept.
pub(crate) enum Journal {
    Kept(Box<Kept>),
    /// Nobody wants one.
    Off,
    /// For this reason there is none.
    None(String),
}

/// The journal of a repository, and who writes into it.
pub(crate) struct Kept {
    pub(crate) shelf: Shelf,
    /// Nothing outside of Pipelines, where nothing is deployed that anybody could know again.
    pub(crate) own: Option<Own>,
}

/// A step that deploys.
pub(crate) struct Own {
    pub(crate) owner: Owner,
    /// The commit of its pipeline.
    pub(crate) commit: String,
}

/// What is known of whoever has not told of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// Nobody holds the lock that it would hold.
    Over,
    PerhapsAlive,
}

impl Journal {
    /// The journal of the repository of this build, where there is one.
    pub(crate) fn open(build: Option<&Build>, way: Option<Way>) -> Self {
        let none = |why: &str| Self::None(why.to_owned());
        let Some(way) = way else {
            return Self::Off;
        };
        let Some(build) = build else {
            return none("this is no step of Bitbucket Pipelines");
        };
        let Some(commit) = build.commit.clone() else {
            return none("BITBUCKET_COMMIT names no commit");
        };
        let owner = build.owner.clone();
        let (workspace, repository) = (owner.workspace(), owner.repository());
        match Insights::new(&[&way.proxy], workspace, repository) {
            Ok(insights) => Self::Kept(Box::new(Kept {
                shelf: Shelf::Commits(Box::new(Store::new(insights, way.masks))),
                own: Some(Own { owner, commit }),
            })),
            Err(error) => Self::None(error.to_string()),
        }
    }

    /// The same outside of Pipelines, for a person who has a token.
    pub(crate) async fn open_elsewhere<H: Host>(
        host: &H,
        directory: &Path,
        api: Option<&Api>,
        way: Option<Way>,
    ) -> Self {
        let none = |why: &str| Self::None(why.to_owned());
        let Some(way) = way else {
            return Self::Off;
        };
        let Some(api) = api else {
            return none(
                "outside of Pipelines it takes a token that may read and write reports \
                 (BITBUCKET_ACCESS_TOKEN, or ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN)",
            );
        };
        let Some(repository) = repository(host, directory).await else {
            return none("git names no `origin` at bitbucket.org here");
        };
        match Insights::by_api(api, &repository.workspace, &repository.name) {
            Ok(insights) => Self::Kept(Box::new(Kept {
                shelf: Shelf::Commits(Box::new(Store::new(insights, way.masks))),
                own: None,
            })),
            Err(error) => Self::None(error.to_string()),
        }
    }

    /// Where the own deploy is written down, and as whose.
    pub(super) fn own(&self) -> Option<(&Shelf, &Own)> {
        match self {
            Self::Kept(kept) => Some((&kept.shelf, kept.own.as_ref()?)),
            Self::Off | Self::None(_) => None,
        }
    }

    fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Kept(kept) => Some(kept),
            Self::Off | Self::None(_) => None,
        }
    }

    fn expect_kept(&self) -> Result<&Kept, String> {
        match self {
            Self::Kept(kept) => Ok(kept),
            Self::Off => Err("JOURNAL is false".to_owned()),
            Self::None(why) => Err(why.clone()),
        }
    }

    /// Whether nobody wants to hear of one.
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// What is left of the deploy of `holder` at this place, or else of any. What somebody may be about
    /// to do is no past.
    pub(super) async fn past<H: Host>(
        &self,
        host: &H,
        directory: &Path,
        place: Option<&PlaceName>,
        holder: Option<&Owner>,
        untold: Untold,
    ) -> Past {
        let kept = match self.expect_kept() {
            Ok(kept) => kept,
            Err(why) => return Past::NotKnown(why),
        };
        let Some(place) = place else {
            let why = "this place has no name that is the same in every clone";
            return Past::NotKnown(why.to_owned());
        };
        let found: RefCell<Vec<Record>> = RefCell::default();
        let asked = async {
            match holder.and_then(|holder| Some((holder, holder.commit()?))) {
                Some((holder, commit)) => {
                    let commit = kept.in_full(host, directory, commit).await;
                    let record = kept.shelf.of_step(&commit, holder, place).await?;
                    found.borrow_mut().extend(record);
                    Ok(())
                }
                None => kept.search(host, directory, &found).await,
            }
        };
        let asked: Option<Result<(), InsightsError>> = host.limited(LIMIT_TO_READ, asked).await;
        let mut records = found.into_inner();
        let was_found = !records.is_empty();
        records.retain(|record| record.is_left_at(place));
        let may_go_on =
            |record: &Record| record.stand == Stand::Running && untold == Untold::PerhapsAlive;
        let going_on = records.iter().find(|record| may_go_on(record));
        let going_on = going_on.map(|record| record.owner.build());
        records.retain(|record| !may_go_on(record));
        if !records.is_empty() {
            return Past::Unfinished(records);
        }
        if let Some(build) = going_on {
            return Past::NotKnown(format!(
                "build {build} has not told of its end, and may go on"
            ));
        }
        match asked {
            Some(Ok(())) => match holder.filter(|_| !was_found) {
                Some(holder) => Past::NotKnown(format!("build {} has left none", holder.build())),
                None => Past::Settled,
            },
            Some(Err(error)) => Past::NotKnown(error.to_string()),
            None => Past::NotKnown("there was no time left to ask for it".to_owned()),
        }
    }

    /// The record of a holder, whether it goes on or was killed.
    pub(super) async fn of_holder<H: Host>(
        &self,
        host: &H,
        directory: &Path,
        place: &PlaceName,
        holder: &Owner,
    ) -> Option<Record> {
        let kept = self.kept()?;
        let asked = async {
            let commit = kept.in_full(host, directory, holder.commit()?).await;
            match kept.shelf.of_step(&commit, holder, place).await {
                Ok(record) => record,
                Err(error) => {
                    debug!("What the holder is doing is not known: {error}.");
                    None
                }
            }
        };
        host.limited(LIMIT_TO_READ, asked).await.flatten()
    }

    /// Writes what is known of deploys that are over. A journal that cannot be written changes nothing.
    pub(super) async fn write<H: Host>(&self, host: &H, records: &[Record]) {
        if let Err(why) = self.try_write(host, records).await {
            debug!("The journal was not written: {why}.");
        }
    }

    /// The same, for whoever has to know whether it was written.
    pub(super) async fn try_write<H: Host>(
        &self,
        host: &H,
        records: &[Record],
    ) -> Result<(), String> {
        let kept = self.expect_kept()?;
        let writes = records.iter().map(|record| kept.shelf.write(record));
        let written = host
            .limited(limit_to_write(host), try_join_all(writes))
            .await;
        match written {
            Some(written) => written.map(drop).map_err(|error| error.to_string()),
            None => Err("there was no time left for it".to_owned()),
        }
    }
}

/// How long writing may take at the end of a run.
pub(super) fn limit_to_write<H: Host>(host: &H) -> Duration {
    match host.interrupt() {
        Some(_) => LIMIT_IN_A_HURRY,
        None => LIMIT_TO_WRITE,
    }
}

impl Kept {
    /// Looks for what was left on the own commit, and on those before it.
    async fn search<H: Host>(
        &self,
        host: &H,
        directory: &Path,
        found: &RefCell<Vec<Record>>,
    ) -> Result<(), InsightsError> {
        // A deploy that has told nothing yet may just have begun.
        let is_left = |record: &Record| record.stand != Stand::Running || record.is_open();
        let ask = async |commit: String| {
            let records = match self.shelf.on_commit(&commit).await {
                Err(InsightsError::NotFound) => Vec::new(),
                records => records?,
            };
            found
                .borrow_mut()
                .extend(records.into_iter().filter(is_left));
            Ok(())
        };
        let mut others = recent_commits(host, directory).await;
        let first = match &self.own {
            Some(own) => Some(own.commit.clone()),
            None => others.first().cloned(),
        };
        // Where nobody answers, nobody is asked fifty times.
        if let Some(first) = first {
            others.retain(|commit| !commit.starts_with(&first));
            ask(first).await?;
        }
        let side_by_side = others.len().max(1);
        let answers = stream::iter(others).map(ask).buffer_unordered(side_by_side);
        let answers: Vec<Result<(), InsightsError>> = answers.collect().await;
        answers.into_iter().collect()
    }

    /// A commit of which a stamp has told the begin, as far as the clone knows it.
    async fn in_full<H: Host>(&self, host: &H, directory: &Path, begin: &str) -> String {
        let own = self.own.as_ref().map(|own| &own.commit);
        if let Some(own) = own.filter(|own| own.starts_with(begin)) {
            return own.clone();
        }
        let recent = recent_commits(host, directory).await;
        let meant = recent.into_iter().find(|commit| commit.starts_with(begin));
        meant.unwrap_or_else(|| begin.to_owned())
    }
}
