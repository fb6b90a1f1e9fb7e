//! Which state a deploy used is what its tools were seen to use, and not what the directory says.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Store, lock_of};

const TOLD: &str = "echo \"lock=$SOFTSTOP_LOCK id=$SOFTSTOP_LOCK_ID\"";

/// A directory of the project with a state of its own and one resource, `a`, that waits at a gate.
fn configuration(project: &Project, name: &str, resources: &str) -> (PathBuf, Store) {
    let directory = project.directory.join(name);
    fs::create_dir_all(&directory).unwrap();
    let store = Store::new(project.store.kind, &directory);
    let backend = format!("terraform {{\n{}}}\n", store.block());
    fs::write(directory.join("backend.tf"), backend).unwrap();
    fs::write(directory.join("main.tf"), project.with_gates(resources)).unwrap();
    (directory, store)
}

/// A repository whose root has no configuration.
fn repository(kind: Kind) -> Project {
    let project = Project::new(kind, "");
    for name in ["backend.tf", "main.tf"] {
        fs::remove_file(project.directory.join(name)).unwrap();
    }
    project
}

const SLOW: &str = "create_gate = \"GATES/a.gate\"";

/// Runs `script`, kills Terraform at the gate, and expects that the lock in `store` is released.
fn expect_healed(project: &Project, store: &Store, script: &str) {
    let run = Softstop::deploy(project)
        .script(script)
        .env("AFTER_SCRIPT", TOLD)
        .start();
    project.gate("a.gate").wait_until_reached();
    let id = store.lock_id().expect("the deploy uses this lock");
    let finished = run.kill_terraform_at(&project.gate("a.gate"));
    assert_eq!(store.lock(), None, "{script}\n{finished}");
    let told = format!("lock=released id={id}\n");
    assert!(finished.stdout.contains(&told), "{script}\n{finished}");
}

#[test]
fn a_directory_that_the_command_chooses_is_seen_however_it_is_chosen() {
    for script in [
        "cd live/prod && terraform init && terraform apply -auto-approve",
        "terraform -chdir=live/prod init; terraform -chdir=live/prod apply -auto-approve",
        "for d in live/*; do (cd $d; terraform init; terraform apply -auto-approve) done",
        "make deploy",
        "python3 -c \"import subprocess; subprocess.run('terraform init && \
         terraform apply -auto-approve', shell=True, cwd='live/prod', check=True)\"",
    ] {
        let project = repository(Kind::HttpStrict);
        let (_, store) = configuration(&project, "live/prod", &thing("a", SLOW));
        let makefile = "deploy:\n\tterraform -chdir=live/prod init\n\tterraform -chdir=live/prod apply -auto-approve\n";
        fs::write(project.directory.join("Makefile"), makefile).unwrap();
        expect_healed(&project, &store, script);
    }
}

#[test]
fn each_state_of_one_command_is_looked_at_by_itself() {
    let project = repository(Kind::S3Lockfile);
    let (_, network) = configuration(&project, "network", &thing("n", ""));
    let (_, database) = configuration(&project, "database", &thing("a", SLOW));
    let script = "for d in network database; do
        terraform -chdir=$d init; terraform -chdir=$d apply -auto-approve; done";
    expect_healed(&project, &database, script);
    project.gate("a.gate").forget();
    let run = Softstop::deploy(&project)
        .script(script)
        .env("AFTER_SCRIPT", TOLD)
        .start();
    project.gate("a.gate").wait_until_reached();
    network.set_lock(&lock_of("root@macbook"));
    let laptops = network.lock_id();
    let finished = run.kill_terraform_at(&project.gate("a.gate"));
    assert_eq!(database.lock(), None, "{finished}");
    assert_eq!(network.lock_id(), laptops, "{finished}");
    assert!(finished.stdout.contains("lock=held"), "{finished}");
}

