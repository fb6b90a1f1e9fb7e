use super::examine;
use super::remark::{Remark, Severity};

pub(super) fn findings(text: &str) -> Vec<Remark> {
    examine(text).unwrap().findings
}

/// Place and reason of all that is found; warnings in parentheses.
fn said(text: &str) -> Vec<String> {
    let said = findings(text).into_iter().map(|finding| {
        let Remark {
            position, reason, ..
        } = finding;
        let place = format!("{}:{}", position.line, position.column);
        match finding.severity {
            Severity::Refused => format!("!{place} {reason}"),
            Severity::Error => format!("{place} {reason}"),
            Severity::Warning => format!("({place} {reason})"),
        }
    });
    said.collect()
}

#[track_caller]
pub(super) fn expect(text: &str, expected: &[&str]) {
    let said = said(text);
    let is_expected = said.len() == expected.len()
        && said.iter().zip(expected).all(|(said, parts)| {
            let mut parts = parts.split('…');
            said.starts_with(parts.next().unwrap()) && parts.all(|part| said.contains(part))
        });
    assert!(is_expected, "expected {expected:#?}, found {said:#?}");
}

/// A pipeline whose lines come below `- step:`, and which ends with these items.
pub(super) fn pipeline(script: &str, items: &str) -> String {
    let script = script.replace('\n', "\n          ");
    format!("pipelines:\n  default:\n    - step:\n        script:\n          {script}\n{items}")
}

pub(super) const PIPE: &str = "- pipe: acme/softstop:1.2.3";
const FINAL: &str = "    - final:\n        script:\n          - pipe: acme/softstop:1.2.3\n            variables:\n";

pub(super) fn released(variables: &str) -> String {
    format!("{FINAL}              MODE: release\n{variables}")
}

#[test]
fn a_deploy_and_its_release_are_enough() {
    expect(&pipeline(PIPE, &released("")), &[]);
    expect(
        &pipeline(
            "- pipe: docker://acme/softstop@sha256:0\n  variables: {WORKING_DIR: ./infra/}",
            &released("              WORKING_DIR: [network, infra]\n"),
        ),
        &[],
    );
    expect(
        &pipeline(
            "- cd infra\n- export SOFTSTOP_WORKSPACE=prod\n- exec softstop deploy -- make deploy",
            "    - final:\n        script:\n          - softstop release --workspace=prod --working-dir infra\n",
        ),
        &[],
    );
}

#[test]
fn a_deploy_needs_a_final_step_with_the_same_lock() {
    let deploy = format!(
        "{PIPE}\n  variables:\n    WORKING_DIR: infra\n    WORKSPACE: prod\n    COMMAND: make\n    GRACE_PERIOD: 8s\n    BACKEND_CONFIG: [\"key=a\", b.hcl]\n    KEY: $KEY"
    );
    let found = findings(&pipeline(&deploy, ""));
    assert_eq!(found.len(), 1);
    assert!(found[0].reason.contains("`default`"));
    assert!(found[0].reason.contains("(line 5)"));
    assert_eq!(
        found[0].fix,
        "    - final:
        name: Release what is left locked
        script:
          - pipe: acme/softstop:1.2.3
            variables:
              MODE: release
              WORKING_DIR: \"infra\"
              WORKSPACE: \"prod\"
              BACKEND_CONFIG:
                - \"key=a\"
                - \"b.hcl\"
              KEY: \"$KEY\""
    );
    expect(&pipeline(&deploy, &found[0].fix), &[]);
}

#[test]
fn a_plan_that_is_killed_leaves_a_lock_too() {
    let plan = format!("{PIPE}\n  variables: {{MODE: plan, WORKING_DIR: infra, COMMAND: make}}");
    let unreleased = pipeline(&plan, "");
    expect(
        &unreleased,
        &["2:3 the pipeline `default` deploys…(line 5)…no `final:`"],
    );
    let fix = findings(&unreleased).remove(0).fix;
    assert!(fix.contains("WORKING_DIR: \"infra\""), "{fix}");
    expect(&pipeline(&plan, &fix), &[]);
    expect(
        &pipeline("- exec softstop plan --working-dir infra", &released("")),
        &["6:7 `final:` does not release…line 5, which is in `infra`"],
    );
}

#[test]
fn a_command_is_released_by_a_command_in_the_same_image() {
    let text = "pipelines:
  branches:
    main:
    - step:
        image: acme/build:1
        script:
          - softstop deploy --working-dir=infra --backend-config key=a -- make deploy
          - ./report
";
    let found = findings(text);
    assert_eq!(
        found[0].fix,
        "    - final:
        name: Release what is left locked
        image: acme/build:1
        script:
          - softstop release --working-dir \"infra\" --backend-config \"key=a\""
    );
    expect(&format!("{text}{}", found[0].fix), &[]);
}

