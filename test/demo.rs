//! The main job as a story: deploys that are stopped, and what becomes of their locks.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use softstop_test_support::http_server::HttpServer;

/// What the deploy makes, one after the other.
const RESOURCES: [&str; 3] = ["network", "database", "service"];

fn main() -> Result<()> {
    let softstop = std::env::args().nth(1).context("usage: demo SOFTSTOP")?;
    let softstop = fs::canonicalize(softstop)?;
    let directory = tempfile::tempdir()?;
    let server = HttpServer::start(true);
    let address = format!("http://{}/state", server.address);
    let backend = format!(
        "terraform {{\n  backend \"http\" {{\n    address = \"{address}\"\n    \
         lock_address = \"{address}\"\n    unlock_address = \"{address}\"\n  }}\n}}\n"
    );
    fs::write(
        directory.path().join("main.tf"),
        format!("{backend}{}", resources()),
    )?;
    fs::write(
        directory.path().join("bitbucket-pipelines.yml"),
        "pipelines: {default: [final: {script: [softstop release]}]}\n",
    )?;
    let deploy = || start(&mut Command::new(&softstop), "deploy", 1, directory.path());
    let begun = directory.path().join("database.begun");

    tell("A deploy of three resources starts. Its state and its lock are on a server.")?;
    let mut first = deploy()?;
    wait_until(|| server.lock().is_some());
    tell(&format!(
        "Terraform has the lock now: {}.",
        holder(&server)?
    ))?;
    wait_until(|| begun.exists());

    tell("The network is there, the database is being made. Somebody stops the step: SIGTERM.")?;
    kill(Pid::from_raw(first.id().cast_signed()), Signal::SIGTERM)?;
    let status = first.wait()?;
    show(&server, status)?;
    ensure!(
        status.code() == Some(143),
        "a deploy stopped by SIGTERM exits with 143"
    );
    ensure!(
        server.lock().is_none(),
        "a deploy that was stopped leaves no lock"
    );

    fs::remove_file(&begun)?;
    tell("The next deploy. In its midst, Terraform is killed: SIGKILL, as when memory runs out.")?;
    let mut second = deploy()?;
    wait_until(|| server.lock().is_some());
    wait_until(|| begun.exists());
    tell(&format!("{} is killed now.", holder(&server)?))?;
    kill_terraform(directory.path())?;
    let status = second.wait()?;
    show(&server, status)?;
    ensure!(
        status.code() == Some(137),
        "a deploy that was killed exits with 137"
    );
    ensure!(
        server.lock().is_none(),
        "the lock of a dead Terraform is released"
    );

    fs::remove_file(&begun)?;
    tell(
        "The next deploy, in a container. Now somebody presses Stop: all its processes are killed.",
    )?;
    let mut third = start(&mut in_container(&softstop), "deploy", 1, directory.path())?;
    wait_until(|| begun.exists());
    third.kill()?;
    let status = third.wait()?;
    show(&server, status)?;
    ensure!(
        server.lock().is_some(),
        "nothing inside survives a kill, so the lock stays"
    );

    tell(
        "The `final:` step of the same pipeline: softstop release. It has no token and no provider.",
    )?;
    let status = start(&mut in_container(&softstop), "release", 2, directory.path())?.wait()?;
    show(&server, status)?;
    ensure!(
        status.success() && server.lock().is_none(),
        "a lock of a step that is over is released"
    );

    tell("The next deploy finds no lock in its way, and finishes.")?;
    let status = deploy()?.wait()?;
    show(&server, status)?;
    ensure!(status.success(), "the last deploy finishes");
    tell("Nobody had to run terraform force-unlock.")
}

/// softstop as the first process of a container; when `unshare` is killed, the kernel kills all
/// that is in it.
fn in_container(softstop: &Path) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(softstop);
    command
}

/// Starts softstop as this step of a pipeline.
fn start(softstop: &mut Command, mode: &str, step: u8, directory: &Path) -> Result<Child> {
    softstop
        .arg(mode)
        .current_dir(directory)
        .env("BITBUCKET_WORKSPACE", "acme")
        .env("BITBUCKET_REPO_SLUG", "infra")
        .env("BITBUCKET_BUILD_NUMBER", "42")
        .env("BITBUCKET_PIPELINE_UUID", uuid(0))
        .env("BITBUCKET_STEP_UUID", uuid(step))
        .env("BITBUCKET_STEP_RUN_NUMBER", "1")
        .env("BITBUCKET_CLONE_DIR", directory)
        .env_remove("TF_CLI_CONFIG_FILE")
        .env("TF_CLI_ARGS_init", "-no-color")
        .env("TF_CLI_ARGS_apply", "-no-color -compact-warnings")
        .spawn()
        .context("softstop cannot be started")
}

fn uuid(number: u8) -> String {
    format!("{{00000000-0000-4000-8000-0000000000{number:02}}}")
}

fn tell(line: &str) -> Result<()> {
    writeln!(io::stderr(), "\n\x1b[1m=== {line}\x1b[0m\n").context("stderr is closed")
}

/// Tells what the server, not softstop, knows after a run.
fn show(server: &HttpServer, status: ExitStatus) -> Result<()> {
    let lock = server.lock().unwrap_or_else(|| "free".to_owned());
    let stored = stored(&server.state().unwrap_or_default()).join(", ");
    tell(&format!(
        "It ended with {status}. The server says: the lock is {lock}; in the state: {stored}."
    ))
}

fn holder(server: &HttpServer) -> Result<String> {
    let lock: Value = serde_json::from_str(&server.lock().context("the lock is free")?)?;
    Ok(format!("lock {}, held by {}", lock["ID"], lock["Who"]))
}

/// The configuration of the resources. Each takes two seconds, and says when it begins.
fn resources() -> String {
    let mut before = String::new();
    let blocks = RESOURCES.map(|name| {
        let block = format!(
            "resource \"terraform_data\" \"{name}\" {{\n  depends_on = [{before}]\n  \
             provisioner \"local-exec\" {{ command = \"touch {name}.begun; sleep 2\" }}\n}}\n"
        );
        before = format!("terraform_data.{name}");
        block
    });
    blocks.concat()
}

/// The names of the stored resources; what was interrupted is stored as tainted, and is made anew.
fn stored(state: &str) -> Vec<String> {
    let state: Value = serde_json::from_str(state).unwrap_or_default();
    let resources = state["resources"].as_array().cloned().unwrap_or_default();
    resources
        .iter()
        .filter_map(|resource| {
            let name = resource["name"].as_str()?;
            let is_tainted = resource["instances"][0]["status"] == "tainted";
            Some(format!(
                "{name}{}",
                if is_tainted { " (tainted)" } else { "" }
            ))
        })
        .collect()
}

fn kill_terraform(directory: &Path) -> Result<()> {
    let directory = fs::canonicalize(directory)?;
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let is_terraform = fs::read_to_string(process.join("comm"))
            .is_ok_and(|name| name.trim() == "terraform")
            && fs::read_link(process.join("cwd")).is_ok_and(|place| place == directory);
        let pid = process
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        if let (true, Some(pid)) = (is_terraform, pid) {
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        }
    }
    Ok(())
}

fn wait_until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        thread::sleep(Duration::from_millis(20));
    }
}
