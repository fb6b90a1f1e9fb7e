//! A lock that the run has left behind is released; everybody else's is not.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::support::project::thing;
use crate::support::{Kind, Project, Run, Softstop, each, until};

fn start_and_reach_the_gate(project: &Project, softstop: Softstop) -> Run {
    let run = softstop.start();
    project.gate("a.gate").wait_until_reached();
    run
}

#[test]
fn the_lock_of_a_terraform_that_was_killed_is_released_and_the_next_deploy_finishes() {
    each(&Kind::ALL, |kind| {
        let project = Project::slow(kind);
        let run = start_and_reach_the_gate(&project, Softstop::deploy(&project));
        kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
        let finished = run.finish();
        finished.expect_code(137).expect_said("Deploy was killed");
        assert_eq!(project.store.lock(), None, "{finished}");
        if kind.outlives_its_holder() {
            finished.expect_said("its lock was released");
        }
        project.gate("a.gate").open();
        Softstop::deploy(&project).finish().expect_code(0);
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn a_provider_that_ignores_stop_is_killed_in_time_and_then_the_lock_is_released() {
    each(&Kind::ALL, |kind| {
        let project = Project::slow(kind);
        let softstop = Softstop::deploy(&project).env("GRACE_PERIOD", "6s");
        let mut run = start_and_reach_the_gate(&project, softstop);
        run.signal(Signal::SIGTERM);
        let finished = run.finish();
        finished
            .expect_code(143)
            .expect_said("out of time: killing");
        assert_eq!(project.store.lock(), None, "{finished}");
        assert!(
            finished.stopped_in.unwrap() < Duration::from_secs(7),
            "{finished}"
        );
        if kind.outlives_its_holder() {
            finished.expect_said("its lock was released");
        }
    });
}

#[test]
fn a_hanging_state_write_gets_no_second_signal_and_is_killed_when_the_reserve_begins() {
    let remote: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Local)
        .collect();
    each(&remote, |kind| {
        let project = Project::slow(kind);
        let softstop = Softstop::deploy(&project).env("GRACE_PERIOD", "6s");
        let mut run = start_and_reach_the_gate(&project, softstop);
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(&project.store.state_write());
        project.gate("a.gate").open();
        proxy.wait_until_held();
        run.signal(Signal::SIGTERM);
        run.wait_for_stderr("out of time: killing");
        let finished = run.finish();
        finished.expect_code(143);
        assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
        assert!(!finished.stderr.contains("Two interrupts"), "{finished}");
        let stopped_in = finished.stopped_in.unwrap();
        assert!(stopped_in >= Duration::from_secs(3), "{finished}");
        assert!(stopped_in < Duration::from_secs(7), "{finished}");
        assert_eq!(project.store.lock(), None, "{finished}");
    });
}

#[test]
fn a_second_signal_changes_nothing_and_a_third_one_means_now() {
    let project = Project::slow(Kind::HttpStrict);
    let softstop = Softstop::deploy(&project).env("GRACE_PERIOD", "10m");
    let mut run = start_and_reach_the_gate(&project, softstop);
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("Stopping operation...");
    // Signals that come close together count as one, so each is repeated until it is heard.
    until("the second one is heard", || {
        run.signal(Signal::SIGINT);
        run.has_said("Already stopping")
    });
    let terraform = run.wait_for_process("terraform");
    assert!(kill(terraform, None).is_ok(), "terraform lives on");
    until("the third one is heard", || {
        run.signal(Signal::SIGTERM);
        run.has_said("as a third signal asks for")
    });
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("its lock was released");
    assert!(!finished.stdout.contains("Two interrupts"), "{finished}");
    assert_eq!(project.store.lock(), None);
}

#[test]
fn a_lock_that_somebody_takes_between_our_look_and_our_release_survives() {
    // A lax http server unlocks whatever is locked, so there nothing can be shown.
    let checking = [
        Kind::HttpStrict,
        Kind::S3Lockfile,
        Kind::S3DynamoDb,
        Kind::S3Both,
    ];
    each(&checking, |kind| {
        let project = Project::slow(kind);
        let rival = json!({
            "ID": "99999999-0000-0000-0000-000000000000", "Operation": "OperationTypeApply",
            "Info": "", "Who": "root@macbook", "Version": "1.11.4",
            "Created": "2026-11-22T21:56:25.422332792Z", "Path": "",
        });
        if let Some(http) = &project.store.http {
            // After the look, and the look right before the release.
            http.hand_over_after(2, &rival.to_string());
        }
        let run = start_and_reach_the_gate(&project, Softstop::deploy(&project));
        let proxy = project.store.proxy.as_ref().unwrap();
        if project.store.http.is_none() {
            proxy.hold(&project.store.look_request());
        }
        kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
        if project.store.http.is_none() {
            // After the look, and before the release asks whose lock it is: that is another Terraform,
            // which has yet to be started.
            proxy.wait_until_held();
            proxy.let_go();
            proxy.hold(&project.store.look_request());
            proxy.wait_until_held();
            project.store.set_lock(&rival);
            proxy.let_go();
        }
        let finished = run.finish();
        finished
            .expect_code(137)
            .expect_said("is left alone: another user or host holds it");
        assert_eq!(
            project.store.lock_id().as_deref(),
            rival["ID"].as_str(),
            "{finished}"
        );
    });
}

#[test]
fn a_lock_of_another_deploy_on_the_same_host_is_never_released() {
    each(&Kind::LASTING, |kind| {
        let project = Project::slow(kind);
        let mut run = Softstop::on_a_shared_host(&project)
            .script(&project.hesitating_deploy())
            .start();
        project.gate("begun.gate").wait_until_reached();
        // The rival signs as our run does, and takes the lock while our run lives.
        let rival = project.start_rival();
        let lock = project.store.lock_id();
        project.gate("begun.gate").open();
        run.wait_for_stdout("Acquiring state lock");
        run.signal(Signal::SIGTERM);
        let finished = run.finish();
        finished
            .expect_code(143)
            .expect_said("is left alone: another deploy is running");
        assert_eq!(project.store.lock_id(), lock, "{finished}");
        rival.finish();
    });
}

#[test]
fn a_lock_of_a_twin_that_cannot_be_seen_is_never_released() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile], |kind| {
        let project = Project::slow(kind);
        let script = format!(
            "terraform init -input=false; {}
             terraform apply -input=false -auto-approve || kill -KILL $$",
            project.wait_at("begun")
        );
        // Two containers that were given the same host name do not see each other.
        let host = String::from_utf8(Command::new("hostname").output().unwrap().stdout).unwrap();
        let run = Softstop::as_pid_1_of(&project, host.trim())
            .script(&script)
            .start();
        project.gate("begun.gate").wait_until_reached();
        let twin = project.start_rival();
        let lock = project.store.lock_id();
        project.gate("begun.gate").open();
        let finished = run.finish();
        finished
            .expect_code(137)
            .expect_said("is left alone: the host name is not this container's alone");
        assert_eq!(project.store.lock_id(), lock, "{finished}");
        twin.finish();
    });
}

