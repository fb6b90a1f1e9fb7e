//! An OpenTofu that is called like Terraform.

use std::env;
use std::fs;

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, prepared};

#[test]
fn what_it_could_not_store_is_compared_before_it_is_pushed_because_its_serial_passes_over_others() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let disguise = project.scratch().join("disguise");
    fs::create_dir(&disguise).unwrap();
    fs::copy(prepared("SOFTSTOP_TEST_TOFU"), disguise.join("terraform")).unwrap();
    let path = format!("{}:{}", disguise.display(), env::var("PATH").unwrap());
    let http = project.store.http.as_ref().unwrap();
    http.refuse_posts(100);
    let run = Softstop::deploy(&project)
        .env("PATH", path)
        .script(&format!(
            "terraform init -input=false; terraform apply -auto-approve || status=$?
             {}; exit $status",
            project.wait_at("after"),
        ))
        .start();
    project.gate("after.gate").wait_until_reached();
    project.be_locked_by("anna@macbook");
    project.gate("after.gate").open();
    let finished = run.finish();
    finished
        .expect_code(1)
        .expect_said("It is not stored now")
        .expect_said("compare them, and push this one only where");
    assert!(!finished.stderr.contains("store it by hand"), "{finished}");
}
