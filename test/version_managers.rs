//! Version managers stand in PATH for the program, and go by the directory in which they are called.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Kind, Project, Softstop, Step, prepared};

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

/// A project whose deploy goes on in `infra`, and a shim that goes by the version that the directory or
/// one above it asks for, and notes for which and for what it was called.
fn asked_for_by_the_directory() -> Project {
    let project = Project::slow(Kind::S3Lockfile);
    fs::create_dir(project.scratch().join("shims")).unwrap();
    let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
    let notes = project.scratch().join("notes").display().to_string();
    project.script(
        "shims/terraform",
        &format!(
            "directory=$PWD
             until [ -e \"$directory/.terraform-version\" ]; do
               [ \"$directory\" ] || {{ echo \"no version for $PWD\" | tee -a {notes} >&2; exit 1; }}
               directory=${{directory%/*}}
             done
             echo \"$(cat \"$directory/.terraform-version\") $1\" >> {notes}
             exec {terraform} \"$@\""
        ),
    );
    project
}

/// Moves the configuration of a clone into a directory below the one that asks for a version.
fn ask_for_a_version(clone: &Path) {
    fs::create_dir(clone.join("infra")).unwrap();
    for name in ["backend.tf", "main.tf"] {
        fs::rename(clone.join(name), clone.join("infra").join(name)).unwrap();
    }
    fs::write(clone.join(".terraform-version"), "1.2.3\n").unwrap();
}

/// What was noted: which version, and for what.
fn noted(project: &Project) -> String {
    fs::read_to_string(project.scratch().join("notes")).unwrap()
}

#[test]
fn a_shim_that_goes_by_the_directory_is_asked_from_there_by_deploy_status_and_release() {
    let project = asked_for_by_the_directory();
    let infra = |softstop: Softstop, step: &Step| {
        let path = env::var_os("PATH").unwrap();
        let shims = [project.scratch().join("shims")].into_iter();
        let path = env::join_paths(shims.chain(env::split_paths(&path))).unwrap();
        softstop
            .env("PATH", path)
            .env("WORKING_DIR", "infra")
            .in_step(step)
    };
    let (step, gate) = (Step::of_a_new_pipeline(), project.gate("a.gate"));
    let clone = project.clone_files();
    for directory in [&project.directory, &clone] {
        ask_for_a_version(directory);
    }
    let deploy = || infra(Softstop::deploy(&project), &step).start();
    let finished = deploy().kill_terraform_at(&gate);
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
    gate.forget();
    deploy().kill_all_at(&gate);
    assert!(project.store.lock().is_some(), "the deploy uses this lock");
    let ask = |mode| {
        let softstop = Softstop::in_directory(&clone, project.scratch()).arguments([mode]);
        infra(softstop, &step.sibling()).finish()
    };
    ask("status").expect_code(0).expect_said("1 of 1 held");
    let released = ask("release");
    released.expect_code(0).expect_said("1 released");
    assert_eq!(project.store.lock(), None, "{released}");
    for line in noted(&project).lines() {
        assert!(line.starts_with("1.2.3 "), "{line}");
    }
}
