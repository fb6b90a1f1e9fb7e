//! Each way in which people deploy, and in which a release can miss the lock.

use super::rules_table::{PIPE, expect, findings, pipeline, released};

const BARE: &str = "Terraform changes infrastructure";

#[test]
fn a_deploy_is_found_whatever_starts_it() {
    for script in [
        "bash -c \"cd net; tofu apply\"",
        "sh -exc 'terraform destroy'",
        "bash -o pipefail -c 'terraform apply | tee log'",
        "OUT=\"$(terraform apply -no-color)\"",
        "OUT=`terraform apply`",
        "diff <(terraform apply) before",
        "eval \"terraform apply $MORE\"",
        "find . -name '*.tf' -execdir terraform apply {} +",
        "ls | xargs -n 1 -I D terraform -chdir=D apply",
        "timeout --signal INT -k 5 1h terraform apply",
        "sudo -u deployer -E nice -n 5 terraform apply",
        "aws-vault exec acme -- terraform apply",
        "chamber exec acme terraform apply",
        "op run --env-file=.env -- tofu apply",
        "docker run --rm -it -v /a:/b -w /b -e A=b hashicorp/terraform:1.9 apply",
        "docker run --entrypoint /bin/sh acme/tools -c 'terraform apply'",
        "docker compose run --rm tools terraform apply",
        "terragrunt --working-dir live apply",
        "terragrunt run-all destroy",
        "terraform_1.5.7 apply",
        "./bin/terraform apply",
        "trap 'terraform destroy' EXIT",
        "true && (cd x || exit; terraform apply)",
    ] {
        // As a block, nothing in a script means anything to YAML.
        let text = pipeline(&format!("- |\n  {script}"), "");
        let program = if script.contains("tofu ") {
            "OpenTofu"
        } else if script.contains("terragrunt") {
            "Terragrunt"
        } else {
            "Terraform"
        };
        let said = format!("6:13 {program} changes infrastructure here");
        expect(&text, &[&said]);
    }
}

#[test]
fn what_starts_no_deploy_is_no_mistake() {
    for script in [
        "command -v terraform && echo apply",
        "docker pull hashicorp/terraform",
        "docker run --rm hashicorp/terraform fmt -check",
        "git log --format=%s | grep 'tofu apply'",
        "bash deploy.sh terraform apply",
        "terraform-docs apply",
        "terraform apply -help",
        "export TF_CLI_ARGS_plan=-lock=false; terraform plan",
        "echo '$(terraform apply)'",
        "terraform state list; terraform state pull; terraform workspace select a; terraform show",
        "make deploy",
    ] {
        expect(&pipeline(&format!("- |\n  {script}"), ""), &[]);
    }
}

#[test]
fn what_only_takes_the_lock_is_worth_a_warning() {
    for subcommand in [
        "plan -out=p",
        "import a b",
        "refresh",
        "taint a",
        "state mv a b",
        "state rm a",
        "state push s",
    ] {
        let text = pipeline(&format!("- terraform {subcommand}"), "");
        let name = subcommand.split(" a").next().unwrap_or_default();
        let name = name
            .split(" -")
            .next()
            .unwrap_or_default()
            .trim_end_matches(" s");
        expect(&text, &[&format!("(5:13 `{name}` takes the lock too")]);
    }
    let plan = findings(&pipeline("- cd net && terraform plan -out=p", "")).remove(0);
    assert_eq!(plan.fix, "terraform plan -lock=false -out=p");
}

#[test]
fn a_function_is_said_once_where_its_body_is_and_what_it_sets_is_in_doubt_after_it() {
    let text = pipeline(
        "- |\n  roll () {\n    cd $1\n    terraform apply\n  }\n  roll a; roll b\n- exec softstop deploy",
        &released("              WORKING_DIR: a\n"),
    );
    expect(&text, &[&format!("8:13 {BARE}")]);
}

