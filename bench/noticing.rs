//! What it costs to notice the tools that a deploy starts.

use std::fs;
use std::time::Duration;

use crate::SOFTSTOP;
use crate::measure::{by_turns, silent, time};

const ROUNDS: usize = 5;
const STARTS: u32 = 1_000;

pub(crate) fn table() {
    let scratch = tempfile::tempdir().unwrap();
    let programs = scratch.path().join("programs");
    fs::create_dir(&programs).unwrap();
    // Both end at once; only one has the name of a tool.
    for name in ["terraform", "nothing"] {
        fs::copy("/bin/true", programs.join(name)).unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let ways: [(&str, &[&str], &str); 4] = [
        ("tini", &["tini", "-s", "--"], "nothing"),
        ("tini", &["tini", "-s", "--"], "terraform"),
        ("softstop", &[SOFTSTOP, "deploy", "--"], "nothing"),
        ("softstop", &[SOFTSTOP, "deploy", "--"], "terraform"),
    ];
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let times: [Duration; 4] = by_turns(ROUNDS, |way| {
        let (_, starter, program) = ways[way];
        let script =
            format!("i=0; while [ $i -lt {STARTS} ]; do {program} fmt; i=$((i + 1)); done");
        let mut command = silent(starter[0], &starter[1..]);
        command.args(["sh", "-c", &script]);
        command.current_dir(&empty).env("PATH", &path);
        time(|| assert!(command.status().unwrap().success()))
    });
    println!("## The cost of noticing\n");
    println!(
        "A shell starts a program {STARTS} times that does nothing, once under the name of a tool, \
         which softstop notices, and once not. Medians of {ROUNDS}, by start.\n"
    );
    println!("| With | program | for each start |\n|---|---|---|");
    for ((name, _, program), time) in ways.iter().zip(times) {
        println!(
            "| {name} | {program} | {} µs |",
            (time / STARTS).as_micros()
        );
    }
    let [by_tini, noticed_by_none, unnoticed, noticed] = times.map(|time| time / STARTS);
    let cost =
        (noticed.saturating_sub(unnoticed)).saturating_sub(noticed_by_none.saturating_sub(by_tini));
    println!("\nTo notice a tool costs {} µs.", cost.as_micros());
}
