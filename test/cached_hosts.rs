//! A host that only `.terraform` names gets none of the credentials that the environment holds.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Kind, Project, Softstop, Witness, each};

/// What stands in each credential; and the same where it begins a text in base64.
const SECRET: [&str; 2] = ["s3cret", "czNjcmV0"];

struct Case {
    backend: &'static str,
    /// With `HOST` for the address of the witness.
    settings: Value,
    /// The credentials in the environment, with `TOKEN` for a file that holds one.
    variables: &'static [(&'static str, &'static str)],
}

fn cases() -> Vec<Case> {
    let s3 = |endpoints: Value| {
        json!({
            "bucket": "b", "key": "k", "region": "us-east-1", "use_lockfile": true,
            "use_path_style": true, "skip_metadata_api_check": true, "max_retries": 1,
            "endpoints": endpoints,
        })
    };
    vec![
        Case {
            backend: "http",
            settings: json!({
                "address": "http://HOST/state", "lock_address": "http://HOST/lock",
                "unlock_address": "http://HOST/lock",
            }),
            variables: &[
                ("TF_HTTP_USERNAME", "s3cret"),
                ("TF_HTTP_PASSWORD", "s3cret"),
            ],
        },
        Case {
            backend: "s3",
            settings: s3(json!({"s3": "http://HOST", "sts": "http://HOST"})),
            variables: &[
                ("AWS_ACCESS_KEY_ID", "s3cret"),
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("AWS_SESSION_TOKEN", "s3cret"),
            ],
        },
        Case {
            backend: "s3",
            settings: s3(json!({"sts": "http://HOST"})),
            variables: &[
                ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "TOKEN"),
            ],
        },
        Case {
            backend: "gcs",
            settings: json!({
                "bucket": "b", "storage_custom_endpoint": "http://HOST/storage/v1/",
            }),
            variables: &[("GOOGLE_OAUTH_ACCESS_TOKEN", "s3cret")],
        },
        Case {
            backend: "pg",
            settings: json!({"conn_str": "postgres://HOST/states?sslmode=disable"}),
            variables: &[("PGUSER", "s3cret"), ("PGPASSWORD", "s3cret")],
        },
        Case {
            backend: "consul",
            settings: json!({"address": "HOST", "scheme": "http", "path": "state"}),
            variables: &[("CONSUL_HTTP_TOKEN", "s3cret")],
        },
    ]
}

impl Case {
    fn settings_at(&self, witness: &Witness) -> Value {
        let host = witness.address.to_string();
        serde_json::from_str(&self.settings.to_string().replace("HOST", &host)).unwrap()
    }

    /// Writes down what an `init` would have kept.
    fn keep(&self, project: &Project, settings: &Value) {
        let kept = json!({
            "version": 3, "backend": {"type": self.backend, "config": settings, "hash": 1},
        });
        fs::create_dir(project.directory.join(".terraform")).unwrap();
        project.write(".terraform/terraform.tfstate", &kept.to_string());
    }

    fn with_credentials(&self, mut softstop: Softstop, project: &Project) -> Softstop {
        project.write("token", "s3cret");
        for (name, value) in self.variables {
            softstop = if *value == "TOKEN" {
                softstop.env(name, project.directory.join("token"))
            } else {
                softstop.env(name, value)
            };
        }
        softstop
    }
}

fn is_told(heard: &str) -> bool {
    SECRET.iter().any(|secret| heard.contains(secret))
}

/// What comes to the settings' host where they are kept in `.terraform`, or else named.
fn heard(case: &Case, is_named: bool) -> String {
    let project = Project::new(Kind::Local, "");
    let witness = Witness::start();
    let settings = case.settings_at(&witness);
    project.write(
        "backend.tf",
        &format!("terraform {{\n  backend \"{}\" {{}}\n}}\n", case.backend),
    );
    let mut softstop = Softstop::in_directory(&project.directory, project.scratch());
    if is_named {
        project.write("settings.json", &settings.to_string());
        softstop = softstop.env("BACKEND_CONFIG", "settings.json");
    } else {
        case.keep(&project, &settings);
    }
    softstop = case.with_credentials(softstop, &project);
    let told = softstop.arguments(["status"]).finish();
    told.expect_code(4);
    assert!(
        is_named || told.stderr.contains("Only `.terraform` says"),
        "{told}"
    );
    witness.heard()
}

#[test]
fn no_credentials_of_the_environment_reach_a_host_that_only_the_cache_names() {
    let cases = cases();
    let cases: Vec<&Case> = cases.iter().collect();
    each(&cases, |case| {
        // Otherwise the silence would say nothing.
        let named = heard(case, true);
        assert!(
            is_told(&named),
            "{} {:?}: {named}",
            case.backend,
            case.variables
        );
        let cached = heard(case, false);
        assert!(
            !is_told(&cached),
            "{} {:?}: {cached}",
            case.backend,
            case.variables
        );
        assert!(
            !cached.contains("Authorization"),
            "{}: {cached}",
            case.backend
        );
    });
}

/// Terraform asks nobody in these calls: it refuses them, because the block names another host.
#[test]
fn no_credentials_reach_a_host_that_terraform_was_seen_to_refuse() {
    const SCRIPTS: [&str; 3] = [
        "terraform apply -auto-approve -input=false",
        "terraform init -input=false",
        "terraform init -input=false; terraform workspace new other; terraform plan -input=false",
    ];
    let rounds = cases().into_iter().enumerate();
    let rounds: Vec<(Case, &str)> = rounds
        .map(|(index, case)| (case, SCRIPTS[index % SCRIPTS.len()]))
        .collect();
    each(&rounds.iter().collect::<Vec<_>>(), |(case, script)| {
        let project = Project::new(Kind::Local, "");
        let [meant, cached] = [(); 2].map(|()| Witness::start());
        let block = json!({"terraform": {"backend": {case.backend: case.settings_at(&meant)}}});
        fs::remove_file(project.directory.join("backend.tf")).unwrap();
        project.write("backend.tf.json", &block.to_string());
        case.keep(&project, &case.settings_at(&cached));
        let softstop = Softstop::deploy(&project)
            .script(script)
            .env("AFTER_SCRIPT", "echo \"lock=$SOFTSTOP_LOCK\"");
        let told = case.with_credentials(softstop, &project).finish();
        let heard = cached.heard();
        assert!(
            !is_told(&heard),
            "{} {script}: {heard}\n{told}",
            case.backend
        );
        assert!(told.stdout.contains("lock=unknown"), "{script} {told}");
    });
}
