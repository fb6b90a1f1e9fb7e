//! Which backend, with which settings: what is named beats what lies around, it is merged as
//! Terraform merges it, and what nobody names is unknown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Answer, Bitbucket, Finished, Kind, Softstop, Step, Store, each, lock_of};

const PARTIAL: &str = "terraform {\n  backend \"http\" {}\n}\n";

/// A clone of a repository that is written by the test.
struct Repository {
    scratch: TempDir,
    directory: PathBuf,
    step: Step,
    bitbucket: Bitbucket,
}

impl Repository {
    fn with<const COUNT: usize>(files: [(&str, &str); COUNT]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("repository");
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let repository = Self {
            scratch,
            directory,
            step,
            bitbucket,
        };
        for (name, text) in files {
            repository.write(name, text);
        }
        repository
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A store whose lock is held by a step of this repository that is over.
    fn orphaned(&self, kind: Kind) -> Store {
        let store = Store::new(kind, &self.directory);
        store.set_lock(&lock_of(&format!("{}@d5c1f0a2b3c4", self.step.stamp())));
        store
    }

    fn softstop(&self, mode: &str) -> Softstop {
        Softstop::in_directory(&self.directory, self.scratch.path())
            .asking(&self.bitbucket)
            .arguments([mode])
    }

    fn terraform(&self, arguments: &[&str]) {
        let output = Command::new("terraform")
            .args(arguments)
            .current_dir(&self.directory)
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Expects that `status` and `release`, with these variables, find the lock of `store`.
    fn expect_found<const COUNT: usize>(
        &self,
        store: &Store,
        variables: [(&str, &str); COUNT],
    ) -> Finished {
        let with_variables = |mode| {
            let softstop = self.softstop(mode);
            let set = |softstop: Softstop, (name, value): (&str, &str)| softstop.env(name, value);
            variables.into_iter().fold(softstop, set)
        };
        let told = with_variables("status").finish();
        told.expect_code(0).expect_said("held by build 42");
        let released = with_variables("release").finish();
        released.expect_code(0);
        assert_eq!(store.lock(), None, "{released}");
        released
    }

    /// Expects that it is unknown here which state is meant, for `status` and for `release`.
    fn expect_unknown(&self, variables: &[(&str, &str)], why: &[&str]) {
        for (mode, json) in [("status", true), ("status", false), ("release", false)] {
            let mut softstop = self.softstop(mode);
            for (name, value) in variables {
                softstop = softstop.env(name, value);
            }
            if json {
                softstop = softstop.arguments(["--json"]);
            }
            let finished = softstop.env("DEBUG", "true").finish();
            finished.expect_code(4);
            if json {
                let records: Value = serde_json::from_str(&finished.stdout).unwrap();
                assert_eq!(records[0]["state"], "unknown", "{finished}");
            }
            let said = format!("{}{}", finished.stdout, finished.stderr).replace('\\', "");
            for words in why {
                assert!(said.contains(words), "expected {words:?}:\n{finished}");
            }
            assert!(!said.contains("s3cret"), "{finished}");
        }
    }
}

/// What stands in the backend block of a store.
fn settings(store: &Store) -> String {
    let block = store.block();
    let lines: Vec<_> = block.lines().collect();
    lines[1..lines.len() - 1].join("\n") + "\n"
}

fn block(store: &Store) -> String {
    format!("terraform {{\n{}}}\n", store.block())
}

/// Counts the requests to a store.
fn count_requests(store: &Store) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    store.http.as_ref().unwrap().watch(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    count
}

/// Two environments of one configuration; the first one's lock is held by a step that is over.
fn prod_and_staging() -> (Repository, Store, Store) {
    let repository = Repository::with([("main.tf", PARTIAL)]);
    let prod = repository.orphaned(Kind::HttpStrict);
    let staging = Store::new(Kind::HttpStrict, Path::new("/"));
    repository.write("env/prod.hcl", &settings(&prod));
    repository.write("env/staging.hcl", &settings(&staging));
    (repository, prod, staging)
}

#[test]
fn a_cached_terraform_directory_of_another_environment_is_not_believed() {
    let ways = [
        ("BACKEND_CONFIG", "env/prod.hcl"),
        ("TF_CLI_ARGS_init", "-backend-config=env/prod.hcl"),
    ];
    each(&ways, |way| {
        let (repository, prod, staging) = prod_and_staging();
        repository.terraform(&["init", "-backend-config=env/staging.hcl"]);
        staging.set_lock(&lock_of("root@macbook"));
        let requests = count_requests(&staging);
        let released = repository.expect_found(&prod, [way]);
        released.expect_said("`.terraform` is of another backend than the one that is named");
        assert!(staging.lock().is_some());
        assert_eq!(requests.load(Ordering::Relaxed), 0, "{released}");
    });
}

#[test]
fn a_deploy_is_not_refused_because_the_cached_environment_is_locked() {
    let (repository, prod, staging) = prod_and_staging();
    prod.remove_lock();
    repository.terraform(&["init", "-backend-config=env/staging.hcl"]);
    staging.set_lock(&lock_of("root@macbook"));
    let lock = staging.lock();
    let requests = count_requests(&staging);
    let finished = repository
        .softstop("deploy")
        .env("BACKEND_CONFIG", "env/prod.hcl")
        .script(
            "terraform init -reconfigure -backend-config=env/prod.hcl && \
             terraform apply -auto-approve",
        )
        .finish();
    finished.expect_code(0);
    assert_eq!(staging.lock(), lock);
    assert_eq!(requests.load(Ordering::Relaxed), 0, "{finished}");
}

#[test]
fn a_cached_terraform_directory_of_a_changed_block_is_not_believed() {
    let repository = Repository::with([]);
    let store = repository.orphaned(Kind::S3Lockfile);
    repository.write("main.tf", &block(&store).replace("deploy/", "old/"));
    repository.terraform(&["init"]);
    repository.write("main.tf", &block(&store));
    let released = repository.expect_found(&store, []);
    released.expect_said("(key)");
}

#[test]
fn a_cached_terraform_directory_completes_a_partial_block() {
    let (repository, prod, _staging) = prod_and_staging();
    repository.expect_unknown(
        &[],
        &["incomplete", "address", "BACKEND_CONFIG or TF_HTTP_ADDRESS"],
    );
    repository.terraform(&["init", "-backend-config=env/prod.hcl"]);
    repository.expect_found(&prod, []);
}

#[test]
fn settings_that_are_given_by_tf_cli_args_init_are_merged_as_terraform_merges_them() {
    let ways = [
        "-backend-config=env/prod.hcl",
        "-upgrade -backend-config env/staging.hcl --backend-config 'env/prod.hcl'",
        "-backend-config=lock_address=http://127.0.0.1:9/ -backend-config=env/prod.hcl -lock=true",
    ];
    each(&ways, |arguments| {
        let (repository, prod, _staging) = prod_and_staging();
        let variables = [
            ("TF_CLI_ARGS_init", arguments),
            ("TF_CLI_ARGS", "-no-color"),
        ];
        repository.expect_found(&prod, variables);
    });
}

#[test]
fn a_lock_table_that_is_given_by_tf_cli_args_init_is_asked() {
    let repository = Repository::with([]);
    let store = repository.orphaned(Kind::S3DynamoDb);
    let (table, rest): (Vec<_>, Vec<_>) = settings(&store)
        .lines()
        .map(str::to_owned)
        .partition(|line| line.starts_with("dynamodb_table"));
    repository.write("table.hcl", &table.join("\n"));
    repository.write(
        "main.tf",
        &format!(
            "terraform {{\n  backend \"s3\" {{\n{}\n  }}\n}}\n",
            rest.join("\n")
        ),
    );
    repository.expect_found(&store, [("TF_CLI_ARGS_init", "-backend-config=table.hcl")]);
}

#[test]
fn an_http_backend_is_complete_where_the_environment_names_its_addresses() {
    let repository = Repository::with([("main.tf", PARTIAL)]);
    let store = repository.orphaned(Kind::HttpStrict);
    let address = format!("http://{}/state", store.proxy.as_ref().unwrap().address);
    let variables = [
        ("TF_HTTP_ADDRESS", address.as_str()),
        ("TF_HTTP_LOCK_ADDRESS", &address),
        ("TF_HTTP_UNLOCK_ADDRESS", &address),
    ];
    repository.expect_found(&store, variables);
    let without_locking = repository
        .softstop("release")
        .env("TF_HTTP_ADDRESS", &address)
        .finish();
    without_locking
        .expect_code(0)
        .expect_said("without locking");
}

#[test]
fn without_a_backend_block_the_state_is_the_file_that_lies_there_or_unknown() {
    let resource = "resource \"terraform_data\" \"a\" {}\n";
    let repository = Repository::with([("main.tf", resource)]);
    repository.expect_unknown(
        &[],
        &["softstop cannot know where the state is", "WORKING_DIR"],
    );
    repository.terraform(&["init"]);
    repository.terraform(&["apply", "-auto-approve"]);
    for mode in ["status", "release"] {
        repository.softstop(mode).finish().expect_code(0);
    }
}

#[test]
fn a_workspace_that_its_backend_cannot_have_is_unknown_and_nobody_is_asked() {
    each(&["SOFTSTOP_WORKSPACE", "TF_WORKSPACE"], |variable| {
        let repository = Repository::with([]);
        let store = Store::new(Kind::HttpStrict, Path::new("/"));
        repository.write("main.tf", &block(&store));
        let requests = count_requests(&store);
        let why = "there is no workspace \"typo\": the backend \"http\" has none but \"default\"";
        repository.expect_unknown(&[(variable, "typo")], &[why]);
        assert_eq!(requests.load(Ordering::Relaxed), 0);
        let deploy = repository.softstop("deploy").env(variable, "typo");
        let deployed = deploy.finish();
        deployed
            .expect_code(1)
            .expect_said("workspaces not supported");
        assert!(!deployed.stderr.contains("The lock is free"), "{deployed}");
    });
}

#[test]
fn an_override_is_told_by_all_that_stands_before_the_extension() {
    let repository =
        Repository::with([("my.override.tf", "locals {\n  owner = \"platform\"\n}\n")]);
    let base = Store::new(Kind::HttpStrict, Path::new("/"));
    let store = repository.orphaned(Kind::HttpStrict);
    repository.write("main.tf", &block(&base));
    repository.write("backend.prod_override.tf", &block(&store));
    repository.expect_found(&store, []);
}

#[test]
fn files_may_begin_with_a_byte_order_mark_and_hold_what_only_terraform_understands() {
    let deep = format!(
        "locals {{\n  deep = {}1{}\n}}\n",
        "(".repeat(120),
        ")".repeat(120)
    );
    let long = format!("locals {{\n  sum = {}1\n}}\n", "1 + ".repeat(3_000));
    let repository = Repository::with([
        ("main.tf", &format!("\u{feff}{PARTIAL}")),
        ("names.tf", "\u{feff}locals {\n  name = \"ü\"\n}\n"),
        ("deep.tf", &deep),
        ("long.tf", &long),
        (
            "twice.tf",
            "locals {\n  tags = { Team = \"a\", Team = \"b\" }\n}\n",
        ),
        (
            "operator.tf",
            "locals {\n  sums = { for name in [\"a\"] : name => 1 +\n  2 }\n}\n",
        ),
        (
            "words.tf",
            "# backend \"s3\" { and cloud {\nlocals {\n  open = \"{ backend\"\n  text = <<-END\n    terraform {\n      backend \"s3\" {\n  END\n}\n",
        ),
    ]);
    let store = repository.orphaned(Kind::HttpStrict);
    repository.write("prod.hcl", &format!("\u{feff}{}", settings(&store)));
    // What is read here, Terraform reads too.
    repository.terraform(&["init", "-backend-config=prod.hcl"]);
    fs::remove_dir_all(repository.directory.join(".terraform")).unwrap();
    repository.expect_found(&store, [("BACKEND_CONFIG", "prod.hcl")]);
}

#[test]
fn a_mistyped_setting_is_named_and_no_secret_beside_it_is_printed() {
    let repository = Repository::with([]);
    let store = Store::new(Kind::S3Lockfile, &repository.directory);
    let mistyped = block(&store).replace("use_lockfile", "use_lock_file");
    let without_keys: Vec<_> = mistyped
        .lines()
        .filter(|line| !line.contains("_key ="))
        .collect();
    repository.write("main.tf", &(without_keys.join("\n") + "\n"));
    repository.write(
        "ci.hcl",
        "access_key = \"s3cret-id\"\nsecret_key = \"s3cret\"\n",
    );
    repository.write(
        "broken.hcl",
        "access_key = \"s3cret-id\"\nsecret_key = \"s3cret\n",
    );
    repository.write(
        "broken.hcl.json",
        "{\"access_key\": \"id\", \"secret_key\": s3cret\"}",
    );
    let named = ["knows no setting \"use_lock_file\"", "Correct its name"];
    repository.expect_unknown(&[], &named[..1]);
    repository.expect_unknown(&[("BACKEND_CONFIG", "ci.hcl")], &named);
    let pairs = [
        ("BACKEND_CONFIG_COUNT", "2"),
        ("BACKEND_CONFIG_0", "secret_key=s3cret"),
        ("BACKEND_CONFIG_1", "access_key=s3cret-id"),
    ];
    repository.expect_unknown(&pairs, &named);
    repository.expect_unknown(
        &[("BACKEND_CONFIG", "broken.hcl")],
        &["broken.hcl", "line 2"],
    );
    let json = [("BACKEND_CONFIG", "broken.hcl.json")];
    repository.expect_unknown(&json, &["broken.hcl.json", "line 1"]);
}
