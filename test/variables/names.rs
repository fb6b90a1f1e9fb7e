//! Names that repositories use for themselves.

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop};

#[test]
fn a_common_name_decides_nothing_outside_of_the_pipe_and_where_it_would_have_nothing_runs() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    let rows: [(&[&str], &str, &str); 6] = [
        (&[], "MODE", "SOFTSTOP_MODE"),
        (&["deploy"], "COMMAND", "SOFTSTOP_COMMAND"),
        (&["deploy"], "COMMAND_COUNT", "SOFTSTOP_COMMAND"),
        (&["deploy"], "WORKSPACE", "SOFTSTOP_WORKSPACE"),
        (&["release"], "WORKSPACE", "SOFTSTOP_WORKSPACE"),
        (&["status"], "WORKSPACE", "SOFTSTOP_WORKSPACE"),
    ];
    for (arguments, name, full) in rows {
        let finished = Softstop::in_directory(&project.directory, project.scratch())
            .arguments(arguments)
            .env(name, "status")
            .finish();
        let short = name.trim_end_matches("_COUNT");
        finished
            .expect_code(2)
            .expect_said(&format!("{short} is set, but in an image of your own"))
            .expect_said(&format!("call it {full}"));
        assert!(project.store.resources().is_empty(), "{name}");
    }
}

#[test]
fn a_common_name_that_decides_nothing_reaches_the_command_as_it_was() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    let print = "printenv MODE COMMAND WORKSPACE DEBUG; printenv TF_WORKSPACE || echo none";
    let deploy = || {
        Softstop::deploy(&project)
            .env("MODE", "status")
            .env("COMMAND", "false")
            .env("WORKSPACE", "dev")
            .env("DEBUG", "app:*")
            .env("DEBUG_COUNT", "2")
    };
    let finished = deploy().arguments(["--", "sh", "-c", print]).finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "status\nfalse\ndev\napp:*\nnone\n");
    assert!(!finished.stderr.contains("is not known, is"), "{finished}");

    let by_option = ["--workspace", "test", "--", "printenv", "TF_WORKSPACE"];
    let finished = deploy().arguments(by_option).finish();
    assert_eq!(finished.stdout, "test\n", "{finished}");
    let finished = deploy()
        .env("SOFTSTOP_WORKSPACE", "prod")
        .arguments(["--", "printenv", "TF_WORKSPACE"])
        .finish();
    assert_eq!(finished.stdout, "prod\n", "{finished}");
    deploy()
        .arguments(["--debug=maybe", "--", "true"])
        .finish()
        .expect_code(2)
        .expect_said("is \"maybe\": expected true or false");
}

#[test]
fn in_the_pipe_both_names_count_and_the_one_in_full_goes_first() {
    let project = Project::new(Kind::Local, "");
    let pipe = |variables: &[(&str, &str)]| {
        let pipe = Softstop::in_directory(&project.directory, project.scratch());
        let variables = variables.iter();
        variables
            .fold(pipe.arguments(["--pipe"]), |pipe, (name, value)| {
                pipe.env(name, value)
            })
            .finish()
    };
    let finished = pipe(&[("MODE", "deploy"), ("COMMAND", "echo short")]);
    assert_eq!(finished.stdout, "short\n", "{finished}");
    let finished = pipe(&[
        ("MODE", "status"),
        ("SOFTSTOP_MODE", "deploy"),
        ("COMMAND_COUNT", "1"),
        ("COMMAND_0", "echo short"),
        ("SOFTSTOP_COMMAND", "echo full"),
        ("GRACE_PERIOD", "never"),
        ("SOFTSTOP_GRACE_PERIOD", "5s"),
    ]);
    assert_eq!(finished.stdout, "full\n", "{finished}");
    pipe(&[("DEBUG", "app:*")])
        .expect_code(2)
        .expect_said("DEBUG (--debug[=<DEBUG>]) is \"app:*\"");
}
