//! Version managers stand in PATH for the program, and go by the directory in which they are called.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Kind, Project, Softstop, prepared};

/// A project that pins a Terraform of its own for mise, which notes how it is called.
fn pinned() -> Project {
    let project = Project::slow(Kind::S3Lockfile);
    let scratch = project.scratch();
    for name in ["pinned", "shims", "home"] {
        fs::create_dir(scratch.join(name)).unwrap();
    }
    let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
    let notes = scratch.join("notes").display().to_string();
    project.script(
        "pinned/terraform",
        &format!("echo $1 >> {notes}; exec {terraform} \"$@\""),
    );
    symlink(
        prepared("SOFTSTOP_TEST_MISE"),
        scratch.join("shims/terraform"),
    )
    .unwrap();
    project
}

/// Pins it in this directory.
fn pin(project: &Project, directory: &Path) {
    let pinned = project.scratch().join("pinned");
    let text = format!("[tools]\nterraform = \"path:{}\"\n", pinned.display());
    fs::write(directory.join("mise.toml"), text).unwrap();
}

fn with_mise(softstop: Softstop, project: &Project) -> Softstop {
    let scratch = project.scratch();
    let shims = scratch.join("shims");
    let path = env::var_os("PATH").unwrap();
    let path = env::join_paths([shims].into_iter().chain(env::split_paths(&path))).unwrap();
    softstop
        .env("PATH", path)
        .env("HOME", scratch.join("home"))
        .env("MISE_OFFLINE", "1")
        .env("MISE_TRUSTED_CONFIG_PATHS", scratch)
}

/// How often the pinned program was called so.
fn calls(project: &Project, subcommand: &str) -> usize {
    let notes = fs::read_to_string(project.scratch().join("notes")).unwrap_or_default();
    notes.lines().filter(|line| *line == subcommand).count()
}

#[test]
fn a_deploy_by_mise_that_is_killed_has_its_lock_released() {
    let project = pinned();
    pin(&project, &project.directory);
    let run = with_mise(Softstop::deploy(&project), &project).start();
    let finished = run.kill_terraform_at(&project.gate("a.gate"));
    finished.expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(calls(&project, "apply"), 1, "{finished}");
}

#[test]
fn a_look_is_asked_by_the_program_that_mise_pins_for_the_directory() {
    let project = pinned();
    project.be_locked_by("anna@macbook");
    let clone = project.clone_files();
    pin(&project, &clone);
    let status = Softstop::in_directory(&clone, project.scratch()).arguments(["status"]);
    let finished = with_mise(status, &project).finish();
    finished.expect_code(0).expect_said("held by anna@macbook");
    assert_eq!(calls(&project, "force-unlock"), 1, "{finished}");
}
