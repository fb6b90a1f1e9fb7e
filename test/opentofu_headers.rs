//! The headers that OpenTofu sends to an `http` backend.

use crate::opentofu::{noting, path};
use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Step};

/// From now on the server answers nobody else.
fn demand_header(project: &Project) {
    let http = project.store.http.as_ref().unwrap();
    http.demand("X-State-Token", "s3cret-header");
}

#[test]
fn the_headers_of_an_http_backend_are_sent_and_never_printed() {
    let step = Step::of_a_new_pipeline();
    let project = Project::orphaned(Kind::HttpStrict, &step);
    demand_header(&project);
    let with_header = |value: &str| {
        let headers = format!("headers = {{ \"X-State-Token\" = \"{value}\" }}\n}}\n");
        let block = project.store.block();
        let block = block.trim_end().trim_end_matches('}');
        project.write("backend.tf", &format!("terraform {{\n{block}{headers}}}\n"));
    };
    with_header("wrong");
    let refused = noting(&project, "status").finish();
    refused
        .expect_code(4)
        .expect_said("it answered a LOCK with 401 Unauthorized");
    assert_eq!(refused.stderr.matches("401").count(), 1, "{refused}");
    with_header("s3cret-header");
    let told = noting(&project, "status").finish();
    told.expect_code(0).expect_said("held by build 42");
    assert!(!told.stderr.contains("s3cret-header"), "{told}");
    let released = noting(&project, "release")
        .in_step(&step.sibling())
        .finish();
    released.expect_code(0).expect_said("1 released");
    assert_eq!(project.store.lock(), None, "{released}");

    project.be_locked_by("anna@macbook");
    let deployed = Softstop::deploy(&project)
        .env("PATH", path(&project, true))
        .env("TERRAFORM_BIN", "tofu")
        .finish();
    deployed
        .expect_code(3)
        .expect_said("held by anna@macbook")
        .expect_said("X-State-Token");
    assert!(!deployed.stderr.contains("s3cret-header"), "{deployed}");
}

#[test]
fn a_deploy_that_never_had_a_lock_raises_no_alarm_about_one() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    demand_header(&project);
    let finished = Softstop::deploy(&project)
        .env("PATH", path(&project, true))
        .env("TERRAFORM_BIN", "tofu")
        .finish();
    finished
        .expect_code(1)
        .expect_said("it answered a LOCK with 401 Unauthorized");
    assert!(!finished.stderr.contains("by hand"), "{finished}");
    assert!(!finished.stderr.contains("left"), "{finished}");
}
