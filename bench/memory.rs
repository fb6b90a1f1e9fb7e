//! What softstop takes up: on disk, and in memory while it supervises.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::SOFTSTOP;
use crate::measure::{family, kilobytes, silent, verdict};
use crate::support::until;

/// A megabyte, in bytes.
const MEGA: f64 = 1_000_000.0;
const GOAL: f64 = 4.0;

pub(crate) fn table() {
    let size = fs::metadata(SOFTSTOP).unwrap().len() as f64 / MEGA;
    let scratch = tempfile::tempdir().unwrap();
    let script = "touch begun; exec sleep 1000";
    let ways: [(&str, &str, &[&str]); 4] = [
        ("softstop", SOFTSTOP, &["deploy", "--", "sh", "-c", script]),
        ("tini", "tini", &["-s", "--", "sh", "-c", script]),
        ("dumb-init", "dumb-init", &["--", "sh", "-c", script]),
        ("catatonit", "catatonit", &["--", "sh", "-c", script]),
    ];
    println!("## Size and memory\n");
    println!(
        "Proportional memory counts a page that several processes share once in all; softstop is \
         two processes, itself and its guard.\n"
    );
    println!("| With | proportional memory | resident, largest process | processes |");
    println!("|---|---|---|---|");
    let mut proportional_of_softstop = 0.0;
    for (name, program, arguments) in ways {
        let begun = scratch.path().join("begun");
        let mut command: Command = silent(program, arguments);
        let mut child = command.current_dir(scratch.path()).spawn().unwrap();
        until("the command runs", || begun.exists());
        fs::remove_file(begun).unwrap();
        let family = family(child.id());
        let megabytes = |file, name| -> Vec<f64> {
            let of = |pid: &u32| kilobytes(*pid, file, name) as f64 * 1024.0 / MEGA;
            family.iter().map(of).collect()
        };
        let proportional: f64 = megabytes("smaps_rollup", "Pss:").iter().sum();
        let resident = megabytes("status", "VmRSS:")
            .into_iter()
            .fold(0.0, f64::max);
        if name == "softstop" {
            proportional_of_softstop = proportional;
        }
        println!(
            "| {name} | {proportional:.1} MB | {resident:.1} MB | {} |",
            family.len()
        );
        let told = Pid::from_raw(child.id().cast_signed());
        kill(told, Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }
    println!(
        "\nGoal: at most 4 MB of memory while supervising: {:.1} MB, {}. At most 4 MB of binary: \
         {size:.2} MB, {}.",
        proportional_of_softstop,
        verdict(proportional_of_softstop <= GOAL),
        verdict(size <= GOAL)
    );
}
