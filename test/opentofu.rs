//! What OpenTofu has, and Terraform has not.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Softstop, Step, Store, each, prepared};

/// A configuration whose state is encrypted, or nothing is stored.
pub(crate) const ENCRYPTED: &str = "terraform {
  encryption {
    key_provider \"pbkdf2\" \"key\" {
      passphrase = \"only-a-test-only-a-test\"
      iterations = 200000
    }
    method \"aes_gcm\" \"method\" {
      keys = key_provider.pbkdf2.key
    }
    state {
      method   = method.aes_gcm.method
      enforced = true
    }
  }
}
";

/// The same, as TF_ENCRYPTION says it.
pub(crate) const ENCRYPTION: &str = "key_provider \"pbkdf2\" \"key\" {
  passphrase = \"only-a-test-only-a-test\"
}
method \"aes_gcm\" \"method\" {
  keys = key_provider.pbkdf2.key
}
state {
  method   = method.aes_gcm.method
  enforced = true
}
";

/// The directories in which programs are found: OpenTofu's, and those of the test, with Terraform in
/// one of them or without.
pub(crate) fn path(project: &Project, with_terraform: bool) -> String {
    let programs = project.scratch().join("opentofu");
    if !programs.exists() {
        fs::create_dir(&programs).unwrap();
        symlink(prepared("SOFTSTOP_TEST_TOFU"), programs.join("tofu")).unwrap();
    }
    let own = env::var("PATH").unwrap();
    let others =
        env::split_paths(&own).filter(|place| with_terraform || !place.join("terraform").exists());
    let all: Vec<PathBuf> = [programs.clone()].into_iter().chain(others).collect();
    env::join_paths(all).unwrap().into_string().unwrap()
}

/// Only OpenTofu's files, and OpenTofu alone in PATH.
fn of_opentofu_alone(kind: Kind) -> (Project, Softstop) {
    let project = Project::slow(kind);
    for name in ["backend", "main"] {
        let terraforms = project.directory.join(format!("{name}.tf"));
        fs::rename(terraforms, project.directory.join(format!("{name}.tofu"))).unwrap();
    }
    let softstop = Softstop::deploy(&project).env("PATH", path(&project, false));
    (project, softstop)
}

pub(crate) fn is_encrypted(state: &str) -> bool {
    state.contains("encrypted_data") && !state.contains("resources")
}

#[test]
fn what_opentofu_is_to_encrypt_is_never_stored_by_terraform() {
    let project = Project::new(Kind::Local, "resource \"terraform_data\" \"a\" {}\n");
    project.write("encryption.tofu", ENCRYPTED);
    let without = Softstop::deploy(&project).finish();
    without
        .expect_code(2)
        .expect_said("encryption.tofu says that the program here is \"tofu\"");
    assert_eq!(project.store.state(), None, "{without}");
    let finished = Softstop::deploy(&project)
        .env("PATH", path(&project, true))
        .finish();
    finished.expect_code(0);
    let state = project.store.state().unwrap();
    assert!(is_encrypted(&state), "{state}");
}

#[test]
fn what_the_environment_is_to_encrypt_is_never_stored_by_terraform() {
    let project = Project::new(Kind::Local, "resource \"terraform_data\" \"a\" {}\n");
    let deploy = || Softstop::deploy(&project).env("TF_ENCRYPTION", ENCRYPTION);
    let without = deploy().finish();
    without
        .expect_code(2)
        .expect_said("TF_ENCRYPTION is set, which only \"tofu\" reads, and that is not in PATH");
    assert_eq!(project.store.state(), None, "{without}");
    let finished = deploy().env("PATH", path(&project, true)).finish();
    finished.expect_code(0);
    let state = project.store.state().unwrap();
    assert!(is_encrypted(&state), "{state}");
}

#[test]
fn what_is_to_be_encrypted_is_not_stored_because_a_version_file_says_terraform() {
    let project = Project::new(Kind::Local, "resource \"terraform_data\" \"a\" {}\n");
    let path = path(&project, true);
    project.write(".terraform-version", "1.11.4");
    project.write("encryption.tofu", ENCRYPTED);
    let in_block = Softstop::deploy(&project).env("PATH", &path).finish();
    in_block.expect_said("an `encryption` block in");
    project.write("encryption.tofu", "");
    let in_environment = Softstop::deploy(&project)
        .env("PATH", &path)
        .env("TF_ENCRYPTION", ENCRYPTION)
        .finish();
    in_environment.expect_said("TF_ENCRYPTION encrypts states");
    for finished in [in_block, in_environment] {
        finished
            .expect_code(2)
            .expect_said(".terraform-version says that the program here is \"terraform\"")
            .expect_said("which only \"tofu\" does; say by TERRAFORM_BIN which one is meant");
        assert_eq!(project.store.state(), None, "{finished}");
    }
}

