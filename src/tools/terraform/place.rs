//! A place of Terraform: what decides which state is used there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arguments::values_by;
use super::backend::{Backend, DEFAULT_BACKEND};
use super::backend_config::check_files;
use super::backends::ALL;
use super::configuration::Configuration;
use super::default_command::Setup;
use super::essence::Secrets;
use super::files::{expect_no_pipe, text_of};
use super::helper::helper_command;
use super::opentofu::is_called_opentofu;
use super::plan_file;
use super::program::Program;
use super::resolved::Resolved;
use crate::environment::Environment;
use crate::supervisor::Held;
use crate::tools::access::{Barred, Want};
use crate::tools::error::ToolError;
use crate::tools::wanted::Wanted;

/// Where Terraform leaves a state that it could not store. By then it has released the lock, so a
/// deploy that comes first forks the state.
pub(super) const ERRORED_STATE: &str = "errored.tfstate";
/// How the variables begin that give values to those of a configuration.
const VARIABLES: &str = "TF_VAR_";

/// A place: what decides which state is used, and the Terraform that uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terraform {
    /// The program, as it is found.
    pub(crate) binary: PathBuf,
    /// The same, where it was seen to run, wherever its file goes.
    pub(super) held: Option<Held>,
    /// Whether that is OpenTofu, whatever it is called.
    pub(super) is_opentofu: bool,
    /// Why it may not be started, if anything stands in the way. A command of the user's own may know
    /// better.
    pub(super) obstacle: Option<String>,
    pub(crate) directory: PathBuf,
    pub(crate) backend_config: Vec<String>,
    pub(crate) workspace: Option<String>,
    /// The variables with which Terraform is started there: our own, or those of one that was seen.
    pub(crate) environment: Environment,
    /// Whether a Terraform was seen to run there.
    pub(super) is_seen: bool,
    /// Whether that one removed the state, so that asking for it might make it again.
    pub(super) is_removed: bool,
    /// The `-var` and `-var-file` with which it was seen.
    pub(super) seen_values: Option<Vec<String>>,
    /// The backend that it was seen to use.
    pub(super) backend: Option<Backend>,
}

impl Terraform {
    /// A place that is named, and not seen; or why nothing can be done there.
    pub(crate) fn named(wanted: Wanted<'_>) -> Result<Self, String> {
        let directory = wanted.directory;
        check_files(&wanted.backend_config, &directory)?;
        let program = Program::of(wanted.program.as_deref(), &directory);
        let program = match wanted.chosen {
            Some(chosen) => chosen.choose(&program),
            None => program,
        };
        let mut terraform = Self {
            binary: program.path(),
            is_opentofu: program.is_opentofu(),
            held: None,
            obstacle: program.obstacle(),
            directory,
            backend_config: wanted.backend_config,
            workspace: wanted.workspace,
            environment: Environment::own(),
            is_seen: false,
            is_removed: false,
            seen_values: None,
            backend: None,
        };
        let has_work = terraform.has_configuration();
        // A command of the user's own may install the program that the directory says, or call it by its
        // path. What is wrong in a variable is refused all the same.
        let is_needed = wanted.needs_work || program.is_given() && has_work;
        if let Some(obstacle) = program.obstacle().filter(|_| is_needed) {
            return Err(obstacle);
        }
        if !has_work && wanted.needs_work {
            return Err(format!(
                "WORKING_DIR is \"{}\": there is no configuration of Terraform or OpenTofu in it",
                terraform.directory.display()
            ));
        }
        if let Some(plan) = &wanted.plan {
            terraform.mean(plan)?;
        }
        Ok(terraform)
    }

    /// Lets this place be that of a saved plan, whatever the directory says.
    fn mean(&mut self, plan: &Path) -> Result<(), String> {
        if let Some(barred) = Barred::find(plan, Want::Read, "") {
            return Err(format!("PLAN_FILE cannot be used: {barred}"));
        }
        let (backend, workspace) = plan_file::backend(plan, &self.directory).map_err(|reason| {
            format!(
                "PLAN_FILE is \"{}\", and its backend cannot be read: {reason}",
                plan.display()
            )
        })?;
        if let Some(named) = self.workspace.as_ref().filter(|named| **named != workspace) {
            return Err(format!(
                "WORKSPACE is {named:?}, and PLAN_FILE \"{}\" was made for the workspace \
                 {workspace:?}: give the plan that is meant, or leave WORKSPACE out",
                plan.display()
            ));
        }
        self.backend = Some(backend);
        self.workspace = Some(workspace);
        Ok(())
    }

