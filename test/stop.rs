//! Which process is asked to stop, how often, and by whom.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::project::thing;
use crate::support::run::name_of;
use crate::support::softstop::MARK;
use crate::support::{Finished, Kind, Project, Softstop, prepared, until};

/// Compiles a program of the fixtures.
pub(crate) fn compile(name: &str, program: &Path) {
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/processes");
    let mut compiler = Command::new("gcc");
    compiler.arg("-o").arg(program).arg(source.join(name));
    assert!(compiler.status().unwrap().success(), "{name}");
}

/// A deploy for which `terraform` is this program of the fixtures.
fn deploy_with(project: &Project, source: &str) -> (Softstop, PathBuf) {
    let programs = project.scratch().join("programs");
    let terraform = programs.join("terraform");
    compile(source, &terraform);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let softstop = Softstop::deploy(project)
        .env("SOFTSTOP_DEBUG", "true")
        .env("PATH", path);
    (softstop, terraform)
}

/// Stopped as Terraform wants it: what was in flight is finished and stored, and the lock given back.
fn expect_one_interrupt(project: &Project, finished: &Finished, by_us: usize) {
    finished.expect_code(143);
    let sent = finished.stderr.matches("SIGINT to process").count();
    assert_eq!(sent, by_us, "{finished}");
    for output in [&finished.stdout, &finished.stderr] {
        assert!(!output.contains("Two interrupts"), "{finished}");
    }
    assert_eq!(project.store.lock(), None, "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn a_terraform_that_runs_itself_twice_is_interrupted() {
    let project = Project::slow(Kind::HttpStrict);
    let (softstop, terraform) = deploy_with(&project, "twice.c");
    let run = softstop
        .env("TWICE_SELF", &terraform)
        .env("TWICE_TERRAFORM", prepared("SOFTSTOP_TEST_TERRAFORM"))
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    expect_one_interrupt(&project, &finished, 1);
}

#[test]
fn a_terraform_behind_proxies_that_forward_is_interrupted_once() {
    let project = Project::slow(Kind::HttpStrict);
    let (softstop, terraform) = deploy_with(&project, "forwarder.c");
    let manager = terraform.with_file_name("manager");
    fs::copy(&terraform, &manager).unwrap();
    let real = prepared("SOFTSTOP_TEST_TERRAFORM");
    let run = softstop
        .env("FORWARDER_NEXT", format!("{}:{real}", manager.display()))
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    expect_one_interrupt(&project, &finished, 1);
}

#[test]
fn a_terraform_that_runs_another_one_is_interrupted_after_it() {
    let inner = Project::slow(Kind::Local);
    let command = format!(
        "cd {} && terraform init && exec terraform apply -auto-approve",
        inner.directory.display()
    );
    let outer = Project::new(
        Kind::HttpStrict,
        &format!(
            "resource \"terraform_data\" \"inner\" {{\n  provisioner \"local-exec\" {{\n    \
             command = \"{command}\"\n  }}\n}}\n{}{}",
            thing("b", "create_gate = \"GATES/b.gate\""),
            thing("c", "depends_on = [slow_thing.b, terraform_data.inner]"),
        ),
    );
    let mut run = Softstop::deploy(&outer)
        .env("SOFTSTOP_DEBUG", "true")
        .start();
    for gate in [outer.gate("b.gate"), inner.gate("a.gate")] {
        gate.wait_until_reached();
    }
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("(local-exec): Stopping operation...");
    assert!(!run.has_printed("\nStopping operation..."));
    inner.gate("a.gate").open();
    run.wait_for_stdout("\nStopping operation...");
    outer.gate("b.gate").open();
    let finished = run.finish();
    finished.expect_code(143);
    assert_eq!(finished.stderr.matches("SIGINT to process").count(), 2);
    assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
    assert_eq!(inner.store.resources(), ["a"], "{finished}");
    assert_eq!(outer.store.resources(), ["b", "inner"], "{finished}");
    assert_eq!(outer.store.lock(), None, "{finished}");
}

/// As a service manager does it, which signals every process of a service.
#[test]
fn a_terraform_that_was_told_by_somebody_else_is_not_interrupted_by_us() {
    // lxcfs says there since when the container runs, and not the machine.
    let young = "echo 1.00 1.00 > ../uptime; mount --bind ../uptime /proc/uptime; exec \"$@\"";
    for (softstop_first, shell) in [true, false]
        .into_iter()
        .flat_map(|first| ["exec \"$@\"", young].map(|shell| (first, shell)))
    {
        let project = Project::slow(Kind::HttpStrict);
        let run = Softstop::deploy_by(&project, &["sh", "-ec", shell, "sh"])
            .env("SOFTSTOP_DEBUG", "true")
            .start();
        project.gate("a.gate").wait_until_reached();
        let terraform = run.wait_for_process("terraform");
        let mut told = [run.pid(), run.supervisor(), terraform];
        if !softstop_first {
            told.reverse();
        }
        for pid in told {
            kill(pid, Signal::SIGTERM).unwrap();
        }
        run.wait_for_stderr("received: stopping the deploy");
        run.wait_for_stdout("Stopping operation...");
        project.gate("a.gate").open();
        expect_one_interrupt(&project, &run.finish(), 0);
    }
}

/// Makes a process stand still.
fn halt(pid: Pid) {
    kill(pid, Signal::SIGSTOP).unwrap();
    until("it stands still", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.unwrap().contains(") T ")
    });
}

