//! What may be about another state of the same name, or of a deploy that may go on.

use crate::journal::Record;
use crate::lock::Owner;
use crate::tools::Tool;
use crate::tools::telling::Telling;

/// Whether a journal may mean another state by the name of this place.
pub(super) fn shares_its_name(place: &Tool) -> bool {
    place
        .teller()
        .is_some_and(|teller| teller.shares_its_name())
}

/// Whether a record is surely about the state that is used at a place, where another one may have the
/// same name, or the deploy has used another type of backend: its lock was released there. An earlier run of the same step is over, but a step may
/// deploy several states. Of any other record nothing is written: even an id may be a mere name.
pub(super) fn is_surely_of(place: &Tool, released: &[Owner], record: &Record) -> bool {
    let may_be_another = || shares_its_name(place) || has_moved(place, record);
    released.contains(&record.owner) || !may_be_another()
}

/// Whether a record is of this place but for the type of the backend.
pub(super) fn has_moved(place: &Tool, record: &Record) -> bool {
    let name = place.teller().and_then(|teller| teller.journal_name());
    name.is_some_and(|name| record.is_of_another_backend(&name))
}