#[test]
fn what_to_paste_runs_where_it_is_pasted() {
    let windows = pipeline("- terraform apply", "").replace(
        "- step:",
        "- step:\n        runs-on: [self.hosted, windows]",
    );
    assert_eq!(
        findings(&windows)[0].fix,
        "softstop deploy -- terraform apply"
    );
    for (script, fix) in [
        (
            "../terraform -chdir=net apply",
            "exec softstop deploy --terraform-bin ../terraform -- ../terraform -chdir=net apply",
        ),
        (
            "aws-vault exec acme -- terraform apply",
            "aws-vault exec acme -- softstop deploy -- terraform apply",
        ),
        (
            "A=$(tofu apply)",
            "softstop deploy --terraform-bin tofu -- tofu apply",
        ),
    ] {
        assert_eq!(findings(&pipeline(&format!("- {script}"), ""))[0].fix, fix);
    }
    let container = findings(&pipeline(
        "- docker run hashicorp/terraform apply -auto-approve",
        "",
    ));
    assert!(
        container[0]
            .fix
            .starts_with("- pipe: docker://softstop/softstop:")
    );
    assert!(
        container[0]
            .fix
            .ends_with("&& terraform apply -auto-approve\"")
    );
}

/// A deploy by a pipe in `base` with this command, and a release of what these variables name.
fn with_command(command: &str, release: &str) -> String {
    let deploy = format!("{PIPE}\n  variables:\n    WORKING_DIR: base\n    COMMAND: {command}");
    pipeline(&deploy, &released(release))
}

#[test]
fn a_release_that_looks_at_another_lock_than_the_command_takes_is_found() {
    let same = "              WORKING_DIR: base\n";
    for (command, target) in [
        ("cd net && terraform apply", "`base/net`"),
        ("terraform -chdir=net apply", "`base/net`"),
        (
            "terraform workspace select prod; terraform apply",
            "workspace `prod`",
        ),
        ("TF_WORKSPACE=prod terraform apply", "workspace `prod`"),
        (
            "export TF_WORKSPACE=prod && terraform apply",
            "workspace `prod`",
        ),
        (
            "terraform init -backend-config=key=b && terraform apply",
            "backend `key=b`",
        ),
        (
            "terraform init -backend-config b.hcl && terraform apply",
            "backend `b.hcl`",
        ),
        ("\"sh -c 'cd net; terraform apply'\"", "`base/net`"),
    ] {
        let text = with_command(command, same);
        expect(&text, &[&format!("9:7 `final:` does not release…{target}")]);
        // What is printed is what has to be pasted.
        let fix = findings(&text).remove(0).fix;
        expect(&format!("{text}{fix}\n"), &[]);
    }
}

#[test]
fn a_release_that_looks_at_the_lock_that_the_command_takes_is_enough() {
    for (command, release) in [
        ("terraform -chdir=net apply", "WORKING_DIR: base/net"),
        ("cd net; terraform apply", "WORKING_DIR: base/net"),
        ("make deploy", "WORKING_DIR: base"),
        ("terraform $ACTION", "WORKING_DIR: base"),
        ("cd $PART && terraform apply", "WORKING_DIR: base/net"),
        (
            "terraform init && terraform plan -out=p && terraform apply p",
            "WORKING_DIR: base",
        ),
        (
            "if $A; then cd net; fi; terraform apply",
            "WORKING_DIR: base",
        ),
        ("[cd net, terraform apply]", "WORKING_DIR: base/net"),
        (
            "case $A in main) echo a ;; *) echo b ;; esac; terraform apply",
            "WORKING_DIR: base",
        ),
        ("if $A; then terraform apply; fi", "WORKING_DIR: base"),
    ] {
        let release = format!("              {release}\n");
        expect(&with_command(command, &release), &[]);
    }
    let entered = pipeline(
        &format!("- cd elsewhere\n{PIPE}\n  variables: {{WORKING_DIR: base}}"),
        &released("              WORKING_DIR: base\n"),
    );
    expect(&entered, &[]);
}

#[test]
fn what_softstop_runs_is_read_for_its_place() {
    let release = "    - final: {script: [softstop release]}\n";
    for script in [
        "exec softstop deploy -- terraform -chdir=net apply",
        "exec softstop deploy -- sh -c 'cd net && terraform apply'",
        "exec softstop deploy --command 'cd net; terraform apply'",
    ] {
        let text = pipeline(&format!("- {script}"), release);
        expect(&text, &["6:7 `final:` does not release…`net`"]);
    }
}

#[test]
fn a_release_in_a_parallel_group_is_found_however_it_is_called() {
    for release in [
        "{pipe: acme/softstop:1, variables: {MODE: release}}",
        "exec softstop release",
        "docker run softstop/softstop:1 release",
        "docker run -e MODE=release softstop/softstop:1",
    ] {
        let text = format!(
            "pipelines:\n  default:\n    - parallel:\n      - step:\n          script:\n            \
             - {release}\n      - step: {{script: [ls]}}\n"
        );
        expect(&text, &["6:15 a release in a parallel group"]);
    }
}

