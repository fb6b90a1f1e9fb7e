//! What a command of a script finds set.
//!
//! What a file can make these hold is bounded by its length: a line that sets something must not
//! cost more for each line that was there before.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use super::target::{Target, join};
use crate::pipe::Image;
use crate::pipe::variables::Variables;

/// How many shells within shells are remembered: brackets that never close could fill the memory.
const DEEPEST: usize = 32;
/// How long a value is at most that is looked at: no path and no name is longer.
const LONGEST: usize = 256;
/// Stands for what is not known.
const OPEN: &str = "$";

/// What the lines so far have set.
pub(crate) struct Surroundings {
    exported: HashMap<String, String>,
    /// What was exported before, in the order in which it was replaced.
    replaced: Vec<(String, Option<String>)>,
    state: State,
    /// Those of the shells around this one, and how much was replaced when they were left.
    outer: Vec<(usize, State)>,
    depth: usize,
    /// What Terraform has set in directories. It stays when a shell ends.
    initialised: HashMap<Rc<str>, Initialised>,
    last: Option<Rc<Target>>,
    /// How many characters may still be copied.
    left: usize,
}

/// What ends with a shell.
#[derive(Clone)]
struct State {
    directory: Rc<str>,
    /// Whether something has run that can have set anything.
    is_doubtful: bool,
}

/// What Terraform remembers of a directory.
#[derive(Clone, Default)]
struct Initialised {
    workspace: Option<String>,
    backend_config: Rc<[String]>,
}

impl Surroundings {
    /// Those of a script of this length.
    pub(crate) fn new(length: usize) -> Self {
        Self {
            exported: HashMap::new(),
            replaced: Vec::new(),
            state: State {
                directory: "".into(),
                is_doubtful: false,
            },
            outer: Vec::new(),
            depth: 0,
            initialised: HashMap::new(),
            last: None,
            left: 4096 + 16 * length,
        }
    }

    /// Begins a shell within this one.
    pub(crate) fn begin_shell(&mut self) {
        self.depth += 1;
        if self.depth <= DEEPEST {
            self.outer.push((self.replaced.len(), self.state.clone()));
        } else {
            self.state.is_doubtful = true;
        }
    }

    /// Forgets what was set since a shell began, and says whether anything was.
    pub(crate) fn end_shell(&mut self) -> bool {
        if self.depth == 0 {
            return false;
        }
        self.depth -= 1;
        if self.depth >= self.outer.len() {
            return true;
        }
        let Some((count, state)) = self.outer.pop() else {
            return true;
        };
        let has_changed = self.replaced.len() > count
            || self.state.directory != state.directory
            || self.state.is_doubtful != state.is_doubtful;
        for (name, value) in self.replaced.drain(count..).rev() {
            match value {
                Some(value) => self.exported.insert(name, value),
                None => self.exported.remove(&name),
            };
        }
        self.state = state;
        has_changed
    }

    pub(crate) fn doubt(&mut self) {
        self.state.is_doubtful = true;
    }

    /// Exports a variable; one without a value has what only the running pipeline knows.
    pub(crate) fn export(&mut self, name: &str, value: Option<&str>) {
        let value = value.unwrap_or(OPEN);
        let value = if value.len() > LONGEST { OPEN } else { value };
        let before = self.exported.insert(name.to_owned(), value.to_owned());
        self.replaced.push((name.to_owned(), before));
    }

    pub(crate) fn exported(&self, name: &str) -> Option<&str> {
        self.exported.get(name).map(String::as_str)
    }

    pub(crate) fn enter(&mut self, directory: &str) {
        self.state.directory = self.joined(directory).into();
    }

    /// Begins where a step begins, whatever has been entered.
    pub(crate) fn leave_directory(&mut self) {
        self.state.directory = "".into();
    }

    /// Remembers the settings with which the backend of a directory is initialised.
    pub(crate) fn initialise(&mut self, directory: Option<&str>, settings: Vec<String>) {
        let length = settings.iter().map(String::len).sum();
        if let Some(place) = self.place(directory, length) {
            place.backend_config = settings.into();
        }
    }

    /// Remembers the workspace that is selected in a directory.
    pub(crate) fn select(&mut self, directory: Option<&str>, workspace: &str) {
        let workspace = if workspace.len() > LONGEST {
            OPEN
        } else {
            workspace
        };
        if let Some(place) = self.place(directory, workspace.len()) {
            place.workspace = Some(workspace.to_owned());
        }
    }

    fn place(&mut self, directory: Option<&str>, length: usize) -> Option<&mut Initialised> {
        let path = self.joined(directory.unwrap_or("."));
        if !self.copies(length + path.len()) {
            return None;
        }
        Some(self.initialised.entry(path.into()).or_default())
    }

    fn joined(&self, directory: &str) -> String {
        if self.state.directory.len() + directory.len() > LONGEST {
            return OPEN.to_owned();
        }
        join(&self.state.directory, directory)
    }

    /// A list as softstop reads it; a list that cannot be read is none.
    pub(crate) fn listed(&mut self, image: Image, variable: &str) -> Vec<String> {
        let left = Cell::new(self.left);
        let exported = |name: &str| {
            let value = self.exported.get(name)?;
            left.set(left.get().checked_sub(name.len() + value.len())?);
            Some(value.clone())
        };
        let listed = Variables::new(image, &exported).list(variable);
        self.left = left.get();
        listed.unwrap_or_default()
    }

    /// Whether so much may still be copied; where not, nothing is certain from now on.
    fn copies(&mut self, length: usize) -> bool {
        let left = self.left.checked_sub(length);
        self.left = left.unwrap_or_default();
        self.state.is_doubtful |= left.is_none();
        left.is_some()
    }

    /// What a command is about that names these.
    pub(crate) fn target(
        &mut self,
        mut directories: Vec<String>,
        mut backend_config: Vec<String>,
        workspace: Option<String>,
    ) -> Rc<Target> {
        if directories.is_empty() {
            directories.push(".".to_owned());
        }
        let directories: Vec<String> = directories
            .iter()
            .map(|directory| self.joined(directory))
            .collect();
        let first = directories.first().map(String::as_str).unwrap_or_default();
        let initialised = self.initialised.get(first).cloned().unwrap_or_default();
        let texts = directories.iter().chain(initialised.backend_config.iter());
        let length = texts.map(|text| text.len() + 1).sum();
        let (directories, settings) = if self.copies(length) {
            (directories, initialised.backend_config.to_vec())
        } else {
            (vec![OPEN.to_owned()], Vec::new())
        };
        if backend_config.is_empty() {
            backend_config = settings;
        }
        let workspace = workspace
            .or_else(|| self.exported("TF_WORKSPACE").map(str::to_owned))
            .or(initialised.workspace);
        self.shared(Target {
            directories,
            backend_config,
            workspace,
            is_doubtful: self.state.is_doubtful,
        })
    }

    /// Most calls of a script are about the same.
    fn shared(&mut self, target: Target) -> Rc<Target> {
        match &self.last {
            Some(last) if **last == target => Rc::clone(last),
            _ => Rc::clone(self.last.insert(Rc::new(target))),
        }
    }
}

/// A word such as `NAME=value`.
pub(crate) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, value))
}
