//! Which program a directory is of: Terraform or OpenTofu.
//!
//! The wrong one may store in plain text what the other one is to encrypt, so the one that is meant
//! is never replaced by the one that is there.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use super::opentofu::{is_called_opentofu, is_opentofu};
use super::sign::{OPENTOFU, Sign, TERRAFORM, sign_of};
use super::static_part::ENCRYPTION_VARIABLE;
use crate::environment::Environment;

/// The program that is meant in a directory, whether or not it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    name: String,
    found: Option<PathBuf>,
    is_opentofu: bool,
    sign: Sign,
}

impl Program {
    /// The program that is given, or else the one that the directory and the environment are of.
    pub(crate) fn of(given: Option<&str>, directory: &Path) -> Self {
        let encrypts = Environment::own().get(ENCRYPTION_VARIABLE).is_some();
        Self::choose(given, directory, encrypts, find)
    }

    /// Whether it `encrypts` states is what the environment says of itself.
    fn choose(
        given: Option<&str>,
        directory: &Path,
        encrypts: bool,
        find: impl Fn(&str) -> Option<PathBuf>,
    ) -> Self {
        let signed = sign_of(directory, encrypts);
        let speaks_of_opentofu = signed.as_ref().is_some_and(|(name, _)| *name == OPENTOFU);
        let is_opentofu = |program: &Path| is_opentofu(program, directory, speaks_of_opentofu);
        let meant = |name: &str, found: Option<PathBuf>, sign| Self {
            is_opentofu: match &found {
                Some(program) => is_opentofu(program),
                None => is_called_opentofu(Path::new(name)),
            },
            name: name.to_owned(),
            found,
            sign,
        };
        if let Some(name) = given {
            return meant(name, find(name), Sign::Given);
        }
        if let Some((name, sign)) = signed {
            // OpenTofu may be installed under the other name.
            if name == OPENTOFU
                && find(OPENTOFU).is_none()
                && let Some(renamed) = find(TERRAFORM).filter(|program| is_opentofu(program))
            {
                return Self {
                    name: name.to_owned(),
                    found: Some(renamed),
                    is_opentofu: true,
                    sign,
                };
            }
            return meant(name, find(name), sign);
        }
        match (find(TERRAFORM), find(OPENTOFU)) {
            (None, Some(opentofu)) => meant(OPENTOFU, Some(opentofu), Sign::Installed),
            (terraform, _) => meant(TERRAFORM, terraform, Sign::Installed),
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

    pub(crate) fn is_opentofu(&self) -> bool {
        self.is_opentofu
    }

    /// The same program, which will be found there under its own name.
    pub(super) fn at(&self, path: PathBuf) -> Self {
        Self {
            is_opentofu: is_called_opentofu(&path),
            found: Some(path),
            ..self.clone()
        }
    }

    /// Whether it was given by its name.
    pub(crate) fn is_given(&self) -> bool {
        self.sign == Sign::Given
    }

    /// Why nothing can be asked or run by it, if anything stands in the way.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let is_contradicted = matches!(self.sign, Sign::Contradicted { .. });
        (is_contradicted || self.found.is_none()).then(|| self.to_string())
    }
}

/// What is to be done where nothing can be run by it.
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
            Sign::Encryption => write!(
                formatter,
                "{ENCRYPTION_VARIABLE} is set, which only {name:?} reads, and that is not in PATH; install it, or say by TERRAFORM_BIN which program is meant"
            ),
            Sign::Contradicted { file, by } => write!(
                formatter,
                "{} says that the program here is {TERRAFORM:?}, and {by} encrypts states, which only {OPENTOFU:?} does; say by TERRAFORM_BIN which one is meant",
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

/// Whether what is called like a program is another one: a script, or one with a name of its own.
pub(super) fn is_version_manager(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let is_tool = name.starts_with("terraform") || name.starts_with("tofu");
    let mut begin = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut begin));
    !is_tool || read.is_ok() && begin == *b"#!"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is given, the files, what is installed, and what is chosen: its name, and whether it can
    /// be run.
    type Row<'a> = (
        Option<&'a str>,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a str,
        bool,
    );

    /// The same, with whether the environment encrypts, and part of what stands in the way.
    type EncryptedRow<'a> = (
        Option<&'a str>,
        &'a [(&'a str, &'a str)],
        bool,
        &'a [&'a str],
        &'a str,
        &'a str,
    );

    /// What is chosen below `above/here`, where these files are and these programs are installed.
    fn choose(
        given: Option<&str>,
        files: &[(&str, &str)],
        encrypts: bool,
        installed: &[&str],
    ) -> Program {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("above/here");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        Program::choose(given, &directory, encrypts, |name| {
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
        let program = Program::choose(None, scratch.path(), false, |name| {
            (name == TERRAFORM).then(|| terraform.clone())
        });
        assert_eq!(program.path(), terraform);
        assert!(program.is_opentofu() && program.obstacle().is_none());
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
        for (given, files, installed, name, can_be_run) in rows {
            let program = choose(given, files, false, installed);
            assert_eq!(
                (program.name.as_str(), program.obstacle().is_none()),
                (name, can_be_run),
                "{given:?} {files:?} {installed:?}"
            );
        }
    }

    #[test]
    fn what_is_to_be_encrypted_is_never_for_terraform() {
        let plain = ("main.tf", "");
        let version = (".terraform-version", "1.11.4");
        let above = ("../.terraform-version", "1.11.4");
        let encryption = ("e.tofu", "terraform {\n encryption {\n }\n}\n");
        let json = ("e.tofu.json", r#"{"terraform": {"encryption": {}}}"#);
        let both: &[&str] = &["terraform", "tofu"];
        let by_environment = "TF_ENCRYPTION is set, which only \"tofu\" reads";
        let rows: [EncryptedRow; 9] = [
            (None, &[plain], true, both, "tofu", ""),
            (None, &[plain], true, &["terraform"], "tofu", by_environment),
            (Some("terraform"), &[plain], true, both, "terraform", ""),
            (None, &[version], false, both, "terraform", ""),
            (
                None,
                &[version],
                true,
                both,
                "terraform",
                "and TF_ENCRYPTION",
            ),
            (
                None,
                &[above, encryption],
                false,
                both,
                "terraform",
                "above/here",
            ),
            (
                None,
                &[version, json],
                false,
                both,
                "terraform",
                "and an `enc",
            ),
            (None, &[(".opentofu-version", "")], true, both, "tofu", ""),
            (
                Some("terraform"),
                &[above, encryption],
                false,
                both,
                "terraform",
                "",
            ),
        ];
        for (given, files, encrypts, installed, name, obstacle) in rows {
            let program = choose(given, files, encrypts, installed);
            let said = program.obstacle().unwrap_or_default();
            let row = format!("{given:?} {files:?} {encrypts}: {said}");
            assert_eq!(program.name, name, "{row}");
            assert_eq!(said.is_empty(), obstacle.is_empty(), "{row}");
            assert!(said.contains(obstacle), "{row}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_asks_for_it() {
        let by_file = choose(None, &[("a.tofu", "")], false, &["terraform"]).to_string();
        assert!(by_file.contains("a.tofu says that the program here is \"tofu\""));
        let given = choose(Some("/x"), &[], false, &[]).to_string();
        assert!(given.starts_with("TERRAFORM_BIN is \"/x\": there is no such program"));
        let none = choose(None, &[], false, &[]).to_string();
        assert!(none.starts_with("neither \"terraform\" nor \"tofu\" is in PATH"));
    }
}