#[test]
fn a_final_step_that_releases_something_else_is_found() {
    let deploy = format!("{PIPE}\n  variables:\n    WORKING_DIR: infra\n    WORKSPACE: prod");
    let rows = [
        ("", "WORKSPACE: prod\n"),
        ("WORKING_DIR: infra\n", ""),
        ("WORKING_DIR: infra\n", "WORKSPACE: test\n"),
        ("WORKING_DIR: [other, infra/sub]\n", "WORKSPACE: prod\n"),
    ];
    for (directory, workspace) in rows {
        let indent = |line: &str| match line {
            "" => String::new(),
            line => format!("              {line}"),
        };
        let variables = format!("{}{}", indent(directory), indent(workspace));
        expect(
            &pipeline(&deploy, &released(&variables)),
            &["9:7 `final:` does not release…line 5, which is in `infra`, workspace `prod`"],
        );
    }
    expect(
        &pipeline(&deploy, "    - final: {script: [./report]}\n"),
        &["9:7 `final:` does not release"],
    );
    let other_backend = format!("{PIPE}\n  variables: {{BACKEND_CONFIG: key=a}}");
    let release = released("              BACKEND_CONFIG: [key=b, password=$PASSWORD]\n");
    expect(
        &pipeline(&other_backend, &release),
        &["7:7 `final:` does not release…backend `key=a`"],
    );
}

#[test]
fn what_only_the_running_pipeline_knows_is_no_mistake() {
    let deploy = format!("{PIPE}\n  variables: {{WORKING_DIR: $DIR, WORKSPACE: prod}}");
    let release = released("              WORKSPACE: $WORKSPACE\n");
    expect(&pipeline(&deploy, &release), &[]);
    let sourced = "- source ./settings\n- exec softstop deploy";
    let release = released("              WORKING_DIR: infra\n");
    expect(&pipeline(sourced, &release), &[]);
}

#[test]
fn a_final_step_comes_last_and_without_a_deployment() {
    let text = pipeline(
        PIPE,
        "    - final:
        deployment: production
        fail-fast: true
        trigger: manual
        script: [softstop release]
    - step:
        script: [./report]
",
    );
    expect(
        &text,
        &[
            "6:7 `final:` has to be the last item",
            "!7:9 Bitbucket does not allow this",
            "!8:9 Bitbucket does not allow this",
            "!9:9 Bitbucket does not allow this",
        ],
    );
    assert_eq!(findings(&text)[1].fix, "delete `deployment: production`");
}

#[test]
fn terraform_without_softstop_is_found_wherever_a_shell_runs_it() {
    let rows = [
        ("terraform apply", "exec softstop deploy -- terraform apply"),
        ("terraform apply; ls", "softstop deploy -- terraform apply"),
        (
            "cd infra && TF_LOG=1 tofu destroy -auto-approve | tee log",
            "TF_LOG=1 softstop deploy --terraform-bin tofu -- tofu destroy -auto-approve",
        ),
        (
            "if ! terraform -chdir=infra apply plan; then exit 1; fi",
            "if ! softstop deploy --working-dir \"infra\" -- terraform apply plan",
        ),
        (
            "timeout 30m /usr/bin/terraform apply || true",
            "timeout 30m softstop deploy --terraform-bin /usr/bin/terraform -- /usr/bin/terraform apply",
        ),
    ];
    for (script, fix) in rows {
        let text = pipeline(&format!("- {script}"), "");
        expect(&text, &["5:13 …changes infrastructure"]);
        assert_eq!(findings(&text)[0].fix, fix);
    }
    let lines = pipeline("- |\n  cd infra\n\n  terraform init\n  terraform apply", "");
    expect(&lines, &["9:13 Terraform changes infrastructure"]);
    let after = "pipelines: {default: [{step: {script: [ls], after-script: [terraform apply]}}]}";
    expect(after, &["1:60 Terraform changes infrastructure"]);
}

#[test]
fn what_only_looks_like_terraform_is_no_mistake() {
    for script in [
        "terraform plan -lock=false -out apply",
        "terraform apply -lock=false",
        "echo terraform apply",
        "echo 'now; terraform apply'",
        "'# terraform apply'",
        "make terraform apply",
        "terraform fmt && terraform validate",
    ] {
        expect(&pipeline(&format!("- >-\n  {script}"), ""), &[]);
    }
    let here_document = "- |\n  cat > run <<END\n  terraform apply\n  END";
    expect(&pipeline(here_document, ""), &[]);
    let command = format!("{PIPE}\n  variables: {{COMMAND: terraform apply}}");
    expect(&pipeline(&command, &released("")), &[]);
}

#[test]
fn a_grace_period_has_to_end_before_docker_kills() {
    let deploy = |period: &str| format!("{PIPE}\n  variables:\n    GRACE_PERIOD: {period}");
    for period in ["9s", "$PERIOD", "9999ms"] {
        expect(&pipeline(&deploy(period), &released("")), &[]);
    }
    for period in ["10s", "2m"] {
        let text = pipeline(&deploy(period), &released(""));
        expect(&text, &["7:29 GRACE_PERIOD is"]);
        assert_eq!(findings(&text)[0].fix, "GRACE_PERIOD: \"9s\"");
        let own_runner = text.replace("- step:\n", "- step:\n        runs-on: self.hosted\n");
        expect(&own_runner, &["(8:29 GRACE_PERIOD is"]);
    }
    let exported = "- export GRACE_PERIOD=1m\n- exec softstop deploy";
    let text = pipeline(exported, &released(""));
    expect(&text, &["6:13 GRACE_PERIOD is \"1m\""]);
    assert_eq!(findings(&text)[0].fix, "export GRACE_PERIOD=\"9s\"");
}

