//! What may be about another state of the same name, or of a deploy that may go on.

use crate::tools::Tool;
use crate::tools::progress::Telling;

/// Whether a journal may mean another state by the name of this place.
pub(super) fn shares_its_name(place: &Tool) -> bool {
    place
        .teller()
        .is_some_and(|teller| teller.shares_its_name())
}
