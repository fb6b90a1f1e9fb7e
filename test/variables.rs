//! Variables: the bad ones are refused before anything runs, the good ones are all heeded.

mod names;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::{Signal, kill};

use crate::support::project::thing;
use crate::support::run::expect_release;
use crate::support::{Kind, Project, Softstop, each};

#[test]
fn a_bad_variable_is_refused_by_name_value_and_what_is_allowed_before_anything_runs() {
    let project = Project::new(Kind::Local, "");
    let rows = [
        (
            "GRACE_PERIOD",
            "soon",
            "GRACE_PERIOD (--grace-period <DURATION>) is \"soon\": expected a duration with its unit, such as 90s or 2m",
        ),
        ("GRACE_PERIOD", "0s", "expected a duration from 1s to 24h"),
        (
            "LOCK_TIMEOUT",
            "90",
            "LOCK_TIMEOUT (--lock-timeout <DURATION>) is \"90\": expected a duration",
        ),
        (
            "SOFTSTOP_MODE",
            "destroy",
            "SOFTSTOP_MODE is \"destroy\": expected deploy",
        ),
        (
            "SOFTSTOP_DEBUG",
            "loud",
            "SOFTSTOP_DEBUG (--debug[=<DEBUG>]) is \"loud\": expected true or false",
        ),
        (
            "WORKING_DIR",
            "no/such",
            "WORKING_DIR is \"no/such\": expected a directory that can be read",
        ),
        (
            "WORKING_DIR_COUNT",
            "2",
            "WORKING_DIR_COUNT is 2, but WORKING_DIR_0 is missing",
        ),
        (
            "BACKEND_CONFIG",
            "no-such-file.hcl",
            "BACKEND_CONFIG has \"no-such-file.hcl\": expected NAME=VALUE, or a file",
        ),
        (
            "BACKEND_CONFIG_COUNT",
            "many",
            "BACKEND_CONFIG_COUNT is \"many\"",
        ),
        (
            "TERRAFORM_BIN",
            "no-such-terraform",
            "TERRAFORM_BIN is \"no-such-terraform\": there is no such program",
        ),
    ];
    for (name, value, message) in rows {
        let finished = Softstop::in_directory(&project.directory, project.scratch())
            .script("touch ran")
            .env(name, value)
            .finish();
        finished
            .expect_code(2)
            .expect_said("✖ Validation errors:")
            .expect_said(message);
        assert!(!project.directory.join("ran").exists(), "{name}={value}");
    }
}

#[test]
fn a_variable_that_the_pipeline_leaves_empty_counts_as_not_given() {
    let project = Project::new(Kind::Local, "");
    let mut softstop = Softstop::in_directory(&project.directory, project.scratch());
    for name in [
        "SOFTSTOP_MODE",
        "MODE",
        "WORKING_DIR",
        "AFTER_SCRIPT",
        "GRACE_PERIOD",
        "LOCK_TIMEOUT",
        "BACKEND_CONFIG",
        "WORKSPACE",
        "TERRAFORM_BIN",
        "DEBUG",
        "SOFTSTOP_COMMAND",
        "COMMAND",
    ] {
        softstop = softstop.env(name, "");
    }
    let finished = softstop.finish();
    finished.expect_code(0);
    assert!(finished.stdout.contains("Apply complete!"), "{finished}");
}

#[test]
fn an_unknown_option_is_refused_with_a_hint() {
    let scratch = tempfile::tempdir().unwrap();
    let finished = Softstop::in_directory(scratch.path(), scratch.path())
        .arguments(["deploy", "--grace", "5s"])
        .finish();
    finished
        .expect_code(2)
        .expect_said("unexpected argument '--grace'")
        .expect_said("see --help");
}

#[test]
fn options_are_the_same_as_variables() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::in_directory(project.scratch(), project.scratch())
        .arguments([
            "--working-dir",
            "repository",
            "--after-script",
            "echo after",
            "--",
            "pwd",
        ])
        .finish();
    finished.expect_code(0);
    let directory = fs::canonicalize(&project.directory).unwrap();
    assert_eq!(finished.stdout, format!("{}\nafter\n", directory.display()));
}

#[test]
fn arguments_of_terraform_in_the_environment_break_nothing() {
    each(
        &[Kind::S3Lockfile, Kind::S3DynamoDb, Kind::HttpStrict],
        |kind| {
            let project = Project::slow(kind);
            let softstop = Softstop::deploy(&project)
                .script("terraform init -lock-timeout=1s; exec terraform apply -auto-approve")
                .env("TF_CLI_ARGS_apply", "-lock-timeout=1s")
                .env("TF_CLI_ARGS", "-lock-timeout=1s");
            let run_with_bad_arguments = expect_release(&project, softstop);
            assert!(!run_with_bad_arguments.stderr.contains("could not be asked"));
        },
    );
}

