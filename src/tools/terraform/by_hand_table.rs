//! What a command that a person pastes says of the place, for each way in which that is known here.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::by_hand::in_place;
use super::place::Terraform;
use crate::environment::Environment;

/// A place with this block.
fn place_of(kind: &str, block: &str, variables: &[(&str, &str)]) -> (TempDir, Terraform) {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_owned();
    let text = format!("terraform {{\n  backend \"{kind}\" {{\n{block}\n}}\n}}\n");
    fs::write(directory.join("main.tf"), text).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}\0"));
    let environment: String = variables.collect();
    let place = Terraform {
        // It is gone, so it goes by its name.
        binary: PathBuf::from("/nowhere/tofu"),
        held: None,
        is_opentofu: true,
        obstacle: None,
        directory,
        backend_config: Vec::new(),
        workspace: Some("stage".to_owned()),
        environment: Environment::parse(environment.as_bytes()),
        is_seen: false,
        is_removed: false,
        seen_values: None,
        backend: None,
    };
    (scratch, place)
}

/// Lets a tool have been seen there, whose `init` has kept these settings.
fn seen(mut place: Terraform, kind: &str, kept: &Value) -> Terraform {
    let kept = json!({"version": 3, "backend": {"type": kind, "config": kept, "hash": 1}});
    let data = place.directory.join(".terraform");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("terraform.tfstate"), kept.to_string()).unwrap();
    place.is_seen = true;
    place.backend = place.configuration().initialised().unwrap();
    place
}

/// What stands between the directory and what is done there.
#[track_caller]
fn initialising(place: &Terraform) -> String {
    let command = in_place(place, "import a.b 1");
    let entered = format!("(cd {} && ", place.directory.display());
    let inner = command.strip_prefix(&entered).expect("it is no comment");
    let done = " && TF_WORKSPACE=stage tofu import a.b 1)";
    inner.strip_suffix(done).unwrap().to_owned()
}

const INIT: &str = "TF_WORKSPACE=default tofu init -input=false -reconfigure";

#[test]
fn what_a_variable_of_the_backend_says_of_the_place_is_said_to_init_too() {
    const S3: &str = "bucket = \"b\"\nkey = \"k\"";
    const SUFFIX: &str = "secret_suffix = \"x\"";
    const DATABASE: &str = "conn_str = \"postgres://x\"";
    for (kind, block, variables, expected) in [
        (
            "kubernetes",
            SUFFIX,
            &[("KUBE_NAMESPACE", "prod")][..],
            "namespace=prod",
        ),
        (
            "pg",
            DATABASE,
            &[("PG_SCHEMA_NAME", "prod")],
            "schema_name=prod",
        ),
        // Of several settings for one variable, every version knows this one.
        (
            "s3",
            S3,
            &[("AWS_ENDPOINT_URL_S3", "http://x"), ("AWS_REGION", "eu")],
            "endpoint=http://x region=eu",
        ),
        (
            "consul",
            "path = \"x\"",
            &[("CONSUL_HTTP_ADDR", "x:1")],
            "address=x:1",
        ),
        (
            "oci",
            "bucket = \"b\"\nnamespace = \"n\"",
            &[("OCI_key", "k")],
            "key=k",
        ),
        (
            "http",
            "",
            &[("TF_HTTP_ADDRESS", "http://x")],
            "address=http://x",
        ),
        // What a block says goes before a variable.
        (
            "kubernetes",
            "secret_suffix = \"x\"\nnamespace = \"y\"",
            &[("KUBE_NAMESPACE", "prod")],
            "",
        ),
        (
            "s3",
            "bucket = \"b\"\nkey = \"k\"\nendpoints = { s3 = \"http://y\" }",
            &[("AWS_ENDPOINT_URL_S3", "http://x"), ("AWS_REGION", "eu")],
            "region=eu",
        ),
        (
            "kubernetes",
            SUFFIX,
            &[("KUBE_NAMESPACE", ""), ("KUBE_TOKEN", "s3cret")],
            "",
        ),
        (
            "http",
            "address = \"x\"",
            &[("TF_HTTP_PASSWORD", "s3cret")],
            "",
        ),
    ] {
        let options: Vec<String> = expected
            .split_whitespace()
            .map(|given| format!(" -backend-config={given}"))
            .collect();
        let expected = format!("{INIT}{}", options.concat());
        let (scratch, named) = place_of(kind, block, variables);
        assert_eq!(initialising(&named).replace('\'', ""), expected, "{kind}");
        drop(scratch);
        // What `init` has kept holds no variable.
        let (_scratch, place) = place_of(kind, block, variables);
        let kept = place.configuration().block().unwrap().unwrap();
        let place = seen(place, kind, &Value::Object(kept.settings));
        assert_eq!(initialising(&place).replace('\'', ""), expected, "{kind}");
    }
}

