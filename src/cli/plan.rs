//! Checks what the user wants, before anything runs.

use std::collections::BTreeSet;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use super::options::{
    CredentialOptions, DeployOptions, General, PlanOptions, RecoveryOptions, ReleaseOptions,
    StatusOptions, Target, Work,
};
use super::parse::Refusal;
use super::saved_plan::SavedPlan;
use crate::bitbucket::api::Api;
use crate::credentials::{self, Federation};
use crate::pipe::variables::{self, Variables};
use crate::pipe::{Image, Misspelt};
use crate::story::deploy::Deploy;
use crate::story::places::Place;
use crate::story::release::Release;
use crate::supervisor::{forget, remember};
use crate::tools::{Chosen, Job, Tool};

/// What softstop itself needs, or nobody does, and no deploy should be able to give away.
const SECRETS: [&str; 7] = [
    "ATLASSIAN_ACCOUNT_EMAIL",
    "ATLASSIAN_API_TOKEN",
    "BITBUCKET_ACCESS_TOKEN",
    "PIPELINES_JWT_TOKEN",
    "SOFTSTOP_ATLASSIAN_ACCOUNT_EMAIL",
    "SOFTSTOP_ATLASSIAN_API_TOKEN",
    "SOFTSTOP_BITBUCKET_ACCESS_TOKEN",
];

/// All that is known before anything runs.
pub(crate) struct Plan {
    pub(crate) task: Task,
    /// Nothing where there is no token.
    pub(crate) api: Option<Api>,
    pub(crate) grace_period: Duration,
    pub(crate) debug: bool,
    /// Whether locks carry the name of the build.
    pub(crate) signs_locks: bool,
    /// Variables that were probably meant for us.
    pub(crate) misspelt: BTreeSet<Misspelt>,
    /// What leads to the step's token, where one is exchanged.
    pub(crate) federation: Option<Federation>,
    /// The version that is to be there before anything runs, where one is chosen.
    pub(crate) chosen: Option<Chosen>,
}

/// What is to be done.
pub(crate) enum Task {
    Deploy(Deploy, Tool),
    Release(Vec<Place>, Release),
    Status { places: Vec<Place>, json: bool },
}

/// Checks all that can be checked, and gives every reason why something cannot be done.
pub(crate) fn plan(work: Work, image: Image) -> Result<Plan, Refusal> {
    let variables = Variables::of_environment(image);
    let wrong_lists = variables.wrong_lists();
    let mut reasons: Vec<String> = wrong_lists.map(|error| error.to_string()).collect();
    let passes_tokens = match &work {
        Work::Deploy(options) => options.recovery.pass_tokens,
        Work::Plan(options) => options.recovery.pass_tokens,
        Work::Release(options) => options.recovery.pass_tokens,
        Work::Status(_) => false,
    };
    let api = work.general().api(variables).unwrap_or_else(|reason| {
        reasons.push(reason);
        None
    });
    // All of this before the environment is noted in which Terraform will run.
    if !passes_tokens {
        forget(&SECRETS);
    }
    let federation = work
        .general()
        .credentials
        .federate()
        .unwrap_or_else(|reason| {
            reasons.push(reason);
            None
        });
    let mut chosen = work.target().chosen().unwrap_or_else(|reason| {
        reasons.push(reason);
        None
    });
    let (general, task) = match work {
        Work::Deploy(options) => options.plan(variables, &mut chosen, &mut reasons),
        Work::Plan(options) => options.plan(variables, &mut chosen, &mut reasons),
        Work::Release(options) => options.plan(variables, &mut chosen, &mut reasons),
        Work::Status(options) => options.plan(variables, &mut chosen, &mut reasons),
    };
    match task {
        Some(task) if reasons.is_empty() => Ok(Plan {
            task,
            api,
            grace_period: general.grace_period,
            debug: general.debug,
            signs_locks: general.sign_locks,
            misspelt: Misspelt::in_environment(image),
            federation,
            chosen,
        }),
        _ => Err(Refusal::Invalid(reasons)),
    }
}

impl Work {
    fn general(&self) -> &General {
        match self {
            Self::Deploy(options) => &options.general,
            Self::Plan(options) => &options.general,
            Self::Release(options) => &options.general,
            Self::Status(options) => &options.general,
        }
    }

    fn target(&self) -> &Target {
        match self {
            Self::Deploy(options) => &options.target,
            Self::Plan(options) => &options.target,
            Self::Release(options) => &options.target,
            Self::Status(options) => &options.target,
        }
    }
}

impl CredentialOptions {
    /// Lets all that softstop starts find the step's token, where it is to be exchanged.
    fn federate(&self) -> Result<Option<Federation>, String> {
        // Bitbucket may leave `$NAME` as it is where NAME is not set.
        let given = |value: &Option<String>| {
            variables::given(value.clone()).filter(|value| !value.trim().starts_with('$'))
        };
        let federation = Federation::lay_out(&credentials::Exchange {
            aws_role: given(&self.aws_oidc_role_arn),
            google_configuration: given(&self.google_oidc_config_file),
            azure_application: given(&self.azure_app_id),
            azure_tenant: given(&self.azure_tenant_id),
        })?;
        if let Some(Federation { variables, .. }) = &federation {
            forget(&variables.removed);
            for (name, value) in &variables.set {
                remember(name, value);
            }
        }
        Ok(federation)
    }
}

