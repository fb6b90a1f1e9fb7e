//! Backend blocks of OpenTofu's that hold variables and local values.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};

use crate::opentofu::{noting, path};
use crate::support::project::thing;
use crate::support::{Kind, Program, Project, Softstop, Step};

/// A backend block that names a variable by way of a local value.
fn with_variables(project: &Project, environment: &str) {
    let block = project.store.block().replace("/state", "/${local.name}");
    let text = format!(
        "variable \"part\" {{}}\nvariable \"unused\" {{}}\n\
         locals {{\n  name = \"st${{var.part}}\"\n  other = {environment}\n}}\n\
         terraform {{\n{block}}}\n"
    );
    project.write("backend.tf", &text);
}

/// `softstop MODE` in a directory in which nothing was ever run, whatever files it has.
fn here(project: &Project, mode: &str) -> Softstop {
    Softstop::in_directory(&project.directory, project.scratch())
        .arguments([mode])
        .env("TERRAFORM_BIN", Program::OpenTofu.path())
}

#[test]
fn a_backend_block_with_variables_is_evaluated_in_a_fresh_clone() {
    let step = Step::of_a_new_pipeline();
    for (variable, value, file) in [
        ("TF_VAR_part", "ate", "other.tfvars"),
        ("TF_CLI_ARGS_init", "-var 'part=ate'", "other.tfvars"),
        ("TF_CLI_ARGS", "-no-color -var=part=ate", "other.tfvars"),
        ("TF_CLI_ARGS_init", "-var-file=other.tfvars", "other.tfvars"),
        ("TF_CLI_ARGS", "-var-file other.tfvars", "other.tfvars"),
        ("TF_VAR_unused", "", "some.auto.tfvars"),
        ("TF_VAR_part", "of-less-weight", "terraform.tfvars"),
    ] {
        let project = Project::orphaned(Kind::HttpStrict, &step);
        with_variables(&project, "terraform_data.nothing.id");
        project.write(file, "part = \"ate\"\n");
        let told = here(&project, "status").env(variable, value).finish();
        told.expect_code(0).expect_said("held by build 42");
        let released = here(&project, "release")
            .in_step(&step.sibling())
            .env(variable, value)
            .finish();
        released.expect_code(0).expect_said("1 released");
        assert_eq!(project.store.lock(), None, "{released}");
    }
}

#[test]
fn a_backend_block_in_json_is_evaluated_too() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpStrict, &step);
    let block = project.store.block().replace("/state", "/st${var.part}");
    let settings = block.lines().filter_map(|line| line.split_once(" = "));
    let settings: Vec<String> = settings
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    let text = format!(
        "{{\"variable\": {{\"part\": {{}}}}, \"terraform\": {{\"backend\": {{\"http\": {{{}}}}}}}}}",
        settings.join(", ")
    );
    fs::remove_file(project.directory.join("backend.tf")).unwrap();
    project.write("backend.tf.json", &text);
    let released = here(&project, "release")
        .in_step(&step.sibling())
        .env("TF_VAR_part", "ate")
        .finish();
    released.expect_code(0).expect_said("1 released");
    assert_eq!(project.store.lock(), None, "{released}");
}

#[test]
fn a_database_that_variables_name_is_the_one_that_is_asked() {
    let project = Project::slow_of(Program::OpenTofu, Kind::Postgres);
    let block = project
        .store
        .block()
        .replace("sslmode=disable", "sslmode=${var.mode}");
    project.write(
        "backend.tf",
        &format!("variable \"mode\" {{}}\nterraform {{\n{block}}}\n"),
    );
    let run = Softstop::deploy(&project)
        .env("TF_VAR_mode", "disable")
        .start();
    project.gate("a.gate").wait_until_reached();
    let status = || {
        Softstop::status(&project)
            .env("TF_VAR_mode", "disable")
            .finish()
    };
    let meanwhile = status();
    meanwhile.expect_code(0).expect_said("1 of 1 held");
    project.gate("a.gate").open();
    run.finish().expect_code(0);
    status().expect_code(0).expect_said("0 of 1 held");
}

#[test]
fn the_lines_that_opentofu_quotes_of_a_backend_block_are_never_said() {
    let project = Project::of(Program::OpenTofu, Kind::HttpStrict, "");
    for broken in ["${local.nowhere}", "${nonsense(1)}", "${var.part.x}"] {
        let password = format!("  password = \"s3cret{broken}\"\n}}\n");
        let block = project.store.block().replace("}\n", &password);
        project.write(
            "backend.tf",
            &format!("variable \"part\" {{}}\nterraform {{\n{block}}}\n"),
        );
        for mode in ["status", "release"] {
            let finished = noting(&project, mode)
                .env("TF_VAR_part", "ate")
                .env("SOFTSTOP_DEBUG", "true")
                .finish();
            finished
                .expect_code(4)
                .expect_said("softstop cannot know its values: OpenTofu said");
            assert!(!finished.stderr.contains("s3cret"), "{finished}");
        }
    }
}

