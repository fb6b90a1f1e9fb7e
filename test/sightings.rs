//! Which state a deploy used is what its tools were seen to use, and not what the directory says.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use serde_json::json;

use crate::old_terraforms;
use crate::support::project::thing;
use crate::support::run::name_of;
use crate::support::{Kind, Program, Project, Softstop, Store, each, lock_of};

pub(crate) const TOLD: &str = "echo \"lock=$SOFTSTOP_LOCK id=$SOFTSTOP_LOCK_ID\"";

/// A directory of the project with a state of its own and one resource, `a`, that waits at a gate.
pub(crate) fn configuration(project: &Project, name: &str, resources: &str) -> (PathBuf, Store) {
    let directory = project.directory.join(name);
    fs::create_dir_all(&directory).unwrap();
    let store = Store::new(project.store.kind, &directory);
    let backend = format!("terraform {{\n{}}}\n", store.block());
    fs::write(directory.join("backend.tf"), backend).unwrap();
    fs::write(directory.join("main.tf"), project.with_gates(resources)).unwrap();
    (directory, store)
}

/// A repository whose root has no configuration.
pub(crate) fn repository(kind: Kind) -> Project {
    let project = Project::new(kind, "");
    for name in ["backend.tf", "main.tf"] {
        fs::remove_file(project.directory.join(name)).unwrap();
    }
    project
}

pub(crate) const SLOW: &str = "create_gate = \"GATES/a.gate\"";

/// Runs `script`, kills Terraform at the gate, and expects that the lock in `store` is released.
pub(crate) fn expect_healed(project: &Project, store: &Store, script: &str) {
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
        "mkdir -p live/app; cd live/app; terraform -chdir=../prod init
            terraform -chdir=../prod apply -auto-approve",
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
fn a_value_after_a_blank_is_not_taken_for_a_saved_plan() {
    let resources = thing("a", SLOW) + &thing("b", "");
    let project = Project::of(Program::OpenTofu, Kind::HttpStrict, &resources);
    let tofu = Program::OpenTofu.command();
    let run = Softstop::deploy(&project)
        .script(&format!(
            "{tofu} init; {tofu} apply -exclude slow_thing.b -auto-approve"
        ))
        .env("AFTER_SCRIPT", TOLD)
        .start();
    project.gate("a.gate").wait_until_reached();
    kill(run.wait_for_process("tofu"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    assert_eq!(project.store.lock(), None, "{finished}");
    assert!(finished.stdout.contains("lock=released"), "{finished}");
}

#[test]
fn a_state_that_is_brought_elsewhere_is_locked_there_too() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile, Kind::Local], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let elsewhere = Store::new(Kind::HttpStrict, &project.directory);
        let block = format!("terraform {{\n{}}}\n", elsewhere.block());
        project.write("elsewhere.txt", &block);
        let script = "terraform init; terraform apply -auto-approve
            cp elsewhere.txt backend.tf; terraform init -migrate-state -force-copy";
        let proxy = elsewhere.proxy.as_ref().unwrap();
        proxy.hold(&elsewhere.state_write());
        let run = Softstop::deploy(&project)
            .script(script)
            .env("AFTER_SCRIPT", TOLD)
            .start();
        proxy.wait_until_held();
        let id = elsewhere.lock_id().expect("it is locked there");
        assert!(project.store.lock().is_some(), "{kind:?}");
        kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
        let finished = run.finish();
        assert_eq!(elsewhere.lock(), None, "{kind:?} {finished}");
        assert_eq!(project.store.lock(), None, "{kind:?} {finished}");
        let told = finished
            .stdout
            .lines()
            .find(|line| line.starts_with("lock="));
        let told = told.unwrap_or_default();
        assert!(told.starts_with("lock=released"), "{kind:?} {finished}");
        assert!(told.contains(&id), "{kind:?} {finished}");
    });
}

