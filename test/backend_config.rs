//! BACKEND_CONFIG reaches the `init` that it is for, whoever runs it, and no other.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::sightings::TOLD;
use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Store, prepared};

const SLOW: &str = "create_gate = \"GATES/a.gate\"";
const DEPLOY: &str = "terraform init && terraform apply -auto-approve";

/// A project whose block leaves open which environment is meant. Its own store is that of prod.
struct Environments {
    project: Project,
    staging: Store,
}

impl Environments {
    fn with(resources: &str) -> Self {
        let project = Project::new(Kind::HttpStrict, resources);
        let staging = Store::new(Kind::HttpStrict, &project.directory);
        project.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
        fs::create_dir(project.directory.join("env")).unwrap();
        project.write("env/prod.hcl", &settings(&project.store));
        project.write("env/staging.hcl", &settings(&staging));
        Self { project, staging }
    }

    fn deploy(&self, script: &str) -> Softstop {
        Softstop::deploy(&self.project)
            .env("BACKEND_CONFIG", "env/prod.hcl")
            .script(script)
    }

    #[track_caller]
    fn expect_deployed(&self, to_prod: &[&str], to_staging: &[&str], script: &str) {
        assert_eq!(self.project.store.resources(), to_prod, "{script}");
        assert_eq!(self.staging.resources(), to_staging, "{script}");
    }
}

/// What stands in the backend block of a store.
fn settings(store: &Store) -> String {
    let block = store.block();
    let lines: Vec<_> = block.lines().collect();
    lines[1..lines.len() - 1].join("\n") + "\n"
}

/// A directory that stands first in PATH, whose `terraform` notes how it was called, and starts the one
/// that comes next in PATH, as version managers do.
fn version_manager(project: &Project) -> (String, PathBuf) {
    let directory = project.scratch().join("shims");
    fs::create_dir(&directory).unwrap();
    let notes = project.scratch().join("notes");
    project.script(
        "shims/terraform",
        &format!(
            "echo \"$PATH\" \"$@\" >>{}\nPATH=${{PATH/{}:/}}; exec terraform \"$@\"\n",
            notes.display(),
            directory.display()
        ),
    );
    let path = std::env::var("PATH").unwrap();
    (format!("{}:{path}", directory.display()), notes)
}

#[test]
fn the_init_of_a_command_gets_the_settings_however_it_enters_the_directory() {
    for script in [
        DEPLOY,
        "cd .. && terraform -chdir=repository init && terraform -chdir=repository apply -auto-approve",
        "cd env && terraform -chdir=.. init -input=false; terraform -chdir=.. apply -auto-approve",
        "make deploy",
    ] {
        let environments = Environments::with(&thing("a", ""));
        let makefile = format!("deploy:\n\t{DEPLOY}\n");
        environments.project.write("Makefile", &makefile);
        environments.deploy(script).finish().expect_code(0);
        environments.expect_deployed(&["a"], &[], script);
    }
}

#[test]
fn a_program_without_a_shell_gets_them_too_and_arguments_of_the_environment_are_kept() {
    let environments = Environments::with(&thing("a", ""));
    let finished = Softstop::deploy(&environments.project)
        .env("BACKEND_CONFIG", "env/prod.hcl")
        .env("TF_CLI_ARGS_init", "-upgrade")
        .arguments(["--", "terraform", "init"])
        .finish();
    finished.expect_code(0);
    let kept = environments
        .project
        .directory
        .join(".terraform/terraform.tfstate");
    let kept = fs::read_to_string(kept).unwrap();
    let address = environments.project.store.proxy.as_ref().unwrap().address;
    assert!(kept.contains(&address.to_string()), "{kept}");
}

#[test]
fn what_the_command_names_itself_is_used_alone_and_its_lock_is_looked_after() {
    for (script, variable) in [
        (
            "terraform init -backend-config=env/staging.hcl && terraform apply -auto-approve",
            ("A", "b"),
        ),
        (
            DEPLOY,
            ("TF_CLI_ARGS_init", "-backend-config=env/staging.hcl"),
        ),
        (
            DEPLOY,
            ("TF_CLI_ARGS", "-no-color -backend-config env/staging.hcl"),
        ),
    ] {
        let environments = Environments::with(&thing("a", SLOW));
        let gate = environments.project.gate("a.gate");
        // Terraform refuses in an apply what is for an init.
        let script = script.replace("terraform apply", "TF_CLI_ARGS= terraform apply");
        let deploy = || environments.deploy(&script).env(variable.0, variable.1);
        let run = deploy().start();
        gate.wait_until_reached();
        assert!(environments.staging.lock().is_some(), "{script}");
        let killed = run.kill_terraform_at(&gate);
        killed.expect_said("its lock was released");
        assert_eq!(environments.staging.lock(), None, "{killed}");
        gate.open();
        deploy().finish().expect_code(0);
        environments.expect_deployed(&[], &["a"], &script);
    }
}

#[test]
fn the_init_of_another_directory_is_left_alone() {
    let environments = Environments::with(&thing("a", ""));
    let project = &environments.project;
    let network = project.directory.join("network");
    fs::create_dir(&network).unwrap();
    fs::write(network.join("main.tf"), project.with_gates(&thing("n", ""))).unwrap();
    let finished = environments
        .deploy(&format!("(cd network && {DEPLOY}); {DEPLOY}"))
        .finish();
    finished.expect_code(0);
    assert!(!finished.stdout.contains("-backend-config"), "{finished}");
    environments.expect_deployed(&["a"], &[], "");
    let state = fs::read_to_string(network.join("terraform.tfstate")).unwrap();
    assert!(state.contains("\"n\""), "{state}");
}

