//! A state that OpenTofu encrypts is looked at with its encryption, or not at all.

use crate::opentofu::{ENCRYPTED, is_encrypted, noting, path};
use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Step, each};

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
