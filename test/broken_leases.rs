//! A lock on `azurerm` is a lease, and what is noted of its holder beside it, and either can be there
//! without the other one.

use std::process::Stdio;

use crate::support::project::thing;
use crate::support::{Kind, Program, Project, Softstop, Step, azure, each, lock_of};

/// A project that was deployed once.
fn deployed(program: Program) -> Project {
    let project = Project::of(program, Kind::Azurerm, &thing("a", ""));
    Softstop::deploy(&project).finish().expect_code(0);
    project
}

fn noted(project: &Project) -> Option<String> {
    azure::info(&project.store.name, &project.store.key())
}

fn break_lease(project: &Project) {
    azure::break_lease(&project.store.name, &project.store.key());
}

/// Expects that softstop leaves a lease alone of which nobody can say whose it is, tells how it is
/// broken, and that a deploy follows once that was done.
fn expect_nameless(project: &Project, step: &Step) {
    assert_eq!(project.store.lock().as_deref(), Some(""));
    let told = Softstop::status(project).finish();
    told.expect_code(0).expect_said("does not say who holds it");
    for softstop in [Softstop::release(project), Softstop::deploy(project)] {
        let finished = softstop.in_step(&step.sibling()).finish();
        finished
            .expect_code(3)
            .expect_said("break the lease of the blob state.tfstate in the container")
            .expect_said(
                "and delete nothing: `az storage blob lease break --blob-name state.tfstate",
            );
        assert_eq!(project.store.lock().as_deref(), Some(""), "{finished}");
    }
    break_lease(project);
    Softstop::deploy(project).finish().expect_code(0);
    assert_eq!(project.store.lock(), None);
    assert_eq!(project.store.resources(), ["a"]);
}

#[test]
fn what_is_noted_of_a_lease_that_a_person_has_broken_locks_nobody_out() {
    each(&Program::ALL, |program| {
        let project = deployed(program);
        let step = Step::of_a_new_pipeline();
        project.be_orphaned(&step);
        break_lease(&project);
        let left = noted(&project);
        assert!(left.is_some());
        for softstop in [Softstop::status(&project), Softstop::release(&project)] {
            let finished = softstop.in_step(&step.sibling()).finish();
            finished.expect_code(0).expect_said("free");
            assert_eq!(project.store.lock(), None, "{finished}");
        }
        Softstop::deploy(&project).finish().expect_code(0);
        assert_eq!(noted(&project), None);
    });
}

#[test]
fn a_lease_whose_holder_was_killed_before_it_was_noted_is_told_and_left_alone() {
    each(&Program::ALL, |program| {
        let project = deployed(program);
        let step = Step::of_a_new_pipeline();
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(project.store.lock_request());
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_while_held(proxy);
        expect_nameless(&project, &step);
    });
}

#[test]
fn a_lease_without_a_state_whose_holder_was_killed_before_it_was_noted_is_told() {
    each(&Program::ALL, |program| {
        let project = Project::of(program, Kind::Azurerm, &thing("a", ""));
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(&project.store.unlock_requests()[0]);
        let mut init = project.terraform(&["init", "-input=false"]);
        let mut init = init.stdout(Stdio::null()).spawn().unwrap();
        proxy.wait_until_held();
        init.kill().unwrap();
        init.wait().unwrap();
        proxy.wait_until_given_up();
        proxy.let_go();
        assert_eq!(project.store.state(), None);
        expect_nameless(&project, &Step::of_a_new_pipeline());
    });
}

#[test]
fn a_lease_whose_release_was_killed_halfway_is_told_and_left_alone() {
    each(&Program::ALL, |program| {
        let project = deployed(program);
        let step = Step::of_a_new_pipeline();
        project.be_orphaned(&step);
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold("ction: release");
        let release = Softstop::release(&project).in_step(&step.sibling()).start();
        release.kill_all_while_held(proxy);
        expect_nameless(&project, &step);
    });
}

/// Where a person has broken a lease, what is noted of it stays until the next holder has noted
/// itself.
#[test]
fn a_lease_of_another_holder_than_is_noted_is_not_released() {
    each(&Program::ALL, |program| {
        let project = deployed(program);
        let step = Step::of_a_new_pipeline();
        let lock = lock_of(&format!("{}@d5c1f0a2b3c4", step.stamp()));
        let other = "99999999-0000-4000-8000-000000000000";
        let (name, key) = (&project.store.name, project.store.key());
        azure::set_lock(name, &key, other, Some(&lock.to_string()));
        let finished = Softstop::release(&project)
            .in_step(&step.sibling())
            .finish();
        finished
            .expect_code(3)
            .expect_said("lease ID for the blob")
            .expect_said("1 could not be released");
        assert_eq!(project.store.lock(), Some(lock.to_string()), "{finished}");
        // Only its holder can give it back.
        azure::release(name, &key, other);
        Softstop::deploy(&project).finish().expect_code(0);
    });
}
