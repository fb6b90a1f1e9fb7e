//! The lock that a look itself takes for a moment: how long it may have it, and what is done where it is
//! still there.

use std::time::Duration;

use crate::identity::Neighbours;
use crate::lock::LockInfo;
use crate::tools::error::ToolError;

/// How much time a look has at the least that takes the lock: who is killed does not give it back. A
/// state on S3 that the table has not heard of keeps Terraform waiting for 10 s, with the lock
/// (`a_state_that_the_table_has_not_heard_of_stops_every_deploy_and_keeps_no_lock`).
pub(super) const TO_GIVE_BACK: Duration = Duration::from_secs(15);
/// Within what time a look ends that nothing keeps waiting, and any look of ours.
const WITHIN: Duration = Duration::from_secs(1);
const WITHIN_AT_LEAST: Duration = TO_GIVE_BACK.saturating_add(Duration::from_secs(1));

/// How long after it was taken the lock of a look of this name can be nobody's who is alive; nothing where
/// a person may have taken it.
pub(super) fn ended_within(is_signed: bool, neighbours: Option<Neighbours>) -> Option<Duration> {
    match (is_signed, neighbours) {
        (true, Some(Neighbours::NonePossible | Neighbours::NoneHere)) => Some(WITHIN),
        (true, _) | (false, Some(Neighbours::NonePossible)) => Some(WITHIN_AT_LEAST),
        (false, _) => None,
    }
}

/// Why a look has no answer that has left this lock.
pub(super) fn kept(own: &LockInfo, why: &str) -> ToolError {
    ToolError::KeptByLook {
        reason: format!("its ID is {}, and {why}", own.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_a_person_may_have_taken_is_never_given_back_as_a_looks() {
        use Neighbours::{Hidden, NoneHere, NonePossible, Some as Others};

        for neighbours in [Some(NoneHere), Some(Others), Some(Hidden), None] {
            assert_eq!(ended_within(false, neighbours), None, "{neighbours:?}");
        }
        assert_eq!(
            ended_within(false, Some(NonePossible)),
            Some(WITHIN_AT_LEAST)
        );
        for neighbours in [NonePossible, NoneHere] {
            assert_eq!(ended_within(true, Some(neighbours)), Some(WITHIN));
        }
        for neighbours in [Some(Others), Some(Hidden), None] {
            assert_eq!(ended_within(true, neighbours), Some(WITHIN_AT_LEAST));
        }
    }
}
