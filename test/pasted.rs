//! What is printed to be pasted works when it is pasted.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::tls::Tls;
use crate::support::{Finished, Kind, Program, Project, Softstop, Store, each, lock_of, prepared};

/// What stands before a command that releases a lock, which is alone on its line.
pub(crate) const BY_HAND: &str = "release it by hand:\n  ";

/// What is printed behind these words, until the end of the line.
#[track_caller]
pub(crate) fn printed<'a>(finished: &'a Finished, words: &str) -> &'a str {
    let (_, after) = finished.stderr.split_once(words).expect("it is printed");
    let command = after.lines().next().unwrap();
    assert!(!command.ends_with('.'), "{command}");
    assert!(!command.contains("s3cret"), "{command}");
    command
}

/// Pastes a command into a new shell in this directory, and types these lines when it asks.
#[track_caller]
pub(crate) fn paste(command: &str, directory: &Path, variables: &[(&str, &str)], typed: &str) {
    let mut shell = Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_CLI_CONFIG_FILE")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that asks for nothing may have ended already.
    let _ = shell.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}\n{output:?}");
}

/// Pastes what a release prints about a lock of `who` into a shell in a fresh clone.
#[track_caller]
pub(crate) fn release_and_paste(project: &Project, softstop: Softstop, typed: &str) -> String {
    let finished = softstop.finish();
    finished.expect_code(3);
    let command = printed(&finished, BY_HAND).to_owned();
    let cli_config = project.cli_config().display().to_string();
    let variables = [("TF_CLI_CONFIG_FILE", cli_config.as_str())];
    paste(&command, &project.clone_files(), &variables, typed);
    command
}

/// A lock of a person's, whose ID looks like an option.
pub(crate) fn odd_lock() -> serde_json::Value {
    let mut lock = lock_of("root@macbook");
    lock["ID"] = "-help".into();
    lock
}

#[test]
fn a_lock_is_released_on_every_backend_also_where_its_id_looks_like_an_option() {
    each(&Kind::LASTING, |kind| {
        let project = Project::new(kind, &thing("a", ""));
        // Where there is no state, nothing can be pasted on some of them.
        project.run_terraform(&["init", "-input=false"]);
        project.store.set_lock(&odd_lock());
        release_and_paste(&project, Softstop::release(&project), "");
        assert_eq!(project.store.lock(), None, "{kind:?}");
    });
}

/// The project with a state of its own in the workspace `stage`, and one in `default`.
fn with_stage(kind: Kind) -> (Project, Store) {
    let project = Project::new(kind, &thing("a", ""));
    project.run_terraform(&["init"]);
    project.run_terraform(&["apply", "-auto-approve"]);
    project.run_terraform(&["workspace", "new", "stage"]);
    project.run_terraform(&["workspace", "select", "default"]);
    let stage = project.store.of_workspace("stage");
    (project, stage)
}

#[test]
fn the_lock_of_a_workspace_is_released_from_above_whatever_the_directory_is_called() {
    each(
        &[Kind::S3Lockfile, Kind::S3DynamoDb, Kind::S3Both],
        |kind| {
            let (project, stage) = with_stage(kind);
            let lock = lock_of("root@macbook");
            stage.set_lock(&lock);
            project.store.set_lock(&lock);
            let name = "it's a \"$HOME\" clone";
            let checkouts = ["one", "another"].map(|checkout| {
                let checkout = project.scratch().join(checkout);
                fs::create_dir(&checkout).unwrap();
                fs::rename(project.clone_files(), checkout.join(name)).unwrap();
                checkout
            });
            let finished = Softstop::in_directory(&checkouts[0], project.scratch())
                .arguments(["release", "--working-dir", name, "--workspace", "stage"])
                .env("TF_CLI_CONFIG_FILE", project.cli_config())
                .finish();
            finished.expect_code(3);
            let command = printed(&finished, BY_HAND);
            let cli_config = project.cli_config().display().to_string();
            let variables = [("TF_CLI_CONFIG_FILE", cli_config.as_str())];
            paste(command, &checkouts[1], &variables, "");
            assert_eq!(stage.lock(), None, "{command}");
            assert!(project.store.lock().is_some(), "{command}");
        },
    );
}

