//! A state that OpenTofu encrypts is looked at with its encryption, or not at all.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::opentofu::{ENCRYPTED, ENCRYPTION, is_encrypted, noting, noting_program, path};
use crate::pasted::{paste, printed};
use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::{Finished, Kind, Program, Project, Softstop, Step, each};

/// Encrypts what is stored with a passphrase that a variable gives.
fn encrypted(kind: Kind) -> (Project, String) {
    let project = Project::slow(kind);
    let passphrase = "\"${local.half}-only-a-test\"";
    project.write(
        "encryption.tofu",
        &ENCRYPTED.replace("\"only-a-test-only-a-test\"", passphrase),
    );
    project.write(
        "values.tf",
        "variable \"half\" {}\nlocals {\n  half = var.half\n}\n",
    );
    project.write("terraform.tfvars", "half = \"only a test\"\n");
    let path = path(&project, true);
    (project, path)
}

#[test]
fn an_encrypted_state_is_looked_at_and_released_as_any_other() {
    let kinds = [
        Kind::Local,
        Kind::HttpStrict,
        Kind::S3Lockfile,
        Kind::S3DynamoDb,
        Kind::Gcs,
        Kind::Azurerm,
        Kind::Kubernetes,
        Kind::Postgres,
    ];
    each(&kinds, |kind| {
        let step = Step::of_a_new_pipeline();
        let (project, path) = encrypted(kind);
        let run = Softstop::deploy(&project)
            .env("PATH", &path)
            .in_step(&step)
            .start();
        run.kill_all_at(&project.gate("a.gate"));
        let softstop = || {
            Softstop::in_directory(&project.directory, project.scratch())
                .env("PATH", &path)
                .in_step(&step.sibling())
        };
        let released = softstop().arguments(["release"]).finish();
        released.expect_code(0);
        assert_eq!(project.store.lock(), None, "{kind:?} {released}");
        project.gate("a.gate").open();
        let deployed = Softstop::deploy(&project).env("PATH", &path).finish();
        deployed.expect_code(0);
        assert!(!deployed.stderr.contains("WARNING"), "{kind:?} {deployed}");
        let told = softstop().arguments(["status"]).finish();
        told.expect_code(0).expect_said("The lock is free");
        let state = project.store.state().unwrap();
        assert!(is_encrypted(&state), "{kind:?} {state}");
    });
}

#[test]
fn a_key_that_a_program_of_the_repository_gives_is_had() {
    let project = Project::slow(Kind::Postgres);
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let script = format!(
        "echo '{{\"magic\":\"OpenTofu-External-Key-Provider\",\"version\":1}}'\n\
         case $(cat) in null) decryption=;; *) decryption=',\"decryption_key\":\"{key}\"';; esac\n\
         echo '{{\"keys\":{{\"encryption_key\":\"{key}\"'$decryption'}},\"meta\":{{\"external_data\":{{}}}}}}'\n"
    );
    project.write("key.sh", &script);
    let provider = "key_provider \"external\" \"key\" {\n command = [\"/bin/sh\", \"./key.sh\"]";
    let text = ENCRYPTED
        .replace("key_provider \"pbkdf2\" \"key\" {", provider)
        .replace("passphrase = \"only-a-test-only-a-test\"", "")
        .replace("iterations = 200000", "")
        .replace("key_provider.pbkdf2", "key_provider.external");
    project.write("encryption.tofu", &text);
    let path = path(&project, true);
    project.gate("a.gate").open();
    let deployed = Softstop::deploy(&project).env("PATH", &path).finish();
    deployed.expect_code(0);
    assert!(is_encrypted(&project.store.state().unwrap()), "{deployed}");
    let told = Softstop::in_directory(&project.directory, project.scratch())
        .arguments(["status"])
        .env("PATH", &path)
        .finish();
    told.expect_code(0).expect_said("The lock is free");
}