    /// Whether a program that was seen is OpenTofu: it may be the one of this place.
    pub(super) fn is_opentofu_as(&self, seen: &Path) -> bool {
        let real = |program: &Path| fs::canonicalize(program).ok();
        match real(seen) {
            Some(seen) if real(&self.binary) == Some(seen.clone()) => self.is_opentofu,
            _ => is_called_opentofu(seen),
        }
    }

    /// Whether there is a configuration here.
    pub(super) fn has_configuration(&self) -> bool {
        // A directory that cannot be read is told about when it is asked for its backend.
        self.configuration()
            .files()
            .map_or(true, |files| !files.is_empty())
    }

    pub(super) fn configuration(&self) -> Configuration {
        let data_directory = self.environment.get("TF_DATA_DIR");
        Configuration {
            directory: self.directory.clone(),
            data_directory: self
                .directory
                .join(data_directory.unwrap_or_else(|| ".terraform".as_ref())),
            backend_config: self.backend_config.clone(),
            environment: self.environment.clone(),
            is_tofu: self.is_opentofu,
        }
    }

    /// The backend that was seen in use, or else the one that is named.
    pub(super) fn resolved(&self) -> Result<Resolved, ToolError> {
        if let Some(backend) = &self.backend {
            return Ok(Resolved::named(backend.clone()));
        }
        let configuration = self.configuration();
        if self.is_seen {
            if let Some(backend) = configuration.initialised()? {
                return Ok(Resolved::named(backend));
            }
            return configuration.resolve_used();
        }
        configuration.resolve()
    }

    /// A host that only `.terraform` names gets the credentials that `.terraform` has, and none of our
    /// own: somebody else may have written it. A Terraform that was seen has used them already.
    pub(super) fn without_credentials_for(&self, resolved: &Resolved) -> Self {
        if !self.is_seen && resolved.gets_no_credentials() {
            self.without_credentials()
        } else {
            self.clone()
        }
    }

    /// Any of a family may hold credentials, or lead to some: only those that name settings stay, without
    /// which another state might be asked about, or none.
    pub(super) fn without_credentials(&self) -> Self {
        let families: Vec<&[&str]> = ALL.iter().map(|known| known.leading).collect();
        let naming = ALL.iter().flat_map(|known| known.schema.naming_variables());
        let naming: Vec<&str> = naming.collect();
        let credentials: Vec<&[&str]> = ALL.iter().map(|known| known.credentials).collect();
        Self {
            environment: self
                .environment
                .without_beginning_with(&families.concat(), &naming)
                .without_beginning_with(&credentials.concat(), &[]),
            ..self.clone()
        }
    }

    /// The `-var` and `-var-file` that count here.
    pub(super) fn values(&self) -> Result<Vec<String>, ToolError> {
        let values = match &self.seen_values {
            Some(seen) => seen.clone(),
            None => values_by(&self.environment)?,
        };
        for file in values
            .iter()
            .filter_map(|value| value.strip_prefix("-var-file="))
        {
            expect_no_pipe(&self.directory.join(file))?;
        }
        Ok(values)
    }

    /// The directory, or the nearest one above it where a deploy has removed it since: version managers
    /// go by where they are started.
    pub(super) fn existing_directory(&self) -> &Path {
        let mut levels = self.directory.ancestors();
        levels
            .find(|level| level.is_dir())
            .unwrap_or(&self.directory)
    }

    /// The program, from where it can be started. Another version than the one that ran may store a state
    /// that the user's own can no longer read.
    pub(super) fn program(&self) -> PathBuf {
        match &self.held {
            Some(held) => held.path(&self.binary),
            None => self.binary.clone(),
        }
    }

    /// A command of it for questions of our own.
    pub(super) fn helper_command(&self) -> Command {
        helper_command(&self.program(), &self.environment)
    }

    /// What nobody may read of what the program says here.
    pub(super) fn secrets(&self) -> Secrets {
        let resolved = self.resolved().map(|resolved| resolved.backend).ok();
        let initialised = || self.configuration().initialised().ok().flatten();
        Secrets::of(&self.environment, resolved.or_else(initialised).as_ref())
    }

    /// Whether the variables are the same that lead to one state or another, whatever the backend is.
    pub(super) fn is_surrounded_like(&self, other: &Self) -> bool {
        let of_backends = ALL.iter().flat_map(|known| known.leading);
        let names: Vec<&str> = of_backends.copied().chain([VARIABLES]).collect();
        self.environment.beginning_with(&names) == other.environment.beginning_with(&names)
    }

    /// Lets what `command` starts use the workspace that is named.
    pub(super) fn choose_workspace(&self, command: &mut Command) {
        if let Some(workspace) = &self.workspace {
            command.env("TF_WORKSPACE", workspace);
        }
    }

    /// The directory, as seen from where softstop was started.
    pub(super) fn directory_name(&self) -> String {
        name_of(&self.directory)
    }

