//! What Terraform runs where the user names no command.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::backend_config::options;
use crate::private;
use crate::tools::job::Job;
use crate::tools::processes::Prepared;
use crate::tools::recovering::{Draft, Step};

/// `init` fails where its workspace does not exist: that of TF_WORKSPACE, which `apply` and `plan`
/// create, and without one that which the directory has selected, of an earlier build perhaps. The default
/// one always exists. Where none is named, the selected one is deployed, and if it is gone, `init` refuses
/// it rightly.
const INIT: &str = r#"TF_WORKSPACE=${TF_WORKSPACE:+default} "$0" init -input=false "$@""#;
/// In any other workspace than the one that is meant, `init` reads another state: it fetches no provider
/// that only this one needs, and credentials for this one alone do not reach.
const INIT_OF_WORKSPACE: &str = r#""$0" init -input=false "$@""#;
const APPLY: &str = r#"exec "$0" apply -input=false -auto-approve -lock-timeout="$LOCK_TIMEOUT""#;
const APPLY_PLAN: &str =
    r#"exec "$0" apply -input=false -lock-timeout="$LOCK_TIMEOUT" "$PLAN_FILE""#;
/// A plan of another run must not be taken for that of one that failed. With `-detailed-exitcode`, a
/// plan that has changes ends with 2. Whoever reads it later is another user.
const PLAN: &str = r#"rm -f "$PLAN_FILE" "$PLAN_TEXT"
code=0
"$0" plan -input=false -lock-timeout="$LOCK_TIMEOUT" -out="$PLAN_FILE" || code=$?
[ -f "$PLAN_FILE" ] || exit "$code"
TF_CLI_ARGS= "$0" show -no-color "$PLAN_FILE" >"$PLAN_TEXT"
chmod a+r "$PLAN_FILE" "$PLAN_TEXT"
exit "$code""#;

/// The plan is shown in the user's own surroundings, because its providers are asked for it.
/// What TF_CLI_ARGS holds for the others, `show` may refuse.
const SHOW: &str = r#"TF_CLI_ARGS= "$0" show -json "$PLAN_FILE" >"$SHOWN""#;
/// With `-detailed-exitcode`, a plan that has changes would read like one that failed.
const DRAFT: &str = r#""$0" plan -input=false -detailed-exitcode=false -lock-timeout="$LOCK_TIMEOUT" -out="$PLAN_FILE""#;
const REFRESH: &str =
    r#"exec "$0" apply -refresh-only -input=false -auto-approve -lock-timeout="$LOCK_TIMEOUT""#;

/// How a directory is initialised.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) binary: &'a Path,
    pub(super) backend_config: &'a [String],
    /// Whether `init` is told which workspace is meant.
    pub(super) knows_workspace: bool,
}

impl Setup<'_> {
    fn script(self) -> &'static str {
        if self.knows_workspace {
            INIT_OF_WORKSPACE
        } else {
            INIT
        }
    }
}

/// The command of one step of a job.
pub(super) fn step(setup: Setup<'_>, step: Step<'_>) -> io::Result<Prepared> {
    let draft;
    let (script, plan, shown) = match step {
        Step::SetUp => (setup.script().to_owned(), None, None),
        Step::Plan(to) => {
            draft = to.plan();
            (format!("{DRAFT}\n{SHOW}"), Some(draft.as_path()), Some(to))
        }
        Step::Show(plan, to) => (SHOW.to_owned(), Some(plan), Some(to)),
        Step::Refresh => (REFRESH.to_owned(), None, None),
        Step::Apply(plan) => (APPLY_PLAN.to_owned(), Some(plan), None),
    };
    let options = matches!(step, Step::SetUp).then_some(setup.backend_config);
    let mut prepared = shell(&script, setup.binary, options.unwrap_or_default())?;
    let variables = [
        ("PLAN_FILE", plan.map(Path::to_owned)),
        ("SHOWN", shown.map(Draft::shown)),
    ];
    for (name, path) in variables {
        prepared.command.envs(path.map(|path| (name, path)));
    }
    Ok(prepared)
}

/// The command that does the job.
pub(super) fn default_command(setup: Setup<'_>, job: &Job) -> io::Result<Prepared> {
    let (then, plan) = match job {
        Job::Apply => (APPLY, None),
        Job::Plan(file) => (PLAN, Some(file)),
        Job::ApplyPlan(file) => (APPLY_PLAN, Some(file)),
    };
    let script = format!("{}\n{then}", setup.script());
    let mut prepared = shell(&script, setup.binary, setup.backend_config)?;
    if let Some(file) = plan {
        let command = &mut prepared.command;
        command
            .env("PLAN_FILE", file)
            .env("PLAN_TEXT", readable(file));
    }
    Ok(prepared)
}

/// A script about this program, for whose `init` these settings are.
fn shell(script: &str, binary: &Path, backend_config: &[String]) -> io::Result<Prepared> {
    let mut command = Command::new("/bin/sh");
    // It changes no more than what Terraform advises to type next, which nobody can here.
    command.env("TF_IN_AUTOMATION", "1");
    command.arg("-ec").arg(script).arg(binary);
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

#[cfg(test)]
mod tests {
    use super::super::opentofu::tests::script;
    use super::*;

    #[test]
    fn an_init_that_may_not_know_its_workspace_runs_in_the_default_one_where_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("terraform");
        script(&program, r#"echo "$1 ${TF_WORKSPACE-unset}""#);
        let said = |knows_workspace, named: Option<&str>| {
            let setup = Setup {
                binary: &program,
                backend_config: &[],
                knows_workspace,
            };
            let mut command = default_command(setup, &Job::Apply).unwrap().command;
            command.env("LOCK_TIMEOUT", "0s").env_remove("TF_WORKSPACE");
            let named = named.map(|named| ("TF_WORKSPACE", named));
            let output = command.envs(named).output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(said(false, Some("prod")), "init default\napply prod\n");
        assert_eq!(said(true, Some("prod")), "init prod\napply prod\n");
        assert_eq!(said(false, None), "init \napply unset\n");
    }
}
