//! Locks of which the backend keeps too little to tell who holds them, and looks that meet themselves.

use crate::support::project::thing;
use crate::support::proxy::Fault;
use crate::support::{Kind, Project, Softstop, each};

/// What a person or a broken client may have left of a lock's info.
const LEFT: [Option<&str>; 3] = [None, Some(""), Some(r#"{"ID":"0b1c2d3e-"#)];

#[test]
fn an_item_that_names_nobody_is_held_by_somebody_and_left_alone() {
    each(&[Kind::S3DynamoDb, Kind::S3Both], |kind| {
        for info in LEFT {
            let project = Project::new(kind, &thing("a", ""));
            project.store.set_item(info);
            let status = Softstop::status(&project).finish();
            status
                .expect_code(0)
                .expect_said("does not say who holds it");
            let release = Softstop::release(&project).finish();
            release
                .expect_code(3)
                .expect_said("does not say who holds it");
            assert!(project.store.has_item(), "{release}");
        }
    });
}

#[test]
fn a_lock_file_that_names_nobody_is_held_by_somebody_and_left_alone() {
    for left in LEFT.into_iter().flatten() {
        let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
        project.store.set_lockfile_text(left);
        let release = Softstop::release(&project).finish();
        release
            .expect_code(3)
            .expect_said("does not say who holds it");
        assert_eq!(project.store.lockfile().as_deref(), Some(left), "{release}");
    }
}

#[test]
fn a_look_that_meets_its_own_lock_gives_it_back_and_looks_again() {
    let project = Project::new(Kind::S3DynamoDb, &thing("a", ""));
    let proxy = project.store.proxy.as_ref().unwrap();
    proxy.fail("DynamoDB_20120810.PutItem", Fault::LoseAnswer, 1);
    let status = Softstop::status(&project).finish();
    status.expect_code(0).expect_said("The lock is free.");
    assert!(!project.store.has_item(), "{status}");
}