#[test]
fn where_asking_would_make_a_state_that_cannot_be_encrypted_nobody_asks() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    for backend in ["gcs", "kubernetes", "azurerm"] {
        let settings = match backend {
            "gcs" => "bucket = \"b\"",
            "kubernetes" => "secret_suffix = \"s\"",
            _ => "storage_account_name = \"s\"\n container_name = \"c\"\n key = \"k\"",
        };
        let encryption = ENCRYPTED.replace("\"only-a-test-only-a-test\"", "path.cwd");
        let block = format!("terraform {{\n backend \"{backend}\" {{\n {settings}\n }}\n}}\n");
        project.write("backend.tf", &(block + &encryption));
        for mode in ["status", "release"] {
            let finished = noting(&project, mode).finish();
            finished
                .expect_code(4)
                .expect_said("softstop cannot encrypt it as")
                .expect_said("(path.cwd)");
            assert!(!project.scratch().join("started").exists(), "{finished}");
        }
    }
}

#[test]
fn no_question_makes_a_state_that_the_first_deploy_cannot_read() {
    let all = [
        (Kind::Gcs, false),
        (Kind::Gcs, true),
        (Kind::Azurerm, false),
        (Kind::Kubernetes, false),
    ];
    each(&all, |(kind, has_variable)| {
        let project = Project::of(Program::OpenTofu, kind, &thing("a", ""));
        let encryption = ENCRYPTED.replace("\"only-a-test-only-a-test\"", "path.cwd");
        let block = project.store.block();
        let token = if has_variable {
            "var.token"
        } else {
            "\"test\""
        };
        let block = match kind {
            Kind::Gcs => block.replace("\"test\"", token),
            _ => block,
        };
        let text = format!("variable \"token\" {{}}\nterraform {{\n{block}}}\n{encryption}");
        project.write("backend.tf", &text);
        for mode in ["status", "release"] {
            let asked = noting(&project, mode).env("TF_VAR_token", "test").finish();
            asked.expect_code(4).expect_said("(path.cwd)");
            assert!(!project.scratch().join("started").exists(), "{asked}");
        }
        assert_eq!(project.store.state(), None);
        for _ in 0..2 {
            let deployed = Softstop::deploy(&project)
                .env("TF_VAR_token", "test")
                .finish();
            deployed.expect_code(0);
            assert!(is_encrypted(&project.store.state().unwrap()), "{deployed}");
        }
    });
}

/// Deriving the key costs each start of the program more than a second.
#[test]
fn a_stop_ends_in_its_time_where_each_start_derives_a_key() {
    each(&[Kind::Gcs, Kind::Postgres], |kind| {
        let project = Project::slow_of(Program::OpenTofu, kind);
        let (program, started) = noting_program(&project);
        let mut run = Softstop::deploy(&project)
            .env("TERRAFORM_BIN", program)
            .env("TF_ENCRYPTION", ENCRYPTION)
            .env("GRACE_PERIOD", "9s")
            .start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let starts = || fs::read_to_string(&started).unwrap().lines().count();
        let before = starts();
        run.signal(Signal::SIGTERM);
        run.wait_for_stdout("Stopping operation...");
        gate.open();
        let finished = run.finish();
        finished.expect_code(143);
        assert_eq!(project.store.lock(), None, "{kind:?} {finished}");
        assert!(
            finished.stopped_in.unwrap() < Duration::from_secs(10),
            "{finished}"
        );
        let after = starts() - before;
        assert!(after <= 3, "{kind:?}: {after} starts {finished}");
    });
}

/// Encrypts what is stored as the environment says, with a passphrase that a variable gives.
fn encrypted_by_environment(kind: Kind, resources: &str) -> (Project, String) {
    let project = Project::of(Program::OpenTofu, kind, resources);
    project.write("values.tf", "variable \"passphrase\" {\n}\n");
    let encryption = ENCRYPTION.replace(&format!("\"{PASSPHRASE}\""), "var.passphrase");
    (project, encryption)
}