#[test]
fn what_may_be_a_secret_of_it_is_asked_for() {
    for (block, variable) in [
        ("", ("PG_CONN_STR", "postgres://user:s3cret@x")),
        ("", ("PGHOST", "s3cret")),
    ] {
        let (_scratch, place) = place_of("pg", block, &[variable]);
        let said = initialising(&place);
        assert!(said.ends_with(&format!(
            "TF_CLI_ARGS_init=\"$TF_CLI_ARGS_init\"' -backend-config=conn_str='\"$(secret conn_str)\" {INIT}"
        )), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn where_the_block_holds_variables_all_is_said_that_names_the_place() {
    let block = "bucket = \"b\"\nkey = \"${var.env}.tfstate\"\nregion = var.region";
    let (_scratch, place) = place_of("s3", block, &[("AWS_ENDPOINT_URL_S3", "http://x")]);
    // Nobody has said yet what it means.
    assert_eq!(
        in_place(&place, "import a.b 1"),
        format!(
            "# where `init` in {} is given what its backend block leaves to variables: \
             TF_WORKSPACE=stage tofu import a.b 1",
            place.directory.display()
        )
    );
    let kept = json!({
        "bucket": "b", "key": "prod.tfstate", "region": "eu", "encrypt": true, "acl": null,
        "assume_role": [],
    });
    let place = seen(place, "s3", &kept);
    assert_eq!(
        initialising(&place).replace('\'', ""),
        format!(
            "{INIT} -backend-config=bucket=b -backend-config=endpoint=http://x \
             -backend-config=key=prod.tfstate -backend-config=region=eu"
        )
    );
}

#[test]
fn a_path_that_variables_name_is_not_said_as_one_of_this_clone() {
    let (_scratch, place) = place_of("local", "path = \"${var.env}.tfstate\"", &[]);
    let place = seen(place, "local", &json!({"path": "prod.tfstate"}));
    let command = in_place(&place, "import a.b 1");
    assert!(command.starts_with("# where `init` in "), "{command}");
}

#[test]
fn a_copy_that_terragrunt_has_made_is_none_that_a_person_could_enter() {
    let (_scratch, mut place) = place_of("s3", "bucket = \"b\"\nkey = \"k\"", &[]);
    place.directory = Path::new("/clone/eu/b/.terragrunt-cache/one/two/module").to_owned();
    assert_eq!(
        in_place(&place, "import a.b 1"),
        "# in the copy of /clone/eu/b that `terragrunt init` makes: TF_WORKSPACE=stage tofu \
         import a.b 1"
    );
}

#[test]
fn where_a_lock_is_removed_is_said_by_variables_too() {
    let (_scratch, place) = place_of(
        "kubernetes",
        "secret_suffix = \"x\"",
        &[("KUBE_NAMESPACE", "prod")],
    );
    let backend = place.resolved().unwrap().backend;
    let removal = |variables: &Environment| {
        let backend = backend.with_variables(variables);
        backend.removal("default").unwrap()
    };
    assert_eq!(
        removal(&place.environment),
        "delete the lease lock-tfstate-default-x in the namespace prod"
    );
    assert_eq!(
        removal(&Environment::default()),
        "delete the lease lock-tfstate-default-x in the namespace default"
    );
}

#[test]
fn a_backend_with_one_workspace_alone_is_initialised_for_it() {
    let (_scratch, place) = place_of("remote", "organization = \"acme\"", &[]);
    let said = initialising(&place);
    assert!(said.starts_with("TF_WORKSPACE=stage tofu init "), "{said}");
}