#[test]
fn an_old_terraform_that_brings_a_state_elsewhere_without_being_told_to_leaves_no_lock() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    old_terraforms::lay_out_plugins(&project.scratch().join("plugins"));
    let elsewhere = Store::new(Kind::HttpStrict, &project.directory);
    let block = format!("terraform {{\n{}}}\n", elsewhere.block());
    project.write("elsewhere.txt", &block);
    let script = "terraform init; terraform apply -auto-approve
        cp elsewhere.txt backend.tf; yes yes | terraform init";
    let proxy = elsewhere.proxy.as_ref().unwrap();
    proxy.hold(&elsewhere.state_write());
    let run = old_terraforms::deploy(&project, "0-14")
        .script(script)
        .env("AFTER_SCRIPT", TOLD)
        .start();
    proxy.wait_until_held();
    assert!(elsewhere.lock().is_some() && project.store.lock().is_some());
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    assert_eq!(elsewhere.lock(), None, "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
    assert!(finished.stdout.contains("lock=released"), "{finished}");
}

#[test]
fn a_state_that_variables_bring_elsewhere_may_be_locked_there() {
    let project = Project::of(Program::OpenTofu, Kind::HttpStrict, &thing("a", ""));
    let elsewhere = Store::new(Kind::HttpStrict, &project.directory);
    let block = elsewhere.block().replace("/state", "/st${var.part}");
    let text = format!("variable \"part\" {{}}\nterraform {{\n{block}}}\n");
    project.write("elsewhere.txt", &text);
    let tofu = Program::OpenTofu.command();
    let script = format!(
        "{tofu} init; {tofu} apply -auto-approve
        cp elsewhere.txt backend.tf; {tofu} init -migrate-state -force-copy -var part=ate"
    );
    let proxy = elsewhere.proxy.as_ref().unwrap();
    proxy.hold(&elsewhere.state_write());
    let run = Softstop::deploy(&project)
        .script(&script)
        .env("AFTER_SCRIPT", TOLD)
        .start();
    proxy.wait_until_held();
    assert!(elsewhere.lock().is_some());
    kill(run.wait_for_process("tofu"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    assert_eq!(project.store.lock(), None, "{finished}");
    assert!(finished.stdout.contains("lock=unknown"), "{finished}");
    finished.expect_said("where `init` may bring it cannot be read");
}

#[test]
fn a_session_that_is_had_anew_is_the_one_by_which_is_looked() {
    let project = Project::slow(Kind::S3Lockfile);
    let block = project.store.block();
    let is_key = |line: &&str| line.starts_with("access_key") || line.starts_with("secret_key");
    let without: Vec<&str> = block.lines().filter(|line| !is_key(line)).collect();
    let without = without.join("\n");
    project.write("backend.tf", &format!("terraform {{\n{without}\n}}\n"));
    project.store.proxy.as_ref().unwrap().object(|request| {
        let request = String::from_utf8_lossy(request);
        let is_expired = request.contains("Credential=expired/");
        is_expired.then(|| "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned())
    });
    let script = "export AWS_SECRET_ACCESS_KEY=s3cret
        AWS_ACCESS_KEY_ID=valid terraform init
        AWS_ACCESS_KEY_ID=expired TF_VAR_x=1 terraform plan || true
        AWS_ACCESS_KEY_ID=valid TF_VAR_x=2 terraform apply -auto-approve";
    expect_healed(&project, &project.store, script);
}

#[test]
fn two_that_run_at_the_same_time_are_both_healed() {
    let project = repository(Kind::S3Lockfile);
    let gates = ["a", "b"].map(|name| format!("create_gate = \"GATES/{name}.gate\""));
    let (_, one) = configuration(&project, "one", &thing("a", &gates[0]));
    let (_, two) = configuration(&project, "two", &thing("b", &gates[1]));
    let script = "for d in one two; do
        (terraform -chdir=$d init; exec terraform -chdir=$d apply -auto-approve) & done; wait";
    let run = Softstop::deploy(&project)
        .script(script)
        .env("AFTER_SCRIPT", TOLD)
        .start();
    for name in ["a.gate", "b.gate"] {
        project.gate(name).wait_until_reached();
    }
    let ids = [&one, &two].map(|store| store.lock_id().unwrap());
    for pid in run.processes() {
        if name_of(pid) == "terraform" {
            kill(pid, Signal::SIGKILL).unwrap();
        }
    }
    let finished = run.finish();
    assert_eq!((one.lock(), two.lock()), (None, None), "{finished}");
    assert!(finished.stdout.contains("lock=released"), "{finished}");
    assert!(
        ids.iter().all(|id| finished.stdout.contains(id)),
        "{finished}"
    );
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
fn a_terraform_that_is_replaced_or_removed_while_or_after_it_runs_is_the_one_by_which_is_looked() {
    let replaced: fn(&Project) = |project| {
        let another = project.script("another", "exit 1");
        fs::rename(another, project.scratch().join("own/terraform")).unwrap();
    };
    let removed: fn(&Project) =
        |project| fs::remove_file(project.scratch().join("own/terraform")).unwrap();
    let removed_after: fn(&Project) = |_| {};
    for change in [replaced, removed, removed_after] {
        let project = Project::slow(Kind::HttpStrict);
        let own = project.scratch().join("own");
        fs::create_dir(&own).unwrap();
        let terraform = crate::support::prepared("SOFTSTOP_TEST_TERRAFORM");
        fs::copy(terraform, own.join("terraform")).unwrap();
        let own = own.display();
        let script = format!(
            "trap 'rm -rf {own}' EXIT; {own}/terraform init; {own}/terraform apply -auto-approve"
        );
        let run = Softstop::deploy(&project)
            .script(&script)
            .env("AFTER_SCRIPT", TOLD)
            .env("SOFTSTOP_DEBUG", "true")
            .start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let id = project.store.lock_id().expect("the deploy uses this lock");
        change(&project);
        let finished = run.kill_terraform_at(&gate);
        assert_eq!(project.store.lock(), None, "{finished}");
        let told = format!("lock=released id={id}\n");
        assert!(finished.stdout.contains(&told), "{finished}");
        assert!(!finished.stderr.contains("(deleted)"), "{finished}");
    }
}

#[test]
fn what_takes_no_lock_is_not_refused_and_makes_a_place_only_where_it_opens_a_state() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.be_locked_by("root@macbook");
    let (none, held) = ("lock=none id=\n", "lock=held");
    for (script, arguments, told) in [
        ("terraform version", "", none),
        ("terraform fmt", "", none),
        (
            "terraform init -backend=false; terraform validate",
            "",
            none,
        ),
        ("terraform init; terraform output; terraform show", "", held),
        ("terraform init; terraform plan -lock=false", "", held),
        ("terraform init; terraform plan", "-lock=false", held),
    ] {
        let finished = Softstop::deploy(&project)
            .script(script)
            .env("LOCK_TIMEOUT", "0s")
            .env("TF_CLI_ARGS_plan", arguments)
            .env("AFTER_SCRIPT", TOLD)
            .finish();
        finished.expect_code(0);
        assert!(finished.stdout.contains(told), "{finished}");
    }
}

#[test]
fn a_deploy_that_is_told_to_take_no_lock_has_none_to_look_after() {
    let without = ("TF_CLI_ARGS", "-lock=false");
    each(
        &[
            (None, without, "lock=none id=\n"),
            (Some("sh deploy.sh"), without, "lock=none id=\n"),
            // Its `init` is no word on locks, and has set up a state.
            (Some("sh deploy.sh"), ("X", ""), "lock=free id=\n"),
        ],
        |(script, (name, value), told)| {
            let project = Project::new(Kind::HttpStrict, &thing("a", ""));
            let text = "terraform init && terraform apply -auto-approve -lock=false\n";
            project.write("deploy.sh", text);
            let softstop = Softstop::deploy(&project)
                .env(name, value)
                .env("AFTER_SCRIPT", TOLD);
            let finished = match script {
                Some(script) => softstop.script(script),
                None => softstop,
            }
            .finish();
            finished.expect_code(0);
            assert!(finished.stdout.contains(told), "{script:?} {finished}");
            assert!(!finished.stderr.contains("not known"), "{finished}");
            assert_eq!(project.store.resources(), ["a"]);
        },
    );
}

#[test]
fn an_init_that_changes_nothing_has_set_up_no_other_data_directory() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    project.run_terraform(&["init"]);
    let elsewhere = Store::new(Kind::HttpStrict, &project.directory);
    let address = format!("http://{}/state", elsewhere.proxy.as_ref().unwrap().address);
    let settings = json!({"address": address, "lock_address": address, "unlock_address": address});
    let kept = json!({"version": 3, "backend": {"type": "http", "config": settings, "hash": 1}});
    fs::create_dir(project.directory.join(".old")).unwrap();
    project.write(".old/terraform.tfstate", &kept.to_string());
    let finished = Softstop::deploy(&project)
        .script("terraform init; TF_DATA_DIR=.old terraform plan -input=false || true")
        .env("TF_HTTP_USERNAME", "anna")
        .env("TF_HTTP_PASSWORD", "s3cret")
        .env("AFTER_SCRIPT", TOLD)
        .finish();
    assert!(finished.stdout.contains("lock=unknown"), "{finished}");
    let authorized = elsewhere.http.as_ref().unwrap().authorized();
    assert!(!authorized.contains(&true), "{finished}");
}

#[test]
fn where_no_terraform_was_seen_nothing_is_called_free() {
    const UNKNOWN: &str = "lock=unknown";
    let expect = |project: &Project, directory: &str, script: &str, told: &str| {
        let finished = Softstop::deploy(project)
            .script(script)
            .env("WORKING_DIR", directory)
            .env("AFTER_SCRIPT", TOLD)
            .finish();
        finished.expect_code(0);
        assert!(finished.stdout.contains(told), "{script} {finished}");
        if told == UNKNOWN {
            finished.expect_said("No Terraform or OpenTofu was seen to use a state");
        }
    };
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    expect(&project, ".", ": terraform apply", UNKNOWN);
    let beside = "terraform fmt; env true docker run hashicorp/terraform apply";
    expect(&project, ".", beside, UNKNOWN);

    // Files below the directory speak of one, and those beside it do not.
    let project = repository(Kind::HttpStrict);
    configuration(&project, "infra/live", &thing("a", ""));
    fs::create_dir(project.directory.join("service")).unwrap();
    expect(&project, ".", "true", UNKNOWN);
    expect(&project, "service", "true", "lock=none");
    fs::create_dir(project.directory.join("service/.terraform")).unwrap();
    let module = project.directory.join("service/.terraform/main.tf");
    fs::write(module, "").unwrap();
    expect(&project, "service", "true", "lock=none");
}

#[test]
fn a_terraform_is_seen_however_short_it_lives() {
    let project = repository(Kind::HttpStrict);
    let (_, store) = configuration(&project, "live", &thing("a", ""));
    store.set_lock(&lock_of("anna@macbook"));
    let copy = project.directory.join("tools/terraform");
    fs::create_dir(copy.parent().unwrap()).unwrap();
    fs::copy(crate::support::prepared("SOFTSTOP_TEST_TERRAFORM"), copy).unwrap();
    each(&["terraform", "tools/terraform"], |program| {
        // After that, softstop looks once a second by itself. What was never initialised ends at once.
        let script = format!("sleep 1.5; {program} -chdir=live apply || true");
        let finished = Softstop::deploy(&project)
            .script(&script)
            .env("AFTER_SCRIPT", TOLD)
            .finish();
        finished.expect_code(0).expect_said("held by anna@macbook");
        assert!(finished.stdout.contains("lock=held"), "{finished}");
    });
}
