//! What is printed to be pasted leads to the state that is meant, wherever the directory leads to.

use std::fs;

use crate::pasted::{BY_HAND, odd_lock, paste, printed, release_and_paste};
use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Store};

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
