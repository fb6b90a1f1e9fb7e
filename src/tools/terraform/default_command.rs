//! What Terraform runs where the user names no command.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::backend_config::options;
use crate::private;
use crate::tools::job::Job;
use crate::tools::processes::Prepared;

/// `init` runs without TF_WORKSPACE, because it fails where that workspace does not exist yet; `apply`
/// and `plan` create it.
const INIT: &str = r#"TF_WORKSPACE= "$0" init -input=false "$@""#;
const APPLY: &str = r#"exec "$0" apply -input=false -auto-approve -lock-timeout="$LOCK_TIMEOUT""#;
const APPLY_PLAN: &str =
    r#"exec "$0" apply -input=false -lock-timeout="$LOCK_TIMEOUT" "$PLAN_FILE""#;
/// A plan of another run must not be taken for that of one that failed. With `-detailed-exitcode`, a
/// plan that has changes ends with 2. Whoever reads it later is another user.
const PLAN: &str = r#"rm -f "$PLAN_FILE" "$PLAN_TEXT"
code=0
"$0" plan -input=false -lock-timeout="$LOCK_TIMEOUT" -out="$PLAN_FILE" || code=$?
[ -f "$PLAN_FILE" ] || exit "$code"
"$0" show -no-color "$PLAN_FILE" >"$PLAN_TEXT"
chmod a+r "$PLAN_FILE" "$PLAN_TEXT"
exit "$code""#;

/// The command that does the job by this program.
pub(super) fn default_command(
    binary: &Path,
    backend_config: &[String],
    job: &Job,
) -> io::Result<Prepared> {
    let mut command = Command::new("/bin/sh");
    // It changes no more than what Terraform advises to type next, which nobody can here.
    command.env("TF_IN_AUTOMATION", "1");
    let then = match job {
        Job::Apply => APPLY,
        Job::Plan(file) => {
            command
                .env("PLAN_FILE", file)
                .env("PLAN_TEXT", readable(file));
            PLAN
        }
        Job::ApplyPlan(file) => {
            command.env("PLAN_FILE", file);
            APPLY_PLAN
        }
    };
    command
        .arg("-ec")
        .arg(format!("{INIT}\n{then}"))
        .arg(binary);
    let needs_files = backend_config.iter().any(|given| given.contains('='));
    let files = needs_files.then(private::directory).transpose()?;
    let place = files.as_ref().map_or(Path::new(""), TempDir::path);
    command.args(options(backend_config, place)?);
    Ok(Prepared { command, files })
}

/// Where the plan in this file can be read by people.
pub(super) fn readable(plan: &Path) -> PathBuf {
    let mut name = plan.as_os_str().to_owned();
    name.push(".txt");
    PathBuf::from(name)
}
