//! For what a Terraform holds a lock, in the words that it writes into the lock.

/// The operations for which a deploy holds a lock: `init` makes workspaces, and brings a state from one
/// backend to another under the locks of both.
///
/// A lock for anything else, a `state mv` or an `untaint`, was taken by a person or by a look.
pub(super) const OF_A_DEPLOY: &[&str] = &[
    "OperationTypeApply",
    "OperationTypePlan",
    "OperationTypeRefresh",
    "init",
    "migration destination state",
    "migration source state",
];
/// The operation for which storing a left-over state holds a lock.
pub(super) const OF_A_STATE_PUSH: &[&str] = &["state-push"];
/// The operation under which a look by `untaint` takes a lock.
pub(super) const OF_A_LOOK: &str = "untaint";
/// The operation under which a look by requests takes one.
pub(super) const OF_A_LOOK_BY_REQUESTS: &str = "softstop-look";