#[test]
fn a_version_manager_is_met_once_and_finds_the_path_as_it_was() {
    let environments = Environments::with(&thing("a", ""));
    let (path, notes) = version_manager(&environments.project);
    let finished = environments.deploy(DEPLOY).env("PATH", &path).finish();
    finished.expect_code(0);
    environments.expect_deployed(&["a"], &[], "");
    let notes = fs::read_to_string(notes).unwrap();
    let of_the_deploy: Vec<&str> = notes
        .lines()
        .filter(|line| line.contains(" init") || line.contains(" apply"))
        .collect();
    assert_eq!(
        of_the_deploy,
        [
            format!("{path} init -backend-config=env/prod.hcl"),
            format!("{path} apply -auto-approve")
        ]
    );
}

#[test]
fn no_value_stands_on_a_command_line_or_in_a_variable_of_terraform() {
    let environments = Environments::with(&thing("a", ""));
    let project = &environments.project;
    let (path, notes) = version_manager(project);
    let finished = Softstop::deploy(project)
        .env("PATH", path)
        .env("BACKEND_CONFIG_COUNT", "3")
        .env("BACKEND_CONFIG_0", "env/prod.hcl")
        .env("BACKEND_CONFIG_1", "username=anna")
        .env("BACKEND_CONFIG_2", "password={s3cret \"${a}\" %{b} \\n'")
        .script(&format!("{DEPLOY}; env | grep ^TF_CLI"))
        .finish();
    finished.expect_code(0);
    environments.expect_deployed(&["a"], &[], "");
    let notes = fs::read_to_string(notes).unwrap();
    assert!(
        notes.contains("init -backend-config=env/prod.hcl -backend-config=/"),
        "{notes}"
    );
    assert!(!notes.contains("s3cret"), "{notes}");
    assert!(!finished.stdout.contains("s3cret"), "{finished}");
    let kept = project.directory.join(".terraform/terraform.tfstate");
    let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(kept).unwrap()).unwrap();
    assert_eq!(
        kept["backend"]["config"]["password"],
        "{s3cret \"${a}\" %{b} \\n'"
    );
}

#[test]
fn a_deploy_that_gets_its_settings_so_is_stopped_as_any_other() {
    let environments = Environments::with(&thing("a", SLOW));
    let gate = environments.project.gate("a.gate");
    let run = environments.deploy(DEPLOY).start();
    let finished = run.interrupt_at(&gate, Signal::SIGTERM);
    finished.expect_code(143);
    assert_eq!(environments.project.store.lock(), None, "{finished}");
    assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
    environments.expect_deployed(&["a"], &[], DEPLOY);
}

/// Only what is in PATH when a deploy begins is stood in for.
#[test]
fn a_program_that_goes_past_the_settings_makes_the_lock_unknown() {
    let environments = Environments::with(&thing("a", ""));
    let project = &environments.project;
    let block = format!("terraform {{\n{}}}\n", environments.staging.block());
    project.write("backend.tf", &block);
    let script = format!(
        "mkdir tools; cp {} tools/terraform; export PATH=$PWD/tools:$PATH; {DEPLOY}",
        prepared("SOFTSTOP_TEST_TERRAFORM")
    );
    let finished = environments
        .deploy(&script)
        .env("AFTER_SCRIPT", TOLD)
        .finish();
    finished
        .expect_code(0)
        .expect_said("did not get what BACKEND_CONFIG names");
    environments.expect_deployed(&[], &["a"], &script);
    assert!(finished.stdout.contains("lock=unknown"), "{finished}");
}

#[test]
fn another_user_below_the_command_goes_past_the_settings() {
    let environments = Environments::with(&thing("a", ""));
    let print = "command -v terraform";
    let as_another = format!("setpriv --reuid 65534 --clear-groups sh -c '{print}'");
    let finished = environments
        .deploy(&format!("{print}; {as_another}"))
        .finish();
    finished.expect_code(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines[0].contains("/softstop-"), "{finished}");
    assert!(!lines[1].contains("/softstop-"), "{finished}");
}

#[test]
fn where_nothing_is_given_nothing_stands_in_the_path() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    let finished = Softstop::deploy(&project).script("echo \"$PATH\"").finish();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(finished.stdout.trim_end(), path, "{finished}");
}

/// As `sops` writes settings that are to lie on no disk. A pipe gives them to one reader alone.
#[test]
fn settings_that_come_by_a_pipe_are_left_to_the_terraform_that_they_are_for() {
    let environments = Environments::with(&thing("a", ""));
    let project = &environments.project;
    let backend = project.directory.join("backend.hcl");
    mkfifo(&backend, Mode::S_IRWXU).unwrap();
    let settled = "(sleep 0.3; cat env/prod.hcl > backend.hcl) &
         terraform init -input=false -backend-config=backend.hcl";
    let finished = Softstop::deploy(project)
        .script(&format!("{settled} && terraform apply -auto-approve"))
        .finish();
    finished.expect_code(0);
    environments.expect_deployed(&["a"], &[], "by a pipe");

    // Nobody writes: Terraform waits, and softstop does not.
    fs::remove_dir_all(project.directory.join(".terraform")).unwrap();
    let mut run = Softstop::deploy(project)
        .env("GRACE_PERIOD", "4s")
        .script("exec terraform init -input=false -backend-config=backend.hcl")
        .start();
    run.wait_for_stdout("Initializing the backend");
    run.signal(Signal::SIGTERM);
    run.finish()
        .expect_code(143)
        .expect_said("Whether the lock is free is not known");
}
