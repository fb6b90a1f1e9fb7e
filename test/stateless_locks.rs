//! Locks of a state that is not there, where whatever opens one makes it, under its lock.

use crate::support::project::thing;
use crate::support::{Kind, Program, Project, Softstop, Step, azure, each, lock_of};

fn each_of_them(test: impl Fn(Kind, Program) + Sync) {
    each(&[Kind::Gcs, Kind::Azurerm, Kind::Kubernetes], |kind| {
        for program in Program::ALL {
            test(kind, program);
        }
    });
}

/// How a person removes the lock, as it is told.
fn removal(project: &Project) -> String {
    let name = &project.store.name;
    match project.store.kind {
        Kind::Gcs => format!("delete the object deploy/default.tflock in the bucket {name}"),
        Kind::Azurerm => format!(
            "break the lease of the blob state.tfstate in the container {name}, and delete nothing: \
             `az storage blob lease break --blob-name state.tfstate --container-name {name} \
             --account-name softstop`"
        ),
        _ => format!("delete the lease lock-tfstate-default-{name}-state in the namespace default"),
    }
}

#[test]
fn a_lock_without_a_state_is_told_and_gone_once_what_is_named_is_removed() {
    each_of_them(|kind, program| {
        let project = Project::of(program, kind, &thing("a", ""));
        let step = Step::of_a_new_pipeline();
        project.be_orphaned(&step);
        let lock = project.store.lock_id();
        for (softstop, code) in [
            (Softstop::status(&project), 0),
            (Softstop::release(&project), 3),
            // With proof it is tried, and the lock is still there.
            (Softstop::release(&project).in_step(&step.sibling()), 3),
            (Softstop::deploy(&project).script("touch ran"), 3),
        ] {
            let finished = softstop.finish();
            finished
                .expect_code(code)
                .expect_said("held by build 42 of acme/infra")
                .expect_said(&format!(
                    "{}: there is no state, and `force-unlock` needs one",
                    removal(&project)
                ));
            assert!(!finished.stderr.contains("-reconfigure"), "{finished}");
            assert_eq!(project.store.lock_id(), lock, "{finished}");
        }
        assert_eq!(project.store.state(), None);
        match kind {
            Kind::Azurerm => azure::break_lease(&project.store.name, &project.store.key()),
            _ => project.store.remove_lock(),
        }
        Softstop::deploy(&project).finish().expect_code(0);
        assert_eq!(project.store.resources(), ["a"]);
    });
}

#[test]
fn a_lock_without_a_state_is_no_less_than_a_lock() {
    each_of_them(|kind, program| {
        let project = Project::of(program, kind, "");
        project.store.set_lock(&lock_of("root@macbook"));
        let id = project.store.lock_id().unwrap();
        for command in [
            &["init", "-input=false", "-no-color"][..],
            &["force-unlock", "-no-color", "-force", "--", &id],
        ] {
            let output = project.terraform(command).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{said}");
            assert!(said.contains("Who:       root@macbook"), "{said}");
        }
        assert_eq!(project.store.lock_id(), Some(id));
    });
}