#[test]
fn logs_of_terraform_are_not_taken_for_answers() {
    let project = Project::slow(Kind::S3Lockfile);
    expect_release(&project, Softstop::deploy(&project).env("TF_LOG", "TRACE"));
}

#[test]
fn a_workspace_is_created_by_the_deploy_and_its_lock_is_found() {
    for variable in ["TF_WORKSPACE", "SOFTSTOP_WORKSPACE"] {
        let project = Project::slow(Kind::S3Lockfile);
        let run = Softstop::deploy(&project).env(variable, "staging").start();
        project.gate("a.gate").wait_until_reached();
        let objects = project.store.objects();
        assert!(
            objects.contains("env:/staging/deploy/state.tfstate.tflock"),
            "{objects}"
        );
        kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
        let finished = run.finish();
        finished
            .expect_code(137)
            .expect_said("its lock was released");
        let objects = project.store.objects();
        assert!(!objects.contains(".tflock"), "{objects}");

        project.gate("a.gate").open();
        Softstop::deploy(&project)
            .env(variable, "staging")
            .finish()
            .expect_code(0);
        assert!(
            project.store.resources().is_empty(),
            "the default workspace is left alone"
        );
    }
}

#[test]
fn asking_about_a_workspace_that_does_not_exist_does_not_create_it() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let finished = Softstop::deploy(&project)
        .env("TF_WORKSPACE", "nowhere")
        .script("exit 3")
        .finish();
    finished
        .expect_code(3)
        .expect_said("No Terraform or OpenTofu was seen");
    let objects = project.store.objects();
    assert!(!objects.contains("nowhere"), "{objects}");
}

#[test]
fn a_workspace_that_was_selected_before_is_heeded_also_where_tf_workspace_is_empty() {
    let project = Project::slow(Kind::S3Lockfile);
    project.run_terraform(&["init"]);
    project.run_terraform(&["workspace", "new", "staging"]);
    // The default command would initialise anew, so the lock is that of the selected workspace.
    let run = Softstop::deploy(&project).env("TF_WORKSPACE", "").start();
    project.gate("a.gate").wait_until_reached();
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    run.finish()
        .expect_code(137)
        .expect_said("its lock was released");
    let objects = project.store.objects();
    assert!(objects.contains("env:/staging/"), "{objects}");
    assert!(!objects.contains(".tflock"), "{objects}");
}

/// What S3 answers to whoever may use the states of workspaces alone, and asks for that of `default`.
fn denial(request: &[u8]) -> Option<String> {
    let request = String::from_utf8_lossy(request);
    let path = request.split(' ').nth(1)?;
    (path.contains("/deploy/") && !path.contains("/env")).then(|| {
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    })
}

/// What `init` needs of a state, it reads in the workspace that is meant.
#[test]
fn the_default_command_initialises_in_the_workspace_that_is_there() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    for workspace in ["prod", "stage"] {
        let deploy = Softstop::deploy(&project).env("SOFTSTOP_WORKSPACE", workspace);
        deploy.finish().expect_code(0);
    }
    project.store.proxy.as_ref().unwrap().object(denial);
    // A provider that only the state needs.
    project.write("main.tf", "");
    fs::remove_dir_all(project.directory.join(".terraform")).unwrap();
    fs::remove_file(project.directory.join(".terraform.lock.hcl")).unwrap();
    let deploy = |workspace| {
        let finished = Softstop::deploy(&project)
            .env("SOFTSTOP_WORKSPACE", workspace)
            .finish();
        finished.expect_code(0);
        let destroyed = finished.stdout.contains("1 destroyed");
        assert!(destroyed, "{workspace}: {finished}");
    };
    deploy("prod");
    // One that a cache has brought, and that was torn down since.
    project.write(".terraform/environment", "gone");
    deploy("stage");
}

#[test]
fn a_data_directory_elsewhere_is_heeded() {
    let project = Project::slow(Kind::S3DynamoDb);
    let elsewhere = project.scratch().join("data");
    expect_release(
        &project,
        Softstop::deploy(&project).env("TF_DATA_DIR", &elsewhere),
    );
    assert!(elsewhere.join("terraform.tfstate").exists());
}

