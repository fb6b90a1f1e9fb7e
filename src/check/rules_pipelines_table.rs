use super::rules_table::{PIPE, expect, pipeline, released};

fn parallel(first: &str, second: &str) -> String {
    format!(
        "pipelines:
  default:
    - parallel:
        - step: {{{first}}}
        - step: {{{second}}}
    - final: {{script: [softstop release]}}
"
    )
}

#[test]
fn parallel_deploys_of_one_directory_are_found() {
    let deploy = "script: [softstop deploy, ./report]";
    expect(
        &parallel(deploy, deploy),
        &["5:27 this deploy is in `.`…(line 4)"],
    );
    let with_steps = parallel(deploy, deploy).replace(
        "parallel:\n",
        "parallel:\n        fail-fast: true\n        steps:\n",
    );
    expect(&with_steps, &["7:27 this deploy is in `.`…(line 6)"]);
}

#[test]
fn parallel_deploys_that_do_not_meet_are_no_mistake() {
    let deploy = "script: [softstop deploy, ./report]";
    let rows = [
        ("deployment: test", "deployment: production"),
        ("concurrency-group: a", "concurrency-group: a"),
        ("name: $a", "script: [softstop status]"),
        ("name: $a", "script: [softstop resolve aws_eip.a]"),
    ];
    for (first, second) in rows {
        let both = parallel(
            &format!("{deploy}, {first}"),
            &format!("{second}, {deploy}"),
        );
        expect(
            &both
                .replace("status], script: [softstop deploy", "status")
                .replace("aws_eip.a], script: [softstop deploy", "aws_eip.a"),
            &[],
        );
    }
    let with_workspace = "script: [export TF_WORKSPACE=$NAME, softstop deploy, ./report]";
    expect(&parallel(with_workspace, with_workspace), &[]);
}

#[test]
fn an_import_cannot_be_followed() {
    expect(
        "pipelines:\n  default:\n    import: shared:main:deploy\n",
        &["(3:5 the import \"shared:main:deploy\" cannot be followed"],
    );
}

#[test]
fn anchors_merges_stages_and_all_kinds_of_pipelines_are_understood() {
    let text = "definitions:
  steps:
    - step: &deploy
        deployment: test
        script: &lines
          - pipe: acme/softstop:1
            variables: &variables
              WORKING_DIR: infra
    - step: &bare
        script:
          - terraform apply
    - final: &final
        script:
          - pipe: acme/softstop:1
            variables:
              <<: *variables
              MODE: release
pipelines:
  branches:
    main:
      - stage:
          steps:
            - step:
                <<: *deploy
                name: Deploy
      - final: *final
  tags:
    '*':
      - step: *bare
  pull-requests:
    '**':
      - step: *bare
      - step: {<<: *deploy, script: *lines}
";
    expect(
        text,
        &[
            "11:13 Terraform changes infrastructure",
            "31:5 the pipeline `pull-requests: **`",
        ],
    );
}

#[test]
fn a_release_beside_a_step_that_a_person_starts_needs_a_token() {
    let file = |token: &str| {
        let by_hand = "    - step:\n        trigger: manual\n        script: [make]\n";
        pipeline(PIPE, &format!("{by_hand}{}", released(token)))
    };
    expect(
        &file(""),
        &["(11:13 somebody may start what is `trigger: manual` (line 7)"],
    );
    expect(&file("              BITBUCKET_ACCESS_TOKEN: $TOKEN\n"), &[]);
}