impl DeployOptions {
    fn plan(
        self,
        variables: Variables<'_>,
        chosen: &mut Option<Chosen>,
        reasons: &mut Vec<String>,
    ) -> (General, Option<Task>) {
        let command = self.command_line(variables, reasons);
        let saved = if command.is_empty() {
            reasons.extend(variables.unheeded("COMMAND", "the command behind `--`"));
            self.target.expect_workspace(variables, reasons);
            self.target.expect_plan_file(variables, reasons);
            SavedPlan::Deployed
        } else {
            if variables::given(self.target.plan_file.clone()).is_some() {
                reasons.push(
                    "PLAN_FILE and a command are both given: leave the one out that is not meant"
                        .to_owned(),
                );
            }
            SavedPlan::Unread
        };
        let after_script = self.recovery.after_script(variables, reasons);
        let report_file = report_file(variables::given(self.report_file.clone()), reasons);
        let lock_timeout = self.recovery.lock_timeout;
        let needs_work = command.is_empty();
        let places = self
            .target
            .places(needs_work, saved, variables, chosen, reasons);
        let place = one_place(places, "deploy", reasons);
        let task = place.map(|place| {
            let deploy = Deploy {
                command,
                job: match self.target.plan_file(&place.directory) {
                    Some(file) => Job::ApplyPlan(file),
                    None => Job::Apply,
                },
                directory: place.directory,
                after_script,
                lock_timeout,
                report_file,
            };
            Task::Deploy(deploy, place.tool)
        });
        (self.general, task)
    }

    /// The command line to run; empty for the default.
    fn command_line(&self, variables: Variables<'_>, reasons: &mut Vec<String>) -> Vec<String> {
        if !self.program.is_empty() {
            return self.program.clone();
        }
        match script(self.command.as_ref(), "COMMAND", variables, reasons) {
            Some(script) => ["/bin/sh", "-ec", &script].map(str::to_owned).to_vec(),
            None => Vec::new(),
        }
    }
}

impl PlanOptions {
    fn plan(
        self,
        variables: Variables<'_>,
        chosen: &mut Option<Chosen>,
        reasons: &mut Vec<String>,
    ) -> (General, Option<Task>) {
        self.target.expect_workspace(variables, reasons);
        self.target.expect_plan_file(variables, reasons);
        let after_script = self.recovery.after_script(variables, reasons);
        let lock_timeout = self.recovery.lock_timeout;
        let places = self
            .target
            .places(true, SavedPlan::Unread, variables, chosen, reasons);
        let place = one_place(places, "plan", reasons);
        let task = place.map(|place| {
            let deploy = Deploy {
                command: Vec::new(),
                job: Job::Plan(self.target.plan_to_make(&place.directory)),
                directory: place.directory,
                after_script,
                lock_timeout,
                report_file: None,
            };
            Task::Deploy(deploy, place.tool)
        });
        (self.general, task)
    }
}

impl RecoveryOptions {
    fn after_script(&self, variables: Variables<'_>, reasons: &mut Vec<String>) -> Option<String> {
        script(
            self.after_script.as_ref(),
            "AFTER_SCRIPT",
            variables,
            reasons,
        )
    }
}

impl ReleaseOptions {
    fn plan(
        self,
        variables: Variables<'_>,
        chosen: &mut Option<Chosen>,
        reasons: &mut Vec<String>,
    ) -> (General, Option<Task>) {
        self.target.expect_workspace(variables, reasons);
        let places = self
            .target
            .places(true, SavedPlan::LookedAfter, variables, chosen, reasons);
        let release = Release {
            after_script: self.recovery.after_script(variables, reasons),
            lock_timeout: self.recovery.lock_timeout,
        };
        (self.general, Some(Task::Release(places, release)))
    }
}

impl StatusOptions {
    fn plan(
        self,
        variables: Variables<'_>,
        chosen: &mut Option<Chosen>,
        reasons: &mut Vec<String>,
    ) -> (General, Option<Task>) {
        self.target.expect_workspace(variables, reasons);
        let places = self
            .target
            .places(true, SavedPlan::LookedAfter, variables, chosen, reasons);
        let json = self.json;
        (self.general, Some(Task::Status { places, json }))
    }
}

/// The one directory in which something is run.
fn one_place(places: Vec<Place>, mode: &str, reasons: &mut Vec<String>) -> Option<Place> {
    match <[Place; 1]>::try_from(places) {
        Ok([place]) => Some(place),
        Err(places) => {
            let names: Vec<String> = places.into_iter().map(|place| place.name).collect();
            if !names.is_empty() {
                reasons.push(format!(
                    "WORKING_DIR is {names:?}: {mode} takes one directory"
                ));
            }
            None
        }
    }
}

/// Where the report is to be written, as a path that is the same from everywhere.
fn report_file(given: Option<String>, reasons: &mut Vec<String>) -> Option<PathBuf> {
    let name = given?;
    let path = match path::absolute(&name) {
        Ok(path) => path,
        Err(problem) => {
            reasons.push(format!("REPORT_FILE is {name:?}: {problem}"));
            return None;
        }
    };
    if path.is_dir() || !path.parent().is_some_and(Path::is_dir) {
        reasons.push(format!(
            "REPORT_FILE is {name:?}: expected a file in a directory that is there"
        ));
        return None;
    }
    Some(path)
}

/// A script from the command line, or else from the environment, where it can be a list of lines.
fn script(
    given: Option<&String>,
    variable: &str,
    variables: Variables<'_>,
    reasons: &mut Vec<String>,
) -> Option<String> {
    variables::given(given.cloned()).or_else(|| {
        variables.script(variable).unwrap_or_else(|error| {
            reasons.push(error.to_string());
            None
        })
    })
}
