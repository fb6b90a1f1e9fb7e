//! Every tool there is. A new one is a variant in each of these types, and a line in the macro.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::access::Barred;
use super::error::ToolError;
#[cfg(test)]
use super::fake::{FakeLock, FakeTool};
use super::host::Host;
use super::job::Job;
use super::locking::{ByHand, End, Locked, Locking, Look, Reply};
use super::processes::{Prepared, Processes, Purpose, Sighting};
use super::progress::{PlaceName, Reader};
use super::recovering::{Draft, LaidOut, Made, Planned, Recovering, Step};
use super::signing::Signing;
use super::state_keeping::{StateKeeping, UnsavedState, Unstored};
use super::telling::Telling;
use super::terraform::{Terraform, TerraformLock};
use super::wanted::Wanted;
use crate::lock::LockInfo;
use crate::supervisor::{Programs, SeenTool};

/// A tool, at one place.
#[derive(Clone, Debug)]
pub(crate) enum Tool {
    Terraform(Box<Terraform>),
    #[cfg(test)]
    Fake(FakeTool),
}

/// A lock of a tool's.
pub(crate) enum Lock<'a, H> {
    Terraform(Box<TerraformLock<'a, H>>),
    #[cfg(test)]
    Fake(FakeLock<'a>),
}

/// A tool that keeps a state.
#[derive(Clone, Copy)]
pub(crate) enum StateKeeper<'a> {
    Terraform(&'a Terraform),
    #[cfg(test)]
    Fake(&'a FakeTool),
}

/// A tool that tells what it makes.
#[derive(Clone, Copy)]
pub(crate) enum Teller<'a> {
    Terraform(&'a Terraform),
    #[cfg(test)]
    Fake(&'a FakeTool),
}

/// A tool that can take into its state what is not in it.
#[derive(Clone, Copy)]
pub(crate) enum Recoverer<'a> {
    Terraform(&'a Terraform),
    #[cfg(test)]
    Fake(&'a FakeTool),
}

/// Asks whichever tool it is.
macro_rules! ask {
    ($value:expr, $tool:ident => $answer:expr) => {
        match $value {
            Self::Terraform($tool) => $answer,
            #[cfg(test)]
            Self::Fake($tool) => $answer,
        }
    };
}

impl Tool {
    /// The tool that is wanted, or why it cannot be had.
    pub(crate) fn named(wanted: Wanted<'_>) -> Result<Self, String> {
        Terraform::named(wanted).map(Self::from)
    }

    /// What keeps its state, where it keeps one.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "Terraform keeps one, and other tools need not"
    )]
    pub(crate) fn state_keeper(&self) -> Option<StateKeeper<'_>> {
        Some(match self {
            Self::Terraform(terraform) => StateKeeper::Terraform(terraform),
            #[cfg(test)]
            Self::Fake(fake) => StateKeeper::Fake(fake),
        })
    }

    /// What tells of what it makes, where it does.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "Terraform tells of it, and other tools need not"
    )]
    pub(crate) fn teller(&self) -> Option<Teller<'_>> {
        Some(match self {
            Self::Terraform(terraform) => Teller::Terraform(terraform),
            #[cfg(test)]
            Self::Fake(fake) => Teller::Fake(fake),
        })
    }

    /// What takes into its state what is not in it, where it can.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "Terraform can, and other tools need not"
    )]
    pub(crate) fn recoverer(&self) -> Option<Recoverer<'_>> {
        Some(match self {
            Self::Terraform(terraform) => Recoverer::Terraform(terraform),
            #[cfg(test)]
            Self::Fake(fake) => Recoverer::Fake(fake),
        })
    }
}

