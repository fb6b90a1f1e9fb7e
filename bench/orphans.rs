//! What it costs to reap what a deploy leaves behind.

use std::fs;
use std::time::Duration;

use crate::SOFTSTOP;
use crate::measure::{children, milliseconds, processor_time, ratio, silent};
use crate::support::until;

const ORPHANS: u32 = 10_000;

pub(crate) fn table() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().display();
    let script = format!(
        "touch {path}/begun; until [ -e {path}/go ]; do sleep 0.01; done\n\
         i=0; while [ $i -lt {ORPHANS} ]; do (: &); i=$((i + 1)); done\n\
         touch {path}/done; until [ -e {path}/end ]; do sleep 0.01; done"
    );
    let ways: [(&str, &[&str]); 4] = [
        ("tini", &["tini", "--"]),
        ("dumb-init", &["dumb-init", "--"]),
        ("catatonit", &["catatonit", "--"]),
        ("softstop", &[SOFTSTOP, "deploy", "--"]),
    ];
    let times = ways.map(|(_, way)| {
        // The first process of its namespace, as in a container, is who has to reap.
        let pid_1 = ["--pid", "--fork", "--mount-proc", "--kill-child"];
        let mut command = silent("unshare", &pid_1);
        command.args(way).args(["sh", "-c", &script]);
        let mut child = command.current_dir(scratch.path()).spawn().unwrap();
        until("it begins", || scratch.path().join("begun").exists());
        let [pid] = children(child.id())[..] else {
            panic!("unshare has one child");
        };
        let before = processor_time(pid);
        fs::write(scratch.path().join("go"), "").unwrap();
        until("all have begun and ended", || {
            scratch.path().join("done").exists()
        });
        until("all are reaped", || children(pid).len() == 1);
        let used = processor_time(pid).saturating_sub(before);
        fs::write(scratch.path().join("end"), "").unwrap();
        assert!(child.wait().unwrap().success());
        for name in ["begun", "go", "done", "end"] {
            fs::remove_file(scratch.path().join(name)).unwrap();
        }
        used
    });
    println!("## 10,000 short-lived orphans\n");
    println!("Processor time of PID 1 of a namespace, in one run.\n");
    println!("| With | times as much as tini | processor time | for each |\n|---|---|---|---|");
    for ((name, _), time) in ways.iter().zip(times) {
        let each: Duration = time / ORPHANS;
        println!(
            "| {name} | {:.1} | {:.0} ms | {} µs |",
            ratio(time, times[0]),
            milliseconds(time),
            each.as_micros()
        );
    }
}
