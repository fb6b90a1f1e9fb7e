//! The options, and what `--help` says of them. Every option is also a pipe variable.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::journal::{self, Wish};
use super::unfinished;
use crate::bitbucket::api;
use crate::pipe::variables;
use crate::story::unfinished::OnUnfinished;

/// What a user is told after the options.
const EPILOGUE: &str = "\
Credentials, to ask Bitbucket whether another build's step is over; they are read from the
environment alone, because a command line can be seen by everybody:
  [env: BITBUCKET_ACCESS_TOKEN], or
  [env: ATLASSIAN_ACCOUNT_EMAIL] and [env: ATLASSIAN_API_TOKEN]

Every variable can be called by its name with SOFTSTOP_ before it, which goes before the one
without. ADDRESS, COMMAND, DEBUG, MODE, PLAN_FILE, REPORT_FILE, TERRAFORM_VERSION, WORKSPACE
and the names of clouds are names that repositories use for themselves: outside of the pipe's
image they count only with SOFTSTOP_.

Exit codes:
  0      done
  N      the command's own code where it failed
  128+N  signal N ended the command, or interrupted softstop
  127    the command was not found
  126    the command cannot be run
  2      a variable has a value that cannot be used; nothing was run
  3      the lock is held and stays held
  4      the backend, or Bitbucket, could not be asked
  5      what earlier deploys have left stands in the way
  1      anything else";

/// What a user is told after the options of `check`.
const CHECK_EPILOGUE: &str = "\
Exit codes:
  0      no error was found; warnings do not count
  1      errors were found
  2      a file cannot be read, is no pipelines file, or is one that Bitbucket refuses

Of several files the worst counts.";

/// Makes the Stop button safe for deploys that hold a lock
///
/// softstop runs a deploy under supervision. When it is asked to stop, it stops Terraform or OpenTofu
/// the way these want, ends every process, runs a cleanup, and leaves no lock behind. What was killed
/// is recovered by the next deploy or by a release, once its holder is proved to be over.
///
/// Every option is also an environment variable, which is how Bitbucket passes pipe variables.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Where no command is given, the variable SOFTSTOP_MODE says which; in the pipe's \
                  image, MODE does too."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// What softstop can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    #[command(flatten)]
    Work(Box<Work>),
    /// Read a pipelines file, and say what is missing for a safe stop
    ///
    /// Nothing is run, and nobody is asked.
    #[command(after_long_help = CHECK_EPILOGUE)]
    Check(CheckOptions),
}

/// What softstop can do with locks.
#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// Run a deploy, and leave no lock behind however it ends
    ///
    /// A lock whose holder is over is released before the deploy begins; one whose holder is alive
    /// is waited for.
    #[command(after_long_help = EPILOGUE)]
    Deploy(DeployOptions),
    /// Write down what a deploy would change, for people to look at before it is applied
    ///
    /// No lock is held while they do. `softstop deploy` with the same --plan-file applies just that.
    #[command(after_long_help = EPILOGUE)]
    Plan(PlanOptions),
    /// Release the locks that finished builds have left behind
    ///
    /// For the `final:` step of the same pipeline, a scheduled pipeline, or a person. A lock is
    /// released only where its holder is proved to be over.
    #[command(after_long_help = EPILOGUE)]
    Release(CommonOptions),
    /// Say who holds the locks, whether the holders are alive, and what a release would do
    #[command(after_long_help = EPILOGUE)]
    Status(StatusOptions),
    /// Strike from the journal what a person has settled by hand
    ///
    /// What a killed deploy was making and no state knows stays in the journal until the state has
    /// it, or until this says that it needs nothing more. Nothing else is changed.
    #[command(after_long_help = EPILOGUE)]
    Resolve(ResolveOptions),
}

/// What a deploy can be told.
#[derive(Args, Debug)]
pub(crate) struct DeployOptions {
    /// The command to run, as it is, without a shell [default: what --command says]
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    pub(super) program: Vec<String>,

    /// What to run, by `/bin/sh -ec`; a list is run line by line [default: terraform init, then
    /// terraform apply with -auto-approve]
    #[arg(long, value_name = "SCRIPT", env = "COMMAND")]
    pub(super) command: Option<String>,