#[test]
fn a_shell_in_front_of_softstop_is_worth_a_warning_where_exec_is_possible() {
    let rows = [
        (
            "softstop deploy -- make",
            Some("exec softstop deploy -- make"),
        ),
        ("softstop deploy | tee log", Some("exec softstop deploy")),
        ("exec softstop deploy", None),
        ("(softstop deploy)", None),
        ("softstop deploy; ./report", None),
        ("softstop release", None),
    ];
    for (script, fix) in rows {
        let found = findings(&pipeline(&format!("- {script}"), &released("")));
        assert!(
            found
                .iter()
                .all(|finding| finding.severity == Severity::Warning)
        );
        let fixes: Vec<&str> = found.iter().map(|finding| finding.fix.as_str()).collect();
        assert_eq!(fixes, fix.into_iter().collect::<Vec<_>>(), "{script}");
    }
}

#[test]
fn a_custom_pipeline_is_advised_to_have_a_schedule() {
    let custom = "pipelines:
  custom:
    deploy:
      - step:
          script:
            - pipe: acme/softstop:1
";
    expect(
        custom,
        &["(3:5 the pipeline `custom: deploy`…(line 6)…until the next deploy"],
    );
    let fix = findings(custom).remove(0).fix;
    expect(&format!("{custom}{fix}"), &[]);
    let releases_itself = format!("{custom}            - softstop release\n");
    expect(&releases_itself, &["(3:5 the pipeline `custom: deploy`"]);
    let shared = custom
        .replace("pipelines:", "definitions:")
        .replace("custom", "pipelines");
    expect(&shared, &["(3:5 the pipeline `pipelines: deploy`"]);
}

#[test]
fn a_variable_that_looks_misspelt_is_found_where_it_is_set() {
    let pipe = format!("{PIPE}\n  variables:\n    WORKING_DIRECTORY: infra\n    TF_VAR_seconds: 0");
    expect(
        &pipeline(&pipe, &released("              COMMANDS: x\n")),
        &[
            "(7:15 softstop knows no variable WORKING_DIRECTORY; write instead:",
            "(14:15 softstop knows no variable COMMANDS; write instead:",
        ],
    );
    let script =
        "- export GRACE_PERIODS=5s COMMANDS=x\n- SOFTSTOP_SPEED=1 exec softstop deploy -- true";
    expect(
        &pipeline(script, "    - final: {script: [softstop release]}\n"),
        &[
            "(5:13 softstop knows no variable GRACE_PERIODS; write instead:",
            "(6:13 softstop knows no variable SOFTSTOP_SPEED, and nothing comes of it",
        ],
    );
}

/// What is to be pasted for the first finding.
fn pasted(text: &str) -> String {
    findings(text).into_iter().next().unwrap().fix
}

#[test]
fn a_final_step_is_pasted_with_the_token_and_the_credentials_of_the_deploy() {
    let step =
        "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n          ";
    let pipe = pasted(&format!(
        "{step}- export AWS_REGION=x\n          {PIPE}\n            variables:\n              \
         AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN\n"
    ));
    assert!(
        pipe.contains("\n        oidc: true\n        script:"),
        "{pipe}"
    );
    assert!(
        pipe.contains("AWS_OIDC_ROLE_ARN: \"$AWS_OIDC_ROLE_ARN\""),
        "{pipe}"
    );
    assert!(
        !pipe.contains("AWS_REGION"),
        "a pipe does not see it: {pipe}"
    );

    let token = "(umask 077 && echo $BITBUCKET_STEP_OIDC_TOKEN > ../token)";
    let command = pasted(&format!(
        "{step}- {token}\n          - export AWS_ROLE_ARN=$ROLE\n          - export LEVEL=3\n          \
         - exec softstop deploy -- make deploy\n"
    ));
    let script = format!(
        "script:\n          - \"{token}\"\n          - \"export AWS_ROLE_ARN=$ROLE\"\n          - softstop \
         release"
    );
    assert!(command.contains(&script), "{command}");

    let keys = "- export ALICLOUD_ACCESS_KEY=$KEY\n- export TENCENTCLOUD_SECRET_KEY=$KEY\n\
                - export OCI_private_key=$KEY\n";
    let keys_too = pasted(&pipeline(&format!("{keys}- exec softstop deploy"), ""));
    for name in [
        "ALICLOUD_ACCESS_KEY",
        "TENCENTCLOUD_SECRET_KEY",
        "OCI_private_key",
    ] {
        let line = format!("- \"export {name}=$KEY\"\n");
        assert!(keys_too.contains(&line), "{keys_too}");
    }

    let none = pasted(&pipeline(PIPE, ""));
    assert!(!none.contains("oidc"), "{none}");
}
