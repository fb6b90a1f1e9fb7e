//! What is printed to be pasted leads to the state that is meant, wherever the directory leads to.

use std::fs;

use crate::pasted::{BY_HAND, odd_lock, paste, printed, release_and_paste, store_and_paste};
use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::{Finished, Kind, Program, Project, Softstop, Store, each};

#[test]
fn what_the_directory_was_initialised_for_before_stands_in_no_way() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let elsewhere = Store::new(Kind::HttpStrict, &project.directory);
    let checkout = project.clone_files();
    let blocks = [&elsewhere, &project.store].map(Store::block);
    let [other, own] = blocks.map(|block| format!("terraform {{\n{block}}}\n"));
    fs::write(checkout.join("backend.tf"), other).unwrap();
    let mut init = project.terraform(&["init"]);
    let initialised = init.current_dir(&checkout).output().unwrap();
    assert!(initialised.status.success(), "{initialised:?}");
    fs::write(checkout.join("backend.tf"), own).unwrap();
    project.store.set_lock(&odd_lock());
    elsewhere.set_lock(&odd_lock());
    let finished = Softstop::release(&project).finish();
    finished.expect_code(3);
    let command = printed(&finished, BY_HAND);
    let cli_config = project.cli_config().display().to_string();
    paste(
        command,
        &checkout,
        &[("TF_CLI_CONFIG_FILE", &cli_config)],
        "",
    );
    assert_eq!(project.store.lock(), None, "{command}");
    assert!(elsewhere.lock().is_some(), "{command}");
}

/// A saved plan for this project's state, whose lock a person holds.
fn plan_of(project: &Project) -> String {
    project.run_terraform(&["init"]);
    project.run_terraform(&["plan", "-out=plan"]);
    project.store.set_lock(&odd_lock());
    project.directory.join("plan").display().to_string()
}

#[test]
fn the_lock_of_a_saved_plan_is_released_where_the_plan_says_that_it_is() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let plan = plan_of(&project);
    project.write("backend.tf", "terraform {\n  backend \"s3\" {}\n}\n");
    let softstop = Softstop::release(&project).arguments(["--plan-file", &plan]);
    let command = release_and_paste(&project, softstop, "test\ntest\n");
    assert_eq!(project.store.lock(), None, "{command}");
}

#[test]
fn where_the_directory_names_another_backend_no_command_is_printed_that_would_go_there() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let plan = plan_of(&project);
    let elsewhere = Store::new(Kind::Postgres, &project.directory);
    let block = format!("terraform {{\n{}}}\n", elsewhere.block());
    project.write("backend.tf", &block);
    let softstop = Softstop::release(&project).arguments(["--plan-file", &plan]);
    let command = release_and_paste(&project, softstop, "");
    assert!(
        command.starts_with("# where the configuration names the backend \"s3\", and not \"pg\""),
        "{command}"
    );
    assert!(
        command.ends_with("force-unlock -force -- -help"),
        "{command}"
    );
    assert!(project.store.lock().is_some(), "{command}");
    assert_eq!(elsewhere.schemas(), "public", "{command}");
}

/// A deploy with this variable that could not store its state, which is meant to go there.
fn deploy_that_stores_nothing(
    project: &Project,
    store: &Store,
    variable: (&str, &str),
) -> Finished {
    let run = Softstop::deploy(project)
        .env(variable.0, variable.1)
        .start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail(&store.state_write(), Fault::Refuse, u32::MAX);
    gate.open();
    let finished = run.finish();
    proxy.recover();
    finished
}

#[test]
fn a_state_is_stored_where_a_variable_of_the_backend_says_that_it_is() {
    each(
        &[
            (Kind::Kubernetes, "KUBE_NAMESPACE"),
            (Kind::Postgres, "PG_SCHEMA_NAME"),
        ],
        |(kind, variable)| {
            let project = Project::slow(kind);
            let store = project.store.of_space("prod");
            let finished = deploy_that_stores_nothing(&project, &store, (variable, "prod"));
            let command = store_and_paste(&project, &finished);
            assert_eq!(store.resources(), ["a"], "{kind:?} {command}");
            assert_eq!(project.store.state(), None, "{kind:?} {command}");
            assert_eq!(store.lock(), None, "{kind:?} {command}");
        },
    );
}

#[test]
fn a_lock_is_released_where_a_variable_of_the_backend_says_that_it_is() {
    let project = Project::new(Kind::Kubernetes, &thing("a", ""));
    let store = project.store.of_space("prod");
    let mut init = project.terraform(&["init", "-input=false"]);
    let initialised = init.env("KUBE_NAMESPACE", "prod").output().unwrap();
    assert!(initialised.status.success(), "{initialised:?}");
    for one in [&store, &project.store] {
        one.set_lock(&odd_lock());
    }
    let softstop = Softstop::release(&project).env("KUBE_NAMESPACE", "prod");
    let command = release_and_paste(&project, softstop, "");
    assert_eq!(store.lock(), None, "{command}");
    assert!(project.store.lock().is_some(), "{command}");
}

#[test]
fn where_a_block_holds_variables_what_is_pasted_goes_by_the_values_of_the_deploy() {
    let project = Project::slow_of(Program::OpenTofu, Kind::S3Lockfile);
    let block = project.store.block().replace("\"deploy/", "\"${var.part}/");
    project.write(
        "backend.tf",
        &format!("variable \"part\" {{\n  default = \"dev\"\n}}\nterraform {{\n{block}}}\n"),
    );
    let part = ("TF_VAR_part", "deploy");
    let finished = deploy_that_stores_nothing(&project, &project.store, part);
    let command = store_and_paste(&project, &finished);
    assert_eq!(project.store.resources(), ["a"], "{command}");
    project.store.set_lock(&odd_lock());
    let softstop = Softstop::release(&project).env(part.0, part.1);
    let command = release_and_paste(&project, softstop, "");
    assert_eq!(project.store.lock(), None, "{command}");
    let objects = project.store.objects();
    assert!(!objects.contains("dev/"), "{objects}");
}
