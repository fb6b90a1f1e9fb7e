//! How often what supervises a deploy wakes up while nothing happens.

use std::array;
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::SOFTSTOP;
use crate::measure::{context_switches, family, silent, verdict};
use crate::support::until;

const WATCHED_FOR: Duration = Duration::from_secs(20);
/// By then nobody is busy with the start any more.
const SETTLES_IN: Duration = Duration::from_secs(2);

pub(crate) fn table() {
    let scratch = tempfile::tempdir().unwrap();
    let tool = scratch.path().join("terraform");
    fs::copy("/bin/sleep", &tool).unwrap();
    let ways: [(&str, &[&str]); 4] = [
        ("tini", &["tini", "-s", "--"]),
        ("dumb-init", &["dumb-init", "--"]),
        ("catatonit", &["catatonit", "--"]),
        ("softstop", &[SOFTSTOP, "deploy", "--"]),
    ];
    let deploys = ways.map(|(name, way)| {
        let begun = scratch.path().join(name);
        let script = format!("touch {}; exec {} 1000", begun.display(), tool.display());
        let mut command: Command = silent(way[0], &way[1..]);
        command.args(["sh", "-c", &script]);
        // Whoever else starts the Terraform in PATH is heard, and counts for nothing here.
        command
            .current_dir(scratch.path())
            .env("PATH", "/usr/bin:/bin");
        let child = command.spawn().unwrap();
        until("the deploy sleeps", || begun.exists());
        child
    });
    thread::sleep(SETTLES_IN);
    let switches = || {
        let of = |child: &Child| family(child.id()).into_iter().map(context_switches);
        deploys.each_ref().map(|child| of(child).sum::<u64>())
    };
    let before = switches();
    thread::sleep(WATCHED_FOR);
    let after = switches();
    let switched: [u64; 4] = array::from_fn(|way| after[way] - before[way]);
    let seconds = WATCHED_FOR.as_secs();
    println!("## Idle\n");
    println!(
        "Context switches in {seconds} s in which a deploy, under the name of a tool, sleeps; of \
         softstop and its guard together.\n"
    );
    println!("| With | context switches |\n|---|---|");
    for ((name, _), switched) in ways.iter().zip(switched) {
        println!("| {name} | {switched} |");
    }
    let [.., of_softstop] = switched;
    println!(
        "\nGoal: at most one a second: {}.",
        verdict(of_softstop <= seconds)
    );
    for mut child in deploys {
        let told = Pid::from_raw(child.id().cast_signed());
        kill(told, Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }
}
