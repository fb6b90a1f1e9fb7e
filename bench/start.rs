//! How long it takes to start `/bin/true`, supervise it, and end.

use std::process::Command;
use std::time::Duration;

use crate::SOFTSTOP;
use crate::measure::{by_turns, milliseconds, ratio, silent, time, verdict};

const ROUNDS: usize = 300;
const GOAL: Duration = Duration::from_millis(1);

pub(crate) fn table() {
    let empty = tempfile::tempdir().unwrap();
    let ways: [(&str, &str, &[&str]); 5] = [
        ("nothing", "/bin/true", &[]),
        ("tini", "tini", &["-s", "--", "/bin/true"]),
        ("dumb-init", "dumb-init", &["/bin/true"]),
        ("catatonit", "catatonit", &["/bin/true"]),
        ("softstop", SOFTSTOP, &["deploy", "--", "/bin/true"]),
    ];
    let times: [Duration; 5] = by_turns(ROUNDS, |way| {
        let (_, program, arguments) = ways[way];
        let mut command: Command = silent(program, arguments);
        command.current_dir(empty.path());
        time(|| assert!(command.status().unwrap().success()))
    });
    let [_, tini, .., softstop] = times;
    println!("## Start and supervise `/bin/true`\n");
    println!("| With | times as long as tini | median of {ROUNDS} |\n|---|---|---|");
    for ((name, ..), time) in ways.iter().zip(times) {
        println!(
            "| {name} | {:.2} | {:.2} ms |",
            ratio(time, tini),
            milliseconds(time)
        );
    }
    println!(
        "\nGoal: within 1 ms of tini. It takes {:.2} ms more: {}.",
        milliseconds(softstop) - milliseconds(tini),
        verdict(softstop <= tini + GOAL)
    );
}
