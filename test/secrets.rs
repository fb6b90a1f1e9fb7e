//! No token reaches the deploy, or any output, unless somebody asks for it.

use std::env;
use std::fs;

use crate::support::project::thing;
use crate::support::{Answer, Bitbucket, Container, Kind, Project, Softstop, Step, each, prepared};

/// Every secret that a step can be given, each with a value of its own.
const SECRETS: [(&str, &str); 3] = [
    ("ATLASSIAN_API_TOKEN", "s3cret-api"),
    ("BITBUCKET_ACCESS_TOKEN", "s3cret-access"),
    ("PIPELINES_JWT_TOKEN", "s3cret-jwt"),
];

fn with_secrets(softstop: Softstop) -> Softstop {
    let softstop = softstop.env("ATLASSIAN_ACCOUNT_EMAIL", "anna@acme.example");
    SECRETS
        .into_iter()
        .fold(softstop, |softstop, (name, value)| {
            softstop.env(name, value)
        })
}

#[test]
fn no_token_reaches_the_deploy_or_its_after_script_unless_asked_for() {
    let project = Project::new(Kind::Local, "");
    let deploy = || {
        with_secrets(Softstop::deploy(&project))
            .script("env")
            .env("AFTER_SCRIPT", "env")
    };
    let finished = deploy().finish();
    finished.expect_code(0);
    assert!(!finished.stdout.contains("s3cret"), "{finished}");
    assert!(!finished.stdout.contains("anna@"), "{finished}");
    let asked = deploy().env("PASS_TOKENS", "true").finish();
    for (name, value) in SECRETS {
        let line = format!("{name}={value}\n");
        assert_eq!(asked.stdout.matches(&line).count(), 2, "{asked}");
    }
}

#[test]
fn no_token_reaches_the_terraform_by_which_a_lock_is_looked_at() {
    let project = Project::orphaned(Kind::S3Lockfile, &Step::of_a_new_pipeline());
    let seen = project.scratch().join("seen");
    let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
    let script = format!("env >> {}; exec {terraform} \"$@\"", seen.display());
    let wrapper = project.script("terraform", &script);
    for softstop in [Softstop::status(&project), Softstop::release(&project)] {
        let finished = with_secrets(softstop)
            .env("TERRAFORM_BIN", &wrapper)
            .finish();
        let seen = fs::read_to_string(&seen).unwrap();
        assert!(seen.contains("TF_INPUT=0"), "{finished}");
        assert!(
            !seen.contains("s3cret") && !seen.contains("anna@"),
            "{seen}"
        );
    }
}

#[test]
fn the_after_script_of_a_release_sees_the_tokens_where_that_is_asked_for() {
    for is_asked in ["false", "true"] {
        let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
        step.is_answered(&bitbucket, [Answer::Completed("STOPPED")]);
        let project = Project::orphaned(Kind::HttpStrict, &step);
        let finished = with_secrets(Softstop::release(&project).asking(&bitbucket))
            .in_step(&step.sibling())
            .env("PASS_TOKENS", is_asked)
            .env("AFTER_SCRIPT", "env")
            .finish();
        let seen =
            SECRETS.map(|(name, value)| finished.stdout.contains(&format!("{name}={value}\n")));
        assert_eq!(seen, [is_asked == "true"; 3], "{finished}");
    }
}

#[test]
fn the_environment_of_softstop_itself_is_hidden_from_the_deploy() {
    let project = Project::new(Kind::Local, "");
    let mut container =
        Container::deploy(&project).env("SOFTSTOP_COMMAND", "cat /proc/1/environ || id -u");
    for (name, value) in SECRETS {
        container = container.env(name, value);
    }
    let finished = container.finish();
    finished.expect_code(0).expect_said("Permission denied");
    assert_eq!(finished.stdout, "0\n", "root itself is refused");
}

