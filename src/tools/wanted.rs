//! What the user says of a place, before any tool is known to be there.

use std::path::PathBuf;

use super::terraform::chosen::Chosen;

/// What the user says of a place.
pub(crate) struct Wanted<'a> {
    pub(crate) directory: PathBuf,
    pub(crate) backend_config: Vec<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) program: Option<String>,
    /// The saved plan whose state is meant, where one is.
    pub(crate) plan: Option<PathBuf>,
    /// Whether there must be something that the tool could deploy.
    pub(crate) needs_work: bool,
    /// The version that is chosen, whichever program it is of.
    pub(crate) chosen: Option<&'a mut Chosen>,
}