    #[command(flatten)]
    pub(super) past: PastOptions,

    #[command(flatten)]
    pub(super) common: CommonOptions,
}

/// What a plan can be told.
#[derive(Args, Debug)]
pub(crate) struct PlanOptions {
    #[command(flatten)]
    pub(super) past: PastOptions,

    #[command(flatten)]
    pub(super) common: CommonOptions,
}

/// What earlier deploys mean to this one, and what the next is told of it.
#[derive(Args, Debug)]
pub(super) struct PastOptions {
    /// Where to write, as JSON, what the deploy has made and not made; AFTER_SCRIPT finds it by
    /// SOFTSTOP_REPORT_FILE [default: nowhere]
    #[arg(long, value_name = "PATH", env = "REPORT_FILE")]
    pub(super) report_file: Option<String>,

    /// What to do where earlier deploys have made what is not in the state: report (say it, and stop
    /// where it would be made again), stop, ignore, or import it
    #[arg(long, value_name = "WISH", env = "ON_UNFINISHED", default_value = "report",
          value_parser = unfinished::wish)]
    pub(super) on_unfinished: OnUnfinished,
}

/// What a deploy, a plan and a release can be told.
#[derive(Args, Debug)]
pub(crate) struct CommonOptions {
    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) recovery: RecoveryOptions,

    #[command(flatten)]
    pub(super) general: General,
}

/// What a look at the locks can be told.
#[derive(Args, Debug)]
pub(crate) struct StatusOptions {
    /// Print the answer as JSON, to stdout
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) general: General,
}

/// What a resolution can be told.
#[derive(Args, Debug)]
pub(crate) struct ResolveOptions {
    /// The address of what is settled, as the journal has it; can be given more than once [env:
    /// ADDRESS, or ADDRESS_COUNT and ADDRESS_0, ADDRESS_1, …]
    #[arg(value_name = "ADDRESS")]
    pub(super) address: Vec<String>,

    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) general: General,
}

/// What a check can be told.
#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// The pipelines files
    #[arg(value_name = "FILE", default_value = "bitbucket-pipelines.yml")]
    pub(crate) files: Vec<PathBuf>,

    /// Print what is found as JSON, to stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which locks are meant, and by which tool.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// The directory of the configuration, and where the command runs; release and status take
    /// more than one [default: .] [env: WORKING_DIR, or WORKING_DIR_COUNT and WORKING_DIR_0,
    /// WORKING_DIR_1, …]
    #[arg(long, value_name = "PATH")]
    pub(super) working_dir: Vec<String>,

    /// A setting of the backend as NAME=VALUE, or a file of settings, as `terraform init
    /// -backend-config` takes it; can be given more than once [env: BACKEND_CONFIG, or
    /// BACKEND_CONFIG_COUNT and BACKEND_CONFIG_0, BACKEND_CONFIG_1, …]
    #[arg(long, value_name = "SETTING")]
    pub(super) backend_config: Vec<String>,

    /// The workspace of Terraform or OpenTofu [default: the one that is selected]
    #[arg(long, value_name = "NAME", env = "WORKSPACE")]
    pub(super) workspace: Option<String>,

    /// A saved plan, as seen from the directory: `plan` writes it [default: softstop.tfplan], and
    /// its text beside it; `deploy` applies just it; `release` and `status` look at the lock of the
    /// state that it was made for
    #[arg(long, value_name = "FILE", env = "PLAN_FILE")]
    pub(super) plan_file: Option<String>,

    /// The program, Terraform or OpenTofu [default: what .opentofu-version or .terraform-version
    /// says, in the directory or above; else tofu where there is a .tofu file, or where
    /// .terraform.lock.hcl names OpenTofu's registry; else terraform, or tofu where it alone is in
    /// PATH]
    #[arg(long, value_name = "PROGRAM", env = "TERRAFORM_BIN")]
    pub(super) terraform_bin: Option<String>,

    /// The version of the program, such as 1.11.4; where another one is installed, it is fetched, and
    /// its signature is checked [default: the one that is installed]
    #[arg(long, value_name = "VERSION", env = "TERRAFORM_VERSION")]
    pub(super) terraform_version: Option<String>,

    /// Where versions are fetched from [default: those who publish them]
    #[arg(long, value_name = "ADDRESS", env = "TERRAFORM_MIRROR")]
    pub(super) terraform_mirror: Option<String>,
}