#[test]
fn a_script_that_is_a_list_runs_line_by_line_until_one_fails() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    let deploy = |second: &str| {
        Softstop::deploy(&project)
            .env("SOFTSTOP_COMMAND_COUNT", "3")
            .env("SOFTSTOP_COMMAND_0", "word=first; terraform init")
            .env("SOFTSTOP_COMMAND_1", second)
            .env("SOFTSTOP_COMMAND_2", "echo $word is known")
            .env("AFTER_SCRIPT_COUNT", "2")
            .env("AFTER_SCRIPT_0", "echo one")
            .env("AFTER_SCRIPT_1", "echo two")
            .finish()
    };
    let finished = deploy("terraform plan -out=plan");
    finished.expect_code(0).expect_said("✔ Plan succeeded");
    let expected = "first is known\none\ntwo\n";
    assert!(finished.stdout.ends_with(expected), "{finished}");
    let initialised = finished.stdout.find("successfully initialized!").unwrap();
    assert!(initialised < finished.stdout.find("Plan: 1 to add").unwrap());
    assert!(project.store.resources().is_empty(), "{finished}");

    let finished = deploy("(exit 7)");
    finished.expect_code(7);
    assert!(!finished.stdout.contains("is known"), "{finished}");
    assert!(finished.stdout.ends_with("\none\ntwo\n"), "{finished}");
}

#[test]
fn a_list_for_a_variable_that_takes_one_value_is_refused_before_anything_runs() {
    let project = Project::new(Kind::Local, "");
    let rows = [
        ("--pipe", "MODE"),
        ("--pipe", "WORKSPACE"),
        ("--pipe", "DEBUG"),
        ("deploy", "SOFTSTOP_DEBUG"),
        ("deploy", "GRACE_PERIOD"),
        ("deploy", "LOCK_TIMEOUT"),
        ("release", "TERRAFORM_BIN"),
        ("status", "SIGN_LOCKS"),
    ];
    for (argument, name) in rows {
        let finished = Softstop::in_directory(&project.directory, project.scratch())
            .arguments([argument])
            .script("touch ran")
            .env(&format!("{name}_COUNT"), "1")
            .env(&format!("{name}_0"), "5s")
            .finish();
        finished.expect_code(2).expect_said(&format!(
            "{name}_COUNT is set, but {name} takes one value, not a list"
        ));
        assert!(!project.directory.join("ran").exists(), "{name}");
    }
}

#[test]
fn a_workspace_that_bitbucket_has_left_as_the_name_of_a_variable_is_refused_before_anything_runs() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::in_directory(&project.directory, project.scratch())
        .arguments(["--pipe"])
        .env("COMMAND", "touch ran")
        .env("SOFTSTOP_WORKSPACE", "$STAGE")
        .finish();
    finished
        .expect_code(2)
        .expect_said("WORKSPACE is \"$STAGE\", and no variable of that name is set");
    assert!(!project.directory.join("ran").exists());
}

#[test]
fn a_directory_behind_a_link_is_entered_as_cd_enters_it() {
    let project = Project::new(Kind::Local, "");
    let scratch = fs::canonicalize(project.scratch()).unwrap();
    let link = scratch.join("link");
    symlink("repository", &link).unwrap();
    fs::create_dir(project.directory.join("sub")).unwrap();
    let print = "pwd; printenv PWD; echo \"$PWD\"";
    let enter = |directory: &str, pwd: &Path| {
        let finished = Softstop::in_directory(&scratch, &scratch)
            .arguments(["deploy", "--working-dir", directory])
            .env("PWD", pwd)
            .env("AFTER_SCRIPT", print)
            .script(print)
            .finish();
        finished.expect_code(0);
        finished.stdout
    };
    let expected = |directory: &Path| format!("{}\n", directory.display()).repeat(6);
    assert_eq!(enter("link", &scratch), expected(&link));
    assert_eq!(enter("link/sub/..", Path::new("/stale")), expected(&link));
    assert_eq!(
        enter(&link.display().to_string(), &scratch),
        expected(&link)
    );
    assert_eq!(
        enter("repository/../link/sub", &scratch),
        expected(&link.join("sub"))
    );

    // Whoever started softstop knows how the place is called.
    let finished = Softstop::in_directory(&link, &scratch)
        .arguments(["deploy"])
        .env("PWD", &link)
        .script("pwd; printenv PWD")
        .finish();
    let expected = format!("{}\n", link.display()).repeat(2);
    assert_eq!(finished.stdout, expected, "{finished}");
}

#[test]
fn a_variable_that_looks_misspelt_is_warned_about_in_every_mode() {
    let project = Project::new(Kind::Local, "");
    for mode in ["deploy", "release", "status"] {
        let finished = Softstop::in_directory(&project.directory, project.scratch())
            .arguments([mode])
            .script("true")
            .env("WORKING_DIRECTORY", "infra")
            .env("TF_VAR_seconds", "0")
            .env("WORKDIR_OF_SOMETHING_ELSE", "infra")
            .finish();
        finished.expect_said("WARNING: WORKING_DIRECTORY is not known, is WORKING_DIR meant?");
        assert_eq!(
            finished.stderr.matches("is not known, is").count(),
            1,
            "{finished}"
        );
    }
}
