//! The programs of a tool, what they do, and how they are started.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::error::ToolError;
use super::host::Host;
use super::job::Job;
use crate::supervisor::{Programs, SeenTool};

/// The programs of a tool, and what they do.
pub(crate) trait Processes: Sized {
    /// The tool, for people.
    fn tool_name(&self) -> &'static str;

    /// The programs that must be stopped the way they want.
    fn programs(&self) -> Programs;

    /// Takes in the variables of this process as they are now.
    fn renew_environment(&mut self);

    /// The operations for which a deploy can hold a lock, as the tool writes them into it.
    fn operations_of_a_deploy(&self) -> &'static [&'static str];

    /// What a program of the tool that was seen to run says of the state that it uses.
    fn sight(&self, seen: &SeenTool) -> Sighting<Self>;

    /// What a program of the tool that was seen to run is there for.
    fn purpose(&self, seen: &SeenTool) -> Purpose;

    /// Whether these words of a command, or the shell script in them, show that no lock is taken.
    fn takes_no_lock(&self, words: &[String]) -> bool;

    /// Whether they show that locks are taken at other places alone than at this one.
    fn leaves(&self, words: &[String]) -> bool;

    /// Whether what the tool itself runs for this job is told to take no lock.
    fn job_takes_no_lock(&self, job: &Job) -> bool;

    /// Whether these words of a command, or the shell script in them, name the tool.
    fn is_named_in(&self, words: &[String]) -> bool;

    /// Says which program of which version runs here, and what here is meant for another one.
    async fn introduce(&self, host: &impl Host);

    /// What the tool runs for this job, where the user names no command; a state that was not found may
    /// have to be made.
    fn default_command(
        &self,
        job: &Job,
        lock_timeout: Duration,
        has_found_state: bool,
    ) -> Result<Prepared, ToolError>;

    /// A command of the user's own, with what it needs for the tool in it to find the settings that are
    /// given.
    fn own_command(&self, command: Command) -> Result<Prepared, ToolError>;
}

/// What a program of a tool is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It shows what a deploy would change.
    Plan,
    /// It may make something.
    Change,
    /// It may change a state or its workspaces, and makes nothing.
    Tend,
    Other,
}

/// What a program of a tool was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sighting<P> {
    /// It opens no state, or takes no lock.
    Nothing,
    /// It uses the state of this place.
    Place(P),
    /// It sets this place up.
    Initialising(P),
    /// It sets the second place up, and brings there what is at the first one.
    Moving(P, P),
    /// It uses the state of this place, and perhaps that of another one, which is not known, for this reason.
    Beside(P, String),
    /// It removes the state of this place.
    Removing(P),
    /// Which state it uses cannot be read, for this reason; perhaps it is that of this place.
    Doubtful(P, String),
    /// The same, where nothing tells of any place.
    Unclear(String),
    /// It does so where that was set up in the same deploy. Otherwise which state it uses is not known, for
    /// this reason; perhaps it is that of this place.
    Unproved(Box<Sighting<P>>, P, String),
}

/// A command, and the files that it needs until it has ended.
pub(crate) struct Prepared {
    pub(crate) command: Command,
    pub(crate) files: Option<TempDir>,
}

impl<P> Sighting<P> {
    pub(super) fn into<Q: From<P>>(self) -> Sighting<Q> {
        match self {
            Self::Nothing => Sighting::Nothing,
            Self::Place(place) => Sighting::Place(place.into()),
            Self::Initialising(place) => Sighting::Initialising(place.into()),
            Self::Moving(from, to) => Sighting::Moving(from.into(), to.into()),
            Self::Beside(place, reason) => Sighting::Beside(place.into(), reason),
            Self::Removing(place) => Sighting::Removing(place.into()),
            Self::Doubtful(place, reason) => Sighting::Doubtful(place.into(), reason),
            Self::Unclear(reason) => Sighting::Unclear(reason),
            Self::Unproved(seen, perhaps, reason) => {
                Sighting::Unproved(Box::new((*seen).into()), perhaps.into(), reason)
            }
        }
    }
}