#[test]
fn no_token_is_ever_said_not_even_when_a_server_echoes_it_and_everything_is_told() {
    let (step, bitbucket) = (Step::of_a_new_pipeline(), Bitbucket::start());
    let echo = r#"{"type":"error","error":{"message":"bad token s3cret-access"}}"#;
    for status in [400, 401, 403, 500] {
        step.is_answered(&bitbucket, [Answer::Raw(status, echo.to_owned())]);
        let project = Project::orphaned(Kind::HttpLax, &step);
        for softstop in [
            Softstop::deploy(&project),
            Softstop::release(&project),
            Softstop::status(&project).arguments(["--json"]),
        ] {
            let finished = with_secrets(softstop.asking(&bitbucket))
                .env("SOFTSTOP_DEBUG", "true")
                .finish();
            assert!(
                finished.stderr.contains("bad token …") || finished.stdout.contains("bad token …"),
                "{finished}"
            );
            for output in [&finished.stdout, &finished.stderr] {
                assert!(!output.contains("s3cret"), "{finished}");
            }
        }
    }
}

/// Asks in each way for the lock of a place that Terraform does not like, with all that softstop can
/// tell, and expects nothing of any secret.
fn expect_nothing_said(project: &Project, variables: &[(&str, &str)], case: &str) {
    for (mode, code) in [
        ("status", 4),
        ("status --json", 4),
        ("release", 4),
        ("deploy -- true", 0),
    ] {
        let softstop = Softstop::in_directory(&project.directory, project.scratch());
        let softstop = softstop
            .arguments(mode.split(' '))
            .env("TERRAFORM_BIN", project.program.path())
            .env("SOFTSTOP_DEBUG", "true");
        let softstop = variables.iter().fold(softstop, |softstop, (name, value)| {
            softstop.env(name, value)
        });
        let finished = softstop.finish();
        finished.expect_code(code);
        let said = [&finished.stdout, &finished.stderr]
            .map(String::as_str)
            .concat();
        assert!(!said.contains("s3cret"), "{case}: {finished}");
        assert!(!said.contains("%zz"), "{case}: {finished}");
        assert!(!said.contains("The lock is free"), "{case}: {finished}");
    }
}

#[test]
fn beside_a_setting_that_terraform_does_not_like_no_secret_is_said() {
    const SECRETS: &str = "secret_key = \"s3cret-key\"\ntoken = \"s3cret-token\"\n\
        external_id = \"s3cret-external-id\"\nsse_customer_key = \"s3cret-customer-key\"\n\
        assume_role = { role_arn = \"arn:s3cret\", external_id = \"s3cret-id\" }\n";
    each(
        &[
            ("key", "/x"),
            ("key", "k/"),
            ("max_retries", "abc"),
            ("sse_customer_key", "s3cret-no-key"),
            ("region", "s3cret region\n  y"),
        ],
        |(setting, value)| {
            let project = Project::new(Kind::S3Lockfile, "");
            let block = project.store.block();
            let (begin, block) = block.split_once('\n').unwrap();
            let is_kept = |line: &&str| {
                ![setting, "secret_key", "token"].contains(&line.split(' ').next().unwrap())
            };
            let lines: Vec<&str> = SECRETS
                .lines()
                .chain(block.lines())
                .filter(is_kept)
                .collect();
            let block = format!("{begin}\n{setting} = {value:?}\n{}\n", lines.join("\n"));
            project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
            expect_nothing_said(&project, &[], setting);
        },
    );
}

#[test]
fn nothing_is_said_of_an_address_of_a_database_that_cannot_be_read() {
    each(
        &[
            "postgres://anna:s3cret%zz@h/db",
            "postgres://anna:s3cret/part@h/db",
            "host=h password='s3cret",
            "host=h s3cret",
        ],
        |address| {
            let project = Project::new(Kind::Postgres, "");
            let given =
                format!("terraform {{\n backend \"pg\" {{\n conn_str = \"{address}\"\n }}\n}}\n");
            project.write("backend.tf", &given);
            expect_nothing_said(&project, &[], address);
            project.write("backend.tf", "terraform {\n backend \"pg\" {}\n}\n");
            expect_nothing_said(&project, &[("PG_CONN_STR", address)], address);
        },
    );
}

