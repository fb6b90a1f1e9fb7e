//! The first process of a container hears a signal as early as any program can.
//!
//! The kernel drops a signal for it that comes before a line of it was run, so what counts is how many
//! more are lost than by a program that does nothing but listen from its first line on.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::stop::compile;
use crate::support::softstop::TOKEN;
use crate::support::{Kind, Project};

/// Up to when a signal is sent, in microseconds after the start.
const LATEST: usize = 200_000;
/// More starts tell more, and take longer: a whole sweep has 500.
const STARTS: &str = "SOFTSTOP_TEST_STARTS";
/// How many files lie in the directory of a deploy that has many.
const FILES: usize = 20_000;
/// Of so many starts, softstop may lose one more: a larger program is loaded a little later.
const ONE_IN: usize = 20;
const SIDE_BY_SIDE: usize = 2;

/// A program that is started again and again.
struct Contestant {
    command: Vec<String>,
    token: Option<&'static str>,
    lost: AtomicUsize,
}

impl Contestant {
    fn new(command: &[&str]) -> Self {
        Self {
            command: command.iter().map(ToString::to_string).collect(),
            token: None,
            lost: AtomicUsize::new(0),
        }
    }

    fn softstop(directory: &Path) -> Self {
        Self::named(Path::new(env!("CARGO_BIN_EXE_softstop")), directory)
    }

    fn named(softstop: &Path, directory: &Path) -> Self {
        let [softstop, directory] = [softstop, directory].map(|path| path.to_str().unwrap());
        Self::new(&[
            softstop,
            "deploy",
            "--working-dir",
            directory,
            "--",
            "sleep",
            "1",
        ])
    }

    fn with_a_token(mut self) -> Self {
        self.token = Some(TOKEN);
        self
    }

    /// Starts it, and asks it to stop so many microseconds later.
    fn start(&self, first: &Path, delay: usize) {
        let mut command = Command::new(first);
        command
            .arg(delay.to_string())
            .args(&self.command)
            .envs(self.token.map(|token| ("BITBUCKET_ACCESS_TOKEN", token)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match command.status().unwrap().code() {
            Some(143) => {}
            Some(0) => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
            code => panic!("{:?} ended with {code:?}", self.command),
        }
    }

    fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

#[test]
fn the_first_process_of_a_container_loses_no_signal_that_could_be_heard() {
    let starts = env::var(STARTS).map_or(120, |starts| starts.parse().unwrap());
    let project = Project::new(Kind::Local, "");
    let [first, yardstick] = ["first", "yardstick"].map(|name| {
        let program = project.scratch().join(name);
        compile(&format!("{name}.c"), &program);
        program
    });
    let [empty, full] = ["empty", "full"].map(|name| project.scratch().join(name));
    for (directory, files) in [(&empty, 0), (&full, FILES)] {
        fs::create_dir(directory).unwrap();
        for number in 0..files {
            fs::write(directory.join(number.to_string()), "").unwrap();
        }
    }
    let yardstick = Contestant::new(&[yardstick.to_str().unwrap()]);
    // It looks first whether it stands in for a program of that name.
    let renamed = project.scratch().join("deployer");
    symlink(env!("CARGO_BIN_EXE_softstop"), &renamed).unwrap();
    let contestants = [
        Contestant::named(&renamed, &empty),
        Contestant::softstop(&empty),
        Contestant::softstop(&empty).with_a_token(),
        Contestant::softstop(&full),
        Contestant::softstop(&full).with_a_token(),
    ];
    let next = AtomicUsize::new(0);
    let sweep = || loop {
        let start = next.fetch_add(1, Ordering::Relaxed);
        if start >= starts {
            break;
        }
        for contestant in [&yardstick].into_iter().chain(&contestants) {
            contestant.start(&first, start * LATEST / starts);
        }
    };
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(sweep);
        }
    });
    let allowed = yardstick.lost() + starts / ONE_IN;
    let lost = contestants.each_ref().map(Contestant::lost);
    eprintln!(
        "of {starts} signals, the yardstick has lost {}, and softstop {lost:?}",
        yardstick.lost()
    );
    assert!(lost.iter().all(|lost| *lost <= allowed));
}