#[test]
fn what_the_environment_says_of_the_encryption_may_name_variables() {
    let kinds = [
        Kind::Local,
        Kind::S3Lockfile,
        Kind::S3DynamoDb,
        Kind::Gcs,
        Kind::Azurerm,
        Kind::Kubernetes,
        Kind::Postgres,
    ];
    each(&kinds, |kind| {
        let step = Step::of_a_new_pipeline();
        let resources = thing("a", "create_gate = \"GATES/a.gate\"");
        let (project, encryption) = encrypted_by_environment(kind, &resources);
        let surrounded = |softstop: Softstop| {
            softstop
                .env("TF_ENCRYPTION", &encryption)
                .env("TF_VAR_passphrase", PASSPHRASE)
        };
        let run = surrounded(Softstop::deploy(&project).in_step(&step)).start();
        run.kill_all_at(&project.gate("a.gate"));
        let later = |mode: &str| {
            let softstop = Softstop::in_directory(&project.directory, project.scratch());
            let softstop = softstop.arguments([mode]).in_step(&step.sibling());
            surrounded(softstop.env("TERRAFORM_BIN", project.program.path())).finish()
        };
        later("release").expect_code(0);
        assert_eq!(project.store.lock(), None, "{kind:?}");
        project.gate("a.gate").open();
        let deployed = surrounded(Softstop::deploy(&project)).finish();
        deployed.expect_code(0);
        assert!(!deployed.stderr.contains("WARNING"), "{kind:?} {deployed}");
        later("status")
            .expect_code(0)
            .expect_said("The lock is free");
        let state = project.store.state().unwrap();
        assert!(is_encrypted(&state), "{kind:?} {state}");
    });
}

const PASSPHRASE: &str = "only-a-test-only-a-test";

/// Encrypts what is stored with a passphrase that only the command line of a deploy says.
fn encrypted_by_command_line(kind: Kind, resources: &str) -> Project {
    let project = Project::of(Program::OpenTofu, kind, resources);
    let text = ENCRYPTED.replace(&format!("\"{PASSPHRASE}\""), "var.passphrase");
    project.write("encryption.tofu", &text);
    project.write("values.tf", "variable \"passphrase\" {\n}\n");
    project
}

/// The commands of a deploy that says it.
fn deploying(project: &Project) -> String {
    let tofu = Program::OpenTofu.command();
    let wait = project.wait_at("after");
    format!(
        "{tofu} init -input=false -var=passphrase={PASSPHRASE}
         {tofu} apply -auto-approve -var passphrase={PASSPHRASE} || status=$?; {wait}; exit $status"
    )
}

