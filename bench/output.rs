//! How fast a deploy's output passes.

use std::io::{PipeReader, Read, pipe};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::SOFTSTOP;
use crate::measure::{by_turns, ratio, silent, time, verdict};

const ROUNDS: usize = 7;
/// The least that is to pass of what passes `cat`.
const GOAL: f64 = 0.8;
/// How long a slow reader does nothing after each block.
const PAUSE: Duration = Duration::from_millis(1);

struct Row {
    what: &'static str,
    /// Bytes in each write, and how many writes.
    block: usize,
    count: usize,
    reads_slowly: bool,
}

const ROWS: [Row; 3] = [
    Row {
        what: "short lines, 40 bytes each",
        block: 40,
        count: 400_000,
        reads_slowly: false,
    },
    Row {
        what: "long lines, 64 KiB each",
        block: 65_536,
        count: 16_000,
        reads_slowly: false,
    },
    Row {
        what: "64 KiB each, a reader that rests 1 ms after each",
        block: 65_536,
        count: 500,
        reads_slowly: true,
    },
];

pub(crate) fn table() {
    println!("## Output\n");
    println!(
        "From a writer to a reader: by a pipe alone, by `cat` between two pipes, and by softstop. \
         Medians of {ROUNDS}.\n"
    );
    println!("| What | softstop / `cat` | softstop | `cat` | pipe alone | Goal: 80 % of `cat` |");
    println!("|---|---|---|---|---|---|");
    for row in &ROWS {
        let times: [Duration; 3] = by_turns(ROUNDS, |way| time(|| pass(row, way)));
        let [pipe, cat, softstop] = times;
        let speed = |time: Duration| (row.block * row.count) as f64 / time.as_secs_f64() / 1e6;
        println!(
            "| {} | {:.0} % | {:.0} MB/s | {:.0} MB/s | {:.0} MB/s | {} |",
            row.what,
            ratio(cat, softstop) * 100.0,
            speed(softstop),
            speed(cat),
            speed(pipe),
            verdict(ratio(cat, softstop) >= GOAL)
        );
    }
}

/// Lets all of it pass in the way of this number.
fn pass(row: &Row, way: usize) {
    let empty = tempfile::tempdir().unwrap();
    let (block, count) = (format!("bs={}", row.block), format!("count={}", row.count));
    let writer = ["dd", "if=/dev/zero", &block, &count, "status=none"];
    let (reader, out) = pipe().unwrap();
    let mut between = None;
    let mut command = if way == 2 {
        silent(SOFTSTOP, &["deploy", "--"])
    } else {
        Command::new("env")
    };
    command.args(writer).current_dir(empty.path());
    if way == 1 {
        let (source, first) = pipe().unwrap();
        command.stdout(first);
        let mut cat = Command::new("cat");
        between = Some(cat.stdin(source).stdout(out).spawn().unwrap());
    } else {
        command.stdout(out);
    }
    let mut child = command.spawn().unwrap();
    // It holds our copy of the end that is written to.
    drop(command);
    assert_eq!(read(reader, row.reads_slowly), row.block * row.count);
    assert!(child.wait().unwrap().success());
    if let Some(mut cat) = between {
        cat.wait().unwrap();
    }
}

fn read(mut reader: PipeReader, slowly: bool) -> usize {
    let mut buffer = vec![0; 65_536];
    let mut all = 0;
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => return all,
            length => all += length,
        }
        if slowly {
            thread::sleep(PAUSE);
        }
    }
}