/// What happens around a lock.
#[derive(Args, Debug)]
pub(super) struct RecoveryOptions {
    /// What to run after the deploy, however it ended, or by `release` after a lock was released,
    /// by `/bin/sh -ec`, a list line by line; it finds SOFTSTOP_OUTCOME, SOFTSTOP_EXIT_CODE, SOFTSTOP_LOCK and
    /// SOFTSTOP_LOCK_ID in its environment
    #[arg(long, value_name = "SCRIPT", env = "AFTER_SCRIPT")]
    pub(super) after_script: Option<String>,

    /// How long to wait for a lock that somebody holds, such as 90s or 2m
    #[arg(long, value_name = "DURATION", env = "LOCK_TIMEOUT", default_value = "0s",
          value_parser = variables::lock_timeout)]
    pub(super) lock_timeout: Duration,

    /// Let the command and AFTER_SCRIPT see the tokens too: BITBUCKET_ACCESS_TOKEN,
    /// ATLASSIAN_ACCOUNT_EMAIL, ATLASSIAN_API_TOKEN and PIPELINES_JWT_TOKEN
    #[arg(long, env = "PASS_TOKENS", default_value = "false", default_missing_value = "true",
          num_args = 0..=1, require_equals = true, value_parser = variables::switch)]
    pub(super) pass_tokens: bool,
}

/// What holds for all that softstop does.
#[derive(Args, Debug)]
pub(super) struct General {
    /// The whole time from the first signal to the exit, such as 9s or 2m; `docker stop` gives
    /// 10 s
    #[arg(long, value_name = "DURATION", env = "GRACE_PERIOD", default_value = "9s",
          value_parser = variables::grace_period)]
    pub(super) grace_period: Duration,

    /// Whether locks are to carry the name of the build, by the name of the user who runs the deploy
    #[arg(long, value_name = "SWITCH", env = "SIGN_LOCKS", default_value = "true",
          action = ArgAction::Set, value_parser = variables::switch)]
    pub(super) sign_locks: bool,

    /// Whether what a deploy is doing is kept as a report on the commit, or the address of the proxy
    /// by which it gets there, as http://host:port
    #[arg(long, value_name = "SWITCH", env = "JOURNAL", default_value = "true",
          action = ArgAction::Set, value_parser = journal::wish)]
    pub(super) journal: Wish,

    #[command(flatten)]
    pub(super) credentials: CredentialOptions,

    /// Where Bitbucket's API is, for a proxy or an emulator
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "BITBUCKET_API_URL",
        default_value = api::ADDRESS
    )]
    pub(super) bitbucket_api_url: String,

    /// Print more messages
    #[arg(long, env = "DEBUG", default_value = "false", default_missing_value = "true",
          num_args = 0..=1, require_equals = true, value_parser = variables::switch)]
    pub(super) debug: bool,
}

/// What the token of the step is exchanged for, where it says `oidc: true`.
#[derive(Args, Debug)]
pub(super) struct CredentialOptions {
    /// The role in AWS that is assumed by the token
    #[arg(long, value_name = "ARN", env = "AWS_OIDC_ROLE_ARN")]
    pub(super) aws_oidc_role_arn: Option<String>,

    /// The configuration of workload identity federation by which Google Cloud takes the token: JSON,
    /// in base64 or not, or a file that holds it
    #[arg(long, value_name = "CONFIGURATION", env = "GOOGLE_OIDC_CONFIG_FILE")]
    pub(super) google_oidc_config_file: Option<String>,

    /// The application in Azure that takes the token for its secret
    #[arg(long, value_name = "ID", env = "AZURE_APP_ID")]
    pub(super) azure_app_id: Option<String>,

    /// The tenant of the application
    #[arg(long, value_name = "ID", env = "AZURE_TENANT_ID")]
    pub(super) azure_tenant_id: Option<String>,
}
