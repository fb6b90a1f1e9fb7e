//! Terraforms before 1.1 run themselves twice: the outer one ignores SIGINT, and the inner one, with the
//! same command line, does the work.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Step, each, prepared};

const VERSIONS: [(&str, &str); 4] = [
    ("0-12", "0.12.29"),
    ("0-13", "0.13.4"),
    ("0-14", "0.14.6"),
    ("0-15", "0.15.0"),
];

/// The provider that these speak with, where 0.12 looks for it, and where the others do.
pub(super) fn lay_out_plugins(plugins: &Path) {
    let theirs = plugins.join("example.com/test/slow/1.0.0/linux_amd64");
    fs::create_dir_all(&theirs).unwrap();
    let provider = prepared("SOFTSTOP_TEST_OLD_PROVIDER");
    for directory in [plugins, &theirs] {
        symlink(&provider, directory.join("terraform-provider-slow_v1.0.0")).unwrap();
    }
}

/// The search path that leads to this old Terraform first.
fn path_to(name: &str) -> String {
    let terraform = Path::new(&prepared("SOFTSTOP_TEST_OLD_TERRAFORMS")).join(name);
    format!("{}:{}", terraform.display(), env::var("PATH").unwrap())
}

/// A deploy by this old Terraform.
pub(super) fn deploy(project: &Project, name: &str) -> Softstop {
    let plugins = project.scratch().join("plugins");
    Softstop::deploy(project)
        .env("SOFTSTOP_DEBUG", "true")
        .env("PATH", path_to(name))
        .env(
            "TF_CLI_ARGS_init",
            format!("-plugin-dir={}", plugins.display()),
        )
}

/// Their `init` ends in no workspace that is not there yet.
#[test]
fn an_old_terraform_makes_a_workspace_and_finds_it_again() {
    each(&VERSIONS, |(name, _)| {
        let project = Project::new(Kind::Local, &thing("a", ""));
        lay_out_plugins(&project.scratch().join("plugins"));
        let deploy_to_it = || {
            let finished = deploy(&project, name)
                .env("SOFTSTOP_WORKSPACE", "prod")
                .finish();
            finished.expect_code(0);
            let state = project.directory.join("terraform.tfstate.d/prod");
            assert!(
                state.join("terraform.tfstate").exists(),
                "{name}: {finished}"
            );
            assert!(project.store.resources().is_empty(), "{name}: {finished}");
        };
        deploy_to_it();
        deploy_to_it();
    });
}

/// These lose by themselves what they have made when they are interrupted during the first deploy to a
/// backend, so here it is the second one.
#[test]
fn of_the_two_processes_of_an_old_terraform_one_is_interrupted_and_what_it_made_is_stored() {
    let stop = |(name, version): (&str, &str), kind: Kind| {
        let project = Project::new(kind, &thing("first", ""));
        lay_out_plugins(&project.scratch().join("plugins"));
        deploy(&project, name).finish().expect_code(0);
        let both = thing("first", "") + &thing("a", "create_gate = \"GATES/a.gate\"");
        project.write("main.tf", &project.with_gates(&both));
        let run = deploy(&project, name).start();
        let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
        finished.expect_code(143);
        let sent = finished.stderr.matches("SIGINT to process").count();
        assert_eq!(sent, 1, "{version}, {kind:?}: {finished}");
        assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
        assert_eq!(
            project.store.lock(),
            None,
            "{version}, {kind:?}: {finished}"
        );
        let stored = project.store.resources();
        assert_eq!(stored, ["a", "first"], "{version}, {kind:?}: {finished}");
    };
    for kind in [Kind::HttpStrict, Kind::Local] {
        each(&VERSIONS, |version| stop(version, kind));
    }
}

#[test]
fn the_table_of_terraform_0_12_is_asked_where_its_configuration_calls_it_as_no_later_one_does() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::S3DynamoDb, &step);
    let address = project.store.proxy.as_ref().unwrap().address;
    let block = project.store.block();
    let is_later = |line: &&str| {
        let later = ["endpoints", "skip_requesting_account_id"];
        !later.iter().any(|name| line.starts_with(name))
    };
    let block: Vec<&str> = block.lines().filter(is_later).collect();
    let block = block
        .join("\n")
        .replace("dynamodb_table", "lock_table")
        .replace("use_path_style", "force_path_style")
        .replace(
            "max_retries",
            &format!("endpoint = \"http://{address}\"\ndynamodb_endpoint = \"http://{address}\"\nmax_retries"),
        );
    project.write("backend.tf", &format!("terraform {{\n{block}\n}}\n"));
    let release = Softstop::release(&project).in_step(&step.run_again());
    let finished = release.env("PATH", path_to("0-12")).finish();
    finished.expect_code(0).expect_said("1 released");
    assert_eq!(project.store.lock(), None, "{finished}");
}
