//! What may be about another state of the same name, or of a deploy that may go on.

use crate::journal::Record;
use crate::lock::Owner;
use crate::story::journal::Journal;
use crate::tools::Tool;
use crate::tools::progress::Telling;

/// Whether a journal may mean another state by the name of this place.
pub(super) fn shares_its_name(place: &Tool) -> bool {
    place
        .teller()
        .is_some_and(|teller| teller.shares_its_name())
}

/// Whether a record is surely about the state that is used at a place, where another one may have the
/// same name: its lock was released there, or it is of the same step.
pub(super) fn is_surely_of(
    journal: &Journal,
    place: &Tool,
    released: &[Owner],
    record: &Record,
) -> bool {
    !shares_its_name(place) || released.contains(&record.owner) || journal.is_of_earlier_run(record)
}