#[test]
fn what_might_be_a_release_in_a_parallel_group_is_found_as_a_release_distrusts_it() {
    for script in [
        "[{pipe: acme/softstop:1, variables: {MODE: $MODE}}]",
        "[IMG=acme/softstop:1, 'docker run -e MODE=release $IMG']",
        "['docker run -e MODE=release $IMAGE']",
        "[softstop $WHAT]",
    ] {
        let text = format!(
            "pipelines:\n  default:\n    - parallel:\n      - step:\n          script:\n            \
             {script}\n      - step: {{script: [ls]}}\n"
        );
        expect(&text, &["(6:14 this may be a release in a parallel group"]);
        let alone = text.replace("- parallel", "- stage");
        let said = findings(&alone);
        assert!(said.iter().all(|said| said.position.line != 6), "{script}");
    }
}

#[test]
fn a_grace_period_has_to_end_before_the_step_does() {
    let deploy = pipeline("- exec softstop deploy --grace-period 10m", &released(""));
    let own = deploy.replace(
        "- step:",
        "- step:\n        runs-on: self.hosted\n        max-time: 10",
    );
    expect(
        &own,
        &["(5:19 the step may run for 10 min", "(7:13 GRACE_PERIOD"],
    );
    for longer in ["11", "400000000000000000"] {
        let longer = own.replace("max-time: 10", &format!("max-time: {longer}"));
        expect(&longer, &["(7:13 GRACE_PERIOD"]);
    }
    let options = format!("options: {{max-time: 3}}\n{deploy}");
    expect(
        &options,
        &["(1:21 the step may run for 3 min", "6:13 GRACE_PERIOD"],
    );
}

#[test]
fn a_trigger_that_starts_itself_is_found() {
    let file = |condition: &str| {
        format!(
            "triggers:\n  pipeline-completed:\n    - condition: {condition}\n      pipelines: [tidy]\n\
             pipelines:\n  custom:\n    tidy:\n      - step: {{script: [softstop release]}}\n"
        )
    };
    expect(
        &file("BITBUCKET_TRIGGER_PIPELINE_STATUS == \"FAILED\""),
        &["(3:7 `tidy` can end like this too"],
    );
    expect(
        &file("BITBUCKET_TRIGGER_PIPELINE_SELECTOR_PATTERN == \"deploy\""),
        &[],
    );
}

#[test]
fn a_child_is_released_by_its_parent_only_with_a_token() {
    let file = |token: &str| {
        format!(
            "pipelines:\n  default:\n    - step: {{type: pipeline, custom: child}}\n    - final:\n        \
             script:\n          - pipe: acme/softstop:1\n            variables: {{MODE: release{token}}}\n  \
             custom:\n    child:\n      - step: {{script: [exec softstop deploy]}}\n"
        )
    };
    expect(&file(""), &["(9:5 the pipeline `custom: child`"]);
    expect(&file(", BITBUCKET_ACCESS_TOKEN: $TOKEN"), &[]);
}

#[test]
fn a_release_is_pasted_for_the_runner_and_the_image_of_the_deploy() {
    let text = "pipelines:
  default:
    - step:
        runs-on: [self.hosted, linux]
        image: {name: acme/build:1, username: $USER, password: $PASSWORD, run-as-user: 1000}
        script:
          - exec softstop deploy -- make deploy
";
    let fix = findings(text).remove(0).fix;
    let image = r#"image: {name: "acme/build:1", username: "$USER", password: "$PASSWORD", run-as-user: 1000}"#;
    assert!(fix.contains(image), "{fix}");
    assert!(
        fix.contains(r#"runs-on: ["self.hosted", "linux"]"#),
        "{fix}"
    );
    expect(&format!("{text}{fix}"), &[]);
}

#[test]
fn a_release_without_a_clone_is_found() {
    let final_step = "    - final: {script: [softstop release], clone: {enabled: false}}\n";
    let deploy = pipeline("- exec softstop deploy", final_step);
    expect(&deploy, &["6:51 the release in line 6 has no clone"]);
    let everywhere = deploy.replace(", clone: {enabled: false}", "");
    let everywhere = format!("clone: {{enabled: false}}\n{everywhere}");
    expect(&everywhere, &["1:9 the release in line 7 has no clone"]);
    let in_this_step = everywhere.replace(
        "[softstop release]",
        "[softstop release], clone: {enabled: true}",
    );
    expect(&in_this_step, &[]);
}
