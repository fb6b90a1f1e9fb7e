//! What it costs to hear of very many resources, from a Terraform that is played while it applies.

use std::fs;

use serde_json::Value;

use crate::support::{Finished, Kind, Project, Softstop, prepared};

/// Says what Terraform says of so many resources that it plans and makes, ten side by side.
const SAYS: &str = r#"
import sys
number = int(sys.argv[1])
address = lambda it: f'module.network["eu-central-1"].aws_subnet.of_{it:06}'
print("Terraform will perform the following actions:\n")
for it in range(number):
    print(f'  # {address(it)} will be created\n  + resource "aws_subnet" "of_{it:06}" {{')
    print("      + id = (known after apply)\n    }\n")
print(f"Plan: {number} to add, 0 to change, 0 to destroy.")
for first in range(0, number, 10):
    for it in range(first, first + 10):
        print(f"{address(it)}: Creating...")
    for it in range(first, first + 10):
        arn = f"arn:aws:ec2:eu-central-1:123456789012:subnet/{it:020}"
        print(f"{address(it)}: Creation complete after 1s [id={arn}]")
"#;

/// The most memory, in KiB, that softstop and its guard have taken.
struct Peaks {
    /// Until all was heard.
    heard: u64,
    /// Until all that was left was told.
    told: u64,
}

/// Lets a deploy make so many resources, and fail at its end.
fn make(number: usize) -> (Peaks, Finished, Value) {
    let project = Project::new(Kind::HttpStrict, "");
    let (says, report) = (
        project.scratch().join("says.py"),
        project.scratch().join("report.json"),
    );
    fs::write(&says, SAYS).unwrap();
    let terraform = project.script(
        "terraform",
        &format!(
            "[ \"$1\" = apply ] || exec {} \"$@\"\npython3 {} {number}; {}; exit 1",
            prepared("SOFTSTOP_TEST_TERRAFORM"),
            says.display(),
            project.wait_at("made")
        ),
    );
    let run = Softstop::deploy(&project)
        .env("TERRAFORM_BIN", terraform)
        .env("SOFTSTOP_REPORT_FILE", &report)
        .env("AFTER_SCRIPT", project.wait_at("told"))
        .start();
    project.gate("made.gate").wait_until_reached();
    // What was passed on was heard, but for the last of it.
    run.wait_for_stdout(&format!("of_{:06}: Creation complete after 1s", number - 1));
    let heard = run.peak_memory();
    project.gate("made.gate").open();
    project.gate("told.gate").wait_until_reached();
    let told = run.peak_memory();
    project.gate("told.gate").open();
    let mut finished = run.finish();
    // Where something is wrong, nobody wants to read all that was said.
    finished.stdout.clear();
    finished.expect_code(1);
    let report = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    (Peaks { heard, told }, finished, report)
}

/// How much more the many take than the few, in KiB.
fn expect_little_more(few: &Peaks, many: &Peaks) {
    let heard = many.heard - few.heard;
    assert!(heard < 4 * 1024, "{heard} KiB more while the deploy runs");
    let told = many.told - few.told;
    assert!(told < 12 * 1024, "{told} KiB more at its end");
}

#[test]
fn to_hear_of_ten_thousand_resources_takes_less_than_four_mebibytes_and_of_more_no_more() {
    let (few, ..) = make(10);
    let (many, _, report) = make(10_000);
    assert_eq!(report["resources"].as_array().unwrap().len(), 10_000);
    assert_eq!(report["dropped"], 0);
    expect_little_more(&few, &many);

    let (most, finished, report) = make(60_000);
    let listed = report["resources"].as_array().unwrap().len();
    let dropped = 60_000 - listed;
    assert!(listed <= 10_000);
    assert_eq!(report["dropped"], dropped);
    finished.expect_said(&format!("And {dropped} more, which are not listed."));
    expect_little_more(&few, &most);
}
