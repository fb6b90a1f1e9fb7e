//! Which program a directory is of: Terraform or OpenTofu.
//!
//! The wrong one may store in plain text what the other one is to encrypt, so the one that is meant
//! is never replaced by the one that is there.

use std::env;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

const TERRAFORM: &str = "terraform";
const OPENTOFU: &str = "tofu";

/// The files by which a version manager is told what to run, in the order in which they count.
const VERSION_FILES: [(&str, &str); 2] = [
    (".opentofu-version", OPENTOFU),
    (".terraform-version", TERRAFORM),
];
/// Where `init` notes which provider comes from which registry.
const LOCK_FILE: &str = ".terraform.lock.hcl";
/// The registry from which OpenTofu takes what names no other one.
const REGISTRY_OF_OPENTOFU: &str = "registry.opentofu.org";

/// The program that is meant in a directory, whether or not it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    name: String,
    found: Option<PathBuf>,
    sign: Sign,
}

/// What says which program is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    /// TERRAFORM_BIN.
    Given,
    /// This file, by its name or by what is in it.
    File(PathBuf),
    /// Nothing but what is installed.
    Installed,
}

impl Program {
    /// The program that is given, or else the one that the directory is of.
    pub(crate) fn of(given: Option<&str>, directory: &Path) -> Self {
        Self::choose(given, directory, find)
    }

    fn choose(
        given: Option<&str>,
        directory: &Path,
        find: impl Fn(&str) -> Option<PathBuf>,
    ) -> Self {
        let meant = |name: &str, sign| Self {
            name: name.to_owned(),
            found: find(name),
            sign,
        };
        if let Some(name) = given {
            return meant(name, Sign::Given);
        }
        let by_file = by_version_file(directory).or_else(|| by_configuration(directory));
        if let Some((name, file)) = by_file {
            // OpenTofu may be installed under the other name.
            let is_renamed = name == OPENTOFU
                && find(OPENTOFU).is_none()
                && find(TERRAFORM).is_some_and(|program| is_opentofu(&program));
            let name = if is_renamed { TERRAFORM } else { name };
            return meant(name, Sign::File(file));
        }
        let terraform = meant(TERRAFORM, Sign::Installed);
        match terraform.found {
            None if find(OPENTOFU).is_some() => meant(OPENTOFU, Sign::Installed),
            _ => terraform,
        }
    }

    /// Where it is, or else its name.
    pub(crate) fn path(&self) -> PathBuf {
        let found = self.found.clone();
        found.unwrap_or_else(|| PathBuf::from(&self.name))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same program, which will be found there.
    pub(super) fn at(&self, path: PathBuf) -> Self {
        Self {
            found: Some(path),
            ..self.clone()
        }
    }

    /// Whether it is there.
    pub(crate) fn is_found(&self) -> bool {
        self.found.is_some()
    }
}

/// What is to be done where it is not there.
impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.sign {
            Sign::Given => write!(
                formatter,
                "TERRAFORM_BIN is {name:?}: there is no such program; install it, or say where it is"
            ),
            Sign::File(file) => write!(
                formatter,
                "{} says that the program here is {name:?}, which is not in PATH; install it, or say by TERRAFORM_BIN where it is",
                file.display()
            ),
            Sign::Installed => write!(
                formatter,
                "neither {TERRAFORM:?} nor {OPENTOFU:?} is in PATH; install the one that is meant, or say by TERRAFORM_BIN where it is"
            ),
        }
    }
}

/// What the programs that are installed say of their version.
pub(crate) fn say_installed() -> Vec<String> {
    let version = |name: &str| {
        let mut command = Command::new(find(name)?);
        command.arg("version").env("CHECKPOINT_DISABLE", "1");
        let output = command.stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().next().map(str::to_owned)
    };
    [TERRAFORM, OPENTOFU]
        .into_iter()
        .filter_map(version)
        .collect()
}

/// Version managers go by the nearest of these files, here or above.
fn by_version_file(directory: &Path) -> Option<(&'static str, PathBuf)> {
    let levels = directory.ancestors();
    levels
        .flat_map(|level| VERSION_FILES.map(|(file, name)| (name, level.join(file))))
        .find(|(_, file)| file.is_file())
}

/// What only OpenTofu reads, or only OpenTofu writes.
fn by_configuration(directory: &Path) -> Option<(&'static str, PathBuf)> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        // A pipe would keep whoever reads it waiting.
        .filter(|path| path.is_file() && is_of_opentofu(path))
        .collect();
    files.sort();
    let file = files.into_iter().next()?;
    Some((OPENTOFU, file))
}

fn is_of_opentofu(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == LOCK_FILE {
        let text = fs::read_to_string(path);
        return text.is_ok_and(|text| text.contains(REGISTRY_OF_OPENTOFU));
    }
    let is_hidden = name.starts_with('.');
    !is_hidden
        && [".tofu", ".tofu.json"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Whether a program is OpenTofu: by its name, or by the name of what that is a link to.
pub(super) fn is_opentofu(binary: &Path) -> bool {
    let real = fs::canonicalize(binary).ok();
    let names = [Some(binary), real.as_deref()];
    names.into_iter().flatten().any(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().contains(OPENTOFU))
    })
}