impl Processes for Tool {
    fn tool_name(&self) -> &'static str {
        ask!(self, tool => tool.tool_name())
    }

    fn programs(&self) -> Programs {
        ask!(self, tool => tool.programs())
    }

    fn renew_environment(&mut self) {
        ask!(self, tool => tool.renew_environment());
    }

    fn operations_of_a_deploy(&self) -> &'static [&'static str] {
        ask!(self, tool => tool.operations_of_a_deploy())
    }

    fn sight(&self, seen: &SeenTool) -> Sighting<Self> {
        ask!(self, tool => tool.sight(seen).into())
    }

    fn purpose(&self, seen: &SeenTool) -> Purpose {
        ask!(self, tool => tool.purpose(seen))
    }

    fn takes_no_lock(&self, words: &[String]) -> bool {
        ask!(self, tool => tool.takes_no_lock(words))
    }

    fn leaves(&self, words: &[String]) -> bool {
        ask!(self, tool => tool.leaves(words))
    }

    fn job_takes_no_lock(&self, job: &Job) -> bool {
        ask!(self, tool => tool.job_takes_no_lock(job))
    }

    fn is_named_in(&self, words: &[String]) -> bool {
        ask!(self, tool => tool.is_named_in(words))
    }

    async fn introduce(&self, host: &impl Host) {
        ask!(self, tool => tool.introduce(host).await);
    }

    fn default_command(
        &self,
        job: &Job,
        lock_timeout: Duration,
        has_found_state: bool,
    ) -> Result<Prepared, ToolError> {
        ask!(self, tool => tool.default_command(job, lock_timeout, has_found_state))
    }

    fn own_command(&self, command: Command) -> Result<Prepared, ToolError> {
        ask!(self, tool => tool.own_command(command))
    }
}

impl Signing for Tool {
    fn signature(&self) -> String {
        ask!(self, tool => tool.signature())
    }

    async fn version(&self, host: &impl Host) -> Result<String, ToolError> {
        ask!(self, tool => tool.version(host).await)
    }
}

impl Locking for Tool {
    type Lock<'a, H: Host + 'a> = Lock<'a, H>;

    fn directory(&self) -> &Path {
        ask!(self, tool => tool.directory())
    }

    fn place_name(&self) -> String {
        ask!(self, tool => tool.place_name())
    }

    fn description(&self) -> String {
        ask!(self, tool => tool.description())
    }

    fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Terraform(one), Self::Terraform(other)) => one.is_same_place(other),
            #[cfg(test)]
            (Self::Fake(one), Self::Fake(other)) => one.is_same_place(other),
            #[cfg(test)]
            _ => false,
        }
    }

    fn is_set_up_for(&self, used: &Self) -> bool {
        match (self, used) {
            (Self::Terraform(one), Self::Terraform(used)) => one.is_set_up_for(used),
            #[cfg(test)]
            (Self::Fake(one), Self::Fake(used)) => one.is_set_up_for(used),
            #[cfg(test)]
            _ => false,
        }
    }

    fn has_work(&self) -> bool {
        ask!(self, tool => tool.has_work())
    }

    fn has_work_below(&self) -> bool {
        ask!(self, tool => tool.has_work_below())
    }

    fn barred(&self) -> Vec<Barred> {
        ask!(self, tool => tool.barred())
    }

    fn caveat(&self) -> Option<&'static str> {
        ask!(self, tool => tool.caveat())
    }

    async fn find_locks<'a, H: Host>(&'a self, host: &'a H) -> Result<Vec<Lock<'a, H>>, ToolError> {
        ask!(self, tool => {
            let locks = tool.find_locks(host).await?;
            Ok(locks.into_iter().map(Lock::from).collect())
        })
    }
}

impl<H: Host> Locked for Lock<'_, H> {
    async fn look(&self) -> Result<Look, ToolError> {
        ask!(self, lock => lock.look().await)
    }

    async fn release(&self, info: &LockInfo) -> Result<Reply, ToolError> {
        ask!(self, lock => lock.release(info).await)
    }

    fn end(&self) -> End {
        ask!(self, lock => lock.end())
    }

    fn release_by_hand(&self, info: &LockInfo) -> ByHand {
        ask!(self, lock => lock.release_by_hand(info))
    }

    fn unnamed_by_hand(&self) -> ByHand {
        ask!(self, lock => lock.unnamed_by_hand())
    }
}

