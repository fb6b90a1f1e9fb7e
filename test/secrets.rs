//! No token reaches the deploy, or any output, unless somebody asks for it.

use std::fs;

use crate::support::{Answer, Bitbucket, Container, Kind, Project, Softstop, Step, prepared};

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
