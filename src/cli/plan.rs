//! Checks what the user wants, before anything runs.

use std::collections::BTreeSet;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use super::options::{
    CommonOptions, CredentialOptions, DeployOptions, General, PlanOptions, RecoveryOptions,
    ResolveOptions, StatusOptions, Target, Work,
};
use super::parse::Refusal;
use super::planning::Planning;
use super::saved_plan::SavedPlan;
use crate::bitbucket::api::Api;
use crate::credentials::{self, Federation};
use crate::pipe::not_replaced::{NotReplaced, is_not_replaced};
use crate::pipe::variables::{self, Variables};
use crate::pipe::{Image, Misspelt};
use crate::story::deploy::{Deploy, Runs};
use crate::story::journal::Way;
use crate::story::places::Place;
use crate::story::release::Release;
use crate::supervisor::{forget, remember};
use crate::tools::{Chosen, Job, Processes, Tool};

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
    /// Nothing where no journal is to be kept.
    pub(crate) journal: Option<Way>,
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
    Resolve(Place, Vec<String>),
}

impl Task {
    /// Lets the tools see the variables as they are now, which a name has changed since.
    pub(crate) fn renew_environment(&mut self) {
        match self {
            Self::Deploy(_, tool) => tool.renew_environment(),
            Self::Release(places, _) | Self::Status { places, .. } => {
                let tools = places.iter_mut().map(|place| &mut place.tool);
                tools.for_each(Processes::renew_environment);
            }
            Self::Resolve(place, _) => place.tool.renew_environment(),
        }
    }
}

/// Checks all that can be checked, and gives every reason why something cannot be done.
pub(crate) fn plan(work: Work, image: Image) -> Result<Plan, Refusal> {
    let variables = Variables::of_environment(image);
    let wrong_lists = variables.wrong_lists().map(|error| error.to_string());
    let not_replaced = NotReplaced::all(variables, image).into_iter();
    let not_replaced = not_replaced.map(|error| error.to_string());
    let mut planning = Planning {
        variables,
        chosen: None,
        reasons: wrong_lists.chain(not_replaced).collect(),
    };
    let general = work.general();
    let (grace_period, debug) = (general.grace_period, general.debug);
    let signs_locks = general.sign_locks;
    let api = planning.take_in(general.api(variables));
    // With the tokens that are forgotten next.
    let journal = general.journal.way(image);
    // All of this before the environment is noted in which Terraform will run.
    if !work.passes_tokens() {
        forget(&SECRETS);
    }
    let federation = planning.take_in(general.credentials.federate());
    planning.chosen = planning.take_in(work.target().chosen());
    let task = match work {
        Work::Deploy(options) => options.deploy(&mut planning),
        Work::Plan(options) => options.plan(&mut planning),
        Work::Release(options) => Some(options.release(&mut planning)),
        Work::Status(options) => Some(options.status(&mut planning)),
        Work::Resolve(options) => options.resolve(&mut planning),
    };
    match task {
        Some(task) if planning.reasons.is_empty() => Ok(Plan {
            task,
            api,
            journal,
            grace_period,
            debug,
            signs_locks,
            misspelt: Misspelt::in_environment(image),
            federation,
            chosen: planning.chosen,
        }),
        _ => Err(Refusal::Invalid(planning.reasons)),
    }
}

impl Work {
    fn general(&self) -> &General {
        match self {
            Self::Deploy(options) => &options.common.general,
            Self::Plan(options) => &options.common.general,
            Self::Release(common) => &common.general,
            Self::Status(options) => &options.general,
            Self::Resolve(options) => &options.general,
        }
    }

    fn target(&self) -> &Target {
        match self {
            Self::Deploy(options) => &options.common.target,
            Self::Plan(options) => &options.common.target,
            Self::Release(common) => &common.target,
            Self::Status(options) => &options.target,
            Self::Resolve(options) => &options.target,
        }
    }

    fn passes_tokens(&self) -> bool {
        match self {
            Self::Deploy(options) => options.common.recovery.pass_tokens,
            Self::Plan(options) => options.common.recovery.pass_tokens,
            Self::Release(common) => common.recovery.pass_tokens,
            Self::Status(_) | Self::Resolve(_) => false,
        }
    }
}