impl StateKeeping for StateKeeper<'_> {
    fn unsaved_state(&self, undisturbed: Option<Duration>) -> Option<UnsavedState> {
        ask!(self, tool => tool.unsaved_state(undisturbed))
    }

    async fn save_state(&self, host: &impl Host, state: &UnsavedState) -> Result<(), Unstored> {
        ask!(self, tool => tool.save_state(host, state).await)
    }

    fn note_unsaved(&self, state: &UnsavedState) -> io::Result<()> {
        ask!(self, tool => tool.note_unsaved(state))
    }

    fn unsaved_state_of(&self, holder: &LockInfo) -> Option<UnsavedState> {
        ask!(self, tool => tool.unsaved_state_of(holder))
    }

    fn operations_of_a_save(&self) -> &'static [&'static str] {
        ask!(self, tool => tool.operations_of_a_save())
    }

    async fn save_by_hand(&self, host: &impl Host, state: &UnsavedState) -> String {
        ask!(self, tool => tool.save_by_hand(host, state).await)
    }
}

impl Telling for Teller<'_> {
    fn markers(&self) -> &'static [&'static str] {
        ask!(self, tool => tool.markers())
    }

    fn reader(&self) -> Arc<Mutex<dyn Reader>> {
        ask!(self, tool => tool.reader())
    }

    fn reader_of_log(&self) -> Arc<Mutex<dyn Reader>> {
        ask!(self, tool => tool.reader_of_log())
    }

    fn journal_name(&self) -> Option<PlaceName> {
        ask!(self, tool => tool.journal_name())
    }

    fn shares_its_name(&self) -> bool {
        ask!(self, tool => tool.shares_its_name())
    }

    async fn tell_stored(
        &self,
        host: &impl Host,
        tell: &mut dyn FnMut(String, Option<String>),
    ) -> Result<(), ToolError> {
        ask!(self, tool => tool.tell_stored(host, tell).await)
    }

    fn import_by_hand(&self, address: &str, id: &str) -> String {
        ask!(self, tool => tool.import_by_hand(address, id))
    }
}

impl Recovering for Recoverer<'_> {
    async fn imports_by_plan(&self, host: &impl Host) -> Result<bool, ToolError> {
        ask!(self, tool => tool.imports_by_plan(host).await)
    }

    fn is_address(&self, text: &str) -> bool {
        ask!(self, tool => tool.is_address(text))
    }

    fn are_of_one_type(&self, one: &str, other: &str) -> bool {
        ask!(self, tool => tool.are_of_one_type(one, other))
    }

    fn import_blocks(&self, made: &[Made]) -> String {
        ask!(self, tool => tool.import_blocks(made))
    }

    fn lay_out(&self, made: &[Made]) -> io::Result<LaidOut> {
        ask!(self, tool => tool.lay_out(made))
    }

    fn clear_away(&self) -> io::Result<Option<PathBuf>> {
        ask!(self, tool => tool.clear_away())
    }

    async fn step(
        &self,
        host: &impl Host,
        step: Step<'_>,
        job: &Job,
        lock_timeout: Duration,
        has_found_state: bool,
    ) -> Result<Prepared, ToolError> {
        ask!(self, tool => tool.step(host, step, job, lock_timeout, has_found_state).await)
    }

    fn planned(&self, draft: &Draft) -> Result<Planned, ToolError> {
        ask!(self, tool => tool.planned(draft))
    }
}

impl From<Terraform> for Tool {
    fn from(terraform: Terraform) -> Self {
        Self::Terraform(Box::new(terraform))
    }
}

impl<'a, H> From<TerraformLock<'a, H>> for Lock<'a, H> {
    fn from(lock: TerraformLock<'a, H>) -> Self {
        Self::Terraform(Box::new(lock))
    }
}

#[cfg(test)]
impl From<FakeTool> for Tool {
    fn from(fake: FakeTool) -> Self {
        Self::Fake(fake)
    }
}

#[cfg(test)]
impl<'a, H> From<FakeLock<'a>> for Lock<'a, H> {
    fn from(lock: FakeLock<'a>) -> Self {
        Self::Fake(lock)
    }
}