#[test]
fn a_command_that_calls_the_program_by_its_path_needs_none_in_the_path() {
    let tofu = prepared("SOFTSTOP_TEST_TOFU");
    let script = format!("{tofu} init -input=false; exec {tofu} apply -auto-approve -input=false");
    each(&Kind::LASTING, |kind| {
        let (project, _) = of_opentofu_alone(kind);
        let finished =
            expect_killed_is_released(&project, Softstop::deploy(&project).script(&script));
        finished
            .expect_said("The lock cannot be looked after yet: ")
            .expect_said(
                "backend.tofu says that the program here is \"tofu\", which is not in PATH",
            );
    });
}

#[test]
fn a_command_runs_whatever_program_the_directory_is_of() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.write(".terraform-version", "1.11.4");
    project.write("encryption.tofu", ENCRYPTED);
    let stranger = project.be_locked_by("anna@macbook");
    let finished = Softstop::deploy(&project)
        .env("PATH", path(&project, true))
        .script("echo ran")
        .finish();
    finished
        .expect_code(0)
        .expect_said("which only \"tofu\" does");
    assert!(finished.stdout.contains("ran"), "{finished}");
    assert_eq!(project.store.lock_id(), stranger, "{finished}");
}

#[test]
fn opentofu_is_known_under_any_name() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let other = Project::new(Kind::HttpStrict, &thing("a", ""));
    let strangers = other.be_locked_by("anna@macbook");
    for (name, store) in [("tf", &other.store), ("tofu", &project.store)] {
        let text = format!("terraform {{\n{}}}\n", store.block());
        project.write(&format!("backend.{name}"), &text);
    }
    let tofu = prepared("SOFTSTOP_TEST_TOFU");
    for name in ["iac", "terraform"] {
        let program = project.script(name, &format!("exec {tofu} \"$@\"\n"));
        let finished = Softstop::deploy(&project)
            .env("TERRAFORM_BIN", program)
            .finish();
        finished.expect_code(0).expect_said("OpenTofu 1.");
        assert_eq!(project.store.resources(), ["a"], "{finished}");
        assert_eq!(other.store.lock_id(), strangers, "{finished}");
        assert_eq!(other.store.state(), None, "{finished}");
    }
}

#[test]
fn a_file_of_terraform_is_hidden_by_the_one_of_opentofu_beside_it() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let other = Project::new(Kind::HttpStrict, &thing("a", ""));
    let strangers = other.be_locked_by("anna@macbook");
    let terraform = |project: &Project| format!("terraform {{\n{}}}\n", project.store.block());
    for (hidden, read) in [
        ("backend.tf", "backend.tofu"),
        ("b_override.tf", "b_override.tofu"),
    ] {
        project.write(hidden, &terraform(&other));
        project.write(read, &terraform(&project));
        let finished = Softstop::deploy(&project)
            .env("PATH", path(&project, true))
            .finish();
        finished.expect_code(0);
        assert_eq!(project.store.resources(), ["a"], "{read}");
        assert_eq!(other.store.lock_id(), strangers, "{finished}");
        assert_eq!(other.store.state(), None, "{finished}");
        // For Terraform it is the other way round.
        let finished = Softstop::in_directory(&project.directory, project.scratch())
            .arguments(["status"])
            .env("TERRAFORM_BIN", "terraform")
            .finish();
        finished.expect_code(0).expect_said("held by anna@macbook");
    }
}

#[test]
fn the_program_that_is_missing_is_named_and_the_other_one_never_taken() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let alone = path(&project, false);
    for (file, text) in [
        (".opentofu-version", "1.12.6"),
        (
            ".terraform.lock.hcl",
            "provider \"registry.opentofu.org/hashicorp/null\" {}",
        ),
    ] {
        project.write(file, text);
        for mode in ["release", "status", "deploy"] {
            let softstop = Softstop::in_directory(&project.directory, project.scratch());
            let finished = softstop.arguments([mode]).finish();
            finished
                .expect_code(2)
                .expect_said(file)
                .expect_said("\"tofu\", which is not in PATH");
        }
        fs::remove_file(project.directory.join(file)).unwrap();
    }
    project.write(".terraform-version", "1.11.4");
    let softstop = Softstop::in_directory(&project.directory, project.scratch());
    let finished = softstop.arguments(["status"]).env("PATH", alone).finish();
    finished
        .expect_code(2)
        .expect_said("\"terraform\", which is not in PATH");
}

