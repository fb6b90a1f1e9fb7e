//! No secret is in a report on a commit.

use std::fs;

use crate::journal_of_deploys::{deploy, project};
use crate::support::{CodeInsights, Kind, Program, Project, Step, each};

/// Resources whose keys are these secrets, beside those of any other journal.
fn keyed(program: Program, secrets: &[&str]) -> Project {
    let project = project(program, Kind::HttpStrict);
    let file = project.directory.join("main.tf");
    let text = fs::read_to_string(&file).unwrap();
    let keyed = format!(
        "resource \"slow_object\" \"keyed\" {{\n  for_each = toset({secrets:?})\n  name = \"k\"\n}}\n"
    );
    project.write("main.tf", &(text + &keyed));
    project.gate("b.gate").open();
    project
}

/// Whether the resources were written, and none of these.
fn expect_hidden(insights: &CodeInsights, secrets: &[&str]) {
    let all = insights.requests();
    let sent = all
        .iter()
        .map(|request| format!("{} {}", request.path, request.body));
    let sent: Vec<String> = sent.collect();
    assert!(
        sent.iter().any(|text| text.contains("slow_object.keyed")),
        "{sent:#?}"
    );
    for secret in secrets {
        assert!(!sent.iter().any(|text| text.contains(secret)), "{sent:#?}");
    }
}

#[test]
fn what_sounds_like_a_secret_is_in_no_report() {
    each(&Program::ALL, |program| {
        let secrets = ["hunter2hunter2", "swordfish-1", "opensesame-2", "letmein-3"];
        let (project, insights) = (keyed(program, &secrets), CodeInsights::start());
        let step = Step::of_a_new_pipeline();
        let finished = deploy(&project, &step, &insights)
            .env("DATABASE_PASSWORD", secrets[0])
            .env(
                "PG_CONN_STR",
                format!("postgres://tf:{}@db/state", secrets[1]),
            )
            .env(
                "OTHER_STORE",
                format!("host=db password={} a=b", secrets[2]),
            )
            .env("TF_CLI_ARGS_show", format!("-var=token={}", secrets[3]))
            .finish();
        finished.expect_code(0);
        expect_hidden(&insights, &secrets);
    });
}

#[test]
fn a_secret_that_a_script_gives_to_terraform_alone_is_in_no_report_either() {
    each(&Program::ALL, |program| {
        let secrets = ["hunter2hunter2", "swordfish-1", "letmein-3"];
        let (project, insights) = (keyed(program, &secrets), CodeInsights::start());
        let tool = program.command();
        let script = format!(
            "export DATABASE_PASSWORD={} && export OTHER_STORE=postgres://tf:{}@db/state && {tool} init \
         -input=false && {tool} apply -auto-approve -var=token={}",
            secrets[0], secrets[1], secrets[2]
        );
        project.write("deploy.sh", &script);
        project.write("variables.tf", "variable \"token\" {}\n");
        let step = Step::of_a_new_pipeline();
        let finished = deploy(&project, &step, &insights)
            .arguments(["--", "sh", "deploy.sh"])
            .finish();
        finished.expect_code(0);
        expect_hidden(&insights, &secrets);
    });
}
