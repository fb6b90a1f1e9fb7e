//! Where the stories write what a deploy does, and find what earlier ones have left.

use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use tracing::debug;

use crate::bitbucket::api::Api;
use crate::bitbucket::build::Build;
use crate::bitbucket::insights::Insights;
use crate::journal::{Gap, Masks, Meant, Past, PlaceName, Record, Shelf, Stand, Store, meant};
use crate::lock::Owner;
use crate::story::kept::FoundRecords;
pub(super) use crate::story::kept::Whose;
pub(crate) use crate::story::kept::{Kept, Own};
use crate::story::repository::repository;
use crate::tools::Host;
use crate::tools::progress::Resource;
use crate::tools::stored::Stored;

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

/// What is known of whoever has not told of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// Nobody holds the lock that it would hold.
    Over,
    /// The same, where steps may deploy side by side, from one directory to several states.
    OverUnlessBeside,
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

    /// Whether it is of another step of the own pipeline, which has not told of its end.
    pub(super) fn goes_on_beside(&self, record: &Record) -> bool {
        self.kept().is_some_and(|kept| kept.goes_on_beside(record))
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

    /// What is left at this place: of the deploys of these holders, and of any others where that is
    /// wished, or where a stamp does not tell where to look. What somebody may be about to do is no past.
    pub(super) async fn past<H: Host>(
        &self,
        host: &H,
        directory: &Path,
        place: Option<&PlaceName>,
        whose: Whose<'_>,
        untold: Untold,
    ) -> Past {
        let kept = match self.expect_kept() {
            Ok(kept) => kept,
            Err(why) => return Past::not_asked(why),
        };
        let Some(place) = place else {
            return Past::not_asked("this place has no name that is the same in every clone");
        };
        let found = FoundRecords::default();
        let asked = kept.ask(host, directory, place, whose, &found);
        let asked: Option<Result<(), String>> = host.limited(LIMIT_TO_READ, asked).await;
        let unanswered = match asked {
            Some(Ok(())) => None,
            Some(Err(why)) => Some(why),
            None => Some("there was no time left to ask for it".to_owned()),
        };
        let FoundRecords {
            records,
            without,
            is_answered,
        } = found;
        let is_in_doubt = |record: &Record| {
            let is_over = whose.holders.contains(&record.owner) || kept.is_of_earlier_run(record);
            let may_go_on = match untold {
                Untold::Over => false,
                Untold::OverUnlessBeside => kept.goes_on_beside(record),
                Untold::PerhapsAlive => true,
            };
            record.stand == Stand::Running && !is_over && may_go_on
        };
        let records = records.into_inner();
        let (mut here, elsewhere): (Vec<Record>, Vec<Record>) =
            records.into_iter().partition(|one| one.place == *place);
        let none_left = |holder: &&Owner| !here.iter().any(|record| record.owner == **holder);
        let none_left = whose.holders.iter().find(none_left);
        let none_left = none_left.map(|holder| Gap::NoneLeft(holder.build()));
        let certain = here.iter().filter(|record| !is_in_doubt(record));
        let told_by = certain.map(|record| record.owner.clone()).collect();
        here.retain(|record| record.is_left_at(place));
        let may_go_on = here.iter().find(|record| is_in_doubt(record));
        let may_go_on = may_go_on.map(|record| Gap::MayGoOn(record.owner.build()));
        let in_doubt = here.extract_if(.., |record| is_in_doubt(record)).collect();
        let unanswered = unanswered.map(|why| {
            if is_answered.get() {
                Gap::Incomplete(why)
            } else {
                Gap::Silent(why)
            }
        });
        Past {
            records: here,
            in_doubt,
            released: whose.holders.to_vec(),
            elsewhere: kept.left_elsewhere(elsewhere),
            told_by,
            without: without.into_inner(),
            gap: unanswered.or(none_left).or(may_go_on),
        }
    }

    /// Which of these addresses is meant by one of a journal, in which secrets are hidden.
    pub(super) fn meant<'a>(
        &self,
        address: &str,
        known: impl IntoIterator<Item = &'a String>,
    ) -> Meant {
        match self.kept() {
            Some(kept) => meant(address, known, |known| kept.shelf.hide(known)),
            None => Meant::Written,
        }
    }

    /// Gives what the state has its own address again, where a secret in it is hidden. What is written
    /// alike need not be the same: only the id tells which one it is.
    pub(super) fn unmask(&self, records: &mut [Record], stored: &Stored) {
        for entry in records.iter_mut().flat_map(|record| &mut record.entries) {
            let Resource { address, id, .. } = &mut entry.resource;
            let has_it = |ids: &[String]| ids.iter().any(|one| id.as_deref() == Some(one));
            let by_id = stored.0.iter().filter(|(_, ids)| has_it(ids));
            if let Meant::One(one) = self.meant(address, by_id.map(|(known, _)| known)) {
                *address = one.into();
            }
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
        let writes = records.iter().cloned();
        let writes = writes.map(|record| kept.shelf.write(record));
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
