//! From the signal to the exit: what softstop adds to Terraform's own time.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::measure::{by_turns, milliseconds, time, verdict, wait_for_end};
use crate::support::{Kind, Project, Softstop, Step};

const ROUNDS: usize = 9;
const KINDS: [Kind; 3] = [Kind::HttpLax, Kind::S3Lockfile, Kind::S3DynamoDb];
/// What may be added where Terraform releases its lock itself, and where it cannot.
const GOAL: Duration = Duration::from_millis(50);
const GOAL_WITH_RELEASE: Duration = Duration::from_millis(300);

pub(crate) fn table() {
    println!("## From the signal to the exit\n");
    println!(
        "A deploy that stops at once. Without a lock left: SIGINT, beside the same Terraform \
         alone. With one: Terraform is killed while it holds the lock. On S3, only Terraform \
         itself can look whether there is a lock, by `force-unlock` of a wrong ID, so nearly all \
         that softstop adds is Terraform's own time. Medians of {ROUNDS}.\n"
    );
    println!(
        "| Backend | softstop adds | a look by Terraform alone | softstop | Terraform alone | \
         Goal: 50 ms | with a release | Goal: 300 ms |\n|---|---|---|---|---|---|---|---|"
    );
    for kind in KINDS {
        let times: [Duration; 4] = by_turns(ROUNDS, |way| match way {
            0 => terraform_alone(kind),
            1 => look_alone(kind),
            2 => interrupted(kind),
            _ => killed(kind),
        });
        let [alone, look, softstop, release] = times;
        let added = softstop.saturating_sub(alone);
        println!(
            "| {kind:?} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms | {} | {:.0} ms | {} |",
            milliseconds(added),
            milliseconds(look),
            milliseconds(softstop),
            milliseconds(alone),
            verdict(added <= GOAL),
            milliseconds(release),
            verdict(release <= GOAL_WITH_RELEASE)
        );
    }
}

fn terraform_alone(kind: Kind) -> Duration {
    let project = Project::slow(kind);
    project.run_terraform(&["init", "-input=false"]);
    let mut terraform = project.terraform(&["apply", "-auto-approve", "-input=false"]);
    terraform.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child: Child = terraform.spawn().unwrap();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let pid = Pid::from_raw(child.id().cast_signed());
    let took = time(|| {
        kill(pid, Signal::SIGINT).unwrap();
        gate.open();
        wait_for_end(pid);
    });
    child.wait().unwrap();
    took
}

/// Terraform's own part of a look, in the environment that softstop gives it.
fn look_alone(kind: Kind) -> Duration {
    if kind == Kind::HttpLax {
        // There, softstop asks the backend itself.
        return Duration::ZERO;
    }
    let project = Project::new(kind, "");
    project.run_terraform(&["init", "-input=false"]);
    let mut terraform = project.terraform(&["force-unlock", "-no-color", "-force", "0"]);
    terraform.env("GOGC", "400");
    time(|| assert!(!terraform.output().unwrap().status.success()))
}

fn interrupted(kind: Kind) -> Duration {
    let project = Project::slow(kind);
    let mut run = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let took = time(|| {
        run.signal(Signal::SIGINT);
        gate.open();
        wait_for_end(run.pid());
    });
    run.finish().expect_code(130);
    assert_eq!(project.store.lock(), None);
    took
}

fn killed(kind: Kind) -> Duration {
    let project = Project::slow(kind);
    let step = Step::of_a_new_pipeline();
    let run = Softstop::deploy(&project).in_step(&step).start();
    project.gate("a.gate").wait_until_reached();
    let terraform = run.wait_for_process("terraform");
    let began = Instant::now();
    kill(terraform, Signal::SIGKILL).unwrap();
    wait_for_end(run.pid());
    let took = began.elapsed();
    run.finish().expect_said("its lock was released");
    assert_eq!(project.store.lock(), None);
    took
}