#[test]
fn nothing_is_said_of_what_a_lock_server_is_told() {
    let secrets = "username = \"s3cret-user\"\npassword = \"s3cret-password\"\n";
    each(
        &[
            "client_private_key_pem = \"s3cret-key\"\nclient_certificate_pem = \"s3cret-pem\"\n",
            "client_ca_certificate_pem = \"-----BEGIN CERTIFICATE-----\\ns3cret\\n-----END CERTIFICATE-----\"\n",
            "lock_address = \"http://s3cret:s3cret@127.0.0.1:1/s?token=s3cret\"\n",
            "lock_address = \"http://s3cret:s3cret@:x/s?token=s3cret\"\n",
        ],
        |bad| {
            let project = Project::new(Kind::HttpStrict, "");
            let block = project.store.block();
            let setting = bad.split(' ').next().unwrap();
            let lines = block.lines().filter(|line| !line.starts_with(setting));
            let block = lines.collect::<Vec<_>>().join("\n");
            let block = block.replace("retry_max", &format!("{secrets}{bad}retry_max"));
            project.write("backend.tf", &format!("terraform {{\n{block}\n}}\n"));
            expect_nothing_said(&project, &[], bad);
        },
    );
}

/// A project whose backend block has a setting that there is not. The keys stand elsewhere.
fn mistyped() -> Project {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let block = project.store.block();
    let block = block.replace("use_lockfile", "use_lock_file");
    let lines: Vec<_> = block
        .lines()
        .filter(|line| !line.contains("_key = "))
        .collect();
    let text = format!("terraform {{\n{}\n}}\n", lines.join("\n"));
    project.write("backend.tf", &text);
    project.write(
        "ci.hcl",
        "access_key = \"s3cret-id\"\nsecret_key = \"s3cret\"\n",
    );
    project
}

#[test]
fn a_deploy_beside_a_mistyped_setting_names_it_and_neither_prints_nor_passes_on_a_secret() {
    let commands = [
        None,
        Some("terraform init && terraform apply -auto-approve"),
    ];
    let ways: [&[(&str, &str)]; 2] = [
        &[("BACKEND_CONFIG", "ci.hcl")],
        &[
            ("BACKEND_CONFIG_COUNT", "2"),
            ("BACKEND_CONFIG_0", "secret_key=s3cret"),
            ("BACKEND_CONFIG_1", "access_key=s3cret-id"),
        ],
    ];
    let rows = commands.map(|command| ways.map(|way| (command, way)));
    each(&rows.concat(), |(command, way)| {
        let project = mistyped();
        let (shims, calls) = (
            project.scratch().join("shims"),
            project.scratch().join("calls"),
        );
        fs::create_dir(&shims).unwrap();
        let terraform = prepared("SOFTSTOP_TEST_TERRAFORM");
        let script = format!(
            "echo \"$@\" >> {}; exec {terraform} \"$@\"",
            calls.display()
        );
        project.script("shims/terraform", &script);
        let path = format!("{}:{}", shims.display(), env::var("PATH").unwrap());
        let mut deploy = Softstop::deploy(&project)
            .env("PATH", path)
            .env("SOFTSTOP_DEBUG", "true")
            .env("AFTER_SCRIPT", "echo \"lock=$SOFTSTOP_LOCK\"");
        if let Some(command) = command {
            deploy = deploy.script(command);
        }
        let deploy = way
            .iter()
            .fold(deploy, |deploy, (name, value)| deploy.env(name, value));
        let finished = deploy.finish();
        finished
            .expect_code(0)
            .expect_said("WARNING: The lock cannot be looked after yet: the backend \"s3\" knows no setting \"use_lock_file\"");
        assert_eq!(project.store.resources(), ["a"], "{finished}");
        assert!(finished.stdout.ends_with("lock=none\n"), "{finished}");
        let calls = fs::read_to_string(calls).unwrap();
        assert!(calls.contains("apply"), "{calls}");
        for text in [&finished.stdout, &finished.stderr, &calls] {
            assert!(!text.contains("s3cret"), "{finished}\n{calls}");
        }
    });
}
