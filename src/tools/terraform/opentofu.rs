//! Is a program OpenTofu, whatever it is called?

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::helper::helper_command;
use crate::environment::Environment;

/// What its own name has, and what that of Terraform has.
const TOFU: &str = "tofu";
const TERRAFORM: &str = "terraform";
/// How its `version` begins. What `version -json` says is the same for both.
const OPENTOFU: &str = "OpenTofu v";
const TERRAFORM_VERSION: &str = "Terraform v";
/// How long it may take to say that, before anything else begins.
const LIMIT_OF_VERSION: Duration = Duration::from_secs(10);
/// How often is asked whether it has said it.
const PACE: Duration = Duration::from_millis(2);

/// By its name, or by the name of what that is a link to.
pub(super) fn is_called_opentofu(program: &Path) -> bool {
    is_called(program, TOFU)
}

/// By its name, or else by what it says itself. That it is called like Terraform is enough only where
/// nothing speaks of OpenTofu, because it costs a start to ask.
pub(super) fn is_opentofu(program: &Path, directory: &Path, speaks_of_opentofu: bool) -> bool {
    is_called_opentofu(program)
        || (speaks_of_opentofu || !is_called(program, TERRAFORM))
            && says_that_it_is_opentofu(program, directory)
}

fn is_called(program: &Path, part: &str) -> bool {
    let real = fs::canonicalize(program).ok();
    let names = [Some(program), real.as_deref()];
    names.into_iter().flatten().any(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().contains(part))
    })
}

fn says_that_it_is_opentofu(program: &Path, directory: &Path) -> bool {
    let mut command = helper_command(program, &Environment::own());
    command
        .arg("version")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let said = command.spawn().ok().and_then(said_in_time);
    said.is_some_and(|said| says(&said, OPENTOFU))
}

/// Whether this is what Terraform's `version` says.
pub(super) fn is_of_terraform(said: &str) -> bool {
    says(said, TERRAFORM_VERSION)
}

/// A warning about the CLI configuration may stand before it.
fn says(said: &str, begin: &str) -> bool {
    said.lines().any(|line| line.starts_with(begin))
}

/// What a program has printed when it ends, where it does so in time. It is a few lines, which no pipe is
/// too small for. What it has left in the background may hold the pipe, and is not waited for.
fn said_in_time(mut child: Child) -> Option<String> {
    let began = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if began.elapsed() > LIMIT_OF_VERSION {
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(PACE);
    }
    let mut pipe = child.stdout.take()?;
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).ok()?;
    let mut said = Vec::new();
    match pipe.read_to_end(&mut said) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => None,
        _ => Some(String::from_utf8_lossy(&said).into_owned()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// Makes a program of these lines. Another process writes it: a program that somebody has open for
    /// writing cannot be started, and what another test starts just then would have our file open, too.
    pub(in super::super) fn script(program: &Path, lines: &str) {
        const WRITE: &str = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod +x "$0""#;
        let mut shell = Command::new("/bin/sh");
        let written = shell.arg("-c").arg(WRITE).arg(program).arg(lines).status();
        assert!(written.unwrap().success());
    }

    /// A program of this name that says this.
    fn saying(scratch: &Path, name: &str, text: &str) -> PathBuf {
        let program = scratch.join(name);
        script(&program, &format!("echo '{text}'"));
        program
    }

    #[test]
    fn a_link_to_opentofu_is_opentofu() {
        let scratch = tempfile::tempdir().unwrap();
        let [tofu, link, other] =
            ["tofu", "terraform", "another"].map(|name| scratch.path().join(name));
        fs::write(&tofu, "").unwrap();
        fs::write(&other, "").unwrap();
        symlink(&tofu, &link).unwrap();
        assert!(is_called_opentofu(&tofu) && is_called_opentofu(&link));
        assert!(!is_called_opentofu(&other) && !is_called_opentofu(Path::new("terraform")));
    }

    #[test]
    fn what_its_version_says_counts_where_its_name_says_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let scratch = scratch.path();
        for (name, said, speaks_of_opentofu, expected) in [
            ("iac", "OpenTofu v1.12.6\non linux_amd64", false, true),
            ("iac", "Warning: x\nOpenTofu v1.12.6-dev", false, true),
            ("iac", "Terraform v1.11.4", true, false),
            ("iac", "not OpenTofu v1.12.6", true, false),
            ("terraform", "OpenTofu v1.12.6", false, false),
            ("terraform", "OpenTofu v1.12.6", true, true),
            ("terraform", "Terraform v1.11.4", true, false),
            ("my-tofu", "", false, true),
        ] {
            let program = saying(scratch, name, said);
            let is_opentofu = is_opentofu(&program, scratch, speaks_of_opentofu);
            assert_eq!(is_opentofu, expected, "{name} {said}");
        }
        assert!(!is_opentofu(&scratch.join("missing"), scratch, true));
    }
}
