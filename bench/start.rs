//! How long it takes until a deploy runs, and until one that does nothing is over.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::SOFTSTOP;
use crate::measure::{by_turns, milliseconds, ratio, silent, time, verdict};

const ROUNDS: usize = 300;
const GOAL: Duration = Duration::from_millis(1);

/// A name, and the words before a command.
const WAYS: [(&str, &[&str]); 5] = [
    ("nothing", &[]),
    ("tini", &["tini", "-s", "--"]),
    ("dumb-init", &["dumb-init"]),
    ("catatonit", &["catatonit"]),
    ("softstop", &[SOFTSTOP, "deploy", "--"]),
];

pub(crate) fn table() {
    let empty = tempfile::tempdir().unwrap();
    let begun: [Duration; 5] = by_turns(ROUNDS, |way| until_it_runs(way, empty.path()));
    let over: [Duration; 5] = by_turns(ROUNDS, |way| until_it_is_over(way, empty.path()));
    println!("## Start and supervise `/bin/true`\n");
    println!(
        "Until a deploy runs: from before the start to what `date` says as the deploy. Medians of \
         {ROUNDS}.\n"
    );
    println!("| With | until a deploy runs | until `/bin/true` is over | times as long as tini |");
    println!("|---|---|---|---|");
    let [_, tini, .., softstop] = over;
    for (way, (name, _)) in WAYS.iter().enumerate() {
        println!(
            "| {name} | {:.2} ms | {:.2} ms | {:.2} |",
            milliseconds(begun[way]),
            milliseconds(over[way]),
            ratio(over[way], tini)
        );
    }
    let [_, begun_by_tini, .., begun_by_softstop] = begun;
    println!(
        "\nGoal: within 1 ms of tini. The deploy runs {:.2} ms later: {}. All is over {:.2} ms later: {}.",
        milliseconds(begun_by_softstop) - milliseconds(begun_by_tini),
        verdict(begun_by_softstop <= begun_by_tini + GOAL),
        milliseconds(softstop) - milliseconds(tini),
        verdict(softstop <= tini + GOAL)
    );
}

/// The words that start a command in the way of this number.
fn started(way: usize, command: &[&'static str]) -> Vec<&'static str> {
    [WAYS[way].1, command].concat()
}

fn until_it_is_over(way: usize, directory: &Path) -> Duration {
    let words = started(way, &["/bin/true"]);
    let mut command = silent(words[0], &words[1..]);
    command.current_dir(directory);
    time(|| assert!(command.status().unwrap().success()))
}

/// The clock of the whole machine tells it, since the deploy is another process.
fn until_it_runs(way: usize, directory: &Path) -> Duration {
    let words = started(way, &["date", "+%s%N"]);
    let mut command = silent(words[0], &words[1..]);
    command.current_dir(directory).stdout(Stdio::piped());
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // Between softstop's own lines.
    let said = text.lines().find_map(|line| line.parse().ok()).unwrap();
    Duration::from_nanos(said).saturating_sub(before)
}
