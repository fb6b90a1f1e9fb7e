//! Tools that tell what they make, and what their stored state has.

use std::sync::{Arc, Mutex};

use super::error::ToolError;
use super::host::Host;
use super::progress::{PlaceName, Reader};
use super::stored::Stored;

/// A tool that tells, while it runs, what it makes.
pub(crate) trait Telling {
    /// What the lines of its output hold in which it does.
    fn markers(&self) -> &'static [&'static str];

    /// Understands these lines, of one deploy.
    fn reader(&self) -> Arc<Mutex<dyn Reader>>;

    /// The same of a log that may tell of several runs: those that have ended well leave nothing.
    fn reader_of_log(&self) -> Arc<Mutex<dyn Reader>>;

    /// How a journal names the place; nothing where it cannot be told from others in every clone.
    fn journal_name(&self) -> Option<PlaceName>;

    /// Whether other states may go by that name: not all that decides which one is used is in the
    /// configuration.
    fn shares_its_name(&self) -> bool;

    /// Tells each object that the stored state has, by its address and, where it has one, its id, without
    /// taking the lock. To be asked where a deploy has used it, because asking may create it. What was told
    /// before an error counts for nothing.
    async fn tell_stored(
        &self,
        host: &impl Host,
        tell: &mut dyn FnMut(String, Option<String>),
    ) -> Result<(), ToolError>;

    /// All of that at once.
    async fn stored(&self, host: &impl Host) -> Result<Stored, ToolError> {
        let mut stored = Stored::default();
        let mut tell = |address, id| stored.0.entry(address).or_default().extend(id);
        self.tell_stored(host, &mut tell).await?;
        Ok(stored)
    }

    /// How a person brings into the state what was made and is not in it.
    fn import_by_hand(&self, address: &str, id: &str) -> String;
}
