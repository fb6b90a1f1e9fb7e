//! What a look at DynamoDB costs, where `untaint` has to take the lock for a moment.

use std::time::Duration;

use crate::measure::{by_turns, milliseconds, time};
use crate::support::{Kind, Project, Softstop};

const ROUNDS: usize = 9;
/// Both ask by `force-unlock`, and only a table does not tell whether nobody has the lock.
const KINDS: [Kind; 2] = [Kind::S3Lockfile, Kind::S3DynamoDb];

pub(crate) fn table() {
    let projects = KINDS.map(|kind| {
        let project = Project::new(kind, "");
        project.run_terraform(&["init", "-input=false"]);
        project
    });
    let [lock_file, table, untaint]: [Duration; 3] = by_turns(ROUNDS, |way| match way {
        2 => {
            let mut command = projects[1].terraform(&[
                "untaint",
                "-no-color",
                "-allow-missing",
                "-lock-timeout=0s",
                "softstop_look.none",
            ]);
            command.env("GOGC", "400");
            time(|| assert!(command.output().unwrap().status.success()))
        }
        kind => {
            let status = Softstop::status(&projects[kind]);
            time(|| {
                status.finish().expect_code(0);
            })
        }
    });
    println!("## A look by `untaint` on DynamoDB\n");
    println!("`softstop status` of a free lock, and `untaint` alone. Medians of {ROUNDS}.\n");
    println!("| What | time |\n|---|---|");
    for (what, time) in [
        ("status with a lock file", lock_file),
        ("status with a table", table),
        ("terraform untaint alone", untaint),
    ] {
        println!("| {what} | {:.0} ms |", milliseconds(time));
    }
}
