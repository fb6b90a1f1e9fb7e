//! Which locks a call is about, as far as the file says it.

use std::fmt;

/// What a call names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// As seen from the directory of the repository.
    pub(crate) directories: Vec<String>,
    pub(crate) backend_config: Vec<String>,
    pub(crate) workspace: Option<String>,
    /// Whether something that cannot be read here can have set any of it.
    pub(crate) is_doubtful: bool,
}

impl Target {
    /// Whether a release of this can be a release of the lock of `deploy`. In doubt it can.
    ///
    /// Only what the deploy names has to be the same: a command of its own can initialise another
    /// backend, and a release can need more settings, such as a password.
    pub(crate) fn covers(&self, deploy: &Self) -> bool {
        let has_workspace = match (&self.workspace, &deploy.workspace) {
            (_, None) => true,
            (None, Some(theirs)) => is_open(theirs),
            (Some(ours), Some(theirs)) => is_alike(ours, theirs),
        };
        self.is_doubtful
            || deploy.is_doubtful
            || (all_in(&deploy.directories, &self.directories)
                && all_in(&deploy.backend_config, &self.backend_config)
                && has_workspace)
    }

    /// How many texts there are to compare.
    pub(crate) fn size(&self) -> usize {
        1 + self.directories.len() + self.backend_config.len()
    }

    /// Whether nothing depends on what only the running pipeline knows.
    pub(crate) fn is_certain(&self) -> bool {
        let texts = self.directories.iter().chain(&self.backend_config);
        !self.is_doubtful && !texts.chain(&self.workspace).any(|text| is_open(text))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.directories.join("`, `"))?;
        if let Some(workspace) = &self.workspace {
            write!(formatter, ", workspace `{workspace}`")?;
        }
        if !self.backend_config.is_empty() {
            write!(
                formatter,
                ", backend `{}`",
                self.backend_config.join("`, `")
            )?;
        }
        Ok(())
    }
}

/// The path of `to` as seen from where `from` is seen from.
pub(crate) fn join(from: &str, to: &str) -> String {
    let is_absolute = to.starts_with(['/', '$', '~']);
    let whole = if is_absolute || from.is_empty() {
        to.to_owned()
    } else {
        format!("{from}/{to}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match (part, parts.last()) {
            ("." | "", _) => {}
            ("..", Some(last)) if *last != ".." && !is_open(last) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    match path.as_str() {
        _ if whole.starts_with('/') => format!("/{path}"),
        "" => ".".to_owned(),
        _ => path,
    }
}

fn all_in(wanted: &[String], given: &[String]) -> bool {
    wanted
        .iter()
        .all(|text| given.iter().any(|other| is_alike(text, other)))
}

/// Compares directories, workspaces, or settings such as `NAME=value`.
fn is_alike(one: &str, other: &str) -> bool {
    let may_be = |one: &str, other: &str| one == other || is_open(one) || is_open(other);
    let parts = |text| str::split_once(text, '=').unwrap_or((text, ""));
    one == other
        || (is_open(one) || is_open(other)) && {
            let ((name, value), (other_name, other_value)) = (parts(one), parts(other));
            may_be(name, other_name) && may_be(value, other_value)
        }
}

/// Whether only a shell can tell what this is.
fn is_open(text: &str) -> bool {
    text.contains(['$', '`', '~'])
}
