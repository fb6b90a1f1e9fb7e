//! What is known of one backend.

use super::backend::Backend;
use super::schema::Schema;
use super::strategy::Strategy;
use crate::environment::Environment;

/// What is known of a backend.
pub(super) struct Known {
    pub(super) schema: Schema,
    /// How locks are read and released there, and what that guarantees.
    pub(super) strategy: fn(&Backend) -> Strategy,
    /// Whether it is set up, by its settings or by variables, to take locks at all.
    pub(super) takes_locks: fn(&Backend, &Environment) -> bool,
    /// Whether there can be another workspace than the default one.
    pub(super) has_workspaces: bool,
    /// What `untaint` says, one of it, where it had the lock, and then could not read the state.
    pub(super) unread_texts: &'static [&'static str],
    /// How a person removes the lock of a workspace at the backend itself, as an order.
    pub(super) removal: fn(&Backend, &str) -> Option<String>,
    /// Whether Terraform needs no `init` where the settings are written down as `init` keeps them:
    /// there is no nested block among them, which would be kept otherwise where it is not given.
    pub(super) is_flat: bool,
    /// Whether whatever opens the state makes an empty one where there is none, `force-unlock` too.
    pub(super) is_made_by_asking: bool,
    /// Its nested blocks.
    pub(super) blocks: &'static [&'static str],
    /// Settings that keep Terraform from making what is not there, with the variables that give them.
    pub(super) without_making: &'static [(&'static str, &'static str)],
    /// Beginnings of variables that lead to another state, or to another account, where the settings
    /// are the same.
    pub(super) leading: &'static [&'static str],
    /// Those of them that are given anew for one and the same state, as a session's are.
    pub(super) renewed: &'static [&'static str],
    /// Settings, and variables, that hold paths of files which lead to another state, or to another
    /// account, where the settings are the same.
    pub(super) leading_files: &'static [&'static str],
    /// Beginnings of other variables that lead to credentials, and of those among them that name a
    /// setting too.
    pub(super) credentials: &'static [&'static str],
}

impl Known {
    /// A backend of which nothing else is to be said.
    pub(super) const fn new(schema: Schema, strategy: fn(&Backend) -> Strategy) -> Self {
        Self {
            schema,
            strategy,
            takes_locks: |_, _| true,
            has_workspaces: true,
            unread_texts: &[],
            removal: |_, _| None,
            is_flat: false,
            is_made_by_asking: false,
            blocks: &[],
            without_making: &[],
            leading: &[],
            renewed: &[],
            leading_files: &[],
            credentials: &[],
        }
    }
}