#[test]
fn a_selected_workspace_that_is_gone_stands_in_the_way_of_nothing() {
    let (project, stage) = with_stage(Kind::S3Lockfile);
    stage.set_lock(&lock_of("root@macbook"));
    let finished = Softstop::release(&project)
        .arguments(["--workspace", "stage"])
        .finish();
    finished.expect_code(3);
    let command = printed(&finished, BY_HAND);
    let checkout = project.clone_files();
    let select = |directory: &Path| {
        let data = directory.join(".terraform");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("environment"), "gone").unwrap();
    };
    select(&checkout);
    let cli_config = project.cli_config().display().to_string();
    let variables = [("TF_CLI_CONFIG_FILE", cli_config.as_str())];
    paste(command, &checkout, &variables, "");
    assert_eq!(stage.lock(), None, "{command}");
    // A cache of an earlier build may have brought it.
    select(&project.directory);
    let deploy = Softstop::deploy(&project).env("SOFTSTOP_WORKSPACE", "stage");
    deploy.finish().expect_code(0);
    assert_eq!(stage.resources(), ["a"]);
    let deploy = Softstop::deploy(&project).finish();
    let gone = project.store.of_workspace("gone");
    assert_eq!(gone.state(), None, "{deploy}");
}

#[test]
fn the_lock_of_a_partial_block_is_released_and_its_secrets_are_asked_for() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let block = project.store.block();
    let lines: Vec<_> = block.lines().collect();
    let settings = lines[1..lines.len() - 1].iter();
    let settings = settings.filter(|line| !line.contains("_key") && !line.starts_with("key"));
    let settings: Vec<&str> = settings.copied().collect();
    project.write("backend.tf", "terraform {\n  backend \"s3\" {}\n}\n");
    let file = project.scratch().join("prod:eu");
    fs::write(&file, settings.join("\n")).unwrap();
    project.store.set_lock(&odd_lock());
    let given = [
        "key=deploy/state.tfstate",
        &file.display().to_string(),
        "access_key=s3cret",
        "secret_key=s3cret' \"\\$x",
    ];
    let softstop = given
        .iter()
        .fold(Softstop::release(&project), |softstop, given| {
            softstop.arguments(["--backend-config", given])
        });
    let typed = "test\nodd' \"\\$x;`&\n";
    let command = release_and_paste(&project, softstop, typed);
    assert_eq!(project.store.lock(), None, "{command}");
}

#[test]
fn the_program_of_the_deploy_is_named() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let pinned = project.script("terraform-pinned", "exec terraform \"$@\"\n");
    project.store.set_lock(&odd_lock());
    let softstop = Softstop::release(&project).env("TERRAFORM_BIN", &pinned);
    let command = release_and_paste(&project, softstop, "");
    assert!(command.contains(&pinned.display().to_string()), "{command}");
    assert_eq!(project.store.lock(), None, "{command}");
}

/// Pastes what a deploy prints about a state that it could not store, in a fresh clone that has been
/// given the file.
#[track_caller]
pub(crate) fn store_and_paste(project: &Project, finished: &Finished) -> String {
    let command = printed(finished, "has been stored meanwhile: ").to_owned();
    let clone = project.clone_files();
    let file = "errored.tfstate";
    fs::copy(project.directory.join(file), clone.join(file)).unwrap();
    let cli_config = project.cli_config().display().to_string();
    paste(&command, &clone, &[("TF_CLI_CONFIG_FILE", &cli_config)], "");
    command
}

#[test]
fn a_state_is_stored_on_every_server_by_either_program() {
    let of_kind = |kind| Program::ALL.map(|program| (kind, program));
    let all: Vec<_> = Kind::LASTING.into_iter().flat_map(of_kind).collect();
    each(&all, |(kind, program)| {
        let project = Project::slow_of(program, kind);
        let run = Softstop::deploy(&project).start();
        let gate = project.gate("a.gate");
        gate.wait_until_reached();
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.fail(&project.store.state_write(), Fault::Forbid, u32::MAX);
        gate.open();
        let finished = run.finish();
        proxy.recover();
        let command = store_and_paste(&project, &finished);
        assert_eq!(project.store.resources(), ["a"], "{kind:?} {command}");
        assert_eq!(project.store.lock(), None, "{kind:?} {command}");
    });
}