/// The state in plain text, as its owner sees it.
fn plain_state(project: &Project) -> String {
    let mut pull = project.terraform(&["state", "pull"]);
    let output = pull.env("TF_VAR_passphrase", PASSPHRASE).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn expect_made(project: &Project, names: &[&str], finished: &Finished) {
    let stored = project.store.state().unwrap();
    assert!(is_encrypted(&stored), "{stored}");
    let state: Value = serde_json::from_str(&plain_state(project)).unwrap();
    let resources = state["resources"].as_array().unwrap();
    let made = resources.iter().map(|resource| resource["name"].as_str());
    assert_eq!(made.flatten().collect::<Vec<_>>(), names, "{finished}");
}

/// Deploys `a` and `b` over a state that has `a`, with the backend not storing it, and does this
/// before softstop has its turn. An OpenTofu that somebody has interrupted tries again and again.
fn deploy_in_vain(project: &Project, is_interrupted: bool, meanwhile: impl FnOnce()) -> Finished {
    project.gate("after.gate").open();
    let script = deploying(project);
    let first = Softstop::deploy(project).script(&script).finish();
    first.expect_code(0);
    fs::remove_file(project.scratch().join("after.gate")).unwrap();
    project.gate("after.gate").forget();
    let resources = thing("a", "") + &thing("b", "create_gate = \"GATES/b.gate\"");
    project.write("main.tf", &project.with_gates(&resources));
    let run = Softstop::deploy(project).script(&script).start();
    project.gate("b.gate").wait_until_reached();
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail(&project.store.state_write(), Fault::Forbid, u32::MAX);
    if is_interrupted {
        kill(run.wait_for_process("tofu"), Signal::SIGINT).unwrap();
        run.wait_for_stdout("Gracefully shutting down...");
    }
    project.gate("b.gate").open();
    project.gate("after.gate").wait_until_reached();
    let left = fs::read_to_string(project.directory.join("errored.tfstate")).unwrap();
    assert!(is_encrypted(&left), "{left}");
    proxy.recover();
    meanwhile();
    project.gate("after.gate").open();
    run.finish()
}

#[test]
fn the_lock_of_a_deploy_whose_command_line_alone_says_the_key_is_released() {
    each(
        &[
            Kind::S3Lockfile,
            Kind::S3DynamoDb,
            Kind::Gcs,
            Kind::Azurerm,
            Kind::Kubernetes,
        ],
        |kind| {
            let resources = thing("a", "create_gate = \"GATES/a.gate\"");
            let project = encrypted_by_command_line(kind, &resources);
            // A value after a blank does not hide the words behind it.
            let blanks = "-parallelism 5 -target slow_thing.a -var passphrase";
            let script = deploying(&project).replace("-var passphrase", blanks);
            let run = Softstop::deploy(&project).script(&script).start();
            project.gate("after.gate").open();
            project.gate("a.gate").wait_until_reached();
            kill(run.wait_for_process("tofu"), Signal::SIGKILL).unwrap();
            let finished = run.finish();
            finished.expect_said("its lock was released");
            assert_eq!(project.store.lock(), None, "{kind:?} {finished}");
        },
    );
}

#[test]
fn an_encrypted_state_that_could_not_be_stored_is_decrypted_elsewhere_and_stored() {
    let kinds = [
        Kind::HttpStrict,
        Kind::S3Lockfile,
        Kind::S3DynamoDb,
        Kind::Gcs,
        Kind::Azurerm,
        Kind::Kubernetes,
        Kind::Postgres,
    ];
    each(&kinds, |kind| {
        let project = encrypted_by_command_line(kind, &thing("a", ""));
        let finished = deploy_in_vain(&project, false, || {});
        finished.expect_said("The state is stored now");
        expect_made(&project, &["a", "b"], &finished);
        assert_eq!(project.store.lock(), None, "{kind:?} {finished}");
        expect_no_plain_text(&project);
    });
}

/// Nothing in the clone holds a state in plain text.
#[track_caller]
fn expect_no_plain_text(project: &Project) {
    for entry in fs::read_dir(&project.directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(!text.contains("\"instances\""), "{}", path.display());
    }
}

#[test]
fn an_encrypted_state_never_takes_the_place_of_what_somebody_else_has_stored_since() {
    let project = encrypted_by_command_line(Kind::HttpStrict, &thing("a", ""));
    let finished = deploy_in_vain(&project, true, || {
        project.write("main.tf", &project.with_gates(&thing("rival", "")));
        let mut rival = project.terraform(&["apply", "-auto-approve"]);
        let rival = rival.env("TF_VAR_passphrase", PASSPHRASE).output().unwrap();
        assert!(rival.status.success(), "{rival:?}");
    });
    finished
        .expect_said("It is not stored now, because something that is stored")
        .expect_said("only the stored one has slow_thing.rival");
    expect_made(&project, &["rival"], &finished);
}

#[test]
fn what_is_printed_about_an_encrypted_state_decrypts_it_elsewhere_and_stores_it() {
    each(&[false, true], |is_interrupted| {
        let project = encrypted_by_command_line(Kind::HttpStrict, &thing("a", ""));
        let finished = deploy_in_vain(&project, is_interrupted, || {
            project.be_locked_by("anna@macbook");
        });
        project.store.remove_lock();
        // A run that took long, as on a busy machine, is one whose state a person has to compare.
        let is_to_be_compared = finished.stderr.contains("compare them");
        let words = if is_to_be_compared {
            "that it lacks: "
        } else {
            "stored meanwhile: "
        };
        let command = printed(&finished, words);
        assert!(!command.contains(PASSPHRASE), "{command}");
        assert!(is_to_be_compared || !is_interrupted, "{finished}");
        let cli_config = project.cli_config().display().to_string();
        let variables = [
            ("TF_CLI_CONFIG_FILE", cli_config.as_str()),
            ("TF_VAR_passphrase", PASSPHRASE),
        ];
        paste(command, &project.directory, &variables, "yes\n");
        expect_made(&project, &["a", "b"], &finished);
        expect_no_plain_text(&project);
    });
}
