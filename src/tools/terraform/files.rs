//! The files of a configuration, and how a file is read.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::tools::error::ToolError;

/// What an editor may put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// How many files and directories are looked through for any.
const WALK_LIMIT: usize = 200_000;

/// A file of a configuration. Those that override stand behind those that do not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigurationFile {
    /// Whether what it says replaces what others say.
    pub(super) is_override: bool,
    pub(super) path: PathBuf,
}

/// The name of a file in its parts, such as `a.b`, `tf` and `.json`.
struct Name<'a> {
    stem: &'a str,
    language: &'a str,
    json: &'a str,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (rest, json) = match name.strip_suffix(".json") {
            Some(rest) => (rest, ".json"),
            None => (name, ""),
        };
        let (stem, language) = rest.rsplit_once('.')?;
        let is_read = !name.starts_with('.') && ["tf", "tofu"].contains(&language);
        is_read.then_some(Self {
            stem,
            language,
            json,
        })
    }

    /// All of the name before the extension counts, dots included.
    fn is_override(&self) -> bool {
        self.stem == "override" || self.stem.ends_with("_override")
    }
}

impl Display for Name<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}{}", self.stem, self.language, self.json)
    }
}

/// Whether any file of a configuration lies in this directory or below it. What is hidden there was
/// fetched by a tool.
pub(super) fn lie_below(directory: &Path) -> bool {
    let is_hidden = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() > 0 && entry.file_type().is_dir() && name.starts_with('.')
    };
    let entries = WalkDir::new(directory).max_open(1).into_iter();
    let entries = entries.filter_entry(|entry| !is_hidden(entry)).flatten();
    entries.take(WALK_LIMIT).any(|entry| {
        let is_file = !entry.file_type().is_dir();
        is_file && Name::parse(&entry.file_name().to_string_lossy()).is_some()
    })
}

/// The files of the configuration, in the order in which they are merged.
pub(super) fn files_of(
    directory: &Path,
    is_tofu: bool,
) -> Result<Vec<ConfigurationFile>, ToolError> {
    let unreadable = |source| ToolError::Unreadable {
        path: directory.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            names.extend(
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    let mut files: Vec<_> = names
        .iter()
        .filter_map(|name| Name::parse(name).filter(|name| reads(name, &names, is_tofu)))
        .map(|name| ConfigurationFile {
            is_override: name.is_override(),
            path: directory.join(name.to_string()),
        })
        .collect();
    files.sort();
    Ok(files)
}

/// Whether the tool reads a file of this name, among these. OpenTofu reads `x.tofu` in the
/// place of `x.tf`.
fn reads(name: &Name, names: &[String], is_tofu: bool) -> bool {
    let tofu = Name {
        language: "tofu",
        ..*name
    };
    match name.language {
        "tofu" => is_tofu,
        _ => !(is_tofu && names.contains(&tofu.to_string())),
    }
}

/// What gives every reader the same, although it is no regular file: nothing.
const NOTHING: &str = "/dev/null";

/// Opens a file of the user's, and no pipe: that gives each byte to one reader alone, and whoever opens
/// it waits for a writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let is_nothing = || fs::canonicalize(path).is_ok_and(|real| real == Path::new(NOTHING));
    if fs::metadata(path)?.is_file() || is_nothing() {
        File::open(path)
    } else {
        let why = "it is no regular file, and what a pipe holds is left to whoever it is for";
        Err(io::Error::new(ErrorKind::InvalidInput, why))
    }
}

/// The same for a file that a program shall open for us, which says itself where none is there.
pub(super) fn expect_no_pipe(path: &Path) -> Result<(), ToolError> {
    match open(path) {
        Err(source) if source.kind() == ErrorKind::InvalidInput => Err(ToolError::Unreadable {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// The text of a file of the user's.
pub(super) fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// The text of a file. Terraform takes any bytes where they are in a comment.
pub(super) fn read(path: &Path) -> Result<String, ToolError> {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|source| ToolError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    Ok(text.to_owned())
}

pub(super) fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

pub(super) fn malformed(path: &Path, reason: impl Display) -> ToolError {
    ToolError::Malformed {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn names(is_tofu: bool, names: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("directory.tf")).unwrap();
        let files = files_of(directory.path(), is_tofu).unwrap().into_iter();
        files
            .map(|file| {
                let name = file.path.file_name().unwrap().to_string_lossy();
                let mark = if file.is_override { "+" } else { "" };
                format!("{mark}{name}")
            })
            .collect()
    }

    #[test]
    fn overrides_come_last_and_are_told_by_all_that_stands_before_the_extension() {
        let all = [
            "b_override.tf",
            "override.tf",
            "my.override.tf",
            "backend.prod_override.tf",
            "z.tf",
            "b_override.tf.json",
            "a.tf.json",
            "overrides.tf",
            "x_override.y.tf",
            ".hidden.tf",
            ".tf",
            "a.tf.bak",
            "a.json",
            "tf",
        ];
        assert_eq!(
            names(false, &all),
            [
                "a.tf.json",
                "my.override.tf",
                "overrides.tf",
                "x_override.y.tf",
                "z.tf",
                "+b_override.tf",
                "+b_override.tf.json",
                "+backend.prod_override.tf",
                "+override.tf",
            ]
        );
    }

    #[test]
    fn a_file_of_opentofu_hides_the_one_of_terraform() {
        let all = [
            "a.tf",
            "a.tofu",
            "b.tf",
            "b.tf.json",
            "b.tofu.json",
            "c_override.tf",
            "c_override.tofu",
        ];
        assert_eq!(
            names(true, &all),
            ["a.tofu", "b.tf", "b.tofu.json", "+c_override.tofu"]
        );
        assert_eq!(
            names(false, &all),
            ["a.tf", "b.tf", "b.tf.json", "+c_override.tf"]
        );
    }

    #[test]
    fn a_pipe_is_left_to_whoever_it_is_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backend.hcl");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&path), Err(ToolError::Unreadable { .. })));
        assert!(expect_no_pipe(&path).is_err());
        // So a shell hands on what a process substitution writes.
        let (_reader, writer) = nix::unistd::pipe().unwrap();
        let handed_on = format!("/dev/fd/{}", writer.as_raw_fd());
        assert!(expect_no_pipe(Path::new(&handed_on)).is_err());
        assert!(expect_no_pipe(&directory.path().join("none")).is_ok());
    }

    #[test]
    fn what_leads_to_nothing_is_an_empty_file_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("extra.tfvars");
        std::os::unix::fs::symlink(NOTHING, &link).unwrap();
        for path in [Path::new(NOTHING), &link] {
            assert!(expect_no_pipe(path).is_ok());
            assert_eq!(read(path).unwrap(), "");
        }
        // What never ends is read by nobody.
        assert!(read(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_byte_order_mark_and_foreign_bytes_are_no_hindrance() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tf");
        fs::write(&path, b"\xef\xbb\xbf# \xe9\n").unwrap();
        assert_eq!(read(&path).unwrap(), "# \u{fffd}\n");
    }
}