#[test]
fn a_deploy_that_stands_still_as_a_whole_goes_on_and_stops_gracefully() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .start();
    project.gate("a.gate").wait_until_reached();
    for name in ["terraform", "terraform-provi"] {
        halt(run.wait_for_process(name));
    }
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("Stopping operation...");
    project.gate("a.gate").open();
    expect_one_interrupt(&project, &run.finish(), 1);
}

/// As `su`, `gosu` and `sudo -u` start it in a container, whose root may not look into the processes of
/// others. By a SIGTERM its provider would die, and take the resource along.
#[test]
fn a_terraform_of_another_user_that_hides_its_program_is_interrupted_alone() {
    let project = Project::slow(Kind::HttpStrict);
    project.give_to("54321:54321");
    let blind = [
        "setpriv",
        "--bounding-set=-sys_ptrace",
        "--inh-caps=-sys_ptrace",
    ];
    let another = "setpriv --reuid=54321 --regid=54321 --clear-groups terraform";
    let run = Softstop::deploy_by(&project, &blind)
        .env("SOFTSTOP_DEBUG", "true")
        .script(&format!(
            "{another} init -input=false; {another} apply -input=false -auto-approve"
        ))
        .start();
    let finished = run.interrupt_at(&project.gate("a.gate"), Signal::SIGTERM);
    expect_one_interrupt(&project, &finished, 1);
}

#[test]
fn a_shell_that_traps_its_sigterm_and_becomes_terraform_is_interrupted_too() {
    let project = Project::slow(Kind::HttpStrict);
    // Nothing else is started by then: whatever gets the SIGTERM and dies of it would end the shell.
    let script = "terraform init -input=false; trap ': >../trapped' TERM; : >../deploy.reached
         until [ -e ../trapped ]; do :; done
         exec terraform apply -input=false -auto-approve";
    let mut run = Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .script(script)
        .start();
    project.gate("deploy.gate").wait_until_reached();
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished.expect_code(143).expect_said("SIGINT to process");
    assert!(!finished.stderr.contains("out of time"), "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_terraform_for_which_a_signal_waits_is_only_continued() {
    let project = Project::slow(Kind::HttpStrict);
    let mut run = Softstop::deploy(&project)
        .env("SOFTSTOP_DEBUG", "true")
        .start();
    project.gate("a.gate").wait_until_reached();
    let terraform = run.wait_for_process("terraform");
    halt(terraform);
    kill(terraform, Signal::SIGTERM).unwrap();
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("Stopping operation...");
    project.gate("a.gate").open();
    expect_one_interrupt(&project, &run.finish(), 0);
}

#[test]
fn the_first_process_of_a_container_hears_a_signal_before_it_knows_its_configuration() {
    let project = Project::new(Kind::Local, "");
    for number in 0..5_000 {
        project.write(&format!("{number}.tf"), "");
    }
    let run = Softstop::as_pid_1(&project)
        .env("WORKING_DIR", &project.directory)
        .script("sleep 600")
        .start();
    let mut softstop = None;
    until("softstop reads the directory", || {
        softstop = run.processes().into_iter().find(|pid| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten();
            let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            name_of(*pid) == "softstop" && targets.any(|target| target == project.directory)
        });
        softstop.is_some()
    });
    kill(softstop.unwrap(), Signal::SIGTERM).unwrap();
    run.finish().expect_code(143);
}