#[test]
fn a_look_whose_answer_is_lost_leaves_no_lock() {
    each(&[Kind::HttpStrict, Kind::HttpLax], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        project.store.http.as_ref().unwrap().lose_answer_to("LOCK");
        let finished = Softstop::status(&project).finish();
        finished.expect_code(0).expect_said("The lock is free.");
        assert_eq!(project.store.lock(), None);
    });
}

#[test]
fn a_terraform_that_was_killed_before_a_tee_has_its_lock_released_although_nobody_tells() {
    let project = Project::slow(Kind::HttpStrict);
    let softstop = Softstop::deploy(&project)
        .script("terraform init; terraform apply -auto-approve | tee log");
    let run = start_and_reach_the_gate(&project, softstop);
    kill(run.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    let finished = run.finish();
    finished
        .expect_code(0)
        .expect_said("Deploy succeeded, but its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn a_look_whose_lock_may_be_left_says_which_and_how_to_release_it() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let server = project.store.http.as_ref().unwrap();
    server.name_nobody();
    server.lose_answer_to("LOCK");
    let finished = Softstop::deploy(&project).script("touch ran").finish();
    let left = project.store.lock_id().unwrap();
    finished
        .expect_code(4)
        .expect_said("✖ Nothing was deployed, because ")
        .expect_said(&format!(
            "If the lock {left} of this very question is left there"
        ));
    assert!(!project.directory.join("ran").exists(), "{finished}");
}

#[test]
fn a_lock_that_nobody_is_named_for_is_left_alone() {
    let project = Project::slow(Kind::HttpStrict);
    project.store.http.as_ref().unwrap().name_nobody();
    let finished = Softstop::deploy(&project)
        .start()
        .kill_terraform_at(&project.gate("a.gate"));
    finished
        .expect_code(137)
        .expect_said("The lock is held. It is left alone: the backend does not say who holds it");
    assert!(project.store.lock().is_some());
}

/// As an OpenTofu 1.12.6 signs that is built with cgo, where /etc/passwd does not have the user: one that
/// was built for it signed just so on http and s3, and was told of in these words.
#[test]
fn a_program_that_signs_without_the_name_of_its_user_is_told_of_once() {
    let project = Project::slow(Kind::HttpStrict);
    let run = Softstop::deploy(&project).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let mut lock: Value = serde_json::from_str(&project.store.lock().unwrap()).unwrap();
    let who = lock["Who"].as_str().unwrap().to_owned();
    let (_, host) = who.rsplit_once('@').unwrap();
    lock["Who"] = format!("@{host}").into();
    project.store.set_lock(&lock);
    let finished = run.kill_terraform_at(&gate);
    finished
        .expect_code(137)
        .expect_said(&format!("is signed as \"@{host}\", and not as \"{who}\""))
        .expect_said("is left alone: another user or host holds it");
    assert_eq!(finished.stderr.matches("is signed as").count(), 1);
    assert!(project.store.lock().is_some(), "{finished}");
}