#[test]
fn the_lock_of_an_opentofu_that_is_killed_is_released() {
    each(&Kind::LASTING, |kind| {
        let (project, softstop) = of_opentofu_alone(kind);
        expect_killed_is_released(&project, softstop);
        let (project, softstop) = of_opentofu_alone(kind);
        let script = "tofu init -input=false; exec tofu apply -auto-approve -input=false";
        expect_killed_is_released(&project, softstop.script(script));
    });
}

/// Kills OpenTofu while it holds the lock, and expects that its lock is released.
fn expect_killed_is_released(project: &Project, softstop: Softstop) -> Finished {
    let run = softstop.start();
    project.gate("a.gate").wait_until_reached();
    assert!(project.store.lock().is_some(), "the deploy uses this lock");
    kill(run.wait_for_process("tofu"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
    finished
}

/// OpenTofu by a program that notes what it is started for, and the file in which it does.
pub(crate) fn noting_program(project: &Project) -> (PathBuf, PathBuf) {
    let tofu = prepared("SOFTSTOP_TEST_TOFU");
    let started = project.scratch().join("started");
    let text = format!("echo $1 >> {}\nexec {tofu} \"$@\"\n", started.display());
    (project.script("tofu-that-notes", &text), started)
}

/// `softstop MODE` in a fresh clone, by that program.
pub(crate) fn noting(project: &Project, mode: &str) -> Softstop {
    let softstop = match mode {
        "release" => Softstop::release(project),
        _ => Softstop::status(project),
    };
    softstop.env("TERRAFORM_BIN", noting_program(project).0)
}

#[test]
fn a_free_lock_is_known_by_one_question_that_takes_nothing() {
    // Where the settings cannot be written down as `init` keeps them, it has to be run.
    let rows = [
        (Kind::S3Lockfile, "force-unlock\n"),
        (Kind::S3DynamoDb, "force-unlock\n"),
        (Kind::S3Both, "force-unlock\n"),
        (Kind::Gcs, "init\nforce-unlock\n"),
    ];
    each(&rows, |(kind, expected)| {
        let project = Project::new(kind, &thing("a", ""));
        let finished = noting(&project, "status").finish();
        finished.expect_code(0).expect_said("The lock is free");
        let started = fs::read_to_string(project.scratch().join("started")).unwrap();
        assert_eq!(started, expected, "{kind:?}");
    });
}

#[test]
fn an_item_that_names_nobody_is_not_free() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    project.store.set_item(None);
    let finished = noting(&project, "status").finish();
    finished
        .expect_code(0)
        .expect_said("does not say who holds it");
}

#[test]
fn both_halves_of_a_lock_and_each_half_alone_are_released() {
    let step = Step::of_a_new_pipeline();
    let killed_at = |request: fn(&Store) -> String| {
        let project = Project::new(Kind::S3Both, &thing("a", ""));
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(&request(&project.store));
        let run = Softstop::deploy(&project)
            .env("PATH", path(&project, true))
            .env("TERRAFORM_BIN", "tofu")
            .in_step(&step)
            .start();
        run.kill_all_while_held(proxy);
        project
    };
    let only_file = killed_at(|_| "PutItem".to_owned());
    assert!(only_file.store.lockfile().is_some() && only_file.store.table_lock().is_none());
    let only_item = killed_at(|_| "DeleteItem".to_owned());
    assert!(only_item.store.lockfile().is_none() && only_item.store.table_lock().is_some());
    let both = killed_at(Store::state_write);
    for project in [only_file, only_item, both] {
        let finished = noting(&project, "release")
            .in_step(&step.sibling())
            .finish();
        finished.expect_code(0).expect_said("1 released");
        assert_eq!(project.store.lock(), None, "{finished}");
    }
}

#[test]
fn a_prerelease_knows_its_own_lock() {
    let (project, softstop) = of_opentofu_alone(Kind::HttpStrict);
    let tofu = prepared("SOFTSTOP_TEST_TOFU");
    let text = format!(
        "if [ \"$1\" = version ]; then {tofu} version -json | sed 's/\\(terraform_version\": \"[0-9.]*\\)/\\1-dev/'\n\
         else exec {tofu} \"$@\"\nfi\n"
    );
    let dev = project.script("tofu-dev", &text);
    expect_killed_is_released(&project, softstop.env("TERRAFORM_BIN", dev));
}
