//! How fast a deploy's output passes.

use std::fs;
use std::io::{PipeReader, Read, pipe};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::SOFTSTOP;
use crate::measure::{by_turns, ratio, silent, time, verdict};

const ROUNDS: usize = 7;
/// The least that is to pass of what passes `cat`.
const GOAL: f64 = 0.8;
/// How long a slow reader does nothing after each block.
const PAUSE: Duration = Duration::from_millis(1);

struct Row {
    what: &'static str,
    text: Text,
    reads_slowly: bool,
}

/// What is written.
enum Text {
    /// So many writes of so many bytes each, in which nothing is to be read.
    Zeros { block: usize, count: usize },
    /// What Terraform prints of so many resources, each line of which softstop reads.
    Terraform { resources: usize },
}

const ROWS: [Row; 4] = [
    Row {
        what: "short writes, 40 bytes each",
        text: Text::Zeros {
            block: 40,
            count: 400_000,
        },
        reads_slowly: false,
    },
    Row {
        what: "long writes, 64 KiB each",
        text: Text::Zeros {
            block: 65_536,
            count: 16_000,
        },
        reads_slowly: false,
    },
    Row {
        what: "64 KiB each, a reader that rests 1 ms after each",
        text: Text::Zeros {
            block: 65_536,
            count: 500,
        },
        reads_slowly: true,
    },
    Row {
        what: "a plan and progress of Terraform, 20,000 resources",
        text: Text::Terraform { resources: 20_000 },
        reads_slowly: false,
    },
];

/// The command that writes a text, and how much that is.
struct Writer {
    words: Vec<String>,
    length: usize,
    /// What it reads, where it does.
    _file: Option<NamedTempFile>,
}

impl Text {
    fn writer(&self) -> Writer {
        match *self {
            Self::Zeros { block, count } => {
                let (size, writes) = (format!("bs={block}"), format!("count={count}"));
                let words = ["dd", "if=/dev/zero", &size, &writes, "status=none"];
                Writer {
                    words: words.map(str::to_owned).to_vec(),
                    length: block * count,
                    _file: None,
                }
            }
            Self::Terraform { resources } => {
                let (text, file) = (printed(resources), NamedTempFile::new().unwrap());
                fs::write(&file, &text).unwrap();
                let path = file.path().to_str().unwrap();
                Writer {
                    words: ["cat", path].map(str::to_owned).to_vec(),
                    length: text.len(),
                    _file: Some(file),
                }
            }
        }
    }
}

/// A plan that makes this many resources, and how it is applied, ten at once.
fn printed(resources: usize) -> String {
    const AT_ONCE: usize = 10;
    let all: Vec<String> = (0..resources)
        .map(|number| format!("module.network.aws_subnet.private[\"zone-{number}\"]"))
        .collect();
    let plan = all.iter().map(|address| {
        format!(
            "  # {address} will be created\n  + resource \"aws_subnet\" \"private\" {{\n      \
             + arn               = (known after apply)\n      + availability_zone = \"eu-west-1a\"\n      \
             + cidr_block        = \"10.0.0.0/24\"\n      + id                = (known after apply)\n      \
             + tags              = {{\n          + \"Name\" = \"private\"\n        }}\n    }}\n\n"
        )
    });
    let summary = format!("Plan: {resources} to add, 0 to change, 0 to destroy.\n");
    let progress = all.chunks(AT_ONCE).flat_map(|some| {
        let creating = some.iter().map(|one| format!("{one}: Creating...\n"));
        let still = some
            .iter()
            .map(|one| format!("{one}: Still creating... [10s elapsed]\n"));
        let complete = some.iter().map(|one| {
            format!("{one}: Creation complete after 12s [id=subnet-0123456789abcdef0]\n")
        });
        creating.chain(still).chain(complete)
    });
    plan.chain([summary]).chain(progress).collect()
}

pub(crate) fn table() {
    println!("## Output\n");
    println!(
        "From a writer to a reader: by a pipe alone, by `cat` between two pipes, and by softstop. \
         Medians of {ROUNDS}.\n"
    );
    println!("| What | softstop / `cat` | softstop | `cat` | pipe alone | Goal: 80 % of `cat` |");
    println!("|---|---|---|---|---|---|");
    for row in &ROWS {
        let writer = row.text.writer();
        let times: [Duration; 3] =
            by_turns(ROUNDS, |way| time(|| pass(&writer, row.reads_slowly, way)));
        let [pipe, cat, softstop] = times;
        let speed = |time: Duration| writer.length as f64 / time.as_secs_f64() / 1e6;
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
fn pass(writer: &Writer, slowly: bool, way: usize) {
    let empty = tempfile::tempdir().unwrap();
    let (reader, out) = pipe().unwrap();
    let mut between = None;
    let mut command = if way == 2 {
        silent(SOFTSTOP, &["deploy", "--"])
    } else {
        Command::new("env")
    };
    command.args(&writer.words).current_dir(empty.path());
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
    assert_eq!(read(reader, slowly), writer.length);
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
