//! Who holds the lock, since when, is the holder alive, and what would `release` do.

use crate::exit_code::Exit;
use crate::inquiry::Inquiry;
use crate::journal::Record;
use crate::lock::{Holder, LockInfo};
use crate::recovery::{Finding, examine};
use crate::story::conclusion::LockState;
use crate::story::conclusion::{Conclusion, Locks, Reason};
use crate::story::journal::Journal;
use crate::story::locks::{each_lock, state_of};
use crate::story::past::name_of;
use crate::story::places::{Place, introduce, side_by_side};
use crate::tools::{Host, ToolError};

pub(crate) type Found = Result<Finding, ToolError>;

/// What was found of one lock, and in which directory, as the user wrote it.
pub(crate) struct Looked {
    pub(crate) place: String,
    pub(crate) found: Found,
    /// What its holder was heard to do, where that is known.
    pub(crate) record: Option<Record>,
}

/// Looks at the locks of every place, and releases none.
pub(crate) async fn run<H: Host>(
    host: &H,
    inquiry: &Inquiry<'_, H>,
    journal: &Journal,
    places: &[Place],
) -> (Vec<Looked>, Conclusion) {
    introduce(places);
    let looked = side_by_side(places, |place| ask(host, inquiry, journal, place)).await;
    let looked: Vec<Looked> = looked.into_iter().flatten().collect();
    let locks = looked.iter().filter_map(Looked::state).collect();
    let conclusion = if let Some(interrupt) = host.interrupt() {
        Conclusion::stopped(interrupt.signal, "", Locks(locks))
    } else if looked.iter().any(Looked::is_unanswered) {
        Conclusion::looked(Exit::Unanswered, Locks(locks), Reason::Unanswered)
    } else {
        let held = looked.iter().filter(|looked| looked.is_held()).count();
        let result = format!("{held} of {} held", looked.len());
        Conclusion::looked(Exit::Done, Locks(locks), Reason::Looked(result))
    };
    (looked, conclusion)
}

async fn ask<H: Host>(
    host: &H,
    inquiry: &Inquiry<'_, H>,
    journal: &Journal,
    place: &Place,
) -> Vec<Looked> {
    let judge = async |holder: &LockInfo| inquiry.judge(&place.tool, holder).await;
    let found = each_lock(host, &place.tool, async |lock| examine(&lock, &judge).await).await;
    let mut looked = Vec::new();
    for found in found {
        let record = match found.as_ref().ok().and_then(Finding::lock) {
            Some(lock) => record_of(host, journal, place, lock).await,
            None => None,
        };
        looked.push(Looked {
            place: place.name.clone(),
            found,
            record,
        });
    }
    looked
}

async fn record_of<H: Host>(
    host: &H,
    journal: &Journal,
    place: &Place,
    lock: &LockInfo,
) -> Option<Record> {
    let holder = Holder::of(lock)?.owner;
    let name = name_of(&place.tool)?;
    journal
        .of_holder(host, &place.directory, &name, &holder)
        .await
}

impl Looked {
    pub(crate) fn is_held(&self) -> bool {
        !matches!(
            self.found,
            Err(_) | Ok(Finding::Free | Finding::NeverLocked)
        )
    }

    /// Whether the backend, or Bitbucket, could not be asked.
    fn is_unanswered(&self) -> bool {
        match &self.found {
            Err(_) => true,
            Ok(Finding::Doubtful(_, doubt, _)) => doubt.is_for_want_of_an_answer(),
            Ok(_) => false,
        }
    }

    fn state(&self) -> Option<LockState> {
        match &self.found {
            Err(_) => Some(LockState::Unknown),
            Ok(finding) => state_of(finding.clone().into()),
        }
    }
}