#[test]
fn a_variable_without_a_value_makes_the_state_unknown_and_is_named() {
    let project = Project::orphaned(Kind::HttpStrict, &Step::of_a_new_pipeline());
    with_variables(&project, "1");
    let told = noting(&project, "status").finish();
    told.expect_code(4)
        .expect_said("no value is given for part. Give it by TF_VAR_part");
    assert!(!told.stderr.contains("The lock is free"), "{told}");
}

#[test]
fn where_init_had_other_values_than_softstop_the_state_is_unknown() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    with_variables(&project, "1");
    let softstop = |part: &str, mode: &str| {
        Softstop::in_directory(&project.directory, project.scratch())
            .arguments([mode])
            .env("TF_CLI_CONFIG_FILE", project.cli_config())
            .env("PATH", path(&project, true))
            .env("TERRAFORM_BIN", "tofu")
            .env("TF_VAR_part", part)
            .env("TF_VAR_unused", "")
            .finish()
    };
    softstop("ate", "deploy").expect_code(0);
    project.be_locked_by("anna@macbook");
    let other = softstop("ate-of-another-environment", "status");
    other
        .expect_code(4)
        .expect_said("was initialised with other settings than its backend block has");
    let same = softstop("ate", "status");
    same.expect_code(0).expect_said("held by anna@macbook");
}

#[test]
fn a_backend_block_that_depends_on_where_it_is_evaluated_is_unknown() {
    let project = Project::orphaned(Kind::HttpStrict, &Step::of_a_new_pipeline());
    with_variables(&project, "1");
    for value in ["basename(path.cwd)", "file(\"name\")", "abspath(\".\")"] {
        let text = fs::read_to_string(project.directory.join("backend.tf")).unwrap();
        let name = text.lines().find(|line| line.contains("name =")).unwrap();
        project.write(
            "backend.tf",
            &text.replace(name, &format!("  name = {value}")),
        );
        let told = noting(&project, "status")
            .env("TF_VAR_part", "ate")
            .finish();
        told.expect_code(4)
            .expect_said("it depends on where it is evaluated");
        assert!(!project.scratch().join("started").exists(), "{told}");
    }
}

/// Moves the configuration one directory down.
fn move_into_infra(repository: &Path) {
    let infra = repository.join("infra");
    fs::create_dir(&infra).unwrap();
    for name in ["backend.tf", "main.tf"] {
        fs::rename(repository.join(name), infra.join(name)).unwrap();
    }
}

/// `softstop deploy` of a directory that the command reaches by `-chdir`.
fn deploy_by_chdir(project: &Project) -> Softstop {
    move_into_infra(&project.directory);
    let script = "tofu -chdir=infra init -input=false; \
         exec tofu -chdir=infra apply -auto-approve -input=false";
    Softstop::deploy(project)
        .env("PATH", path(project, true))
        .script(script)
}

/// `softstop release` of that directory in a fresh clone.
fn release_of_infra(project: &Project, clone: &Path) -> Softstop {
    Softstop::in_directory(clone, project.scratch())
        .arguments(["release", "--working-dir", "infra"])
        .env("TERRAFORM_BIN", Program::OpenTofu.path())
}

#[test]
fn a_backend_block_with_variables_is_evaluated_where_chdir_leads_to_it() {
    let step = Step::of_a_new_pipeline();
    let project = Project::slow_of(Program::OpenTofu, Kind::HttpStrict);
    with_variables(&project, "1");
    let clone = project.clone_files();
    move_into_infra(&clone);
    let given = |softstop: Softstop| {
        let softstop = softstop.env("TF_VAR_part", "ate");
        softstop.env("TF_VAR_unused", "")
    };
    let run = given(deploy_by_chdir(&project)).in_step(&step).start();
    run.kill_all_at(&project.gate("a.gate"));
    assert!(project.store.lock().is_some());
    let released = given(release_of_infra(&project, &clone))
        .in_step(&step.sibling())
        .finish();
    released.expect_code(0).expect_said("1 released");
    assert_eq!(project.store.lock(), None, "{released}");
}

#[test]
fn a_value_of_the_path_is_right_after_a_deploy_by_chdir_and_unknown_in_a_fresh_clone() {
    let project = Project::slow_of(Program::OpenTofu, Kind::S3Lockfile);
    let name = "basename(path.cwd) == \"infra\" ? \"state\" : \"other\"";
    let block = project.store.block().replace("/state", "/${local.name}");
    assert!(block.contains("${local.name}"), "{block}");
    project.write(
        "backend.tf",
        &format!("locals {{\n  name = {name}\n}}\nterraform {{\n{block}}}\n"),
    );
    let clone = project.clone_files();
    move_into_infra(&clone);
    let run = deploy_by_chdir(&project).start();
    project.gate("a.gate").wait_until_reached();
    let lock = project.store.lock_id();
    assert!(lock.is_some(), "the deploy uses this lock");
    let unknown = release_of_infra(&project, &clone).finish();
    unknown
        .expect_code(4)
        .expect_said("it depends on where it is evaluated");
    assert_eq!(project.store.lock_id(), lock, "{unknown}");
    kill(run.wait_for_process("tofu"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
}