/// Finds a program the way a shell does.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let runnable = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return path::absolute(program).ok().filter(runnable);
    }
    env::split_paths(&env::var_os("PATH")?)
        .filter_map(|place| path::absolute(place.join(program)).ok())
        .find(runnable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is given, the files, what is installed, and what is chosen: its name, and whether it is
    /// there.
    type Row<'a> = (
        Option<&'a str>,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a str,
        bool,
    );

    /// What is chosen below `above/here`, where these files are and these programs are installed.
    fn choose(given: Option<&str>, files: &[(&str, &str)], installed: &[&str]) -> Program {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("above/here");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        Program::choose(given, &directory, |name| {
            let is_there = installed.contains(&name);
            is_there.then(|| Path::new("/bin").join(name))
        })
    }

    #[test]
    fn opentofu_under_the_name_of_the_other_one_is_opentofu() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("tofu"), "").unwrap();
        fs::write(scratch.path().join("main.tofu"), "").unwrap();
        let terraform = scratch.path().join("terraform");
        symlink(scratch.path().join("tofu"), &terraform).unwrap();
        let program = Program::choose(None, scratch.path(), |name| {
            (name == TERRAFORM).then(|| terraform.clone())
        });
        assert_eq!(program.path(), terraform);
        assert!(program.is_found());
    }

    #[test]
    fn every_sign_says_which_program_is_meant() {
        const LOCKED: (&str, &str) = (
            ".terraform.lock.hcl",
            "provider \"registry.opentofu.org/hashicorp/null\" {\n}\n",
        );
        let by_terraform = (
            ".terraform.lock.hcl",
            "provider \"registry.terraform.io/hashicorp/null\" {\n}\n",
        );
        let plain = ("main.tf", "");
        let tofu = ("encryption.tofu", "");
        let json = ("encryption.tofu.json", "{}");
        let hidden = (".hidden.tofu", "");
        let both: &[&str] = &["terraform", "tofu"];
        let rows: [Row; 19] = [
            (Some("terraform"), &[tofu], both, "terraform", true),
            (Some("tofu"), &[plain], both, "tofu", true),
            (Some("other"), &[tofu], both, "other", false),
            (None, &[plain], both, "terraform", true),
            (None, &[plain], &["tofu"], "tofu", true),
            (None, &[plain], &["terraform"], "terraform", true),
            (None, &[plain], &[], "terraform", false),
            (None, &[plain, tofu], both, "tofu", true),
            (None, &[plain, json], both, "tofu", true),
            (None, &[plain, hidden], both, "terraform", true),
            (None, &[plain, tofu], &["terraform"], "tofu", false),
            (None, &[plain, LOCKED], both, "tofu", true),
            (None, &[plain, LOCKED], &["terraform"], "tofu", false),
            (None, &[plain, by_terraform], both, "terraform", true),
            (None, &[(".opentofu-version", "")], both, "tofu", true),
            (None, &[("../.opentofu-version", "")], both, "tofu", true),
            (
                None,
                &[tofu, (".terraform-version", "1.11.4")],
                both,
                "terraform",
                true,
            ),
            (
                None,
                &[(".terraform-version", ""), (".opentofu-version", "")],
                both,
                "tofu",
                true,
            ),
            (
                None,
                &[(".terraform-version", ""), ("../.opentofu-version", "")],
                &["tofu"],
                "terraform",
                false,
            ),
        ];
        for (given, files, installed, name, is_found) in rows {
            let program = choose(given, files, installed);
            assert_eq!(
                (program.name.as_str(), program.is_found()),
                (name, is_found),
                "{given:?} {files:?} {installed:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_asks_for_it() {
        let by_file = choose(None, &[("a.tofu", "")], &["terraform"]).to_string();
        assert!(by_file.contains("a.tofu says that the program here is \"tofu\""));
        let given = choose(Some("/x"), &[], &[]).to_string();
        assert!(given.starts_with("TERRAFORM_BIN is \"/x\": there is no such program"));
        let none = choose(None, &[], &[]).to_string();
        assert!(none.starts_with("neither \"terraform\" nor \"tofu\" is in PATH"));
    }

    #[test]
    fn a_link_to_opentofu_is_opentofu() {
        let scratch = tempfile::tempdir().unwrap();
        let [tofu, link, other] =
            ["tofu", "terraform", "another"].map(|name| scratch.path().join(name));
        fs::write(&tofu, "").unwrap();
        fs::write(&other, "").unwrap();
        symlink(&tofu, &link).unwrap();
        assert!(is_opentofu(&tofu) && is_opentofu(&link));
        assert!(!is_opentofu(&other) && !is_opentofu(Path::new("terraform")));
    }
}