/// A shell that starts a process of its own, a tunnel to the backend perhaps, and becomes softstop.
fn shell_with_a_stranger(project: &Project) -> String {
    let scratch = project.scratch().display();
    format!(
        "env --unset={MARK} sh -c 'echo $$ > {scratch}/stranger; {}' &
         until [ -s {scratch}/stranger ]; do sleep 0.01; done; exec \"$@\"",
        project.wait_at("stranger")
    )
}

#[test]
fn what_the_first_process_of_a_container_had_started_outlives_the_deploy() {
    let project = Project::new(Kind::Local, "");
    let shell = shell_with_a_stranger(&project);
    let starter = ["bash", "-c", &shell, "bash"];
    Softstop::as_pid_1_by(&project, "build", &starter)
        .script("setsid sleep 600 & touch ../deployed")
        .env(
            "AFTER_SCRIPT",
            "kill -0 $(cat ../stranger) && touch ../lived",
        )
        .finish()
        .expect_code(0);
    let scratch = project.scratch();
    assert!(scratch.join("deployed").exists() && scratch.join("lived").exists());
}

#[test]
fn a_guard_that_has_lost_its_supervisor_ends_the_deploy_alone() {
    let project = Project::new(Kind::Local, "");
    let shell = shell_with_a_stranger(&project);
    let script = format!("setsid sleep 600 & {}", project.wait_at("deploy"));
    let run = Softstop::deploy_by(&project, &["bash", "-c", &shell, "bash"])
        .script(&script)
        .start();
    project.gate("deploy.gate").wait_until_reached();
    kill(run.supervisor(), Signal::SIGKILL).unwrap();
    run.finish().expect_code(137);
    let stranger = fs::read_to_string(project.scratch().join("stranger")).unwrap();
    let stranger = Pid::from_raw(stranger.trim().parse().unwrap());
    let lives = kill(stranger, None);
    project.gate("stranger.gate").open();
    assert_eq!(lives, Ok(()));
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored_and_other_requests_do_not() {
    let rows = [
        (Signal::SIGHUP, 0),
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
    ];
    for (signal, code) in rows {
        let project = Project::new(Kind::Local, "");
        let script = format!("kill -HUP $$; {}", project.wait_at("deploy"));
        let ignoring = ["env", "--ignore-signal=HUP,INT,QUIT"];
        let mut run = Softstop::deploy_by(&project, &ignoring)
            .script(&script)
            .start();
        project.gate("deploy.gate").wait_until_reached();
        run.signal(signal);
        if code > 0 {
            run.wait_for_stderr("received: stopping the deploy");
        }
        project.gate("deploy.gate").open();
        run.finish().expect_code(code);
    }
}

#[test]
fn hundreds_of_processes_of_others_cost_a_stop_next_to_nothing() {
    let strangers = || Command::new("sleep").arg("60").spawn().unwrap();
    let strangers: Vec<Child> = std::iter::repeat_with(strangers).take(500).collect();
    let project = Project::new(Kind::Local, "");
    let mut run = Softstop::deploy(&project)
        .env("GRACE_PERIOD", "4s")
        .env(
            "AFTER_SCRIPT",
            "cut -d ' ' -f 14,15 /proc/$PPID/stat > ../ticks",
        )
        .script(&format!("trap '' TERM; {}", project.wait_at("deploy")))
        .start();
    project.gate("deploy.gate").wait_until_reached();
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    for mut stranger in strangers {
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
    finished
        .expect_code(143)
        .expect_said("out of time: killing");
    let ticks = fs::read_to_string(project.scratch().join("ticks")).unwrap();
    let used: u32 = ticks
        .split_whitespace()
        .map(|ticks| ticks.parse::<u32>().unwrap())
        .sum();
    // A tick is 10 ms.
    assert!(used < 30, "{used} ticks of the processor\n{finished}");
}

#[test]
fn a_third_request_says_that_it_was_asked_for() {
    let project = Project::new(Kind::Local, "");
    let script = format!("trap '' TERM; {}", project.wait_at("deploy"));
    let mut run = Softstop::deploy(&project).script(&script).start();
    project.gate("deploy.gate").wait_until_reached();
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("received: stopping the deploy");
    until("the third request is heard", || {
        // Those that come closer together than 0.2 s are one.
        run.signal(Signal::SIGTERM);
        thread::sleep(Duration::from_millis(210));
        run.has_said("as a third signal asks for") || run.has_ended()
    });
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("as a third signal asks for");
    assert!(!finished.stderr.contains("out of time"), "{finished}");
}

/// It is root's, and softstop is not.
#[test]
fn a_process_that_cannot_be_killed_costs_no_grace_period() {
    let project = Project::new(Kind::Local, "");
    let immortal = project.scratch().join("immortal");
    compile("immortal.c", &immortal);
    project.open_to_all();
    fs::set_permissions(&immortal, Permissions::from_mode(0o4755)).unwrap();
    let starter = ["setpriv", "--reuid", "54321", "--clear-groups"];
    let mut run = Softstop::deploy_by(&project, &starter)
        .env("GRACE_PERIOD", "3s")
        .env("AFTER_SCRIPT", "sleep 600")
        .script(&format!(
            "{} & {}; sleep 600",
            immortal.display(),
            project.wait_at("deploy")
        ))
        .start();
    project.gate("deploy.gate").wait_until_reached();
    let immortal = run.wait_for_process("immortal");
    run.signal(Signal::SIGTERM);
    let asked = Instant::now();
    until("softstop ends", || run.has_ended());
    let took = asked.elapsed();
    kill(immortal, Signal::SIGKILL).unwrap();
    until("nothing is left", || kill(immortal, None).is_err());
    let finished = run.finish();
    finished.expect_code(143);
    assert!(took < Duration::from_secs(3), "{took:?}: {finished}");
    let said = finished.stderr.matches("cannot be killed").count();
    assert_eq!(said, 1, "{finished}");
}

/// They are a user's who may have few processes, so that they use up nobody else's numbers: what is
/// dead and not reaped yet has one too.
#[test]
fn processes_that_are_gone_before_they_are_seen_are_ended_too() {
    let project = Project::new(Kind::Local, "");
    let comet = project.scratch().join("comet");
    compile("comet.c", &comet);
    fs::set_permissions(project.scratch(), Permissions::from_mode(0o755)).unwrap();
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do
           setpriv --reuid 54321 --clear-groups prlimit --nproc=200 {comet} {comet} &
         done; {}; sleep 600",
        project.wait_at("deploy"),
        comet = comet.display(),
    );
    let mut run = Softstop::deploy(&project).script(&script).start();
    project.gate("deploy.gate").wait_until_reached();
    run.wait_for_process("comet");
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished.expect_code(143);
    assert!(!finished.stderr.contains("cannot be killed"), "{finished}");
}
