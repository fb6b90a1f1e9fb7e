//! What it costs to hear of very many resources, from a Terraform that is played while it applies.

use std::fs;

use serde_json::{Value, json};

use crate::support::{CodeInsights, Finished, Kind, Project, Softstop, Step, prepared, until};

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

/// What there is beside a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// A journal, which is written.
    Journal,
    /// A state that has all of it, as a provider of many settings writes it.
    State,
}

/// Lets a deploy make so many resources, and fail at its end.
fn make(number: usize, beside: Beside) -> (Peaks, Finished, Value) {
    let project = Project::new(Kind::HttpStrict, "");
    if beside == Beside::State {
        project.run_terraform(&["init"]);
        store(&project, number);
    }
    let insights = CodeInsights::start();
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
    let mut softstop = Softstop::deploy(&project)
        .env("TERRAFORM_BIN", terraform)
        .env("SOFTSTOP_REPORT_FILE", &report)
        .env("AFTER_SCRIPT", project.wait_at("told"));
    if beside == Beside::Journal {
        softstop = softstop
            .in_step(&Step::of_a_new_pipeline())
            .env("JOURNAL", insights.proxy());
    }
    let run = softstop.start();
    project.gate("made.gate").wait_until_reached();
    // What was passed on was heard, but for the last of it.
    run.wait_for_stdout(&format!("of_{:06}: Creation complete after 1s", number - 1));
    if beside == Beside::Journal {
        let name = format!("of_{:06}", number - 1);
        until("the journal tells of the last one", || {
            let requests = insights.requests();
            requests
                .iter()
                .any(|one| one.body.to_string().contains(&name))
        });
    }
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

/// Stores a state that has so many resources.
fn store(project: &Project, number: usize) {
    let instance = |it: usize| {
        json!({
            "schema_version": 1,
            "attributes": {
                "id": format!("arn:aws:ec2:eu-central-1:123456789012:subnet/{it:020}"),
                "cidr_block": "10.0.0.0/24",
                "tags": {"Name": format!("of_{it:06}"), "Purpose": "a".repeat(400)},
            },
        })
    };
    let resource = |it: usize| {
        json!({
            "module": "module.network[\"eu-central-1\"]", "mode": "managed", "type": "aws_subnet",
            "name": format!("of_{it:06}"),
            "provider": "provider[\"terraform.io/builtin/terraform\"]",
            "instances": [instance(it)],
        })
    };
    let state = json!({
        "version": 4, "terraform_version": "1.11.4", "serial": 1,
        "lineage": "11111111-1111-4111-8111-111111111111", "outputs": {},
        "resources": (0..number).map(resource).collect::<Vec<_>>(),
    });
    let file = project.scratch().join("pushed.tfstate");
    fs::write(&file, state.to_string()).unwrap();
    project.run_terraform(&["state", "push", file.to_str().unwrap()]);
}

/// How much more the many may take than the few.
fn expect_little_more(beside: Beside, few: &Peaks, many: &Peaks) {
    let (while_running, at_end) = match beside {
        // Nothing of the state itself is kept. At the end it is 3.6 MiB, and more on a busy machine.
        Beside::Nothing | Beside::State => (4 * 1024, 4 * 1024 + 512),
        Beside::Journal => (4 * 1024 + 512, 5 * 1024),
    };
    let heard = many.heard - few.heard;
    assert!(
        heard < while_running,
        "{heard} KiB more while the deploy runs"
    );
    let told = many.told - few.told;
    assert!(told < at_end, "{told} KiB more at its end");
}

#[test]
fn to_hear_of_ten_thousand_resources_takes_a_few_mebibytes_and_of_more_no_more() {
    for beside in [Beside::Nothing, Beside::Journal, Beside::State] {
        let (few, ..) = make(10, beside);
        let (many, _, report) = make(10_000, beside);
        assert_eq!(report["resources"].as_array().unwrap().len(), 10_000);
        assert_eq!(report["dropped"], 0);
        let is_stored = beside == Beside::State;
        assert_eq!(report["resources"][9_999]["in_state"], is_stored);
        expect_little_more(beside, &few, &many);
    }

    let (few, ..) = make(10, Beside::Nothing);
    let (most, finished, report) = make(60_000, Beside::Nothing);
    let listed = report["resources"].as_array().unwrap().len();
    let dropped = 60_000 - listed;
    assert!(listed <= 10_000);
    assert_eq!(report["dropped"], dropped);
    finished.expect_said(&format!("And {dropped} more, which are not listed."));
    expect_little_more(Beside::Nothing, &few, &most);
}