#[test]
fn a_state_is_stored_in_the_workspace_that_it_is_of_whoever_chose_that() {
    const BY_COMMAND: &str = "terraform init; export TF_WORKSPACE=stage
        terraform apply -auto-approve";
    each(
        &[
            ("SOFTSTOP_WORKSPACE", "stage"),
            ("SOFTSTOP_COMMAND", BY_COMMAND),
        ],
        |variable| {
            let (project, stage) = with_stage(Kind::S3Lockfile);
            let before = project.store.state();
            let proxy = project.store.proxy.as_ref().unwrap();
            proxy.fail(
                "/stage/deploy/state.tfstate?x-id=PutObject",
                Fault::Refuse,
                100,
            );
            let finished = Softstop::deploy(&project)
                .env(variable.0, variable.1)
                .finish();
            proxy.recover();
            let command = store_and_paste(&project, &finished);
            assert_eq!(stage.resources(), ["a"], "{command}");
            assert_eq!(project.store.state(), before, "{command}");
        },
    );
}

#[test]
fn a_state_is_stored_by_the_settings_with_which_it_was_made() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let block = project.store.block();
    let lines: Vec<_> = block.lines().collect();
    project.write("prod.hcl", &lines[1..lines.len() - 1].join("\n"));
    project.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    project.store.http.as_ref().unwrap().refuse_posts(100);
    // A version manager chooses the program by the directory, wherever that may be.
    fs::create_dir(project.scratch().join("shims")).unwrap();
    let chosen = project.scratch().join("terraform");
    fs::copy(prepared("SOFTSTOP_TEST_TERRAFORM"), &chosen).unwrap();
    let choose = format!("exec {} \"$@\"\n", chosen.display());
    let manager = project.script("shims/terraform", &choose);
    let path = std::env::var("PATH").unwrap();
    let finished = Softstop::deploy(&project)
        .env("BACKEND_CONFIG", "prod.hcl")
        .env(
            "PATH",
            format!("{}:{path}", manager.parent().unwrap().display()),
        )
        .finish();
    project.store.http.as_ref().unwrap().refuse_posts(0);
    let command = store_and_paste(&project, &finished);
    assert!(
        command.contains("=default terraform state push"),
        "{command}"
    );
    assert_eq!(project.store.resources(), ["a"], "{command}");
}

/// A backend block with this address for everything.
fn http_block(address: &str, settings: &str) -> String {
    format!(
        "terraform {{\n  backend \"http\" {{\n    address = \"{address}\"\n    lock_address = \
         \"{address}\"\n    unlock_address = \"{address}\"\n{settings}\n  }}\n}}\n"
    )
}

/// Pastes what a release prints about a lock of an http backend.
#[track_caller]
fn release_http(
    project: &Project,
    block: &str,
    variables: &[(&str, &str)],
    pasted_with: &[(&str, &str)],
    typed: &str,
) -> String {
    project.write("backend.tf", block);
    project.store.set_lock(&odd_lock());
    let softstop = Softstop::release(project);
    let with = |softstop: Softstop, (name, value): &(&str, &str)| softstop.env(name, value);
    let finished = variables.iter().fold(softstop, with).finish();
    finished.expect_code(3);
    let command = printed(&finished, BY_HAND);
    paste(command, project.scratch(), pasted_with, typed);
    assert_eq!(project.store.lock(), None, "{command}");
    command.to_owned()
}

#[test]
fn a_query_is_kept_and_what_it_keeps_secret_is_asked_for() {
    let project = Project::new(Kind::HttpStrict, "");
    let http = project.store.http.as_ref().unwrap();
    let address = format!("http://{}/a'b/state", http.address);
    let block = http_block(&format!("{address}?project=network&env=prod"), "");
    let command = release_http(&project, &block, &[], &[], "");
    assert!(command.starts_with("curl "), "{command}");
    let unlocked = || http.last_unlocked().unwrap();
    assert_eq!(unlocked(), "/a'b/state?project=network&env=prod");

    let query = "?token=s3cret&project=network&sig=s3cret&x[]=s3cret";
    let block = http_block(&format!("{address}{query}"), "");
    release_http(&project, &block, &[], &[], "one\ntwo%22\nthree\n");
    assert_eq!(
        unlocked(),
        "/a'b/state?token=one&project=network&sig=two%22&x[]=three"
    );
}