impl CredentialOptions {
    /// Lets all that softstop starts find the step's token, where it is to be exchanged.
    fn federate(&self) -> Result<Option<Federation>, String> {
        let given = |value: &Option<String>| {
            variables::given(value.clone()).filter(|value| !is_not_replaced(value))
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
    fn deploy(self, planning: &mut Planning<'_>) -> Option<Task> {
        let CommonOptions {
            target, recovery, ..
        } = &self.common;
        let command = self.command_line(planning);
        let saved = if command.is_none() {
            planning.expect(None, "COMMAND", "the command behind `--`");
            target.expect_workspace(planning);
            target.expect_plan_file(planning);
            SavedPlan::Deployed
        } else {
            if variables::given(target.plan_file.clone()).is_some() {
                planning.reasons.push(
                    "PLAN_FILE and a command are both given: leave the one out that is not meant"
                        .to_owned(),
                );
            }
            SavedPlan::Unread
        };
        let after_script = recovery.after_script(planning);
        let report_file = planning.take_in(report_file(self.past.report_file.clone()));
        let place = target.place("deploy", command.is_none(), saved, planning)?;
        let job = || match target.plan_file(&place.directory) {
            Some(file) => Job::ApplyPlan(file),
            None => Job::Apply,
        };
        let deploy = Deploy {
            runs: command.unwrap_or_else(|| Runs::Job(job())),
            directory: place.directory.clone(),
            after_script,
            lock_timeout: recovery.lock_timeout,
            report_file,
            on_unfinished: self.past.on_unfinished,
        };
        Some(Task::Deploy(deploy, place.tool))
    }

    /// The command line to run, where it is not the default.
    fn command_line(&self, planning: &mut Planning<'_>) -> Option<Runs> {
        if let Some((program, arguments)) = self.program.split_first() {
            return Some(Runs::Command(program.clone(), arguments.to_vec()));
        }
        let script = planning.script(self.command.as_ref(), "COMMAND")?;
        let arguments = vec!["-ec".to_owned(), script];
        Some(Runs::Command("/bin/sh".to_owned(), arguments))
    }
}

impl PlanOptions {
    fn plan(self, planning: &mut Planning<'_>) -> Option<Task> {
        let CommonOptions {
            target, recovery, ..
        } = &self.common;
        target.expect_workspace(planning);
        target.expect_plan_file(planning);
        let after_script = recovery.after_script(planning);
        let report_file = planning.take_in(report_file(self.past.report_file.clone()));
        let place = target.place("plan", true, SavedPlan::Unread, planning)?;
        let deploy = Deploy {
            runs: Runs::Job(Job::Plan(target.plan_to_make(&place.directory))),
            directory: place.directory,
            after_script,
            lock_timeout: recovery.lock_timeout,
            report_file,
            on_unfinished: self.past.on_unfinished,
        };
        Some(Task::Deploy(deploy, place.tool))
    }
}

impl CommonOptions {
    fn release(self, planning: &mut Planning<'_>) -> Task {
        self.target.expect_workspace(planning);
        let places = self.target.places(true, SavedPlan::LookedAfter, planning);
        let release = Release {
            after_script: self.recovery.after_script(planning),
            lock_timeout: self.recovery.lock_timeout,
        };
        Task::Release(places, release)
    }
}

impl StatusOptions {
    fn status(self, planning: &mut Planning<'_>) -> Task {
        self.target.expect_workspace(planning);
        let places = self.target.places(true, SavedPlan::LookedAfter, planning);
        let json = self.json;
        Task::Status { places, json }
    }
}

impl ResolveOptions {
    fn resolve(self, planning: &mut Planning<'_>) -> Option<Task> {
        if self.address.is_empty() {
            planning.expect(None, "ADDRESS", "the address behind `resolve`");
        }
        self.target.expect_workspace(planning);
        let addresses = planning.list(&self.address, "ADDRESS").unwrap_or_default();
        let place = self
            .target
            .place("resolve", true, SavedPlan::Unread, planning)?;
        Some(Task::Resolve(place, addresses))
    }
}

impl RecoveryOptions {
    fn after_script(&self, planning: &mut Planning<'_>) -> Option<String> {
        planning.script(self.after_script.as_ref(), "AFTER_SCRIPT")
    }
}

/// Where the report is to be written, as a path that is the same from everywhere.
fn report_file(given: Option<String>) -> Result<Option<PathBuf>, String> {
    let Some(name) = variables::given(given) else {
        return Ok(None);
    };
    let path =
        path::absolute(&name).map_err(|problem| format!("REPORT_FILE is {name:?}: {problem}"))?;
    if path.is_dir() || !path.parent().is_some_and(Path::is_dir) {
        return Err(format!(
            "REPORT_FILE is {name:?}: expected a file in a directory that is there"
        ));
    }
    Ok(Some(path))
}