    /// Where this is, for people: of the backend only its kind, because its settings hold secrets.
    pub(super) fn whereabouts(&self) -> String {
        let kind = self.kind_of_backend();
        format!(
            "in {}, backend {}, workspace {}",
            self.directory_name(),
            kind.unwrap_or_else(|_| "not known yet".to_owned()),
            self.workspace()
        )
    }

    fn kind_of_backend(&self) -> Result<String, ToolError> {
        let configuration = self.configuration();
        let used = match (&self.backend, configuration.initialised()?) {
            (Some(backend), _) => Some(backend.clone()),
            (None, Some(initialised)) if self.is_seen => Some(initialised),
            (None, initialised) => configuration.block()?.or(initialised),
        };
        Ok(used.map_or_else(|| DEFAULT_BACKEND.to_owned(), |backend| backend.kind))
    }

    /// Whether no `init` ends that does not know which of the backend's workspaces is meant.
    pub(super) fn needs_workspace(&self) -> bool {
        let kind = self.kind_of_backend();
        kind.is_ok_and(|kind| matches!(kind.as_str(), "cloud" | "remote"))
    }

    /// How the default command initialises the directory, where the state was found, or was not.
    pub(super) fn setup(&self, has_found_state: bool) -> Setup<'_> {
        Setup {
            binary: &self.binary,
            backend_config: &self.backend_config,
            knows_workspace: has_found_state || self.needs_workspace(),
        }
    }

    /// The workspace whose state the deploy uses.
    pub(super) fn workspace(&self) -> String {
        self.workspace
            .clone()
            .unwrap_or_else(|| selected_workspace(self))
    }
}

/// A directory, as seen from where softstop was started.
pub(super) fn name_of(directory: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let below = directory.strip_prefix(&here);
    match below.unwrap_or(directory).to_string_lossy() {
        name if name.is_empty() => ".".to_owned(),
        name => name.into_owned(),
    }
}

/// The workspace that the variables and the directory of a place say.
pub(super) fn selected_workspace(place: &Terraform) -> String {
    let selected = place.configuration().data_directory.join("environment");
    let candidates = [
        place.environment.text("TF_WORKSPACE"),
        text_of(&selected).ok(),
    ];
    candidates
        .into_iter()
        .flatten()
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::terraform::resolved::Origin;

    #[test]
    fn a_host_that_only_terraform_itself_has_kept_gets_nothing_that_leads_to_credentials() {
        let staying = [
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_REGION", "x"),
            ("AWS_ENDPOINT_URL_S3", "x"),
            ("CONSUL_HTTP_ADDR", "x"),
            ("HOME", "x"),
            ("KUBE_NAMESPACE", "x"),
            ("PATH", "x"),
            ("PGPORT", "x"),
            ("TF_HTTP_LOCK_ADDRESS", "x"),
        ];
        let going = [
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "x"),
            ("ALICLOUD_SECURITY_TOKEN", "x"),
            ("ARM_CLIENT_SECRET", "x"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "x"),
            ("AWS_PROFILE", "x"),
            ("AWS_ROLE_ARN", "x"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "x"),
            ("AZURE_FEDERATED_TOKEN_FILE", "x"),
            ("CONSUL_HTTP_TOKEN", "x"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "x"),
            ("GOOGLE_OAUTH_ACCESS_TOKEN", "x"),
            ("KUBECONFIG", "x"),
            ("KUBE_CONFIG_PATH", "x"),
            ("KUBE_TOKEN", "x"),
            ("OCI_private_key", "x"),
            ("PGPASSFILE", "x"),
            ("PGPASSWORD", "x"),
            ("PGSERVICEFILE", "x"),
            ("TENCENTCLOUD_SECRET_ID", "x"),
            ("TF_HTTP_PASSWORD", "x"),
            ("private_key_path", "x"),
        ];
        let mut place = Terraform {
            binary: PathBuf::new(),
            is_opentofu: false,
            held: None,
            obstacle: None,
            directory: PathBuf::new(),
            backend_config: Vec::new(),
            workspace: None,
            environment: Environment::from(staying),
            is_seen: false,
            is_removed: false,
            seen_values: None,
            backend: None,
        };
        let resolved = |names_host| Resolved {
            origin: Origin::Completed { names_host },
            ..Resolved::named(Backend::default())
        };
        let kept = place.without_credentials_for(&resolved(true));
        assert!(kept.environment == Environment::from(staying));
        place.environment = Environment::from(going);
        let kept = place.without_credentials_for(&resolved(true));
        assert!(kept.environment == Environment::default());
        assert_eq!(place.without_credentials_for(&resolved(false)), place);
        place.is_seen = true;
        assert_eq!(place.without_credentials_for(&resolved(true)), place);
    }
}
