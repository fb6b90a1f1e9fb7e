//! What a layout of a repository is, and how its deploy finds the state.

use crate::support::Kind;

/// A repository, what its deploy is given, and what is said of the lock that this deploy leaves.
///
/// In files, commands and variables, DEPLOY stands for the usual commands, BACKEND for the block of
/// the backend with the state, PARTIAL for one that leaves everything open, SETTINGS for what stands
/// between the braces, and ADDRESS for where it is. FREE_ and LAPTOPS_ before them stand for two other
/// states: nobody locks the first one, a person has locked the second one.
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) kinds: &'static [Kind],
    pub(super) workspace: &'static str,
    pub(super) files: &'static [(&'static str, &'static str)],
    /// What was done in every clone before.
    pub(super) prepared: &'static str,
    pub(super) command: &'static str,
    pub(super) variables: Variables,
    /// Of what it is warned before.
    pub(super) warned: &'static str,
    /// How the command ends where its Terraform is killed.
    pub(super) code: i32,
    /// The variables by which the lock is found in the directory that the deploy has left.
    pub(super) there: Variables,
    /// What is said in fresh clones, by these variables.
    pub(super) elsewhere: &'static [(Variables, Told)],
}

pub(super) type Variables = &'static [(&'static str, &'static str)];

/// What a release and a status say of a lock that is held.
#[derive(Clone, Copy)]
pub(super) enum Told {
    Found,
    /// Another state is meant, whose lock is free, and it is named so.
    AnotherFree(&'static str),
    Unknown(&'static str),
    /// Nothing is looked at.
    Refused(&'static str),
}

pub(super) const S3: &[Kind] = &[Kind::S3Lockfile];

/// All lies in the directory in which softstop is started.
pub(super) const PLAIN: Layout = Layout {
    name: "",
    kinds: &[Kind::HttpStrict, Kind::S3Lockfile],
    workspace: "default",
    files: &[("main.tf", "BACKEND RESOURCE")],
    prepared: "",
    command: "DEPLOY",
    variables: &[],
    warned: "",
    code: 137,
    there: &[],
    elsewhere: &[(&[], Told::Found)],
};