#[test]
fn a_password_is_read_from_where_it_stands_or_asked_for() {
    // `anna:pa"s\s` and `s3cret:s3cret`.
    const ANNA: &str = "Basic YW5uYTpwYSJzXHM=";
    const WRITTEN: &str = "Basic czNjcmV0OnMzY3JldA==";
    let project = Project::new(Kind::HttpStrict, "");
    let http = project.store.http.as_ref().unwrap();
    let address = format!("http://{}/state", http.address);
    let variables = [
        ("TF_HTTP_USERNAME", "anna"),
        ("TF_HTTP_PASSWORD", "pa\"s\\s"),
    ];
    let plain = http_block(&address, "");
    release_http(&project, &plain, &variables, &variables, "");
    assert_eq!(http.last_credentials().as_deref(), Some(ANNA));
    release_http(&project, &plain, &variables, &[], "anna\npa\"s\\s\n");
    assert_eq!(http.last_credentials().as_deref(), Some(ANNA));

    // What is written goes before what a variable says.
    let settings = "username = \"s3cret\"\npassword = \"s3cret\"";
    let written = http_block(&address, settings);
    release_http(
        &project,
        &written,
        &variables,
        &variables,
        "s3cret\ns3cret\n",
    );
    assert_eq!(http.last_credentials().as_deref(), Some(WRITTEN));
    let headers = "headers = { Authorization = \"s3cret\" }";
    let with_headers = http_block(&address, headers);
    release_http(&project, &with_headers, &[], &[], "Bearer s3cret\n");
    assert_eq!(http.last_credentials().as_deref(), Some("Bearer s3cret"));
    let in_address = http_block(&address.replace("//", "//s3cret:s3cret@"), "");
    release_http(&project, &in_address, &[], &[], "s3cret\ns3cret\n");
    assert_eq!(http.last_credentials().as_deref(), Some(WRITTEN));
}

#[test]
fn a_lock_that_a_look_may_have_left_is_released_by_what_is_printed_last() {
    let project = Project::new(Kind::HttpStrict, "");
    let http = project.store.http.as_ref().unwrap();
    http.lose_answer_to("UNLOCK");
    let finished = Softstop::release(&project).finish();
    finished.expect_code(4);
    let command = printed(&finished, "release it by hand: ");
    let (_, id) = command.split_once("\"ID\":\"").unwrap();
    let mut lock = lock_of("root@macbook");
    lock["ID"] = id.split('"').next().unwrap().into();
    project.store.set_lock(&lock);
    paste(command, project.scratch(), &[], "");
    assert_eq!(project.store.lock(), None, "{command}");
}

#[test]
fn certificates_and_keys_are_used_from_where_they_stand() {
    let project = Project::new(Kind::HttpStrict, "");
    let tls = Tls::before(&project);
    let address = format!("https://127.0.0.1:{}/state", tls.port);
    let [authority, certificate, key] =
        ["authority.pem", "client.pem", "client.key"].map(|name| tls.read(name));
    let client = [
        ("TF_HTTP_CLIENT_CERTIFICATE_PEM", certificate.as_str()),
        ("TF_HTTP_CLIENT_PRIVATE_KEY_PEM", key.as_str()),
    ];
    let own = ("TF_HTTP_CLIENT_CA_CERTIFICATE_PEM", authority.as_str());
    let all = [client[0], client[1], own];
    let user = ("TF_HTTP_USERNAME", "anna");

    let plain = http_block(&address, "");
    release_http(&project, &plain, &all, &all, "");
    let with_user = [client[0], client[1], own, user];
    release_http(&project, &plain, &with_user, &with_user, "pass\n");

    let unverified = http_block(&address, "skip_cert_verification = true");
    let command = release_http(&project, &unverified, &client, &client, "");
    assert!(command.contains("--insecure"), "{command}");

    // What is written in the configuration is in a file somewhere.
    let settings = format!("client_ca_certificate_pem = <<E\n{authority}E\n");
    let written = http_block(&address, &settings);
    let file = tls.directory.join("authority.pem");
    let typed = format!("{}\n", file.display());
    release_http(&project, &written, &client, &client, &typed);
}