#[test]
fn a_workspace_that_the_command_chooses_is_seen() {
    for script in [
        "terraform init; terraform workspace new prod; terraform apply -auto-approve",
        "terraform init; export TF_WORKSPACE=prod; terraform apply -auto-approve",
        "terraform init; terraform workspace select -or-create prod; terraform apply -auto-approve",
    ] {
        let project = Project::slow(Kind::S3Lockfile);
        let run = Softstop::deploy(&project)
            .script(script)
            .env("AFTER_SCRIPT", TOLD)
            .start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        assert!(
            project
                .store
                .objects()
                .contains("env:/prod/deploy/state.tfstate.tflock")
        );
        let finished = run.kill_terraform_at(&gate);
        assert!(!project.store.objects().contains(".tflock"), "{finished}");
        assert!(finished.stdout.contains("lock=released"), "{finished}");
    }
}

#[test]
fn credentials_that_the_command_exports_are_those_of_the_look() {
    let project = Project::slow(Kind::S3Lockfile);
    let block = project.store.block();
    let without: Vec<&str> = block
        .lines()
        .filter(|line| !line.starts_with("access_key") && !line.starts_with("secret_key"))
        .collect();
    let without = without.join("\n");
    project.write("backend.tf", &format!("terraform {{\n{without}\n}}\n"));
    let script = "export AWS_ACCESS_KEY_ID=only-here AWS_SECRET_ACCESS_KEY=s3cret-key
        terraform init; terraform apply -auto-approve";
    let run = Softstop::deploy(&project)
        .script(script)
        .env("SOFTSTOP_DEBUG", "true")
        .start();
    let finished = run.kill_terraform_at(&project.gate("a.gate"));
    assert_eq!(project.store.lock(), None, "{finished}");
    assert!(!finished.stderr.contains("s3cret-key"), "{finished}");
}

#[test]
fn a_saved_plan_is_of_the_backend_that_it_was_made_for() {
    let project = repository(Kind::S3Lockfile);
    let (prod, store) = configuration(&project, "prod", &thing("a", SLOW));
    let script =
        "cd prod; terraform init; terraform plan -out=plan; rm -r .terraform/terraform.tfstate
        cp ../dev.tf backend.tf; terraform init; terraform apply plan";
    let dev = Store::new(Kind::S3Lockfile, &prod);
    project.write("dev.tf", &format!("terraform {{\n{}}}\n", dev.block()));
    expect_healed(&project, &store, script);
}

#[test]
fn a_directory_that_is_gone_after_the_deploy_is_not_forgotten() {
    let project = repository(Kind::HttpLax);
    let (_, store) = configuration(&project, "module", &thing("a", SLOW));
    let script = "cp -r module .cache; trap 'rm -rf .cache' EXIT
        (cd .cache; terraform init; terraform apply -auto-approve)";
    expect_healed(&project, &store, script);
}

#[test]
fn a_terraform_from_a_place_that_nobody_knows_is_seen_within_a_second() {
    let project = Project::slow(Kind::HttpStrict);
    let elsewhere = project.scratch().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let copy = elsewhere.join("terraform");
    fs::copy(crate::support::prepared("SOFTSTOP_TEST_TERRAFORM"), &copy).unwrap();
    let terraform = copy.display();
    let script = format!("{terraform} init; {terraform} apply -auto-approve");
    expect_healed(&project, &project.store, &script);
}

#[test]
fn what_takes_no_lock_makes_no_place() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.be_locked_by("root@macbook");
    for script in [
        "terraform version",
        "terraform fmt",
        "terraform init -backend=false",
    ] {
        let finished = Softstop::deploy(&project)
            .script(script)
            .env("LOCK_TIMEOUT", "0s")
            .env("AFTER_SCRIPT", TOLD)
            .finish();
        finished.expect_code(0);
        assert!(finished.stdout.contains("lock=none id=\n"), "{finished}");
    }
}

#[test]
fn where_no_terraform_was_seen_nothing_is_called_free() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let finished = Softstop::deploy(&project)
        .script(": terraform apply")
        .env("AFTER_SCRIPT", TOLD)
        .finish();
    finished
        .expect_code(0)
        .expect_said("No Terraform or OpenTofu was seen to run");
    assert!(finished.stdout.contains("lock=unknown"), "{finished}");
    assert!(Path::new(&project.directory).exists());
}
